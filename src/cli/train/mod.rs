//! `epsiloscope train`.

mod counterfactual;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use clap::{Args, Subcommand};

use crate::attack::{Attack, Norm, parse_epsilon};
use crate::compute::{Backend, Compute};
use crate::error::{Error, Result};
use crate::model::{Block, Normalizer, Stem};
use crate::train::{
    CHECKPOINT, EpsilonSchedule, Interrupt, Preset, ScheduleKind, TrainArchitecture, TrainConfig,
    train,
};

/// Train a classifier, or with `counterfactual` a discriminator and its generator.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct TrainArguments {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    classifier: ClassifierArguments,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Train a generator of counterfactuals and its discriminator, a classifier that also knows “fake”.
    Counterfactual(Box<counterfactual::CounterfactualTrainArguments>),
}

impl TrainArguments {
    /// Trains to the end or to Ctrl-C.
    pub fn run(&self) -> Result<()> {
        match &self.other {
            Some(Other::Counterfactual(arguments)) => arguments.run(),
            None => self.classifier.run(),
        }
    }
}

/// Where a training goes, and how it is run.
#[derive(Debug, Args)]
struct Session {
    /// Folder for checkpoint.safetensors, metrics.csv and model.safetensors.
    // An option only because it is not given before a subcommand, where another one is.
    #[arg(long, required = true)]
    out: Option<PathBuf>,
    /// Go on from the checkpoint in the output folder, with its settings.
    #[arg(long)]
    resume: bool,
    /// Train afresh even where the output folder holds a checkpoint.
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Keep activations in bfloat16: faster on a processor that knows it; libtorch only.
    #[cfg(feature = "tch")]
    #[arg(long)]
    mixed: bool,
    /// Where to compute.
    #[arg(long, default_value_t)]
    backend: Backend,
}

impl Session {
    /// The output folder.
    fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new("."))
    }

    /// Refuses to overwrite a checkpoint unasked.
    fn check(&self, out: &Path) -> Result<()> {
        let checkpoint = out.join(CHECKPOINT);
        if checkpoint.exists() && !self.resume && !self.overwrite {
            let reason = "it is there already; --resume goes on from it, --overwrite starts afresh";
            return Err(Error::io(&checkpoint, "write", reason));
        }
        Ok(())
    }

    /// Whether a training into `out` goes on; of several, those not yet begun start afresh.
    fn resumes(&self, out: &Path) -> bool {
        self.resume && (out == self.out() || out.join(CHECKPOINT).exists())
    }

    /// Whether activations are bfloat16.
    fn mixed(&self) -> bool {
        #[cfg(feature = "tch")]
        return self.mixed;
        #[cfg(not(feature = "tch"))]
        false
    }

    /// The device, and a flag that Ctrl-C raises.
    fn start(&self) -> Result<(Device, Interrupt)> {
        let device = Compute::open(&self.backend)?.device;
        let interrupt = Arc::new(AtomicBool::new(false));
        let flag = interrupt.clone();
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
            .map_err(|error| Error::Config(format!("cannot listen for Ctrl-C: {error}")))?;
        Ok((device, interrupt))
    }
}

