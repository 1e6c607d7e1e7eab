//! Training configuration of classifiers and its presets, as plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::architecture::TrainArchitecture;
use super::distillation::Distillation;
use super::schedule::{EpsilonSchedule, Schedule, ScheduleKind};
use crate::attack::{Attack, Norm};
use crate::data::Augmentation;
use crate::error::{Error, Result};
use crate::model::{Block, Normalizer, Stem};

/// Presets of [`TrainConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Paper A, CIFAR-10, standard: ResNet-18, SGD 0.01, cosine over 200 epochs stopped at 100.
    PaperStandard,
    /// Paper A, CIFAR-10, robust: the same on L2 PGD-20 examples, ε 0.5, step 0.1.
    PaperRobust,
    /// For two CPU cores: a small wide ResNet, one-cycle learning-rate schedule.
    FastStandard,
    /// For two CPU cores: the same, trained on one-step L2 adversarial examples, ε 0.5, random start.
    FastRobust,
    /// [`Preset::FastStandard`] for photographs of 64×64 pixels: four stages, random resized crops.
    #[value(name = "fast-standard-64")]
    #[serde(rename = "fast-standard-64")]
    FastStandard64,
    /// The same, trained on one-step L2 adversarial examples, ε 1: the same perturbation per pixel as 0.5
    /// at 32×32.
    #[value(name = "fast-robust-64")]
    #[serde(rename = "fast-robust-64")]
    FastRobust64,
    /// [`Preset::FastStandard`] for photographs of 128×128 pixels, with a stem of stride 4.
    #[value(name = "fast-standard-128")]
    #[serde(rename = "fast-standard-128")]
    FastStandard128,
    /// The same, trained on one-step L2 adversarial examples, ε 2.
    #[value(name = "fast-robust-128")]
    #[serde(rename = "fast-robust-128")]
    FastRobust128,
}

impl Preset {
    fn is_paper(self) -> bool {
        matches!(self, Self::PaperStandard | Self::PaperRobust)
    }

    fn is_robust(self) -> bool {
        matches!(
            self,
            Self::PaperRobust | Self::FastRobust | Self::FastRobust64 | Self::FastRobust128
        )
    }

    /// Side of the input in pixels.
    fn input(self) -> usize {
        match self {
            Self::FastStandard64 | Self::FastRobust64 => 64,
            Self::FastStandard128 | Self::FastRobust128 => 128,
            _ => 32,
        }
    }

    /// The network architecture.
    fn architecture(self) -> TrainArchitecture {
        let (stem, widths): (Stem, &[usize]) = match (self.is_paper(), self.input()) {
            (true, _) => (Stem::Cifar, &[64, 128, 256, 512]),
            (false, 32) => (Stem::CifarHalf, &[48, 96, 192]),
            (false, 64) => (Stem::CifarHalf, &[48, 96, 192, 384]),
            (false, _) => (Stem::Quarter, &[48, 96, 192, 384]),
        };
        TrainArchitecture {
            stem,
            block: Block::Basic,
            widths: widths.to_vec(),
            blocks: vec![2; widths.len()],
        }
    }

    /// The attack of adversarial training.
    fn attack(self) -> Option<Attack> {
        let epsilon = 0.5 * self.input() as f32 / 32.0;
        let (steps, step_size) = if self.is_paper() {
            (20, 0.1)
        } else {
            (1, epsilon)
        };
        self.is_robust().then(|| Attack {
            step_size: Some(step_size),
            ..Attack::pgd(Norm::L2, epsilon, steps)
        })
    }
}

