//! The training loop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::{Device, activation::log_softmax};

use super::checkpoint::{self, Checkpoint, Position};
use super::config::TrainConfig;
use super::gradients::{collect, track};
use super::progress::{EpochMetrics, Metrics, bar};
use super::statistics::absorb;
use super::{init, sgd::Sgd};
use crate::attack::Attack;
use crate::data::{Batch, Batches, Dataset, Split};
use crate::descent::Norm;
use crate::error::{Error, Result};
use crate::evaluate;
use crate::model::{Classifier, Manifest, Precision, ResNet, Weights};

/// Set from outside (Ctrl-C) to stop after the step under way.
pub type Interrupt = Arc<AtomicBool>;

/// The checkpoint's name in the output folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

/// A network, its optimiser and where they are.
pub struct Training {
    config: TrainConfig,
    manifest: Manifest,
    network: ResNet,
    sgd: Sgd,
    position: Position,
    device: Device,
}

impl Training {
    /// Starts afresh, from random weights or those of `config.init`.
    pub fn new(config: &TrainConfig, classes: &[String], device: &Device) -> Result<Self> {
        let mut training = Self::assemble(config, classes, device)?;
        let architecture = config.architecture.with_classes(classes.len());
        training.network = init::random(&architecture, config.seed, device);
        if let Some(path) = &config.init {
            let fill = Weights::read(path)?.fill(&mut training.network);
            fill.map_err(|mismatch| Error::Tensors {
                path: path.clone(),
                architecture: architecture.to_string(),
                mismatch,
            })?;
        }
        Ok(training)
    }

    /// Goes on from a checkpoint.
    pub fn resume(path: &Path, classes: &[String], device: &Device) -> Result<Self> {
        let checkpoint = Checkpoint::read(path)?;
        let mut training = Self::assemble(&checkpoint.config, classes, device)?;
        checkpoint.restore(path, &mut training.network, &mut training.sgd, device)?;
        training.position = checkpoint.position;
        Ok(training)
    }

    /// All but the weights.
    fn assemble(config: &TrainConfig, classes: &[String], device: &Device) -> Result<Self> {
        config.validate()?;
        let architecture = config.architecture.with_classes(classes.len());
        architecture.validate()?;
        Ok(Self {
            config: config.clone(),
            network: ResNet::zeros(&architecture, device),
            manifest: Manifest {
                name: config.name.clone(),
                architecture: architecture.into(),
                input: config.input,
                normalizer: config.normalizer,
                labels: classes.to_vec(),
                training: config.summary(),
                notes: Vec::new(),
            },
            sgd: Sgd::new(config.momentum, config.weight_decay),
            position: Position::default(),
            device: device.clone(),
        })
    }

    /// Writes a checkpoint.
    pub fn save(&mut self, path: &Path) -> Result<()> {
        checkpoint::save(
            path,
            &mut self.network,
            &self.sgd,
            &self.config,
            &self.position,
        )
    }

    /// The model as it is now, frozen.
    pub fn classifier(&self) -> Classifier {
        Classifier::freeze(self.network.clone(), self.manifest.clone(), &self.device)
    }

    /// Writes the model for use: weights in half precision, manifest inside.
    pub fn export(&mut self, path: &Path) -> Result<()> {
        let mut weights = Weights::of(&mut self.network);
        self.manifest.attach(&mut weights);
        weights.write(path, Precision::Half)
    }

    /// One step on a batch. Returns the mean loss and how many pictures were classified right.
    ///
    /// The adversarial pictures are made for the network as it is at inference, so that the attack
    /// leaves the running statistics alone (as MadryLab's robustness library does).
    pub fn step(&mut self, batch: Batch, rate: f64) -> (f32, usize) {
        let pictures = match &self.config.attack {
            Some(attack) => {
                let attack = Attack {
                    seed: self.noise_seed(),
                    ..attack.clone()
                };
                attack.run_to_last(
                    &self.classifier(),
                    &batch.pictures,
                    &batch.classes,
                    &batch.numbers,
                )
            }
            None => batch.pictures,
        };
        let mut tracked = track(&self.network);
        let mut statistics = Vec::new();
        let pixels = self.config.normalizer.apply_in(pictures, self.config.mixed);
        let logits = tracked.train_forward(pixels, &mut statistics);
        let likelihood = log_softmax(logits.clone(), 1).gather(1, batch.labels.clone());
        let loss = likelihood.mean().neg();
        let gradients = collect(&mut tracked, &mut loss.backward());
        self.sgd.step(&mut self.network, gradients, rate);
        absorb(&mut self.network, statistics);
        let right = logits.inner().argmax(1).equal(batch.labels).int().sum();
        (
            loss.inner().into_scalar::<f32>(),
            right.into_scalar::<i32>() as usize,
        )
    }

    /// A new seed for every epoch, so that no picture meets the same noise twice.
    fn noise_seed(&self) -> u64 {
        self.config
            .seed
            .wrapping_add(1 + self.position.epoch as u64)
    }

