//! The training loop of classifiers: adversarial SGD steps, epochs, validation, early stopping,
//! checkpoints.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor};
use indicatif::ProgressBar;

use super::checkpoint::{self, Checkpoint, Networks, TrainingPosition};
use super::config::TrainConfig;
use super::distillation::Teacher;
use super::gradients::{WeightAverage, require_gradients, require_gradients_under, take_gradients};
use super::init;
use super::loss::{Mixing, smoothed_cross_entropy};
use super::network::TrainableNetwork;
use super::progress::{EpochMetrics, Metrics, TrainingWatch};
use super::running_statistics::update_running_statistics;
use super::schedule::EpsilonSchedule;
use super::sgd::Sgd;
use super::status::{Phase, StatusWriter, is_running, record_phase};
use crate::attack::Attack;
use crate::data::{Batch, Batches, Dataset, Split};
use crate::error::{Error, Result};
use crate::evaluate;
use crate::model::{Classifier, Manifest, Precision, ResNet, Weights};

/// File name of the checkpoint in the output folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

/// The state of a training: networks, optimiser and position.
pub struct Training {
    config: TrainConfig,
    manifest: Manifest,
    networks: Networks,
    sgd: Sgd,
    position: TrainingPosition,
    teacher: Option<Teacher>,
    device: Device,
}

impl Training {
    /// Starts a training from random weights or those of `config.init`.
    ///
    /// # Errors
    /// As [`TrainConfig::validate`] and, for initial weights, as those of opening a model.
    pub fn new(config: &TrainConfig, classes: &[String], device: &Device) -> Result<Self> {
        config.validate()?;
        Self::assemble(
            config,
            init::network(config, classes, device)?,
            classes,
            device,
        )
    }

    /// Resumes a training from a checkpoint.
    ///
    /// # Errors
    /// As [`Checkpoint::read`] and [`Checkpoint::restore`].
    pub fn resume(path: &Path, classes: &[String], device: &Device) -> Result<Self> {
        let checkpoint = Checkpoint::read(path)?;
        let config = &checkpoint.config;
        config.validate()?;
        let network = match &config.architecture {
            Some(architecture) => {
                let architecture = architecture.with_classes(classes.len());
                architecture.validate()?;
                TrainableNetwork::ResNet(Box::new(ResNet::zeros(&architecture, device)))
            }
            None => checkpoint.graph(path, device)?,
        };
        let mut training = Self::assemble(config, network, classes, device)?;
        checkpoint.restore(path, &mut training.networks, &mut training.sgd, device)?;
        training.position = checkpoint.position;
        Ok(training)
    }

    /// The initial state with this network.
    fn assemble(
        config: &TrainConfig,
        network: TrainableNetwork,
        classes: &[String],
        device: &Device,
    ) -> Result<Self> {
        if config.freeze && network.head().is_none() {
            let reason = format!(
                "{} does not end in a linear layer, which alone could be trained",
                network.architecture()
            );
            return Err(Error::Config(reason));
        }
        let teacher = config.distillation.as_ref();
        let teacher =
            teacher.map(|settings| Teacher::open(settings, config.input, classes, device));
        Ok(Self {
            config: config.clone(),
            teacher: teacher.transpose()?,
            manifest: Manifest {
                name: config.name.clone(),
                architecture: network.architecture(),
                input: config.input,
                grey: false,
                normalizer: config.normalizer,
                labels: classes.to_vec(),
                training: config.summary(),
                notes: Vec::new(),
                assumptions: Vec::new(),
            },
            networks: Networks {
                average: config.average.map(|_| network.clone()),
                trained: network,
                best: None,
            },
            sgd: Sgd::new(config.momentum, config.weight_decay),
            position: TrainingPosition::default(),
            device: device.clone(),
        })
    }

