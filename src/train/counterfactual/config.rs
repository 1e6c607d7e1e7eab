//! Configuration of a counterfactual training: architectures, loss weights, schedules.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::counterfactual::TargetClassifier;
use crate::data::Augmentation;
use crate::error::{Error, Result};
use crate::model::{Block, Normalizer, ResNetConfig, Stem, UNetConfig};
use crate::train::{Schedule, ScheduleKind, TrainArchitecture};

/// Weights of the loss terms, each at least 0; paper B does not state its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossWeights {
    /// Discriminator: cross-entropy of generated pictures to “fake”.
    pub fake: f64,
    /// Generator, adversarial loss: cross-entropy of the discriminator's output to the target class.
    pub fool: f64,
    /// Generator, cycle consistency: distance between the original and its translation there and back.
    pub cycle: f64,
    /// Generator, identity loss: change where the target class is the picture's own.
    pub identity: f64,
    /// Generator, sparsity: mean |x − G(x)|.
    pub sparsity: f64,
    /// Generator: total variation of the change x − G(x).
    pub total_variation: f64,
    /// Generator: cross-entropy of its classification head.
    pub head: f64,
    /// Generator, flip: cross-entropy of the frozen classifier's answer to the target class, at the end of the
    /// training; it grows to that from a fifth over its first half.
    #[serde(default)]
    pub flip: f64,
    /// Generator, diversity: mean squared correlation of the changes of pictures with one target class.
    #[serde(default)]
    pub diversity: f64,
}

/// The frozen classifier for which a generator is trained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenClassifier {
    /// The model, a file or a bundled model's id.
    pub model: PathBuf,
    /// Its name and content.
    pub identity: TargetClassifier,
}

/// Learning rates of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Learning rate of the discriminator; `None` once it is frozen.
    pub discriminator: Option<f64>,
    /// Learning rate of the generator.
    pub generator: f64,
}

/// Largest side at which a generator for a frozen classifier makes its changes, in pixels.
pub const MOST_CHANGED: usize = 64;

fn one() -> usize {
    1
}

/// Configuration of a counterfactual training: equal configurations give equal results on a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CounterfactualConfig {
    /// Display name of the model.
    pub name: String,
    /// Folder of the data set.
    pub data: PathBuf,
    /// The classifier for which the generator is trained and which stays as it is; without one the
    /// discriminator is the classifier (paper B).
    #[serde(default)]
    pub classifier: Option<FrozenClassifier>,
    /// Model from whose weights the discriminator starts.
    #[serde(default)]
    pub discriminator_init: Option<PathBuf>,
    /// Architecture of the discriminator, whose last output is “fake”.
    #[serde(alias = "critic")]
    pub discriminator: TrainArchitecture,
    /// Number of channels of the generator at full resolution.
    pub width: usize,
    /// Number of times that the generator halves the resolution.
    pub levels: usize,
    /// Height and width of the input, in pixels.
    pub input: [usize; 2],
    /// Factor by which the generator reduces its pictures; see [`crate::counterfactual::Interface`].
    #[serde(default = "one")]
    pub reduction: usize,
    /// Mean and standard deviation by which both networks normalise their input.
    pub normalizer: Normalizer,
    /// Number of epochs, warm-up and settling included.
    pub epochs: usize,
    /// Number of first epochs in which only the discriminator is trained, on real pictures.
    pub warm_up: usize,
    /// Number of last epochs in which the discriminator is frozen and only the generator is trained.
    pub settling: usize,
    /// Batch size, in pictures.
    pub batch: usize,
    /// Learning-rate schedule of both; the discriminator's ends where it is frozen.
    pub schedule: Schedule,
    /// Decay rates β₁ and β₂ of Adam's moments.
    pub betas: [f64; 2],
    /// Weight decay of the discriminator.
    pub weight_decay: f64,
    /// Weights of the loss terms.
    pub weights: LossWeights,
    /// Probability of the original's class in the discriminator's target for a generated picture; the rest
    /// is “fake”. 0 labels generated pictures as “fake”; 1 is adversarial training of a classifier.
    pub source_share: f64,
    /// Share of pictures whose target class is their own, for the identity loss; in [0, 1].
    pub same_share: f64,
    /// Share of the other pictures whose target class is the likeliest that the frozen classifier does not see
    /// in them; in [0, 1]. For the rest it is any other class.
    #[serde(default)]
    pub runner_up_share: f64,
    /// Whether discriminator and frozen classifier see random views of pictures instead of the pictures
    /// themselves: shifted, mirrored, brighter, blurred. The generator's changes then survive them.
    #[serde(default)]
    pub views: bool,
    /// Decay of the exponential moving averages of both networks, in [0, 1).
    pub average: f64,
    /// Data augmentation.
    pub augmentation: Augmentation,
    /// Seed of initial weights, shuffling, augmentation and target classes.
    pub seed: u64,
    /// Number of test pictures evaluated after every epoch.
    pub monitor: usize,
    /// Mixed precision with bfloat16 activations; libtorch only.
    #[serde(default)]
    pub mixed: bool,
}

