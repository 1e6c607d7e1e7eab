//! The training loop of counterfactual models: epochs, evaluation, example sheets, checkpoints.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use indicatif::ProgressBar;

use super::checkpoint::{self, CounterfactualCheckpoint, CounterfactualPosition};
use super::config::CounterfactualConfig;
use super::example_sheet;
use super::metrics::{CounterfactualMetrics, evaluate_pair};
use super::step::CounterfactualTraining;
use crate::data::{Batches, Dataset, Split};
use crate::error::{Error, Result};
use crate::model::Precision;
use crate::train::progress::{Metrics, TrainingWatch};
use crate::train::training_loop::{CHECKPOINT, TrainingOutcome, monitored};

struct TrainingLoop<'a> {
    training: CounterfactualTraining,
    position: CounterfactualPosition,
    data: &'a Dataset,
    progress_bar: ProgressBar,
}

impl TrainingLoop<'_> {
    /// Number of steps of an epoch.
    fn steps(&self) -> usize {
        self.data.len() / self.training.config.batch.min(self.data.len())
    }

    /// Runs the current epoch to its end (`true`) or to an interruption (`false`).
    fn epoch(&mut self, watch: &TrainingWatch) -> Result<bool> {
        let CounterfactualPosition {
            epoch, step: first, ..
        } = self.position;
        let config = self.training.config.clone();
        let batches = Batches::new(
            self.data,
            config.augmentation,
            config.batch,
            config.seed,
            epoch,
        );
        for step in first..batches.len() {
            if watch.cancel.is_cancelled() {
                return Ok(false);
            }
            let started = Instant::now();
            let rates = config.rates(epoch, step, batches.len());
            let batch = batches.get(step, &self.training.device);
            let number = (epoch * batches.len() + step) as u64;
            let terms = match rates.discriminator {
                Some(rate) if epoch < config.warm_up => self.training.warm_up(&batch, rate, number),
                _ => {
                    let steps = (config.epochs * batches.len()) as f64;
                    self.training
                        .step(&batch, rates, number, number as f64 / steps)
                }
            };
            if !terms.is_finite() {
                return Err(Error::Diverged {
                    epoch: epoch + 1,
                    step: step + 1,
                    loss: terms.values().iter().sum::<f64>() as f32,
                });
            }
            self.position.step += 1;
            self.position.sums.add(&terms);
            let seconds = started.elapsed().as_secs_f64();
            self.position.seconds += seconds;
            self.position.epoch_seconds += seconds;
            self.progress_bar.inc(1);
            let throughput = batch.classes.len() as f64 / seconds;
            self.progress_bar.set_message(format!(
                "epoch {}, discriminator {:.3}, fool {:.3}, {throughput:.0} pictures/s",
                epoch + 1,
                terms.discriminator_real,
                terms.fool
            ));
        }
        Ok(true)
    }

    /// Finishes the epoch: evaluates both networks, writes the example sheet and resets the sums.
    fn finish_epoch(
        &mut self,
        test: Option<&Dataset>,
        out: &Path,
    ) -> Result<CounterfactualMetrics> {
        let (steps, position) = (self.steps(), std::mem::take(&mut self.position));
        let epoch = position.epoch + 1;
        if !self.training.is_finite() {
            return Err(Error::Diverged {
                epoch,
                step: steps,
                loss: f32::NAN,
            });
        }
        self.position.epoch = epoch;
        self.position.seconds = position.seconds;
        let config = &self.training.config;
        let rate = config.schedule.rate(epoch - 1, steps - 1, steps);
        let learning = config.learning(epoch - 1);
        let mut row = CounterfactualMetrics::new(epoch, rate, &position.sums, steps, learning);
        let pictures = (steps * config.batch.min(self.data.len())) as f64;
        row.throughput = pictures / position.epoch_seconds.max(1e-9);
        row.seconds = position.seconds;
        let (discriminator, generator) =
            (self.training.classifier(), self.training.frozen_generator());
        let frozen = self.training.frozen.as_ref();
        if let Some(test) = test {
            let evaluation = evaluate_pair(&discriminator, frozen, &generator, test);
            row = row.with_evaluation(&evaluation);
        }
        if epoch > config.warm_up {
            let path = out.join(format!("sheet-{epoch:03}.png"));
            example_sheet::write(&path, &generator, test.unwrap_or(self.data))?;
        }
        Ok(row)
    }
}