/// What is not given keeps the preset's value.
#[derive(Debug, Args)]
struct ClassifierArguments {
    /// Folder of the data set: train/CLASS/FILE and test/CLASS/FILE, or CIFAR-10's binary batches.
    #[arg(long, required_unless_present = "resume")]
    data: Option<PathBuf>,
    #[command(flatten)]
    session: Session,
    /// The recipe to start from.
    #[arg(long, value_enum, default_value_t = Preset::FastStandard)]
    preset: Preset,
    /// Start from the weights of this model, a file or a bundled model's id, instead of random ones;
    /// classes that it knows keep their part of the last layer.
    #[arg(long)]
    init: Option<PathBuf>,
    /// What to call the model.
    #[arg(long)]
    name: Option<String>,
    /// Epochs to train; the schedule is stretched to them.
    #[arg(long)]
    epochs: Option<usize>,
    /// Pictures in a step.
    #[arg(long)]
    batch: Option<usize>,
    /// Peak learning rate.
    #[arg(long)]
    lr: Option<f64>,
    /// Shape of the learning rate over the training.
    #[arg(long, value_enum)]
    schedule: Option<ScheduleKind>,
    /// Weight decay of convolutions and linear weights.
    #[arg(long)]
    weight_decay: Option<f64>,
    /// Test pictures looked at after each epoch, and attacked where the training attacks.
    #[arg(long)]
    monitor: Option<usize>,
    /// Seed of everything random.
    #[arg(long)]
    seed: Option<u64>,
    /// Side of the square input, in pixels.
    #[arg(long)]
    input: Option<usize>,
    /// Depth of a published network: 18, 34, 50, 20, 32, 44 or 56.
    #[arg(long)]
    depth: Option<usize>,
    /// Width of the first stage of --depth.
    #[arg(long, requires = "depth")]
    width: Option<usize>,
    /// How the network begins.
    #[arg(long, value_enum)]
    stem: Option<Stem>,
    /// The repeated block.
    #[arg(long, value_enum, conflicts_with = "depth")]
    block: Option<Block>,
    /// Channels of each stage, for instance 48,96,192.
    #[arg(long, value_delimiter = ',', conflicts_with = "depth")]
    widths: Option<Vec<usize>>,
    /// Blocks of each stage, for instance 2,2,2.
    #[arg(long, value_delimiter = ',', conflicts_with = "depth")]
    blocks: Option<Vec<usize>>,
    /// Train on adversarial pictures within this ε (pixels in [0, 1], 8/255 can be written so); 0
    /// trains on clean ones.
    #[arg(long, value_parser = parse_epsilon)]
    eps: Option<f32>,
    /// Norm of --eps.
    #[arg(long, value_enum, default_value_t = Norm::L2, requires = "eps")]
    norm: Norm,
    /// Gradient steps of the attack trained on.
    #[arg(long, default_value_t = 1, requires = "eps")]
    attack_steps: usize,
    /// Its step size; by default 2.5·ε/steps, and ε for a single step.
    #[arg(long, value_parser = parse_epsilon, requires = "eps")]
    attack_step_size: Option<f32>,
    /// Begin each attack of one step at a random point of this many ε and do not clamp it to ε
    /// (N-FGSM, de Jorge et al. 2022; 2 there).
    #[arg(long)]
    noise: Option<f32>,
    /// Let ε grow, as two shares of the training with a comma between: 0 until the first, whole from
    /// the second on; for instance 0.2,0.6.
    #[arg(long, value_parser = parse_growth)]
    eps_growth: Option<EpsilonSchedule>,
    /// Share of the moving average of the weights that each step keeps, for instance 0.999; 0 saves
    /// the weights themselves.
    #[arg(long)]
    average: Option<f64>,
    /// Spread this probability of each label evenly over all classes.
    #[arg(long)]
    smoothing: Option<f64>,
    /// Set aside so many training pictures and save the weights of the epoch that is best on them.
    #[arg(long)]
    validation: Option<usize>,
    /// Stop after so many epochs that are not better than the best.
    #[arg(long, requires = "validation")]
    patience: Option<usize>,
    /// Side of a grey square that hides a random part of each picture; 0 for none.
    #[arg(long)]
    cutout: Option<usize>,
    /// Mean of red, green and blue that the model subtracts; by default CIFAR-10's.
    #[arg(long, value_parser = parse_colour, requires = "std")]
    mean: Option<[f32; 3]>,
    /// Deviation of red, green and blue that the model divides by.
    #[arg(long, value_parser = parse_colour, requires = "mean")]
    std: Option<[f32; 3]>,
    /// Also turn pictures by random multiples of 90°: for textures.
    #[arg(long)]
    turn: bool,
    /// Vary contrast, brightness and colours by up to this share.
    #[arg(long)]
    jitter: Option<f32>,
    /// Crop a random part of at least this share of each picture's area and resize it to the input,
    /// instead of padding.
    #[arg(long, conflicts_with = "padding")]
    resized_crop: Option<f32>,
    /// Show every class equally often, however many pictures it has.
    #[arg(long)]
    balance: bool,
    /// Black pixels around a picture before it is cropped at random; by default an eighth of its side.
    #[arg(long)]
    padding: Option<usize>,
}