impl CounterfactualConfig {
    /// The preset for textures of 64×64 pixels, on two CPU cores.
    pub fn textures(data: PathBuf) -> Self {
        Self {
            name: "counterfactual".into(),
            data,
            classifier: None,
            discriminator_init: None,
            discriminator: TrainArchitecture {
                stem: Stem::CifarHalf,
                block: Block::Basic,
                widths: vec![24, 48, 96],
                blocks: vec![2; 3],
            },
            width: 16,
            levels: 3,
            input: [64; 2],
            reduction: 1,
            normalizer: Normalizer {
                mean: [0.5; 3],
                std: [0.25; 3],
            },
            epochs: 39,
            warm_up: 4,
            settling: 6,
            batch: 32,
            schedule: Schedule {
                kind: ScheduleKind::Plateau,
                peak: 5e-4,
                epochs: 39,
            },
            betas: [0.5, 0.99],
            weight_decay: 1e-2,
            weights: LossWeights {
                fake: 0.3,
                fool: 1.0,
                cycle: 5.0,
                identity: 5.0,
                sparsity: 1.5,
                total_variation: 0.5,
                head: 0.5,
                flip: 0.0,
                diversity: 0.0,
            },
            source_share: 0.0,
            same_share: 0.25,
            runner_up_share: 0.0,
            views: false,
            average: 0.99,
            augmentation: Augmentation {
                flip: true,
                turn: true,
                jitter: 0.15,
                balance: true,
                ..Augmentation::NONE
            },
            seed: 0,
            monitor: 400,
            mixed: false,
        }
    }

    /// The preset for a frozen classifier of pictures of `input` pixels: changes at a resolution of at most
    /// 64 pixels a side.
    pub fn for_classifier(data: PathBuf, classifier: FrozenClassifier, input: [usize; 2]) -> Self {
        let usual = Self::textures(data);
        let side = input[0].max(input[1]);
        let stem = match side {
            0..48 => Stem::Cifar,
            48..96 => Stem::CifarHalf,
            _ => Stem::Quarter,
        };
        let epochs = 12;
        Self {
            name: format!("Counterfactuals for {}", classifier.identity.name),
            classifier: Some(classifier),
            discriminator: TrainArchitecture {
                stem,
                ..usual.discriminator.clone()
            },
            input,
            reduction: side.div_ceil(MOST_CHANGED).next_power_of_two(),
            width: 24,
            epochs,
            warm_up: 2,
            settling: 1,
            schedule: Schedule {
                epochs,
                ..usual.schedule
            },
            weights: LossWeights {
                fake: 0.5,
                fool: 0.5,
                cycle: 5.0,
                identity: 5.0,
                sparsity: 1.0,
                total_variation: 0.5,
                head: 0.2,
                flip: 3.0,
                diversity: 0.5,
            },
            same_share: 0.15,
            runner_up_share: 0.5,
            views: true,
            average: 0.995,
            augmentation: Augmentation {
                flip: true,
                jitter: 0.1,
                balance: true,
                ..Augmentation::NONE
            },
            ..usual
        }
    }

