//! Progress bar and metrics file (`metrics.csv`) of a training.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::tasks::CancelToken;

/// Metrics of one epoch, a row of `metrics.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Number of finished epochs.
    pub epoch: usize,
    /// Learning rate of the epoch's last step.
    pub rate: f64,
    /// Mean training loss; on adversarial pictures in adversarial training.
    pub train_loss: f64,
    /// Training accuracy on the same pictures, in [0, 1].
    pub train_accuracy: f64,
    /// Accuracy on the monitored test pictures; empty without a test split.
    pub test_accuracy: Option<f64>,
    /// Robust accuracy on them, under
    /// [`TrainConfig::monitoring_attack`](super::TrainConfig::monitoring_attack).
    pub test_robust_accuracy: Option<f64>,
    /// Accuracy on the validation set; empty without one.
    pub validation_accuracy: Option<f64>,
    /// Robust accuracy on the validation set, under the same attack.
    pub validation_robust_accuracy: Option<f64>,
    /// Training pictures per second.
    pub throughput: f64,
    /// Training time in seconds since the start, resumed runs included.
    pub seconds: f64,
}

/// A CSV file of metrics, a row for each epoch, rewritten atomically after every epoch.
pub struct Metrics<Row> {
    path: PathBuf,
    rows: Vec<Row>,
}

impl<Row: Serialize + DeserializeOwned> Metrics<Row> {
    /// Reads the rows of the first `epochs` epochs, if the file exists.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read or parsed.
    pub fn open(path: &Path, epochs: usize) -> Result<Self> {
        let mut rows = Vec::new();
        if epochs > 0 && path.exists() {
            let reading = |error: csv::Error| Error::io(path, "read", error);
            let mut reader = csv::Reader::from_path(path).map_err(reading)?;
            for row in reader.deserialize::<Row>().take(epochs) {
                rows.push(row.map_err(reading)?);
            }
        }
        Ok(Self {
            path: path.into(),
            rows,
        })
    }

    /// Adds a row and writes the file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub fn push(&mut self, row: Row) -> Result<()> {
        self.rows.push(row);
        let writing = |error: String| Error::io(&self.path, "write", error);
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in &self.rows {
            writer
                .serialize(row)
                .map_err(|error| writing(error.to_string()))?;
        }
        let bytes = writer
            .into_inner()
            .map_err(|error| writing(error.to_string()))?;
        crate::files::write_atomically(&self.path, &bytes)
    }
}

/// How whoever runs a training follows it and stops it.
#[derive(Clone, Debug, Default)]
pub struct TrainingWatch {
    /// Stops the training after the current step.
    pub cancel: CancelToken,
    /// Whether neither progress nor the figures of epochs go to standard error.
    pub quiet: bool,
}

impl TrainingWatch {
    /// The bar over `total` steps, of which `done` are done.
    pub(super) fn progress_bar(&self, total: usize, done: usize) -> ProgressBar {
        let bar = ProgressBar::new(total as u64).with_position(done as u64);
        if self.quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let template = "{elapsed_precise} {wide_bar} {pos}/{len} steps, {msg}, {eta} left";
        bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        bar.reset_eta();
        bar
    }

    /// Prints the figures of an epoch above the bar.
    pub(super) fn tell(&self, bar: &ProgressBar, figures: &str) {
        if !self.quiet {
            bar.suspend(|| eprintln!("{figures}"));
        }
    }
}