    /// Writes a checkpoint.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn save(&mut self, path: &Path) -> Result<()> {
        checkpoint::save(
            path,
            &mut self.networks,
            &self.sgd,
            &self.config,
            &self.position,
        )
    }

    /// A frozen copy of the current model: the moving average of the weights where there is one.
    pub fn classifier(&self) -> Classifier {
        self.frozen(self.networks.average.as_ref())
    }

    /// A frozen copy of `network`, or else of the trained one.
    fn frozen(&self, network: Option<&TrainableNetwork>) -> Classifier {
        let network = network.unwrap_or(&self.networks.trained);
        network.classifier(self.manifest.clone(), &self.device)
    }

    /// Writes the model file: the weights of the best epoch where there is a validation set, else those of
    /// [`Training::classifier`], in half precision, with the manifest.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn export(&mut self, path: &Path) -> Result<()> {
        let Networks {
            trained,
            average,
            best,
        } = &mut self.networks;
        let network = best.as_mut().or(average.as_mut()).unwrap_or(trained);
        let mut weights = network.weights();
        self.manifest.attach(&mut weights);
        weights.write(path, Precision::Half)
    }

    /// One optimiser step on a batch with the learning rate `rate` and ε scaled by `epsilon`, in [0, 1].
    /// Returns the mean loss and the number of correctly classified pictures.
    pub fn step(&mut self, mut batch: Batch, rate: f64, epsilon: f64) -> (f32, usize) {
        let mixing = (self.config.mixup > 0.0)
            .then(|| Mixing::draw(self.config.mixup, self.config.seed, self.position.steps));
        if let Some(mixing) = mixing {
            batch.pictures = mixing.mix(batch.pictures);
        }
        let pictures = self.training_pictures(&batch, epsilon as f32);
        let mut tracked = self.tracked();
        let mut statistics = Vec::new();
        let logits = if self.config.freeze {
            tracked.logits(self.frozen(None).representation(pictures))
        } else {
            let pixels = self.config.normalizer.apply_in(pictures, self.config.mixed);
            tracked.train_forward(pixels, &mut statistics)
        };
        let label_loss = |labels| {
            let log_probabilities = log_softmax(logits.clone(), 1);
            smoothed_cross_entropy(log_probabilities, labels, self.config.smoothing)
        };
        let mut loss = match mixing {
            Some(mixing) => mixing.loss(batch.labels.clone(), label_loss),
            None => label_loss(batch.labels.clone()),
        };
        if let Some(teacher) = &self.teacher {
            loss = teacher.loss(batch.pictures.clone(), logits.clone(), loss);
        }
        let gradients = take_gradients(&mut tracked, &mut loss.backward());
        let network = &mut self.networks.trained;
        self.sgd.step(network, gradients, rate);
        update_running_statistics(network, statistics);
        self.position.steps += 1;
        if let (Some(kept), Some(average)) = (self.config.average, &mut self.networks.average) {
            // Less memory in the first steps, so that the initial weights have little influence.
            let steps = self.position.steps as f64;
            let kept = kept.min((1.0 + steps) / (10.0 + steps));
            WeightAverage::of(network, 1.0 - kept).blend_into(average);
        }
        let right = logits.inner().argmax(1).equal(batch.labels).int().sum();
        (
            loss.inner().into_scalar::<f32>(),
            right.into_scalar::<i32>() as usize,
        )
    }

    /// The trained network on the autodiff graph: all of it, or the last layer alone.
    fn tracked(&self) -> TrainableNetwork {
        let network = &self.networks.trained;
        match network.head() {
            Some(head) if self.config.freeze => require_gradients_under(network, &head),
            _ => require_gradients(network),
        }
    }

    /// The adversarial pictures to train on, attacked with the network in inference mode, so that the
    /// attack does not change the running statistics (as in MadryLab's robustness library).
    fn training_pictures(&self, batch: &Batch, epsilon: f32) -> Tensor<4> {
        let pictures = &batch.pictures;
        let attack = match &self.config.attack {
            Some(attack) if epsilon > 0.0 => attack,
            _ => return pictures.clone(),
        };
        let attack = Attack {
            epsilon: attack.epsilon * epsilon,
            step_size: attack.step_size.map(|step| step * epsilon),
            seed: self.noise_seed(),
            ..attack.clone()
        };
        let model = self.frozen(None);
        let (classes, noise_ids) = (&batch.classes, &batch.indices);
        match self.config.noise {
            Some(noise) => attack.run_n_fgsm(noise, &model, pictures, classes, noise_ids),
            None => attack.run_to_last(&model, pictures, classes, noise_ids),
        }
    }

    /// Scale of ε at the current step, in [0, 1].
    fn epsilon_share(&self, steps_per_epoch: usize) -> f64 {
        let TrainingPosition { epoch, step, .. } = self.position;
        let done = epoch as f64 + step as f64 / steps_per_epoch as f64;
        let share = |schedule: EpsilonSchedule| schedule.share(done / self.config.epochs as f64);
        self.config.epsilon_schedule.map_or(1.0, share)
    }

    /// Seed of the random starts of attacks: another one every epoch.
    fn noise_seed(&self) -> u64 {
        self.config
            .seed
            .wrapping_add(1 + self.position.epoch as u64)
    }

    /// Runs the current epoch to its end (`true`) or to an interruption (`false`).
    fn epoch(
        &mut self,
        data: &Dataset,
        watch: &TrainingWatch,
        progress_bar: &ProgressBar,
        status: &mut StatusWriter,
    ) -> Result<bool> {
        let TrainingPosition {
            epoch, step: first, ..
        } = self.position;
        let config = &self.config;
        let batches = Batches::new(data, config.augmentation, config.batch, config.seed, epoch);
        for step in first..batches.len() {
            if watch.cancel.is_cancelled() || status.is_asked_to_pause() {
                return Ok(false);
            }
            let started = Instant::now();
            let rate = self.config.schedule.rate(epoch, step, batches.len());
            let batch = batches.get(step, &self.device);
            let count = batch.classes.len();
            let epsilon = self.epsilon_share(batches.len());
            let (loss, right) = self.step(batch, rate, epsilon);
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
            let epochs = epoch as f64 + (step + 1) as f64 / batches.len() as f64;
            status.step(epochs, loss, [right, count], seconds)?;
            let throughput = count as f64 / seconds;
            progress_bar.inc(1);
            progress_bar.set_message(format!(
                "epoch {}, loss {loss:.3}, {throughput:.0} pictures/s",
                epoch + 1
            ));
        }
        Ok(true)
    }

    /// Finishes the epoch: evaluates the model and resets the sums.
    ///
    /// # Errors
    /// [`Error::Diverged`] when a weight is not finite.
    fn finish_epoch(
        &mut self,
        data: &Dataset,
        monitoring: &MonitoringSets,
    ) -> Result<EpochMetrics> {
        let TrainingPosition {
            epoch,
            loss_sum,
            right,
            seconds,
            epoch_seconds,
            step: batches,
            steps,
            best,
        } = self.position;
        if !Weights::of(&mut self.networks.trained).is_finite() {
            return Err(Error::Diverged {
                epoch: epoch + 1,
                step: batches,
                loss: f32::NAN,
            });
        }
        let pictures = (batches * self.config.batch.min(data.len())) as f64;
        let model = self.classifier();
        let attack = self.config.monitoring_attack();
        let accuracy = |data: &Option<Dataset>, attack: Option<&Attack>| {
            data.as_ref()
                .map(|data| evaluate::accuracy(&model, data, attack))
        };
        let metrics = EpochMetrics {
            epoch: epoch + 1,
            rate: self.config.schedule.rate(epoch, batches - 1, batches),
            train_loss: loss_sum / batches as f64,
            train_accuracy: right as f64 / pictures,
            test_accuracy: accuracy(&monitoring.test, None),
            test_robust_accuracy: accuracy(&monitoring.test, Some(&attack)),
            validation_accuracy: accuracy(&monitoring.validation, None),
            validation_robust_accuracy: accuracy(&monitoring.validation, Some(&attack)),
            throughput: pictures / epoch_seconds.max(1e-9),
            seconds,
        };
        self.position = TrainingPosition {
            epoch: epoch + 1,
            seconds,
            steps,
            best,
            ..TrainingPosition::default()
        };
        self.update_best(&metrics);
        Ok(metrics)
    }

    /// Saves the weights of the best epoch by validation accuracy, for adversarial training by robust
    /// accuracy. Epochs before ε reaches its full value do not count.
    fn update_best(&mut self, metrics: &EpochMetrics) {
        let score = match &self.config.attack {
            Some(_) => metrics.validation_robust_accuracy,
            None => metrics.validation_accuracy,
        };
        let whole = self
            .config
            .epsilon_schedule
            .map_or(0.0, |schedule| schedule.full);
        let counts = metrics.epoch as f64 >= whole * self.config.epochs as f64;
        let Some(score) = score.filter(|_| counts) else {
            return;
        };
        if self.position.best.is_none_or(|(_, best)| score > best) {
            self.position.best = Some((metrics.epoch, score));
            let average = self.networks.average.as_ref();
            self.networks.best = Some(average.unwrap_or(&self.networks.trained).clone());
        }
    }

    /// Whether all epochs are done, or early stopping applies.
    fn is_finished(&self) -> bool {
        let TrainingPosition { epoch, best, .. } = self.position;
        let patience = self.config.patience;
        let waited = best.map_or(0, |(best, _)| epoch - best);
        epoch >= self.config.epochs || (patience > 0 && waited >= patience)
    }
}

