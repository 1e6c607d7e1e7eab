//! `epsiloscope train counterfactual`: training of a generator of counterfactuals and its discriminator.

use std::path::PathBuf;

use clap::Args;

use super::run_options::{RunOptions, finished};
use crate::cli::console::answer;
use crate::error::{Error, Result};
use crate::train::counterfactual::{
    CounterfactualCheckpoint, CounterfactualConfig, FrozenClassifier, train_counterfactual,
};
use crate::train::{CHECKPOINT, initial_model};

/// Options that are not given have the preset's value: with --classifier that for a frozen classifier, else that
/// for textures of 64×64 pixels.
#[derive(Debug, Args)]
pub struct CounterfactualTrainArguments {
    /// Folder of the data set: train/CLASS/FILE and test/CLASS/FILE, all pictures of one size.
    #[arg(long, required_unless_present = "resume")]
    data: Option<PathBuf>,
    #[command(flatten)]
    run_options: RunOptions,
    /// Make the generator for this classifier, a file of any kind that opens or a bundled model's id, which stays
    /// as it is; the classes of the data must be among its own. Without it the discriminator is the classifier, and
    /// both are trained against each other (arXiv 2310.00761).
    #[arg(long)]
    classifier: Option<PathBuf>,
    /// Start the discriminator from this residual network: an earlier training's discriminator.safetensors, or a
    /// classifier, whose classes it keeps. With --classifier it is then trained along from the first step.
    #[arg(long)]
    discriminator: Option<PathBuf>,
    /// Train once with each of these seeds, each into its own folder seed-N.
    #[arg(long, value_delimiter = ',', default_value = "0")]
    seeds: Vec<u64>,
    /// Display name of the model.
    #[arg(long)]
    name: Option<String>,
    /// Side of the square input, in pixels; a frozen classifier has its own.
    #[arg(long, conflicts_with = "classifier")]
    input: Option<usize>,
    /// Side of the squares of pixels that the generator sees, and changes, as one: 1 for single pixels.
    #[arg(long)]
    reduction: Option<usize>,
    /// Also turn pictures by multiples of 90°: for textures without an upright orientation.
    #[arg(long)]
    turn: bool,
    /// Number of epochs; the learning-rate schedule is stretched to them.
    #[arg(long)]
    epochs: Option<usize>,
    /// Number of first epochs that train only the discriminator, on real pictures.
    #[arg(long)]
    warm_up: Option<usize>,
    /// Number of last epochs that train only the generator, with the discriminator frozen.
    #[arg(long)]
    settling: Option<usize>,
    /// Batch size.
    #[arg(long)]
    batch: Option<usize>,
    /// Peak learning rate of both networks.
    #[arg(long)]
    lr: Option<f64>,
    /// Channels of each stage of the discriminator, for instance 24,48,96.
    #[arg(long, value_delimiter = ',')]
    discriminator_widths: Option<Vec<usize>>,
    /// Channels of the generator at full resolution.
    #[arg(long)]
    width: Option<usize>,
    /// Number of times that the generator halves the resolution.
    #[arg(long)]
    levels: Option<usize>,
    /// Weight of generated pictures in the discriminator's loss.
    #[arg(long)]
    fake: Option<f64>,
    /// Weight of the adversarial term in the generator's loss.
    #[arg(long = "adversarial", alias = "fool")]
    fool: Option<f64>,
    /// Weight of the cycle-consistency term.
    #[arg(long)]
    cycle: Option<f64>,
    /// Weight of the identity term.
    #[arg(long)]
    identity: Option<f64>,
    /// Weight of the sparsity term, the mean change.
    #[arg(long)]
    sparsity: Option<f64>,
    /// Weight of the total variation of the change.
    #[arg(long)]
    total_variation: Option<f64>,
    /// Weight of the generator's classification head.
    #[arg(long)]
    head: Option<f64>,
    /// Weight of the frozen classifier's answer in the generator's loss, from the middle of the training on; a
    /// fifth of it at the beginning.
    #[arg(long, requires = "classifier")]
    flip: Option<f64>,
    /// Weight of the term against the same change for all pictures of a target class.
    #[arg(long)]
    diversity: Option<f64>,
    /// Share of target classes that are the frozen classifier's second guess; the rest is drawn evenly.
    #[arg(long, requires = "classifier")]
    runner_up_share: Option<f64>,
    /// Pictures of the test set that are watched after each epoch.
    #[arg(long)]
    monitor: Option<usize>,
    /// Probability of the original's class in the discriminator's target for generated pictures; the rest is
    /// “fake”.
    #[arg(long)]
    source_share: Option<f64>,
}

