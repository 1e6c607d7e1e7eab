//! Image synthesis by optimisation through a classifier: representation inversion, class-specific
//! generation, and neuron visualisation (paper A, sections 3.2 to 3.4).
//!
//! All three use the projected descent of [`crate::attack::Descent`] with their own objective and start.

mod class_gaussians;
mod distance;
mod gaussian;
mod history;
mod objective;
mod preconditioner;
mod run;
mod start;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::{Classifier, FeatureLayer};

pub use class_gaussians::ClassGaussians;
pub use distance::{Distances, activations, distances, perceptual};
pub use gaussian::{Gaussian, frechet};
pub use history::{Iterate, IterateHistory, SharedHistory, lock};
pub use run::SynthesisRun;
pub use start::SynthesisInputs;

/// Objective of a synthesis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Representation inversion: minimises ‖R(x) − R(t)‖₂ / ‖R(t)‖₂ for a target picture t.
    Invert {
        /// The stage whose feature map is R, 0 for the stem; `None` for the pooled representation.
        stage: Option<usize>,
    },
    /// Class-specific generation: maximises a score of a class.
    Generate {
        /// Index of the class.
        class: usize,
        /// The score that is maximised.
        #[serde(rename = "aim")]
        objective: ClassObjective,
    },
    /// Neuron visualisation: maximises the activation of a unit.
    Neuron(Unit),
}

/// Objective of class-specific generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ClassObjective {
    /// The logit of the class, as in the paper.
    #[default]
    Logit,
    /// Its log-probability: the cross-entropy is minimised.
    CrossEntropy,
}

/// A unit (neuron or channel) of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The stage of whose feature map it is a channel (its activation is the mean over the map), 0 for
    /// the stem; `None` for a coordinate of the pooled representation.
    pub stage: Option<usize>,
    /// Index of the channel or coordinate.
    pub index: usize,
}

/// Initial picture of a synthesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// 0.5 everywhere.
    Grey,
    /// Uniform noise of amplitude 1/20 on 0.5: the paper's for inversion.
    GreyNoise,
    /// Uniform noise in [0, 1].
    Noise,
    /// A draw from a Gaussian over 4×-downsampled pictures of the class: the paper's for
    /// generation. For inversions and neurons, of a class that the seed picks.
    ClassGaussian,
    /// The picture selected in the window.
    Current,
    /// A picture that a person chose as start.
    Other,
}

impl Start {
    /// All starts, in the order of menus.
    pub const ALL: [Self; 6] = [
        Self::GreyNoise,
        Self::Noise,
        Self::Grey,
        Self::ClassGaussian,
        Self::Current,
        Self::Other,
    ];

    /// Display name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::GreyNoise => "grey noise",
            Self::Noise => "noise",
            Self::ClassGaussian => "class Gaussian",
            Self::Current => "this picture",
            Self::Other => "another picture",
        }
    }
}

/// Settings of a synthesis, as plain data; equal settings give equal results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Synthesis {
    /// Objective.
    pub task: Task,
    /// Initial picture.
    pub start: Start,
    /// Radius of the L2 ball around the start, in units of pixels in [0, 1].
    pub radius: f32,
    /// Step size: L2 norm of a step, in the same unit.
    pub step: f32,
    /// Number of steps.
    pub iterations: usize,
    /// Momentum in [0, 1); see [`crate::attack::Descent::with_momentum`].
    pub momentum: f32,
    /// Whether the step size is annealed to 0 along half a cosine over the iterations.
    pub anneal: bool,
    /// Weight of the total-variation regulariser, a mean over pixels (Mahendran and Vedaldi 2015).
    pub variation: f32,
    /// Exponent α of the spectral preconditioner, which weights frequencies f of each gradient by f^−α
    /// to favour low frequencies (Olah et al. 2017); 0 for none.
    pub spectrum: f32,
    /// Transformation robustness (Olah et al. 2017): each gradient is computed on the picture rolled by a
    /// random shift of up to this many pixels.
    pub jitter: usize,
    /// Whether gradients pass the last ReLU unchanged (the fake ReLU of paper A).
    pub fake_relu: bool,
    /// Number of pictures in the batch, each from its own draw of the start; 1 to [`MOST_PICTURES`].
    pub count: usize,
    /// Seed of starts and jitter.
    pub seed: u64,
}

/// Largest batch of one synthesis.
pub const MOST_PICTURES: usize = 64;

impl Synthesis {
    /// The paper's inversion from grey noise: 10 000 steps of size 1 in a ball of radius 1000, so large that
    /// only [0, 1] constrains; the result is the last iterate.
    pub fn paper_inversion() -> Self {
        Self {
            task: Task::Invert { stage: None },
            start: Start::GreyNoise,
            radius: 1000.0,
            step: 1.0,
            iterations: 10_000,
            momentum: 0.0,
            anneal: false,
            variation: 0.0,
            spectrum: 0.0,
            jitter: 0,
            fake_relu: true,
            count: 1,
            seed: 0,
        }
    }