/// Data sets that a training is evaluated on after every epoch.
struct MonitoringSets {
    /// Test pictures, whose metrics are only reported.
    test: Option<Dataset>,
    /// Validation pictures, split off the training set, which select the best epoch.
    validation: Option<Dataset>,
}

/// Outcome of a training run.
#[derive(Debug, PartialEq, Eq)]
pub enum TrainingOutcome {
    /// All epochs are done; path of the model file.
    Finished(PathBuf),
    /// It was interrupted; path of the checkpoint, to be resumed with `--resume`.
    Interrupted(PathBuf),
}

/// Trains into the folder `out`: `checkpoint.safetensors`, `metrics.csv`, and at the end
/// `model.safetensors`.
///
/// With `resume`, continues from the folder's checkpoint with the checkpoint's own config.
///
/// # Errors
/// [`Error::Config`] and [`Error::Data`] before the first step; [`Error::Diverged`], which leaves the
/// last checkpoint in place; [`Error::Io`] where an output cannot be written.
pub fn train(
    config: &TrainConfig,
    out: &Path,
    resume: bool,
    device: &Device,
    watch: &TrainingWatch,
) -> Result<TrainingOutcome> {
    let outcome = train_unrecorded(config, out, resume, device, watch);
    if let (Err(error), true) = (&outcome, out.is_dir() && !is_running(out)) {
        // What went wrong counts more than that it could not be recorded.
        let _ = record_phase(out, Phase::Failed, Some(error.to_string()));
    }
    outcome
}