/// Configuration of a training: equal configurations give equal results on a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Display name of the model.
    pub name: String,
    /// Folder of the data set.
    pub data: PathBuf,
    /// Architecture of a residual network; without one, the network is the one in `init`.
    pub architecture: Option<TrainArchitecture>,
    /// Height and width of the input, in pixels.
    pub input: [usize; 2],
    /// Mean and standard deviation by which the model normalises its input.
    pub normalizer: Normalizer,
    /// Attack of adversarial training; `None` for standard training.
    pub attack: Option<Attack>,
    /// Number of epochs.
    pub epochs: usize,
    /// Batch size, in pictures.
    pub batch: usize,
    /// Learning-rate schedule.
    pub schedule: Schedule,
    /// Momentum of SGD, in [0, 1).
    pub momentum: f64,
    /// Weight decay of convolution and linear weights; biases and BatchNorm have none.
    pub weight_decay: f64,
    /// Data augmentation.
    pub augmentation: Augmentation,
    /// Seed of initial weights, shuffling, augmentation and random starts of attacks.
    pub seed: u64,
    /// Number of test pictures evaluated after every epoch.
    pub monitor: usize,
    /// Mixed precision (Micikevicius et al. 2018): bfloat16 activations, single-precision weights; libtorch
    /// only.
    #[serde(default)]
    pub mixed: bool,
    /// Model to initialise the weights from: a file or a bundled model's id; random weights without one.
    #[serde(default)]
    pub init: Option<PathBuf>,
    /// Decay of the exponential moving average of the weights (Izmailov et al. 2018), in [0, 1); the average
    /// is evaluated and saved. Without one, the weights themselves are.
    #[serde(default)]
    pub average: Option<f64>,
    /// Label smoothing (Szegedy et al. 2016, section 7), in [0, 1).
    #[serde(default)]
    pub smoothing: f64,
    /// Mixup (Zhang et al. 2018): α of the Beta distribution of the shares of two blended pictures; 0 for
    /// none. Standard training only.
    #[serde(default)]
    pub mixup: f64,
    /// N-FGSM (de Jorge et al. 2022): one-step attacks start from uniform noise of `noise`·ε and are not
    /// clamped to ε; the authors use 2.
    #[serde(default)]
    pub noise: Option<f32>,
    /// Warm-up of ε; without one, ε has its full value from the first step on.
    #[serde(default)]
    pub epsilon_schedule: Option<EpsilonSchedule>,
    /// Number of training pictures split off as validation set to select the best epoch; with 0, the last
    /// epoch is saved.
    #[serde(default)]
    pub validation: usize,
    /// Early stopping: number of epochs without improvement after which the training ends; 0 for never.
    #[serde(default)]
    pub patience: usize,
    /// Whether only the last linear layer is trained.
    #[serde(default)]
    pub freeze: bool,
    /// Whether it is a robust twin of the model in `init`, whose robustness is measured at the end.
    #[serde(default)]
    pub twin: bool,
    /// Knowledge distillation from another model.
    #[serde(default)]
    pub distillation: Option<Distillation>,
}

