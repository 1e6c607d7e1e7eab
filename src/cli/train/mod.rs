//! `epsiloscope train`: standard and adversarial training of classifiers, and `train counterfactual`.

mod counterfactual;
mod run_options;
mod twin;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use run_options::{RunOptions, finished};

use crate::attack::{Attack, Norm, parse_epsilon};
use crate::cli::console::answer;
use crate::error::Result;
use crate::model::{Block, Normalizer, Stem};
use crate::train::checkpoint::Checkpoint;
use crate::train::{
    CHECKPOINT, Distillation, EpsilonSchedule, InitialModel, Preset, ScheduleKind,
    TrainArchitecture, TrainConfig, initial_model, train,
};

/// Train a classifier, or with `counterfactual` a discriminator and a generator.
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
    /// Train a generator of counterfactuals and its discriminator, a classifier with an output “fake”.
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

/// Options that are not given have the preset's value.
#[derive(Debug, Args)]
struct ClassifierArguments {
    /// Folder of the data set: train/CLASS/FILE and test/CLASS/FILE, or CIFAR-10's binary batches.
    #[arg(long, required_unless_present = "resume")]
    data: Option<PathBuf>,
    #[command(flatten)]
    run_options: RunOptions,
    /// Preset of the settings below; by default fast-standard.
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Initialise the weights from this model, a file of any kind that opens or a bundled model's id, instead
    /// of randomly. Architecture and normaliser are its own, the input too without --preset, unless they are
    /// given; common classes keep their part of the last layer.
    #[arg(long)]
    init: Option<PathBuf>,
    /// Train a robust twin of this model, a file of any kind that opens or a bundled model's id: adversarial fine-tuning
    /// with ε growing from 0, then a verdict whether it is robust, under PGD-20 and by its inversions.
    #[arg(long, conflicts_with_all = ["init", "preset", "depth", "stem", "block", "widths", "blocks"])]
    twin: Option<PathBuf>,
    /// Train only the last linear layer of the model of --init.
    #[arg(long, requires = "init")]
    freeze: bool,
    /// Knowledge distillation (Hinton et al. 2015): also learn the answers of this model, a file or a bundled
    /// model's id, which knows all the classes and sees pictures of the same size.
    #[arg(long)]
    teacher: Option<PathBuf>,
    /// Share of the teacher in the loss, above 0 and at most 1.
    #[arg(long, default_value_t = 0.7, requires = "teacher")]
    teacher_share: f64,
    /// Temperature of the teacher's and the network's answers.
    #[arg(long, default_value_t = 2.0, requires = "teacher")]
    temperature: f64,
    /// Display name of the model.
    #[arg(long)]
    name: Option<String>,
    /// Number of epochs; the learning-rate schedule is stretched to them.
    #[arg(long)]
    epochs: Option<usize>,
    /// Batch size.
    #[arg(long)]
    batch: Option<usize>,
    /// Peak learning rate.
    #[arg(long)]
    lr: Option<f64>,
    /// Learning-rate schedule.
    #[arg(long, value_enum)]
    schedule: Option<ScheduleKind>,
    /// Weight decay of convolutions and linear weights.
    #[arg(long)]
    weight_decay: Option<f64>,
    /// Number of test pictures evaluated after each epoch, clean and attacked.
    #[arg(long)]
    monitor: Option<usize>,
    /// Seed of all random numbers.
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
    /// First layers of the network.
    #[arg(long, value_enum)]
    stem: Option<Stem>,
    /// Type of the residual blocks.
    #[arg(long, value_enum, conflicts_with = "depth")]
    block: Option<Block>,
    /// Channels of each stage, for instance 48,96,192.
    #[arg(long, value_delimiter = ',', conflicts_with = "depth")]
    widths: Option<Vec<usize>>,
    /// Blocks of each stage, for instance 2,2,2.
    #[arg(long, value_delimiter = ',', conflicts_with = "depth")]
    blocks: Option<Vec<usize>>,
    /// Adversarial training with this radius ε, in units of pixels in [0, 1], for instance 0.5 or 8/255; 0
    /// for standard training.
    #[arg(long, value_parser = parse_epsilon)]
    eps: Option<f32>,
    /// Norm of --eps.
    #[arg(long, value_enum, default_value_t = Norm::L2, requires = "eps")]
    norm: Norm,
    /// Gradient steps of the training attack: 1, of a twin 2.
    #[arg(long, requires = "eps")]
    attack_steps: Option<usize>,
    /// Step size of the training attack; by default 2.5·ε/steps, and ε for a single step.
    #[arg(long, value_parser = parse_epsilon, requires = "eps")]
    attack_step_size: Option<f32>,
    /// N-FGSM (de Jorge et al. 2022): start one-step attacks from uniform noise of this many ε, without
    /// clamping to ε; the authors use 2.
    #[arg(long)]
    noise: Option<f32>,
    /// Warm-up of ε, as two shares of the training with a comma between: 0 until the first, then growing
    /// linearly to its full value at the second; for instance 0.2,0.6.
    #[arg(long, value_parser = parse_growth)]
    eps_growth: Option<EpsilonSchedule>,
    /// Decay of the exponential moving average of the weights, for instance 0.999; 0 for none.
    #[arg(long)]
    average: Option<f64>,
    /// Label smoothing, at least 0 and below 1.
    #[arg(long)]
    smoothing: Option<f64>,
    /// Mixup (Zhang et al. 2018): blend pictures and labels by shares from Beta(α, α) with this α, for
    /// instance 0.2; 0 for none. Standard training only.
    #[arg(long)]
    mixup: Option<f64>,
    /// Number of training pictures split off as validation set, by which the best epoch is selected.
    #[arg(long)]
    validation: Option<usize>,
    /// Early stopping: end the training after this many epochs without improvement.
    #[arg(long, requires = "validation")]
    patience: Option<usize>,
    /// Cutout: side of a grey square at a random position of each picture; 0 for none.
    #[arg(long)]
    cutout: Option<usize>,
    /// Mean of red, green and blue of the normaliser; by default CIFAR-10's.
    #[arg(long, value_parser = parse_colour, requires = "std")]
    mean: Option<[f32; 3]>,
    /// Standard deviation of red, green and blue of the normaliser.
    #[arg(long, value_parser = parse_colour, requires = "mean")]
    std: Option<[f32; 3]>,
    /// Also rotate pictures by random multiples of 90°: for textures.
    #[arg(long = "rotate", alias = "turn")]
    turn: bool,
    /// Colour jitter: vary contrast, brightness and colours by up to this share.
    #[arg(long)]
    jitter: Option<f32>,
    /// Random resized crop: keep at least this share of each picture's area and resize it to the input,
    /// instead of padding.
    #[arg(long, conflicts_with = "padding")]
    resized_crop: Option<f32>,
    /// Class-balanced sampling: draw every class equally often, whatever its size.
    #[arg(long)]
    balance: bool,
    /// Padding of the random crop, in black pixels on each side; by default an eighth of the input.
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
        let preset = self.preset.unwrap_or(Preset::FastStandard);
        let mut config = TrainConfig::preset(preset, data);
        if let Some(twin) = &self.twin {
            let model = initial_model(twin)?;
            let data = std::mem::take(&mut config.data);
            config = TrainConfig::twin(data, twin.clone(), model.input, model.normalizer);
            config.architecture = model.architecture;
            config.name = format!("{}, adversarially fine-tuned", model.name);
        }
        if let Some(init) = &self.init {
            self.take_over(&initial_model(init)?, &mut config);
        }
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
        config.init = self.init.clone().or(config.init);
        config.freeze = self.freeze;
        config.distillation = self.teacher.clone().map(|teacher| Distillation {
            teacher,
            share: self.teacher_share,
            temperature: self.temperature,
        });
        config.mixed = self.run_options.mixed();
        if let Some(average) = self.average {
            config.average = (average > 0.0).then_some(average);
        }
        config.smoothing = self.smoothing.unwrap_or(config.smoothing);
        config.mixup = self.mixup.unwrap_or(config.mixup);
        config.noise = self.noise;
        config.epsilon_schedule = self.eps_growth.or(config.epsilon_schedule);
        set(&mut config.validation, self.validation);
        set(&mut config.patience, self.patience);
        if let Some(side) = self.input {
            config.set_input([side; 2]);
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
        if let Some(architecture) = &config.architecture {
            config.architecture = Some(self.architecture(architecture)?);
        }
        // As many steps as the usual attack has.
        let usual = config.attack.as_ref().filter(|_| config.twin);
        let steps = usual.map_or(1, |attack| attack.steps);
        let steps = self.attack_steps.unwrap_or(steps);
        if let Some(epsilon) = self.eps {
            config.attack = (epsilon > 0.0).then(|| Attack {
                step_size: self.attack_step_size.or((steps == 1).then_some(epsilon)),
                ..Attack::pgd(self.norm, epsilon, steps)
            });
        }
        if let (Some(mean), Some(std)) = (self.mean, self.std) {
            config.normalizer = Normalizer { mean, std };
        }
        config.validate()?;
        Ok(config)
    }

