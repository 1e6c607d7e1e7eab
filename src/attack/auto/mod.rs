//! AutoAttack (Croce and Hein 2020): four attacks without settings, one after the other on the pictures that withstood
//! those before, so that a figure of robustness does not depend on how well an attack was tuned.

mod apgd;
mod deepfool;
mod fab;
mod hyperplane;
mod losses;
mod run;
mod square;

pub use apgd::{Apgd, ApgdOutcome, ApgdRun};
pub use deepfool::{DeepFool, DeepFoolRun};
pub use fab::{Fab, FabRun};
pub use losses::Loss;
pub use run::AutoRun;
pub use square::{Square, SquareRun};

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::descent::Norm;
use super::epsilon::require_radius;
use crate::error::{Error, Result};
use crate::model::Classifier;

/// An attack of the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AutoPart {
    /// Auto-PGD on the cross-entropy, 100 steps.
    ApgdCe,
    /// Auto-PGD on the difference of logits ratio, 100 steps; no part of the standard sequence.
    ApgdDlr,
    /// Auto-PGD on the targeted ratio, 100 steps toward each of the nine likeliest other classes.
    ApgdT,
    /// Targeted FAB, 100 steps toward each of the same.
    FabT,
    /// Square, 5000 queries without gradients.
    Square,
    /// DeepFool, 50 steps; no part of the standard sequence.
    #[serde(rename = "deepfool")]
    DeepFool,
}

impl AutoPart {
    /// The standard sequence.
    pub const STANDARD: [Self; 4] = [Self::ApgdCe, Self::ApgdT, Self::FabT, Self::Square];

    /// What it is, for tooltips.
    pub fn about(self) -> &'static str {
        match self {
            Self::ApgdCe => "Auto-PGD on the cross-entropy, 100 steps (Croce and Hein 2020)",
            Self::ApgdDlr => {
                "Auto-PGD on the difference of logits ratio, 100 steps (Croce and Hein 2020)"
            }
            Self::ApgdT => {
                "Auto-PGD on the targeted ratio, 100 steps toward each of nine classes (Croce and Hein 2020)"
            }
            Self::FabT => {
                "Targeted FAB: the smallest perturbation, 100 steps toward each of nine classes (Croce and Hein 2020)"
            }
            Self::Square => {
                "Random search with squares, 5,000 predictions and no gradient (Andriushchenko et al. 2020)"
            }
            Self::DeepFool => {
                "The smallest perturbation by linearising the network, up to 50 steps (Moosavi-Dezfooli et al. 2016)"
            }
        }
    }

    /// Classes that it needs at least.
    pub fn least_classes(self) -> usize {
        match self {
            Self::ApgdCe | Self::FabT | Self::Square | Self::DeepFool => {
                Loss::CrossEntropy.least_classes()
            }
            Self::ApgdDlr => Loss::Dlr.least_classes(),
            Self::ApgdT => Loss::TargetedDlr.least_classes(),
        }
    }
}

impl std::fmt::Display for AutoPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ApgdCe => "APGD-CE",
            Self::ApgdDlr => "APGD-DLR",
            Self::ApgdT => "APGD-T",
            Self::FabT => "FAB-T",
            Self::Square => "Square",
            Self::DeepFool => "DeepFool",
        })
    }
}

/// Attacks of AutoAttack one after the other, as plain data. The defaults are the authors'.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutoAttack {
    /// L∞ or L2.
    pub norm: Norm,
    /// Radius, in units of pixels in [0, 1].
    pub epsilon: f32,
    /// The attacks, in their order.
    pub parts: Vec<AutoPart>,
    /// Gradient steps of each.
    pub steps: usize,
    /// Target classes of the targeted ones, at most.
    pub targets: usize,
    /// Queries of Square.
    pub queries: usize,
    /// Seed of random starts and of the random search.
    pub seed: u64,
}

/// What an attack of the sequence made of a batch.
pub struct PartOutcome {
    /// Which one.
    pub part: AutoPart,
    /// The pictures that it attacked, by their places in the batch.
    pub attacked: Vec<usize>,
    /// Those of them that it had misclassified within the radius.
    pub fooled: Vec<usize>,
    /// Those of them at which it found no gradient: zero or not finite at its start. Of attacks that follow gradients.
    pub without_gradient: Vec<usize>,
}

/// What a sequence made of a batch.
pub struct AutoOutcome {
    /// Misclassified pictures within the radius where one was found, the pictures themselves elsewhere,
    /// `[n, 3, h, w]`.
    pub pictures: Tensor<4>,
    /// Predicted classes of the pictures themselves.
    pub clean: Vec<usize>,
    /// The attacks that ran, in their order.
    pub parts: Vec<PartOutcome>,
}

impl AutoAttack {
    /// The standard sequence.
    pub fn standard(norm: Norm, epsilon: f32) -> Self {
        Self::of(norm, epsilon, AutoPart::STANDARD.to_vec())
    }

    /// These attacks alone.
    pub fn of(norm: Norm, epsilon: f32, parts: Vec<AutoPart>) -> Self {
        Self {
            norm,
            epsilon,
            parts,
            steps: 100,
            targets: 9,
            queries: 5000,
            seed: 0,
        }
    }

    /// The parts that a classifier with `classes` classes has enough of.
    pub fn parts_for(&self, classes: usize) -> Vec<AutoPart> {
        let parts = self.parts.iter().copied();
        parts
            .filter(|part| part.least_classes() <= classes)
            .collect()
    }

    /// Checks the settings for a classifier with `classes` classes.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting that is out of range.
    pub fn validate(&self, classes: usize) -> Result<()> {
        require_radius(self.epsilon)?;
        let wrong = if self.norm == Norm::L1p5 {
            format!(
                "this attack is defined for L∞ and L2, not for {}",
                self.norm
            )
        } else if self.parts_for(classes).is_empty() {
            format!("the attack needs more than {classes} classes")
        } else {
            return Ok(());
        };
        Err(Error::Config(wrong))
    }

    /// Attacks pictures `x` (`[n, 3, h, w]`) of the classes `labels`. Pictures that are misclassified already are left
    /// alone. `noise_ids` select each picture's random numbers.
    pub fn run(
        &self,
        model: &Classifier,
        x: &Tensor<4>,
        labels: &[usize],
        noise_ids: &[u64],
    ) -> AutoOutcome {
        let mut run = self.begin(model, x, labels, noise_ids);
        while run.step(model) {}
        run.finish(model.device())
    }

    /// The same, to be stepped.
    pub fn begin(
        &self,
        model: &Classifier,
        x: &Tensor<4>,
        labels: &[usize],
        noise_ids: &[u64],
    ) -> AutoRun {
        AutoRun::new(self.clone(), model, x, labels, noise_ids)
    }
}

impl std::fmt::Display for AutoAttack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if self.parts == AutoPart::STANDARD {
            "AutoAttack".into()
        } else {
            let parts: Vec<String> = self.parts.iter().map(AutoPart::to_string).collect();
            parts.join(" + ")
        };
        let epsilon = self.norm.format(self.epsilon);
        write!(f, "{} {name} ε {epsilon}", self.norm)
    }
}