/// Trains into the folder `out`: `checkpoint.safetensors`, `metrics.csv`, a `sheet-….png` after every
/// epoch, and at the end `model.safetensors`; for a frozen classifier `generator.safetensors` and
/// `discriminator.safetensors` instead, after every epoch.
///
/// With `resume`, continues from the folder's checkpoint with the checkpoint's own config.
///
/// # Errors
/// Before the first step [`Error::Data`], without a frozen classifier also for a picture that cannot be read or
/// has another size than the first, and [`Error::Model`] for a classifier that does not fit the data;
/// [`Error::Diverged`], which leaves the last checkpoint in place.
pub fn train_counterfactual(
    config: &CounterfactualConfig,
    out: &Path,
    resume: bool,
    device: &Device,
    watch: &TrainingWatch,
) -> Result<TrainingOutcome> {
    let path = out.join(CHECKPOINT);
    let checkpoint = resume
        .then(|| CounterfactualCheckpoint::read(&path))
        .transpose()?;
    let config = checkpoint
        .as_ref()
        .map_or(config, CounterfactualCheckpoint::config)
        .clone();
    config.validate()?;
    let data = Dataset::open(&config.data, Split::Train, config.input)?;
    let test = monitored(&config.data, config.input, config.monitor, &data.classes)?;
    match &config.classifier {
        // Masks of changes are compared with those of textures pixel by pixel.
        None => {
            data.require_uniform()?;
            test.as_ref().map_or(Ok(()), Dataset::require_uniform)?;
        }
        Some(_) => data.log_skipped(),
    }
    warn_of_rare_classes(&data);
    let (training, position) = match checkpoint {
        Some(checkpoint) => checkpoint.restore(&path, &data.classes, device)?,
        None => {
            let training = CounterfactualTraining::new(&config, &data.classes, device)?;
            (training, CounterfactualPosition::default())
        }
    };
    std::fs::create_dir_all(out).map_err(|error| Error::io(out, "create", error))?;
    let mut metrics = Metrics::open(&out.join("metrics.csv"), position.epoch)?;
    let steps = data.len() / config.batch.min(data.len());
    let mut training_loop = TrainingLoop {
        training,
        progress_bar: watch.progress_bar(
            config.epochs * steps,
            position.epoch * steps + position.step,
        ),
        position,
        data: &data,
    };
    while training_loop.position.epoch < config.epochs {
        if !training_loop.epoch(watch)? {
            checkpoint::save(&path, &mut training_loop.training, &training_loop.position)?;
            return Ok(TrainingOutcome::Interrupted(path));
        }
        let row = training_loop.finish_epoch(test.as_ref(), out)?;
        watch.tell(&training_loop.progress_bar, &describe(&row));
        metrics.push(row)?;
        checkpoint::save(&path, &mut training_loop.training, &training_loop.position)?;
        write_generator(&mut training_loop.training, out)?;
    }
    if let Some(generator) = write_generator(&mut training_loop.training, out)? {
        return Ok(TrainingOutcome::Finished(generator));
    }
    let model = out.join("model.safetensors");
    training_loop
        .training
        .weights()
        .write(&model, Precision::Half)?;
    Ok(TrainingOutcome::Finished(model))
}

/// Writes the generator for a frozen classifier, and its discriminator; returns the generator's file.
fn write_generator(training: &mut CounterfactualTraining, out: &Path) -> Result<Option<PathBuf>> {
    let Some(weights) = training.generator_weights() else {
        return Ok(None);
    };
    let path = out.join("generator.safetensors");
    weights.write(&path, Precision::Half)?;
    let discriminator = training.discriminator_weights();
    discriminator.write(&out.join("discriminator.safetensors"), Precision::Half)?;
    Ok(Some(path))
}

/// Pictures of a class below which a generator for it is not worth much.
const FEW: usize = 50;

fn warn_of_rare_classes(data: &Dataset) {
    for (class, name) in data.classes.iter().enumerate() {
        let count = data.labels.iter().filter(|label| **label == class).count();
        if count < FEW {
            tracing::warn!("the class {name} has only {count} pictures to train on");
        }
    }
}

fn describe(row: &CounterfactualMetrics) -> String {
    let percent =
        |value: Option<f64>| value.map_or("–".into(), |value| format!("{:.2} %", value * 100.0));
    let number = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.4}"));
    format!(
        "epoch {}: discriminator {} / {}, fool {}, cycle {}, change {}; test: balanced accuracy {}, flips {}; {:.0} pictures/s",
        row.epoch,
        number(row.discriminator_real),
        number(row.discriminator_fake),
        number(row.fool),
        number(row.cycle),
        number(row.sparsity),
        percent(row.balanced_accuracy),
        percent(row.flip_rate),
        row.throughput
    )
}