    /// Whether an option names a part of the architecture.
    fn names_architecture(&self) -> bool {
        let sizes = [&self.widths, &self.blocks];
        self.depth.is_some()
            || self.stem.is_some()
            || self.block.is_some()
            || sizes.into_iter().any(Option::is_some)
    }

    /// Architecture, input and normaliser of the model that the training starts from, where no option gives
    /// another.
    fn take_over(&self, model: &InitialModel, config: &mut TrainConfig) {
        config.normalizer = model.normalizer;
        if !self.names_architecture() {
            config.architecture.clone_from(&model.architecture);
        }
        if self.preset.is_none() {
            config.set_input(model.input);
        }
    }

    /// The architecture `usual` with the parts that options name.
    fn architecture(&self, usual: &TrainArchitecture) -> Result<TrainArchitecture> {
        let stem = self.stem.unwrap_or(usual.stem);
        let usual = match self.depth {
            Some(depth) => &TrainArchitecture::of_depth(depth, stem, self.width)?,
            None => usual,
        };
        Ok(TrainArchitecture {
            stem,
            block: self.block.unwrap_or(usual.block),
            widths: self.widths.as_ref().unwrap_or(&usual.widths).clone(),
            blocks: self.blocks.as_ref().unwrap_or(&usual.blocks).clone(),
        })
    }

    /// Trains to the end or to Ctrl-C.
    pub fn run(&self) -> Result<()> {
        let config = self.config()?;
        let out = self.run_options.out();
        self.run_options.check(out)?;
        let (device, watch) = self.run_options.start()?;
        let outcome = train(&config, out, self.run_options.resume, &device, &watch)?;
        let model = finished(outcome)?;
        let config = Checkpoint::read(&out.join(CHECKPOINT))?.config;
        if config.twin {
            twin::judge(&config, &model, out, &device)?;
        }
        answer(&serde_json::json!({ "model": model, "settings": config }))
    }
}