fn train_unrecorded(
    config: &TrainConfig,
    out: &Path,
    resume: bool,
    device: &Device,
    watch: &TrainingWatch,
) -> Result<TrainingOutcome> {
    let path = out.join(CHECKPOINT);
    let config = if resume {
        &Checkpoint::read(&path)?.config
    } else {
        config
    };
    let kept = config.augmentation.stored_size(config.input);
    let mut data = Dataset::open(&config.data, Split::Train, kept)?;
    data.log_skipped();
    if config.validation * 2 > data.len() {
        let reason = format!(
            "a validation set of {} pictures cannot be split off {}; at most half of them can",
            config.validation,
            data.len()
        );
        return Err(Error::data(&config.data, reason));
    }
    let monitoring = MonitoringSets {
        test: monitored(&config.data, config.input, config.monitor, &data.classes)?,
        validation: (config.validation > 0)
            .then(|| data.split_off(config.validation).resized(config.input)),
    };
    let mut training = if resume {
        Training::resume(&path, &data.classes, device)?
    } else {
        Training::new(config, &data.classes, device)?
    };
    std::fs::create_dir_all(out).map_err(|error| Error::io(out, "create", error))?;
    let mut metrics = Metrics::open(&out.join("metrics.csv"), training.position.epoch)?;
    let batches = data.len() / config.batch.min(data.len());
    let (total, done) = (
        config.epochs * batches,
        training.position.epoch * batches + training.position.step,
    );
    let progress_bar = watch.progress_bar(total, done);
    let mut status = StatusWriter::new(out, done, total)?;
    while !training.is_finished() {
        if !training.epoch(&data, watch, &progress_bar, &mut status)? {
            training.save(&path)?;
            status.enter(Phase::Paused)?;
            return Ok(TrainingOutcome::Interrupted(path));
        }
        let row = training.finish_epoch(&data, &monitoring)?;
        watch.tell(&progress_bar, &describe(&row, &config.monitoring_attack()));
        metrics.push(row)?;
        training.save(&path)?;
    }
    let model = out.join("model.safetensors");
    training.export(&model)?;
    status.enter(if config.twin {
        Phase::Measuring
    } else {
        Phase::Finished
    })?;
    Ok(TrainingOutcome::Finished(model))
}

/// A subset of `count` test pictures to monitor a training, if the data set has a test split.
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
    test.subsample(count);
    test.relabel(classes)
        .map_err(|reason| Error::data(data, reason))?;
    Ok(Some(test))
}

fn describe(row: &EpochMetrics, attack: &Attack) -> String {
    let percent =
        |value: Option<f64>| value.map_or("–".into(), |value| format!("{:.2} %", value * 100.0));
    format!(
        "epoch {}: loss {:.4}, training accuracy {}, test accuracy {}, under {attack} {}, validation accuracy {}, under attack {}, {:.0} pictures/s",
        row.epoch,
        row.train_loss,
        percent(Some(row.train_accuracy)),
        percent(row.test_accuracy),
        percent(row.test_robust_accuracy),
        percent(row.validation_accuracy),
        percent(row.validation_robust_accuracy),
        row.throughput
    )
}