/// Two shares with a comma between, for instance `0.2,0.6`.
fn parse_growth(text: &str) -> Result<EpsilonSchedule, String> {
    let wrong = || format!("{text} is not two shares with a comma between, such as 0.2,0.6");
    let (from, full) = text.split_once(',').ok_or_else(wrong)?;
    let share = |text: &str| text.trim().parse::<f64>().map_err(|_| wrong());
    Ok(EpsilonSchedule {
        from: share(from)?,
        full: share(full)?,
    })
}

/// Three numbers with commas between, for instance `0.5,0.5,0.5`.
fn parse_colour(text: &str) -> Result<[f32; 3], String> {
    let numbers = text.split(',').map(|part| part.trim().parse::<f32>());
    let numbers: Vec<f32> = numbers
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let count = numbers.len();
    let numbers = numbers.try_into();
    numbers.map_err(|_| format!("three numbers are needed, with commas between; these are {count}"))
}

impl ClassifierArguments {
    fn config(&self) -> Result<TrainConfig> {
        let data = self.data.clone().unwrap_or_default();
        let mut config = TrainConfig::preset(self.preset, data);
        let set = |target: &mut usize, value: Option<usize>| *target = value.unwrap_or(*target);
        set(&mut config.epochs, self.epochs);
        set(&mut config.schedule.epochs, self.epochs);
        set(&mut config.batch, self.batch);
        set(&mut config.monitor, self.monitor);
        config.name = self.name.clone().unwrap_or(config.name);
        config.schedule.peak = self.lr.unwrap_or(config.schedule.peak);
        config.schedule.kind = self.schedule.unwrap_or(config.schedule.kind);
        config.weight_decay = self.weight_decay.unwrap_or(config.weight_decay);
        config.seed = self.seed.unwrap_or(config.seed);
        config.init = self.init.clone();
        config.mixed = self.session.mixed();
        if let Some(average) = self.average {
            config.average = (average > 0.0).then_some(average);
        }
        config.smoothing = self.smoothing.unwrap_or(config.smoothing);
        config.noise = self.noise;
        config.epsilon_schedule = self.eps_growth;
        set(&mut config.validation, self.validation);
        set(&mut config.patience, self.patience);
        if let Some(side) = self.input {
            config.input = [side; 2];
            if config.augmentation.resized_crop == 0.0 {
                config.augmentation.padding = side / 8;
            }
        }
        let augmentation = &mut config.augmentation;
        set(&mut augmentation.cutout, self.cutout);
        if let Some(padding) = self.padding {
            augmentation.padding = padding;
            augmentation.resized_crop = 0.0;
        }
        if let Some(share) = self.resized_crop {
            augmentation.resized_crop = share;
            augmentation.padding = 0;
        }
        augmentation.turn = self.turn;
        augmentation.jitter = self.jitter.unwrap_or(augmentation.jitter);
        augmentation.balance = self.balance;
        let stem = self.stem.unwrap_or(config.architecture.stem);
        if let Some(depth) = self.depth {
            config.architecture = TrainArchitecture::of_depth(depth, stem, self.width)?;
        }
        let architecture = &mut config.architecture;
        architecture.stem = stem;
        architecture.block = self.block.unwrap_or(architecture.block);
        architecture.widths = self
            .widths
            .clone()
            .unwrap_or(std::mem::take(&mut architecture.widths));
        architecture.blocks = self
            .blocks
            .clone()
            .unwrap_or(std::mem::take(&mut architecture.blocks));
        if let Some(epsilon) = self.eps {
            config.attack = (epsilon > 0.0).then(|| Attack {
                step_size: self
                    .attack_step_size
                    .or((self.attack_steps == 1).then_some(epsilon)),
                ..Attack::pgd(self.norm, epsilon, self.attack_steps)
            });
        }
        if let (Some(mean), Some(std)) = (self.mean, self.std) {
            config.normalizer = Normalizer { mean, std };
        }
        config.validate()?;
        Ok(config)
    }

    /// Trains to the end or to Ctrl-C.
    pub fn run(&self) -> Result<()> {
        let config = self.config()?;
        let out = self.session.out();
        self.session.check(out)?;
        let (device, interrupt) = self.session.start()?;
        train(&config, out, self.session.resume, &device, &interrupt)?.announce();
        Ok(())
    }
}
