//! Pictures made by a classifier: what it takes for the same, what it takes for a class, what
//! excites one of its units (paper A, sections 3.2 to 3.4).
//!
//! All three are the one loop of [`crate::attack::Descent`] with another objective and another start.

mod distance;
mod gaussian;
mod history;
mod objective;
mod run;
mod seeds;
mod spectrum;
mod start;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::{Classifier, FeatureLayer};

pub use distance::{Distances, activations, distances, perceptual};
pub use gaussian::{Gaussian, frechet};
pub use history::{History, Kept, SharedHistory, locked};
pub use run::Run;
pub use seeds::Seeds;
pub use start::Material;

/// What the picture is to become.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Representation inversion: seen as the target is. Minimises ‖R(x) − R(t)‖₂ / ‖R(t)‖₂.
    Invert {
        /// The stage whose feature map is R, 0 for the stem; without one, the pooled
        /// representation.
        stage: Option<usize>,
    },
    /// Class-specific generation: seen as this class.
    Generate {
        /// The class.
        class: usize,
        /// What measures it.
        aim: Aim,
    },
    /// Neuron visualisation: exciting this unit.
    Neuron(Unit),
}

/// What class-specific generation maximises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Aim {
    /// The logit of the class, as in the paper.
    #[default]
    Logit,
    /// Its log-probability: the cross-entropy is minimised.
    CrossEntropy,
}

/// A unit of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The stage whose feature map has it as a channel (its mean over the map counts), 0 for the
    /// stem; without one, it is a coordinate of the pooled representation.
    pub stage: Option<usize>,
    /// Which of them.
    pub index: usize,
}

/// Where the picture begins.
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
    /// The open picture.
    Current,
    /// Another picture.
    Other,
}

impl Start {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::GreyNoise,
        Self::Noise,
        Self::Grey,
        Self::ClassGaussian,
        Self::Current,
        Self::Other,
    ];

    /// In words.
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

/// All that decides the result, as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Synthesis {
    /// What the picture is to become.
    pub task: Task,
    /// Where it begins.
    pub start: Start,
    /// Radius of the L2 ball around the start, in units of pixels in [0, 1].
    pub radius: f32,
    /// L2 length of a step, in the same unit.
    pub step: f32,
    /// Steps.
    pub iterations: usize,
    /// Share of the last step that the next one keeps; see
    /// [`crate::attack::Descent::with_momentum`].
    pub momentum: f32,
    /// Whether steps shrink to nothing along half a cosine over the iterations.
    pub anneal: bool,
    /// Weight of the mean total variation, which keeps neighbouring pixels alike (Mahendran and
    /// Vedaldi 2015).
    pub variation: f32,
    /// Frequencies f of each step are weighed by f to the power of minus this, so that what is large
    /// comes before grain (Olah et al. 2017); 0 leaves steps as they are.
    pub spectrum: f32,
    /// Each gradient is taken with the picture shifted at random by up to this many pixels, around
    /// its edges: transformation robustness (Olah et al. 2017).
    pub jitter: usize,
    /// Whether gradients pass the last ReLU as if it were not there (paper A).
    pub fake_relu: bool,
    /// Pictures made at once, each from its own draw of the start.
    pub count: usize,
    /// Seed of everything random.
    pub seed: u64,
}

/// The most pictures of one run.
pub const MOST_PICTURES: usize = 64;

impl Synthesis {
    /// The paper's inversion: 10 000 steps of length 1 in a ball of 1000, so that only [0, 1]
    /// binds; from grey noise; the last iterate counts.
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

    /// The paper's class-specific generation: 60 steps of length 0.5 up the logit, in a ball of 30
    /// around a draw from the class Gaussian.
    pub fn paper_generation(class: usize) -> Self {
        Self {
            task: Task::Generate {
                class,
                aim: Aim::Logit,
            },
            start: Start::ClassGaussian,
            radius: 30.0,
            step: 0.5,
            iterations: 60,
            ..Self::paper_inversion()
        }
    }

    /// The paper's neuron visualisation: 200 steps of length 1 from grey.
    pub fn paper_neuron(unit: Unit) -> Self {
        Self {
            task: Task::Neuron(unit),
            start: Start::Grey,
            iterations: 200,
            ..Self::paper_inversion()
        }
    }

    /// The paper's settings for this one's task.
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

    /// Looks better sooner: steps are averaged, shrink to nothing, favour what is large, and the
    /// picture is kept smooth. docs/synthesis.md has what that brings.
    pub fn fast(&self) -> Self {
        let calm = Self {
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
                ..calm
            },
            Task::Generate { .. } => calm,
            Task::Neuron(_) => Self { step: 0.5, ..calm },
        }
    }

    /// The stage at which the network is cut.
    pub fn cut(&self) -> FeatureLayer {
        FeatureLayer {
            stage: match self.task {
                Task::Invert { stage } => stage,
                Task::Generate { .. } => None,
                Task::Neuron(unit) => unit.stage,
            },
            fake_relu: self.fake_relu,
        }
    }

    /// The length of the step after `done` others, as a share of [`Synthesis::step`].
    pub fn pace(&self, done: usize) -> f32 {
        if !self.anneal {
            return 1.0;
        }
        let share = done as f32 / self.iterations.max(1) as f32;
        0.5 * (1.0 + (std::f32::consts::PI * share.min(1.0)).cos())
    }

    /// Refuses what cannot be done with `model`.
    ///
    /// # Errors
    /// [`Error::Config`] says what.
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
        } else if self.cut().stage.is_some_and(|stage| stage > stages) {
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