    /// Weight of the flip term after the share `progress` of the training.
    pub fn flip_weight(&self, progress: f64) -> f64 {
        self.weights.flip * (0.2 + 1.6 * progress).min(1.0)
    }

    /// Architecture of the discriminator for `classes` classes and “fake”.
    pub fn discriminator_for(&self, classes: usize) -> ResNetConfig {
        self.discriminator.with_classes(classes + 1)
    }

    /// Architecture of the generator for `classes` classes.
    pub fn generator_for(&self, classes: usize) -> UNetConfig {
        UNetConfig {
            width: self.width,
            levels: self.levels,
            outputs: 3,
            classes,
        }
    }

    /// Whether the discriminator and whether the generator are trained in an epoch, counted from 0.
    pub fn learning(&self, epoch: usize) -> [bool; 2] {
        let settled = epoch + self.settling >= self.epochs;
        [!settled, epoch >= self.warm_up]
    }

    /// Learning rates of a step of an epoch with `steps` steps, both counted from 0.
    pub fn rates(&self, epoch: usize, step: usize, steps: usize) -> Rates {
        let [discriminator_learns, _] = self.learning(epoch);
        let discriminator = Schedule {
            epochs: self.schedule.epochs - self.settling,
            ..self.schedule
        };
        Rates {
            discriminator: discriminator_learns.then(|| discriminator.rate(epoch, step, steps)),
            generator: self.schedule.rate(epoch, step, steps),
        }
    }

    /// Checks that all settings are in range and consistent.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting that is wrong.
    pub fn validate(&self) -> Result<()> {
        let LossWeights {
            fake,
            fool,
            cycle,
            identity,
            sparsity,
            total_variation,
            head,
            flip,
            diversity,
        } = self.weights;
        let terms = [
            fake,
            fool,
            cycle,
            identity,
            sparsity,
            total_variation,
            head,
            flip,
            diversity,
        ];
        let generator = self.generator_for(2);
        generator.validate()?;
        let multiple = generator.multiple() * self.reduction;
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let wrong = if self.epochs <= self.warm_up + self.settling || self.batch < 2 {
            "more epochs than those of warm-up and settling together, and batches of at least two pictures, are needed".into()
        } else if self.schedule.epochs < self.epochs
            || self.schedule.peak <= 0.0
            || !self.schedule.peak.is_finite()
        {
            "the learning rate must be above 0 and its schedule as long as the training".into()
        } else if !self
            .input
            .iter()
            .all(|side| (8..=1024).contains(side) && side % multiple == 0)
        {
            format!("the input size must be a multiple of {multiple} between 8 and 1024 pixels")
        } else if !terms
            .iter()
            .all(|weight| weight.is_finite() && *weight >= 0.0)
        {
            "the weights of the losses must be numbers of at least 0".into()
        } else if !(1..=16).contains(&self.reduction) {
            "the generator's pictures can be reduced by 1 to 16".into()
        } else if ![
            self.source_share,
            self.same_share,
            self.runner_up_share,
            self.average,
        ]
        .into_iter()
        .all(share)
        {
            "shares must be between 0 and 1".into()
        } else if self.average >= 1.0 {
            "the decay of the moving averages must be below 1".into()
        } else {
            return Ok(());
        };
        Err(Error::Config(wrong))
    }

    /// One line about the training, for the model's manifest.
    pub fn summary(&self) -> String {
        let precision = if self.mixed { ", bfloat16" } else { "" };
        let against = match &self.classifier {
            Some(classifier) => format!(
                "generator against the frozen classifier {} (BLAKE3 {}) and a discriminator",
                classifier.identity.name, classifier.identity.fingerprint
            ),
            None => "discriminator and generator against each other".into(),
        };
        format!(
            "{against}; {} epochs (first {} of the discriminator alone, last {} of the generator alone), batch {}, Adam {:?} with learning rates up to {}, {:?}, {:.2} of the source's class in the label of generated pictures, seed {}{precision}",
            self.epochs,
            self.warm_up,
            self.settling,
            self.batch,
            self.betas,
            self.schedule.peak,
            self.weights,
            self.source_share,
            self.seed,
        )
    }
}