impl CounterfactualTrainArguments {
    /// The preset's configuration.
    fn preset(&self) -> Result<CounterfactualConfig> {
        let data = self.data.clone().unwrap_or_default();
        let Some(classifier) = &self.classifier else {
            return Ok(CounterfactualConfig::textures(data));
        };
        let (classifier, manifest) = FrozenClassifier::open(classifier)?;
        Ok(CounterfactualConfig::for_classifier(
            data,
            classifier,
            manifest.input,
        ))
    }

    fn config(&self, seed: u64) -> Result<CounterfactualConfig> {
        let mut config = self.preset()?;
        if let Some(path) = &self.discriminator {
            let model = initial_model(path)?;
            let reason = "a discriminator starts from a residual network, and it is none";
            let architecture = model.architecture.ok_or_else(|| Error::model(path, reason));
            config.discriminator = architecture?;
            config.normalizer = model.normalizer;
            config.discriminator_init = Some(path.clone());
            config.warm_up = 0;
        }
        let set = |target: &mut usize, value: Option<usize>| *target = value.unwrap_or(*target);
        let weigh = |target: &mut f64, value: Option<f64>| *target = value.unwrap_or(*target);
        set(&mut config.epochs, self.epochs);
        set(&mut config.schedule.epochs, self.epochs);
        set(&mut config.warm_up, self.warm_up);
        set(&mut config.settling, self.settling);
        set(&mut config.batch, self.batch);
        set(&mut config.width, self.width);
        set(&mut config.levels, self.levels);
        set(&mut config.reduction, self.reduction);
        set(&mut config.monitor, self.monitor);
        config.augmentation.turn |= self.turn;
        weigh(&mut config.runner_up_share, self.runner_up_share);
        weigh(&mut config.schedule.peak, self.lr);
        weigh(&mut config.source_share, self.source_share);
        let weights = &mut config.weights;
        weigh(&mut weights.fake, self.fake);
        weigh(&mut weights.fool, self.fool);
        weigh(&mut weights.cycle, self.cycle);
        weigh(&mut weights.identity, self.identity);
        weigh(&mut weights.sparsity, self.sparsity);
        weigh(&mut weights.total_variation, self.total_variation);
        weigh(&mut weights.head, self.head);
        weigh(&mut weights.flip, self.flip);
        weigh(&mut weights.diversity, self.diversity);
        config.name = self.name.clone().unwrap_or(config.name);
        config.input = self.input.map_or(config.input, |side| [side; 2]);
        if let Some(widths) = &self.discriminator_widths {
            config.discriminator.blocks = vec![2; widths.len()];
            config.discriminator.widths = widths.clone();
        }
        config.seed = seed;
        config.mixed = self.run_options.mixed();
        Ok(config)
    }

    /// Trains each seed to the end or to Ctrl-C.
    pub fn run(&self) -> Result<()> {
        let mut known = self.seeds.clone();
        known.sort_unstable();
        known.dedup();
        if known.len() < self.seeds.len() {
            return Err(Error::Config("every seed is trained once only".into()));
        }
        for &seed in &self.seeds {
            self.run_options.check(&self.folder(seed))?;
        }
        let first = match self.begun()? {
            Some(begun) => begun,
            None => self.config(self.seeds[0])?,
        };
        first.validate()?;
        let config = |seed: u64| CounterfactualConfig {
            seed,
            ..first.clone()
        };
        let (device, watch) = self.run_options.start()?;
        let mut models = Vec::new();
        for &seed in &self.seeds {
            let out = self.folder(seed);
            let resume = self.run_options.resumes(&out);
            let outcome = train_counterfactual(&config(seed), &out, resume, &device, &watch)?;
            models.push(finished(outcome)?);
        }
        answer(&serde_json::json!({ "models": models, "settings": first }))
    }

    /// The configuration of a training to be resumed, which further seeds use too.
    fn begun(&self) -> Result<Option<CounterfactualConfig>> {
        let paths = self
            .seeds
            .iter()
            .map(|&seed| self.folder(seed).join(CHECKPOINT));
        let mut there = paths.filter(|path| self.run_options.resume && path.exists());
        let config =
            |path: std::path::PathBuf| Ok(CounterfactualCheckpoint::read(&path)?.config().clone());
        there.next().map(config).transpose()
    }

    fn folder(&self, seed: u64) -> PathBuf {
        let out = self.run_options.out();
        match self.seeds.len() {
            1 => out.into(),
            _ => out.join(format!("seed-{seed}")),
        }
    }
}