    /// Runs the epoch under way from where it stands to its end, or to an interruption (`false`).
    fn epoch(
        &mut self,
        data: &Dataset,
        interrupt: &Interrupt,
        bar: &indicatif::ProgressBar,
    ) -> Result<bool> {
        let Position {
            epoch, step: first, ..
        } = self.position;
        let config = &self.config;
        let batches = Batches::new(data, config.augmentation, config.batch, config.seed, epoch);
        for step in first..batches.len() {
            if interrupt.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let started = Instant::now();
            let rate = self.config.schedule.rate(epoch, step, batches.len());
            let batch = batches.get(step, &self.device);
            let count = batch.classes.len();
            let (loss, right) = self.step(batch, rate);
            if !loss.is_finite() {
                return Err(Error::Diverged {
                    epoch: epoch + 1,
                    step: step + 1,
                    loss,
                });
            }
            self.position.step += 1;
            self.position.loss_sum += f64::from(loss);
            self.position.right += right;
            let seconds = started.elapsed().as_secs_f64();
            self.position.seconds += seconds;
            self.position.epoch_seconds += seconds;
            let throughput = count as f64 / seconds;
            bar.inc(1);
            bar.set_message(format!(
                "epoch {}, loss {loss:.3}, {throughput:.0} pictures/s",
                epoch + 1
            ));
        }
        Ok(true)
    }

    /// Closes the epoch and sums it up.
    ///
    /// # Errors
    /// [`Error::Diverged`] when the last step left a weight that is no number.
    fn close_epoch(&mut self, data: &Dataset, test: Option<&Dataset>) -> Result<EpochMetrics> {
        let Position {
            epoch,
            loss_sum,
            right,
            seconds,
            epoch_seconds,
            step: batches,
        } = self.position;
        if !Weights::of(&mut self.network).is_finite() {
            return Err(Error::Diverged {
                epoch: epoch + 1,
                step: batches,
                loss: f32::NAN,
            });
        }
        let pictures = (batches * self.config.batch.min(data.len())) as f64;
        let model = self.classifier();
        let accuracy =
            |attack: Option<&Attack>| test.map(|test| evaluate::accuracy(&model, test, attack));
        let robust = Attack::pgd(Norm::L2, 0.5, 10);
        let metrics = EpochMetrics {
            epoch: epoch + 1,
            rate: self.config.schedule.rate(epoch, batches - 1, batches),
            train_loss: loss_sum / batches as f64,
            train_accuracy: right as f64 / pictures,
            test_accuracy: accuracy(None),
            test_robust_accuracy: self
                .config
                .attack
                .as_ref()
                .and_then(|_| accuracy(Some(&robust))),
            throughput: pictures / epoch_seconds.max(1e-9),
            seconds,
        };
        self.position = Position {
            epoch: epoch + 1,
            seconds,
            ..Position::default()
        };
        Ok(metrics)
    }
}

/// How a training ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done; the model is in this file.
    Finished(PathBuf),
    /// It was interrupted; this checkpoint goes on with `--resume`.
    Interrupted(PathBuf),
}

impl Outcome {
    /// Says so.
    pub fn announce(&self) {
        match self {
            Self::Finished(path) => println!("the model is in {}", path.display()),
            Self::Interrupted(path) => {
                println!("stopped; {} goes on with --resume", path.display());
            }
        }
    }
}

/// Trains into the folder `out`: `checkpoint.safetensors`, `metrics.csv`, and at the end
/// `model.safetensors`.
///
/// With `resume`, goes on from the folder's checkpoint, whose own config then counts.
///
/// # Errors
/// [`Error::Data`] before anything starts; [`Error::Diverged`] leaves the last good checkpoint.
pub fn train(
    config: &TrainConfig,
    out: &Path,
    resume: bool,
    device: &Device,
    interrupt: &Interrupt,
) -> Result<Outcome> {
    let path = out.join(CHECKPOINT);
    let config = if resume {
        &Checkpoint::read(&path)?.config
    } else {
        config
    };
    let kept = config.augmentation.kept(config.input);
    let data = Dataset::open(&config.data, Split::Train, kept)?;
    data.report_skipped();
    let test = monitored(&config.data, config.input, config.monitor, &data.classes)?;
    let mut training = if resume {
        Training::resume(&path, &data.classes, device)?
    } else {
        Training::new(config, &data.classes, device)?
    };
    std::fs::create_dir_all(out).map_err(|error| Error::io(out, "create", error))?;
    let mut metrics = Metrics::open(&out.join("metrics.csv"), training.position.epoch)?;
    let batches = data.len() / config.batch.min(data.len());
    let bar = bar(
        config.epochs * batches,
        training.position.epoch * batches + training.position.step,
    );
    while training.position.epoch < config.epochs {
        if !training.epoch(&data, interrupt, &bar)? {
            training.save(&path)?;
            return Ok(Outcome::Interrupted(path));
        }
        let row = training.close_epoch(&data, test.as_ref())?;
        bar.suspend(|| println!("{}", describe(&row)));
        metrics.push(row)?;
        training.save(&path)?;
    }
    let model = out.join("model.safetensors");
    training.export(&model)?;
    Ok(Outcome::Finished(model))
}

/// `count` test pictures to watch a training by, if the data set has a test split.
pub(super) fn monitored(
    data: &Path,
    input: [usize; 2],
    count: usize,
    classes: &[String],
) -> Result<Option<Dataset>> {
    if !Dataset::has_split(data, Split::Test) {
        return Ok(None);
    }
    let mut test = Dataset::open(data, Split::Test, input)?;
    test.thin(count);
    test.relabel(classes)
        .map_err(|reason| Error::data(data, reason))?;
    Ok(Some(test))
}

fn describe(row: &EpochMetrics) -> String {
    let percent =
        |value: Option<f64>| value.map_or("–".into(), |value| format!("{:.2} %", value * 100.0));
    format!(
        "epoch {}: loss {:.4}, training accuracy {}, test accuracy {}, under L2 PGD-10 ε 0.5 {}, {:.0} pictures/s",
        row.epoch,
        row.train_loss,
        percent(Some(row.train_accuracy)),
        percent(row.test_accuracy),
        percent(row.test_robust_accuracy),
        row.throughput
    )
}
