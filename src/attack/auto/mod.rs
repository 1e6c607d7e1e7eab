//! AutoAttack (Croce and Hein 2020): four attacks without settings, one after the other on the pictures that withstood
//! those before, so that a figure of robustness does not depend on how well an attack was tuned.

mod apgd;
mod fab;
mod hyperplane;
mod losses;
mod square;

pub use apgd::{Apgd, ApgdOutcome};
pub use fab::Fab;
pub use losses::Loss;
pub use square::Square;

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::descent::{Ball, Norm};
use super::epsilon::require_radius;
use crate::error::{Error, Result};
use crate::model::{Classifier, tensor_values};
use losses::ranked;

/// An attack of the sequence.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
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
}

impl AutoPart {
    /// The standard sequence.
    pub const STANDARD: [Self; 4] = [Self::ApgdCe, Self::ApgdT, Self::FabT, Self::Square];

    /// Classes that it needs at least.
    pub fn least_classes(self) -> usize {
        match self {
            Self::ApgdCe | Self::FabT | Self::Square => Loss::CrossEntropy.least_classes(),
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
            format!("AutoAttack is defined for L∞ and L2, not for {}", self.norm)
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
        let clean = ranked(&model.logits(x.clone()));
        let right = |at: &usize| clean[*at][0] == labels[*at];
        let mut open: Vec<usize> = (0..labels.len()).filter(right).collect();
        let mut pictures = Pictures::of(x);
        let mut parts = Vec::new();
        for part in self.parts_for(model.classes()) {
            if open.is_empty() {
                break;
            }
            let batch = Batch {
                attack: self,
                model,
                x: selected(x, &open),
                labels: open.iter().map(|&at| labels[at]).collect(),
                ranked: open.iter().map(|&at| clean[at].clone()).collect(),
                noise_ids: open.iter().map(|&at| noise_ids[at]).collect(),
            };
            let found = batch.run(part);
            pictures.replace(&open, &found.fooled, found.pictures);
            let outcome = PartOutcome {
                part,
                fooled: where_true(&open, &found.fooled),
                without_gradient: where_true(&open, &found.without_gradient),
                attacked: open.clone(),
            };
            open.retain(|at| !outcome.fooled.contains(at));
            parts.push(outcome);
        }
        AutoOutcome {
            pictures: pictures.tensor(model.device()),
            clean: clean.iter().map(|order| order[0]).collect(),
            parts,
        }
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

/// The pictures that withstood the attacks before.
struct Batch<'a> {
    attack: &'a AutoAttack,
    model: &'a Classifier,
    x: Tensor<4>,
    labels: Vec<usize>,
    /// The classes of each clean picture, the likeliest first.
    ranked: Vec<Vec<usize>>,
    noise_ids: Vec<u64>,
}

/// What one attack made of them.
struct Found {
    pictures: Tensor<4>,
    fooled: Vec<bool>,
    without_gradient: Vec<bool>,
}

impl Batch<'_> {
    fn run(&self, part: AutoPart) -> Found {
        let Self { attack, model, .. } = self;
        let targets = attack.targets.min(model.classes() - 1);
        match part {
            AutoPart::ApgdCe => self.apgd(Loss::CrossEntropy, &[1]),
            AutoPart::ApgdDlr => self.apgd(Loss::Dlr, &[1]),
            AutoPart::ApgdT => self.apgd(Loss::TargetedDlr, &(1..=targets).collect::<Vec<_>>()),
            AutoPart::FabT => self.fab(&(1..=targets).collect::<Vec<_>>()),
            AutoPart::Square => {
                let square = Square {
                    model,
                    norm: attack.norm,
                    epsilon: attack.epsilon,
                    queries: attack.queries,
                    seed: attack.seed,
                };
                let (pictures, fooled) = square.run(&self.x, &self.labels, &self.noise_ids);
                Found {
                    pictures,
                    without_gradient: vec![false; fooled.len()],
                    fooled,
                }
            }
        }
    }

    /// The classes of these places in the ranks of the clean pictures, for those of `open`.
    fn targets(&self, rank: usize, open: &[usize]) -> Vec<usize> {
        open.iter().map(|&at| self.ranked[at][rank]).collect()
    }

    /// Auto-PGD once for each rank of target classes, on those that withstood the ranks before.
    fn apgd(&self, loss: Loss, ranks: &[usize]) -> Found {
        let AutoAttack {
            norm,
            epsilon,
            steps,
            seed,
            ..
        } = *self.attack;
        let apgd = Apgd {
            model: self.model,
            norm,
            epsilon,
            steps,
            loss,
        };
        let ball = Ball::new(norm, &[epsilon], self.model.device());
        let mut without_gradient = vec![false; self.labels.len()];
        let mut found = self.in_turn(ranks, |x, labels, targets, open| {
            let ids: Vec<u64> = open.iter().map(|&at| self.noise_ids[at]).collect();
            let start = ball.random_start(x, seed, &ids);
            let outcome = apgd.run(x, start, labels, targets);
            for (&at, none) in open.iter().zip(outcome.no_gradient) {
                without_gradient[at] |= none;
            }
            (outcome.pictures, outcome.fooled)
        });
        found.without_gradient = without_gradient;
        found
    }

    fn fab(&self, ranks: &[usize]) -> Found {
        let AutoAttack {
            norm,
            epsilon,
            steps,
            ..
        } = *self.attack;
        let fab = Fab {
            model: self.model,
            norm,
            steps,
        };
        self.in_turn(ranks, |x, labels, targets, _| {
            let (nearest, distances) = fab.run(x, labels, targets);
            let within = distances.iter().map(|&distance| distance <= epsilon);
            (nearest, within.collect())
        })
    }

    /// Runs `attack` once for each rank of target classes on the pictures that it has not fooled yet, given as
    /// pictures, labels, targets and places in the batch.
    fn in_turn(
        &self,
        ranks: &[usize],
        mut attack: impl FnMut(&Tensor<4>, &[usize], &[usize], &[usize]) -> (Tensor<4>, Vec<bool>),
    ) -> Found {
        let n = self.labels.len();
        let mut pictures = Pictures::of(&self.x);
        let mut fooled = vec![false; n];
        for &rank in ranks {
            let open: Vec<usize> = (0..n).filter(|&at| !fooled[at]).collect();
            if open.is_empty() {
                break;
            }
            let labels: Vec<usize> = open.iter().map(|&at| self.labels[at]).collect();
            let (made, success) = attack(
                &selected(&self.x, &open),
                &labels,
                &self.targets(rank, &open),
                &open,
            );
            pictures.replace(&open, &success, made);
            for at in where_true(&open, &success) {
                fooled[at] = true;
            }
        }
        Found {
            pictures: pictures.tensor(self.model.device()),
            fooled,
            without_gradient: vec![false; n],
        }
    }
}

/// Pictures of a batch, some of which are replaced by adversarial ones.
struct Pictures {
    values: Vec<f32>,
    shape: [usize; 4],
}

impl Pictures {
    fn of(x: &Tensor<4>) -> Self {
        Self {
            values: tensor_values(x.clone()),
            shape: x.dims(),
        }
    }

    /// Replaces those of the pictures at `places` for which `mask` is true by their place in `made`.
    fn replace(&mut self, places: &[usize], mask: &[bool], made: Tensor<4>) {
        let length = self.shape[1..].iter().product();
        let made = tensor_values(made);
        let made = places.iter().zip(mask).zip(made.chunks_exact(length));
        for ((&at, _), made) in made.filter(|((_, replaced), _)| **replaced) {
            self.values[at * length..(at + 1) * length].copy_from_slice(made);
        }
    }

    fn tensor(self, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.values, self.shape), device)
    }
}

/// Those of `places` for which `mask` is true.
fn where_true(places: &[usize], mask: &[bool]) -> Vec<usize> {
    let pairs = places.iter().zip(mask);
    pairs
        .filter_map(|(&at, &chosen)| chosen.then_some(at))
        .collect()
}

/// Some of the pictures `[n, 3, h, w]`.
fn selected(x: &Tensor<4>, places: &[usize]) -> Tensor<4> {
    let indices: Vec<i32> = places.iter().map(|&place| place as i32).collect();
    let data = TensorData::new(indices, [places.len()]);
    x.clone()
        .select(0, Tensor::<1, Int>::from_data(data, &x.device()))
}