impl TrainConfig {
    /// The configuration of a preset for the data set in the folder `data`.
    pub fn preset(preset: Preset, data: PathBuf) -> Self {
        let (kind, peak, epochs, schedule_epochs) = match preset.input() {
            _ if preset.is_paper() => (ScheduleKind::Cosine, 0.01, 100, 200),
            32 => (ScheduleKind::OneCycle, 0.2, 12, 12),
            _ => (ScheduleKind::OneCycle, 0.2, 40, 40),
        };
        let photographs = preset.input() > 32;
        let kind_of_training = if preset.is_robust() {
            "robust"
        } else {
            "standard"
        };
        Self {
            name: kind_of_training.into(),
            data,
            architecture: Some(preset.architecture()),
            input: [preset.input(); 2],
            normalizer: if photographs {
                Normalizer::IMAGENET
            } else {
                Normalizer::CIFAR10
            },
            attack: preset.attack(),
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
                padding: if photographs { 0 } else { 4 },
                resized_crop: if photographs { 0.35 } else { 0.0 },
                flip: true,
                ..Augmentation::NONE
            },
            seed: 0,
            monitor: if photographs { 200 } else { 1000 },
            mixed: false,
            init: None,
            average: (!preset.is_paper()).then_some(0.999),
            smoothing: 0.0,
            mixup: 0.0,
            noise: None,
            epsilon_schedule: None,
            validation: 0,
            patience: 0,
            freeze: false,
            twin: false,
            distillation: None,
        }
    }

    /// The configuration of a robust twin: adversarial fine-tuning of the model `init`, whose input is `input` and whose
    /// normaliser is `normalizer`, on the pictures in `data`. ε is 0 for the first fifth of the training and grows
    /// until three fifths, as weights that are not robust need it (arXiv 2509.23325).
    pub fn twin(data: PathBuf, init: PathBuf, input: [usize; 2], normalizer: Normalizer) -> Self {
        let preset = if input[0] > 32 {
            Preset::FastRobust64
        } else {
            Preset::FastRobust
        };
        let mut config = Self::preset(preset, data);
        config.input = input;
        config.normalizer = normalizer;
        config.init = Some(init);
        config.attack = Some(Attack::pgd(Norm::L2, Self::twin_epsilon(input), 2));
        config.batch = 64;
        (config.epochs, config.schedule.epochs) = (10, 10);
        config.schedule.peak = 0.02;
        config.epsilon_schedule = Some(EpsilonSchedule {
            from: 0.2,
            full: 0.6,
        });
        config.twin = true;
        config
    }

    /// The L2 radius of a twin's attacks: 0.5 at 32 pixels, and as much for each pixel of larger inputs.
    pub fn twin_epsilon(input: [usize; 2]) -> f32 {
        0.5 * input[0] as f32 / 32.0
    }

    /// Sets height and width of the input; random crops that pad scale with them.
    pub fn set_input(&mut self, input: [usize; 2]) {
        self.input = input;
        if self.augmentation.resized_crop == 0.0 {
            self.augmentation.padding = input[0] / 8;
        }
    }

    /// Checks that all settings are in range and consistent.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting that is wrong.
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
        } else if !self.average.is_none_or(|share| (0.0..1.0).contains(&share)) {
            "the decay of the moving average of the weights must be at least 0 and below 1"
        } else if !(0.0..1.0).contains(&self.smoothing) {
            "label smoothing must be at least 0 and below 1"
        } else if !(self.mixup >= 0.0 && self.mixup.is_finite()) {
            "mixup's α must be a number of at least 0"
        } else if self.mixup > 0.0 && self.attack.is_some() {
            "mixup is for standard training, not for adversarial training"
        } else if !self
            .noise
            .is_none_or(|noise| noise.is_finite() && noise >= 0.0)
        {
            "the noise before a step must be at least 0"
        } else if self.noise.is_some() && self.attack.as_ref().is_none_or(|a| a.steps != 1) {
            "N-FGSM noise is for adversarial training with one-step attacks"
        } else if !self
            .epsilon_schedule
            .is_none_or(|schedule| schedule.is_valid())
        {
            "the warm-up of ε must start before it ends, both within the training"
        } else if self.architecture.is_none() && self.init.is_none() {
            "a training needs an architecture or a model to start from"
        } else if self.architecture.is_none() && self.mixed {
            "mixed precision is for residual networks"
        } else if !self
            .distillation
            .as_ref()
            .is_none_or(Distillation::is_valid)
        {
            "the share of the teacher must be above 0 and at most 1, the temperature above 0"
        } else if self.patience > 0 && self.validation == 0 {
            "early stopping needs a validation set to select the best epoch"
        } else {
            return match &self.attack {
                Some(attack) => attack.validate(usize::MAX),
                None => Ok(()),
            };
        };
        Err(Error::Config(wrong.into()))
    }

    /// The attack that monitors robust accuracy: PGD-10 in the norm and with the ε of the training attack,
    /// and for standard training in L2 with the ε of the robust presets.
    pub fn monitoring_attack(&self) -> Attack {
        match &self.attack {
            Some(attack) => Attack::pgd(attack.norm, attack.epsilon, 10),
            None => Attack::pgd(Norm::L2, 0.5 * self.input[0] as f32 / 32.0, 10),
        }
    }

    /// One line about the training, for the model's manifest.
    pub fn summary(&self) -> String {
        let on = match &self.attack {
            Some(attack) => format!(
                "adversarial training on {attack}, step {}",
                attack.norm.format(attack.step_for(attack.epsilon))
            ),
            None => "standard training".into(),
        };
        let mut extras = String::new();
        let mut extra = |text: String| extras.push_str(&format!(", {text}"));
        if let Some(share) = self.average {
            extra(format!("weights averaged ({share})"));
        }
        if self.smoothing > 0.0 {
            extra(format!("label smoothing {}", self.smoothing));
        }
        if self.mixup > 0.0 {
            extra(format!("mixup {}", self.mixup));
        }
        if let Some(noise) = self.noise {
            extra(format!("N-FGSM noise {noise}ε"));
        }
        if let Some(EpsilonSchedule { from, full }) = self.epsilon_schedule {
            extra(format!("ε growing from {from} to {full} of the training"));
        }
        if self.freeze {
            extra("only the last layer trained".into());
        }
        if let Some(Distillation { teacher, share, .. }) = &self.distillation {
            extra(format!("distilled from {} ({share})", teacher.display()));
        }
        if self.mixed {
            extra("bfloat16".into());
        }
        let from = match &self.init {
            Some(path) => format!(" from the weights of {}", path.display()),
            None => String::new(),
        };
        format!(
            "{on}{from}; {} epochs, batch {}, SGD momentum {}, {:?} learning rate up to {}, weight decay {}, seed {}{extras}",
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
