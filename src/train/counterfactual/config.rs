//! Everything that decides the result of a training of counterfactuals.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data::Augmentation;
use crate::error::{Error, Result};
use crate::model::{Block, Normalizer, ResNetConfig, Stem, UNetConfig};
use crate::train::{Schedule, ScheduleKind, TrainArchitecture};

/// How much each term counts; paper B does not state its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossWeights {
    /// Discriminator: generated pictures are fake.
    pub fake: f64,
    /// Generator: the discriminator sees the target class in what it makes.
    pub fool: f64,
    /// Generator: told the first class again, it returns to the original.
    pub cycle: f64,
    /// Generator: told the class that the picture has, it changes nothing.
    pub identity: f64,
    /// Generator: mean |x − G(x)|.
    pub sparsity: f64,
    /// Generator: mean difference between the changes of neighbouring pixels.
    pub total_variation: f64,
    /// Generator: its head tells the classes apart.
    pub head: f64,
}

/// Learning rates of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// The discriminator's; none once it rests.
    pub discriminator: Option<f64>,
    /// The generator's.
    pub generator: f64,
}

/// Everything that decides the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CounterfactualConfig {
    /// What a person calls the model.
    pub name: String,
    /// The data set's folder.
    pub data: PathBuf,
    /// The discriminator, whose last output means “fake”.
    #[serde(alias = "critic")]
    pub discriminator: TrainArchitecture,
    /// Channels of the generator at full resolution.
    pub width: usize,
    /// How often the generator halves the resolution.
    pub levels: usize,
    /// Height and width of the pictures, in pixels.
    pub input: [usize; 2],
    /// The standardisation inside both.
    pub normalizer: Normalizer,
    /// Epochs to train.
    pub epochs: usize,
    /// The first of them, in which the discriminator sees only real pictures and the generator rests.
    pub warm_up: usize,
    /// The last of them, in which the discriminator rests and the generator learns what this discriminator wants.
    pub settling: usize,
    /// Pictures in a step.
    pub batch: usize,
    /// Learning rates of both; the discriminator's ends where it comes to rest.
    pub schedule: Schedule,
    /// Decay rates of Adam's moments.
    pub betas: [f64; 2],
    /// Weight decay of the discriminator.
    pub weight_decay: f64,
    /// The terms.
    pub weights: LossWeights,
    /// Share of the original's class in the label under which a generated picture trains the discriminator;
    /// the rest is “fake”. 0 makes it a discriminator, 1 an adversarially trained classifier.
    pub source_share: f64,
    /// Share of pictures that the generator is told to leave as they are.
    pub same_share: f64,
    /// How much of the averaged networks stays at each step.
    pub average: f64,
    /// Symmetries and colours.
    pub augmentation: Augmentation,
    /// Seed of everything random.
    pub seed: u64,
    /// Test pictures looked at after every epoch.
    pub monitor: usize,
    /// Whether activations are kept in bfloat16; libtorch only.
    #[serde(default)]
    pub mixed: bool,
}

impl CounterfactualConfig {
    /// For textures of 64×64 pixels, on two CPU cores.
    pub fn textures(data: PathBuf) -> Self {
        Self {
            name: "counterfactual".into(),
            data,
            discriminator: TrainArchitecture {
                stem: Stem::CifarHalf,
                block: Block::Basic,
                widths: vec![24, 48, 96],
                blocks: vec![2; 3],
            },
            width: 16,
            levels: 3,
            input: [64; 2],
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
            },
            source_share: 0.0,
            same_share: 0.25,
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

    /// The discriminator's network for `classes` classes and “fake”.
    pub fn discriminator_for(&self, classes: usize) -> ResNetConfig {
        self.discriminator.with_classes(classes + 1)
    }

    /// The generator's network for `classes` classes.
    pub fn generator_for(&self, classes: usize) -> UNetConfig {
        UNetConfig {
            width: self.width,
            levels: self.levels,
            outputs: 3,
            classes,
        }
    }

    /// Whether the discriminator and the generator learn in an epoch (from 0 on).
    pub fn learning(&self, epoch: usize) -> [bool; 2] {
        let settled = epoch + self.settling >= self.epochs;
        [!settled, epoch >= self.warm_up]
    }

    /// The learning rates in a step of an epoch (from 0 on).
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

    /// Refuses settings that cannot train.
    pub fn validate(&self) -> Result<()> {
        let LossWeights {
            fake,
            fool,
            cycle,
            identity,
            sparsity,
            total_variation,
            head,
        } = self.weights;
        let terms = [fake, fool, cycle, identity, sparsity, total_variation, head];
        let generator = self.generator_for(2);
        generator.validate()?;
        let multiple = generator.multiple();
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let wrong = if self.epochs <= self.warm_up + self.settling || self.batch < 2 {
            "more epochs than those of the discriminator and the generator alone, and batches of at least two pictures, are needed".into()
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
        } else if ![self.source_share, self.same_share, self.average]
            .into_iter()
            .all(share)
        {
            "shares must be between 0 and 1".into()
        } else if self.average >= 1.0 {
            "the averages of the networks must move".into()
        } else {
            return Ok(());
        };
        Err(Error::Config(wrong))
    }

    /// How the model was trained, in one line.
    pub fn summary(&self) -> String {
        let precision = if self.mixed { ", bfloat16" } else { "" };
        format!(
            "discriminator and generator against each other; {} epochs (first {} of the discriminator alone, last {} of the generator alone), batch {}, Adam {:?} with learning rates up to {}, {:?}, {:.2} of the source's class in the label of generated pictures, seed {}{precision}",
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