    /// The paper's class-specific generation: 60 steps of size 0.5 that maximise the logit, in a ball of
    /// radius 30 around a draw from the class Gaussian.
    pub fn paper_generation(class: usize) -> Self {
        Self {
            task: Task::Generate {
                class,
                objective: ClassObjective::Logit,
            },
            start: Start::ClassGaussian,
            radius: 30.0,
            step: 0.5,
            iterations: 60,
            ..Self::paper_inversion()
        }
    }

    /// The paper's neuron visualisation: 200 steps of size 1 from grey.
    pub fn paper_neuron(unit: Unit) -> Self {
        Self {
            task: Task::Neuron(unit),
            start: Start::Grey,
            iterations: 200,
            ..Self::paper_inversion()
        }
    }

    /// The paper's settings for the same task.
    pub fn paper(&self) -> Self {
        match self.task {
            Task::Invert { stage } => Self {
                task: Task::Invert { stage },
                ..Self::paper_inversion()
            },
            Task::Generate { class, .. } => Self::paper_generation(class),
            Task::Neuron(unit) => Self::paper_neuron(unit),
        }
    }

    /// Faster settings for the same task: momentum, annealed steps, spectral preconditioning and total
    /// variation. docs/synthesis.md has the measured effect.
    pub fn fast(&self) -> Self {
        let common = Self {
            momentum: 0.9,
            anneal: true,
            spectrum: 1.0,
            variation: 5.0,
            ..self.paper()
        };
        match self.task {
            Task::Invert { .. } => Self {
                iterations: 400,
                variation: 0.5,
                ..common
            },
            Task::Generate { .. } => common,
            Task::Neuron(_) => Self {
                step: 0.5,
                ..common
            },
        }
    }

    /// The feature layer that the objective is computed from.
    pub fn feature_layer(&self) -> FeatureLayer {
        FeatureLayer {
            stage: match self.task {
                Task::Invert { stage } => stage,
                Task::Generate { .. } => None,
                Task::Neuron(unit) => unit.stage,
            },
            fake_relu: self.fake_relu,
        }
    }

    /// The step size after `done` steps, as a share of [`Synthesis::step`].
    pub fn step_scale(&self, done: usize) -> f32 {
        if !self.anneal {
            return 1.0;
        }
        let share = done as f32 / self.iterations.max(1) as f32;
        0.5 * (1.0 + (std::f32::consts::PI * share.min(1.0)).cos())
    }

    /// Checks the settings for `model`.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting that is out of range.
    pub fn validate(&self, model: &Classifier) -> Result<()> {
        let stages = model.manifest().architecture.stages();
        let positive = |value: f32| value.is_finite() && value > 0.0;
        let wrong = if !(positive(self.radius) && positive(self.step)) {
            "the ball and the step must be numbers above 0".into()
        } else if !(0.0..1.0).contains(&self.momentum) {
            "the momentum must be at least 0 and below 1".into()
        } else if !(self.variation >= 0.0 && self.variation.is_finite()) {
            "the weight of the total variation must be a number of at least 0".into()
        } else if !(0.0..=4.0).contains(&self.spectrum) {
            "the exponent of the spectrum must be between 0 and 4".into()
        } else if !(1..=MOST_PICTURES).contains(&self.count) {
            format!("between 1 and {MOST_PICTURES} pictures can be made at once")
        } else if self
            .feature_layer()
            .stage
            .is_some_and(|stage| stage > stages)
        {
            format!("the network has the stages 0 to {stages}")
        } else if let Task::Generate { class, .. } = self.task
            && class >= model.classes()
        {
            format!("the class {class} is not one of the {}", model.classes())
        } else if let Task::Neuron(unit) = self.task
            && unit.index >= model.channels(unit.stage)
        {
            let all = model.channels(unit.stage);
            format!("the unit {} is not one of the {all}", unit.index)
        } else {
            return Ok(());
        };
        Err(Error::Config(wrong))
    }
}

impl std::fmt::Display for Synthesis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.task {
            Task::Invert { stage: None } => write!(f, "inversion of the representation")?,
            Task::Invert { stage: Some(stage) } => write!(f, "inversion of stage {stage}")?,
            Task::Generate { class, .. } => write!(f, "generation of class {class}")?,
            Task::Neuron(Unit { stage: None, index }) => write!(f, "unit {index}")?,
            Task::Neuron(Unit {
                stage: Some(stage),
                index,
            }) => write!(f, "channel {index} of stage {stage}")?,
        }
        write!(
            f,
            " from {}, {} steps of {} in an L2 ball of {}",
            self.start.name(),
            self.iterations,
            self.step,
            self.radius
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_objective_is_stored_as_aim() {
        // Sessions and settings of earlier versions contain this name.
        let stored = r#"{"generate":{"class":3,"aim":"cross-entropy"}}"#;
        let task = Task::Generate {
            class: 3,
            objective: ClassObjective::CrossEntropy,
        };
        assert_eq!(serde_json::to_string(&task).expect("plain data"), stored);
        assert_eq!(
            serde_json::from_str::<Task>(stored).expect("an earlier file"),
            task
        );
    }
}
