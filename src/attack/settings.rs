//! The settings of an attack, as plain data.

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::descent::Norm;
use super::epsilon::{is_length, require_radius};
use super::{AttackMethod, AttackRun, AutoAttack};
use crate::error::{Error, Result};
use crate::model::Classifier;

/// Goal of an attack: untargeted or targeted misclassification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Any other class than the picture's label: its true class where known, else the predicted one.
    Untargeted,
    /// This class.
    Targeted(usize),
}

impl Goal {
    /// Whether the attack on a picture of the class `label` succeeds when the model predicts `class`.
    pub fn is_reached(self, label: usize, class: usize) -> bool {
        match self {
            Self::Untargeted => class != label,
            Self::Targeted(target) => class == target,
        }
    }
}

/// Settings of an attack, as plain data. What is said of steps, goal and restarts is PGD's; the other methods have no
/// settings but norm, ε and seed, and are untargeted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attack {
    /// How it searches.
    #[serde(default, skip_serializing_if = "AttackMethod::is_pgd")]
    pub method: AttackMethod,
    /// Norm that bounds the perturbation.
    pub norm: Norm,
    /// Radius ε: largest norm of the perturbation, in units of pixels in [0, 1].
    pub epsilon: f32,
    /// Gradient steps of each restart; 1 is FGSM.
    pub steps: usize,
    /// Step length in the same unit as `epsilon`; without one, 2.5·ε/steps (Madry et al. 2018).
    pub step_size: Option<f32>,
    /// Untargeted, or the target class.
    pub goal: Goal,
    /// Whether to start from a random point of the ball instead of its centre.
    pub random_start: bool,
    /// Number of independent runs, of which each picture's best iterate is kept; at least 1.
    pub restarts: usize,
    /// Seed of the random starts.
    pub seed: u64,
}

impl Default for Attack {
    /// L2 PGD-10 with ε 0.5: a visible perturbation, fast enough for interactive use.
    fn default() -> Self {
        Self {
            method: AttackMethod::Pgd,
            norm: Norm::L2,
            epsilon: 0.5,
            steps: 10,
            step_size: None,
            goal: Goal::Untargeted,
            random_start: true,
            restarts: 1,
            seed: 0,
        }
    }
}

impl Attack {
    /// FGSM: one full step from the picture itself.
    pub fn fgsm(norm: Norm, epsilon: f32) -> Self {
        Self {
            norm,
            epsilon,
            steps: 1,
            step_size: Some(epsilon),
            random_start: false,
            ..Self::default()
        }
    }

    /// PGD with `steps` steps of 2.5·ε/steps from a random start.
    pub fn pgd(norm: Norm, epsilon: f32, steps: usize) -> Self {
        Self {
            norm,
            epsilon,
            steps,
            ..Self::default()
        }
    }

    /// The same attack by another method; all but PGD are untargeted.
    pub fn by(self, method: AttackMethod) -> Self {
        Self {
            method,
            goal: match method {
                AttackMethod::Pgd => self.goal,
                _ => Goal::Untargeted,
            },
            ..self
        }
    }

    /// The sequence of attacks without settings that this is, if it is not PGD.
    pub fn auto(&self) -> Option<AutoAttack> {
        let parts = self.method.parts();
        (!parts.is_empty()).then(|| AutoAttack {
            seed: self.seed,
            ..AutoAttack::of(self.norm, self.epsilon, parts)
        })
    }

    /// Norm, method and steps without ε, such as `L2 PGD-10`.
    pub fn kind(&self) -> String {
        if !self.method.is_pgd() {
            return format!("{} {}", self.norm, self.method);
        }
        match self.steps {
            0 => "No attack".into(),
            1 if !self.random_start => format!("{} FGSM", self.norm),
            steps => format!("{} PGD-{steps}", self.norm),
        }
    }

    /// The step size for a radius of `epsilon`, in the same unit.
    pub fn step_for(&self, epsilon: f32) -> f32 {
        self.step_size
            .unwrap_or(2.5 * epsilon / self.steps.max(1) as f32)
    }

    /// Checks the settings for a classifier with `classes` classes.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting that is out of range.
    pub fn validate(&self, classes: usize) -> Result<()> {
        require_radius(self.epsilon)?;
        if let Some(auto) = self.auto() {
            if self.goal != Goal::Untargeted {
                let method = self.method;
                return Err(Error::Config(format!(
                    "{method} is untargeted: only PGD has a target"
                )));
            }
            return auto.validate(classes);
        }
        let wrong = if !self.step_size.is_none_or(is_length) {
            "the step size must be a number of at least 0".into()
        } else if self.restarts == 0 {
            "at least one run is needed".into()
        } else if let Goal::Targeted(class) = self.goal
            && class >= classes
        {
            format!("the target class {class} is not one of the {classes} classes")
        } else {
            return Ok(());
        };
        Err(Error::Config(wrong))
    }

    /// Attacks pictures `[n, 3, h, w]` of the classes `labels` and returns each one's best iterate.
    ///
    /// `noise_ids` select each picture's random start; see [`super::Ball::random_start`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use epsiloscope::attack::{Attack, Norm};
    /// use epsiloscope::model::zoo;
    ///
    /// let device = Device::flex();
    /// let model = zoo::open(&"cifar10-standard".into(), &device)?;
    /// let grey = Tensor::<4>::full([1, 3, 32, 32], 0.5, &device);
    /// let attack = Attack::pgd(Norm::Linf, 8.0 / 255.0, 2);
    /// let attacked = attack.run(&model, &grey, &[3], &[0]);
    /// let farthest = (attacked - grey).abs().max().into_scalar::<f32>();
    /// assert!(farthest > 0.0 && farthest <= 8.0 / 255.0 + 1e-6);
    /// # Ok::<(), epsiloscope::error::Error>(())
    /// ```
    pub fn run(
        &self,
        model: &Classifier,
        x: &Tensor<4>,
        labels: &[usize],
        noise_ids: &[u64],
    ) -> Tensor<4> {
        let mut run = AttackRun::new(self, model, x.clone(), labels, noise_ids, &[self.epsilon]);
        while run.step(model) {}
        run.finish(model)
    }

    /// The classes `[n, 1]` whose cross-entropy is maximised (`labels`) or minimised (the target).
    pub(super) fn classes(&self, labels: &[usize], device: &Device) -> Tensor<2, Int> {
        let class_of = |&label: &usize| match self.goal {
            Goal::Untargeted => label as i32,
            Goal::Targeted(class) => class as i32,
        };
        let classes: Vec<i32> = labels.iter().map(class_of).collect();
        Tensor::from_data(TensorData::new(classes, [labels.len(), 1]), device)
    }
}

impl std::fmt::Display for Attack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ε {}", self.kind(), self.norm.format(self.epsilon))?;
        if let Goal::Targeted(class) = self.goal {
            write!(f, " toward class {class}")?;
        }
        if self.restarts > 1 && self.method.is_pgd() {
            write!(f, ", {} restarts", self.restarts)?;
        }
        Ok(())
    }
}
