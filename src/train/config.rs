//! What to train and how, as plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::schedule::{Schedule, ScheduleKind};
use crate::attack::Attack;
use crate::data::Augmentation;
use crate::descent::Norm;
use crate::error::{Error, Result};
use crate::model::{Block, Normalizer, ResNetConfig, Stem};

/// Ready-made recipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Paper A, CIFAR-10, standard: ResNet-18, SGD 0.01, cosine over 200 epochs stopped at 100.
    PaperStandard,
    /// Paper A, CIFAR-10, robust: the same on L2 PGD-20 examples, ε 0.5, step 0.1.
    PaperRobust,
    /// Two CPU cores: a small wide network, one cycle.
    FastStandard,
    /// Two CPU cores: the same on one-step L2 examples, ε 0.5, from a random start.
    FastRobust,
}

/// The network without its class count, which comes from the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Architecture {
    /// How the network begins.
    pub stem: Stem,
    /// The repeated block.
    pub block: Block,
    /// Channels of each stage.
    pub widths: Vec<usize>,
    /// Blocks of each stage.
    pub blocks: Vec<usize>,
}

impl Architecture {
    /// One of the published depths; see [`ResNetConfig::of_depth`].
    pub fn of_depth(depth: usize, stem: Stem, width: Option<usize>) -> Result<Self> {
        let ResNetConfig {
            stem,
            block,
            widths,
            blocks,
            ..
        } = ResNetConfig::of_depth(depth, stem, width, 1)?;
        Ok(Self {
            stem,
            block,
            widths,
            blocks,
        })
    }

    /// The network for `classes` classes.
    pub fn with_classes(&self, classes: usize) -> ResNetConfig {
        ResNetConfig {
            stem: self.stem,
            block: self.block,
            widths: self.widths.clone(),
            blocks: self.blocks.clone(),
            classes,
        }
    }
}

/// Everything that decides the result of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// What a person calls the model.
    pub name: String,
    /// The data set's folder.
    pub data: PathBuf,
    /// The network.
    pub architecture: Architecture,
    /// Height and width of the pictures, in pixels.
    pub input: [usize; 2],
    /// The standardisation inside the model.
    pub normalizer: Normalizer,
    /// The attack to train on, if any.
    pub attack: Option<Attack>,
    /// Epochs to train.
    pub epochs: usize,
    /// Pictures in a step.
    pub batch: usize,
    /// Learning rates.
    pub schedule: Schedule,
    /// Momentum of SGD.
    pub momentum: f64,
    /// Weight decay; convolutions and linear weights only.
    pub weight_decay: f64,
    /// Crop, flip and cutout.
    pub augmentation: Augmentation,
    /// Seed of initial weights, order, augmentation and attack starts.
    pub seed: u64,
    /// Test pictures looked at after every epoch.
    pub monitor: usize,
    /// Whether activations are kept in bfloat16, weights in single precision (Micikevicius et al.
    /// 2018); libtorch only.
    #[serde(default)]
    pub mixed: bool,
    /// A model file whose weights to start from, instead of random ones.
    #[serde(default)]
    pub init: Option<PathBuf>,
}

impl TrainConfig {
    /// The recipe `preset` for the data set in `data`.
    pub fn preset(preset: Preset, data: PathBuf) -> Self {
        let paper = matches!(preset, Preset::PaperStandard | Preset::PaperRobust);
        let architecture = if paper {
            Architecture {
                stem: Stem::Cifar,
                block: Block::Basic,
                widths: vec![64, 128, 256, 512],
                blocks: vec![2; 4],
            }
        } else {
            Architecture {
                stem: Stem::CifarHalf,
                block: Block::Basic,
                widths: vec![48, 96, 192],
                blocks: vec![2; 3],
            }
        };
        let attack = match preset {
            Preset::PaperStandard | Preset::FastStandard => None,
            Preset::PaperRobust => Some(Attack {
                step_size: Some(0.1),
                ..Attack::pgd(Norm::L2, 0.5, 20)
            }),
            Preset::FastRobust => Some(Attack {
                step_size: Some(0.5),
                ..Attack::pgd(Norm::L2, 0.5, 1)
            }),
        };
        let (kind, peak, epochs, schedule_epochs) = if paper {
            (ScheduleKind::Cosine, 0.01, 100, 200)
        } else {
            (ScheduleKind::OneCycle, 0.2, 12, 12)
        };
        Self {
            name: if attack.is_some() {
                "robust"
            } else {
                "standard"
            }
            .into(),
            data,
            architecture,
            input: [32; 2],
            normalizer: Normalizer::CIFAR10,
            attack,
            epochs,
            batch: 128,
            schedule: Schedule {
                kind,
                peak,
                epochs: schedule_epochs,
            },
            momentum: 0.9,
            weight_decay: 5e-4,
            augmentation: Augmentation {
                padding: 4,
                flip: true,
                ..Augmentation::NONE
            },
            seed: 0,
            monitor: 1000,
            mixed: false,
            init: None,
        }
    }

    /// Refuses settings that cannot train.
    pub fn validate(&self) -> Result<()> {
        let wrong = if self.epochs == 0 || self.batch < 2 {
            "at least one epoch and batches of at least two pictures are needed"
        } else if self.schedule.epochs < self.epochs {
            "the schedule must last at least as long as the training"
        } else if !(self.schedule.peak > 0.0 && self.schedule.peak.is_finite()) {
            "the learning rate must be a number above 0"
        } else if !self.input.iter().all(|side| (1..=1024).contains(side)) {
            "the input size must be between 1 and 1024 pixels"
        } else if !(0.0..=1.0).contains(&self.augmentation.resized_crop) {
            "the share that a resized crop keeps must lie between 0 and 1"
        } else if !self.normalizer.is_valid() {
            "the normaliser must be a mean and a positive deviation"
        } else {
            return match &self.attack {
                Some(attack) => attack.validate(usize::MAX),
                None => Ok(()),
            };
        };
        Err(Error::Config(wrong.into()))
    }

    /// How the model was trained, in one line.
    pub fn summary(&self) -> String {
        let on = match &self.attack {
            Some(attack) => format!(
                "adversarial training on {attack}, step {:.4}",
                attack.step_for(attack.epsilon)
            ),
            None => "standard training".into(),
        };
        let precision = if self.mixed { ", bfloat16" } else { "" };
        let from = match &self.init {
            Some(path) => format!(" from the weights of {}", path.display()),
            None => String::new(),
        };
        format!(
            "{on}{from}; {} epochs, batch {}, SGD momentum {}, {:?} learning rate up to {}, weight decay {}, seed {}{precision}",
            self.epochs,
            self.batch,
            self.momentum,
            self.schedule.kind,
            self.schedule.peak,
            self.weight_decay,
            self.seed
        )
    }
}
