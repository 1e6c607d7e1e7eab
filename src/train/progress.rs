//! What a person watching a training sees, and the table it leaves behind.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One line of `metrics.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Finished epochs.
    pub epoch: usize,
    /// Learning rate of the last step.
    pub rate: f64,
    /// Mean training loss, on adversarial pictures where they are trained on.
    pub train_loss: f64,
    /// Training accuracy on the same pictures.
    pub train_accuracy: f64,
    /// Accuracy on the monitored test pictures; empty without a test split.
    pub test_accuracy: Option<f64>,
    /// The same under [`TrainConfig::watched_attack`](super::TrainConfig::watched_attack).
    pub test_robust_accuracy: Option<f64>,
    /// Accuracy on the training pictures set aside; empty without any.
    pub validation_accuracy: Option<f64>,
    /// The same under the same attack.
    pub validation_robust_accuracy: Option<f64>,
    /// Training pictures a second.
    pub throughput: f64,
    /// Seconds of computing since the start.
    pub seconds: f64,
}

/// The file of metrics, a row for each epoch, rewritten whole after every one.
pub struct Metrics<Row> {
    path: PathBuf,
    rows: Vec<Row>,
}

impl<Row: Serialize + DeserializeOwned> Metrics<Row> {
    /// Reads the lines of the first `epochs` epochs, if the file is there.
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

    /// Adds a line and writes the file.
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

/// A progress bar over the steps of a whole training, silent when nobody watches.
pub fn bar(total: usize, done: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64).with_position(done as u64);
    let template = "{elapsed_precise} {wide_bar} {pos}/{len} steps, {msg}, {eta} left";
    bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
    bar.reset_eta();
    bar
}
