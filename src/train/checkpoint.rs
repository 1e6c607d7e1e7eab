//! Training checkpoints: weights, averages, optimiser state, configuration and position in one
//! safetensors file.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::network::TrainableNetwork;
use super::sgd::Sgd;
use crate::error::{Error, Result};
use crate::model::{Architecture, Array, Graph, Precision, Weights};

/// Position in a training at which a checkpoint was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingPosition {
    /// Number of finished epochs.
    pub epoch: usize,
    /// Finished steps of the current epoch.
    pub step: usize,
    /// Sum of the losses of the current epoch's steps.
    pub loss_sum: f64,
    /// Correctly classified pictures in the current epoch's steps.
    pub right: usize,
    /// Training time so far, in seconds.
    pub seconds: f64,
    /// Training time of the current epoch, in seconds.
    #[serde(default)]
    pub epoch_seconds: f64,
    /// Finished steps of the whole training.
    #[serde(default)]
    pub steps: usize,
    /// The best epoch so far, counted from 1, and its validation accuracy.
    #[serde(default)]
    pub best: Option<(usize, f64)>,
}

const VELOCITY: &str = "velocity.";
const AVERAGE: &str = "average.";
const BEST: &str = "best.";
const CONFIG: &str = "config";
const POSITION: &str = "position";

/// The networks of a training: the trained one, its moving average and its best epoch.
#[derive(Clone, Debug)]
pub struct Networks {
    /// The network that the optimiser updates.
    pub trained: TrainableNetwork,
    /// Exponential moving average of the weights, if there is one.
    pub average: Option<TrainableNetwork>,
    /// Weights (or averaged weights) of the best epoch, with a validation set.
    pub best: Option<TrainableNetwork>,
}

/// Writes a checkpoint atomically.
///
/// # Errors
/// [`Error::Io`] where it cannot be written.
pub fn save(
    path: &Path,
    networks: &mut Networks,
    sgd: &Sgd,
    config: &TrainConfig,
    position: &TrainingPosition,
) -> Result<()> {
    let mut weights = networks.trained.weights();
    weights.add_under(VELOCITY, sgd.state());
    for (prefix, network) in [(AVERAGE, &mut networks.average), (BEST, &mut networks.best)] {
        if let Some(network) = network {
            weights.add_under(prefix, Weights::of(network).tensors);
        }
    }
    let json = |value: serde_json::Result<String>| value.expect("plain data");
    weights
        .metadata
        .insert(CONFIG.into(), json(serde_json::to_string(config)));
    weights
        .metadata
        .insert(POSITION.into(), json(serde_json::to_string(position)));
    weights.write(path, Precision::Single)
}

/// A checkpoint read from a file.
pub struct Checkpoint {
    /// Configuration of the training.
    pub config: TrainConfig,
    /// Position of the training.
    pub position: TrainingPosition,
    weights: Weights,
    velocities: BTreeMap<String, Array>,
    average: Weights,
    best: Weights,
}

impl Checkpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// [`Error::Model`] where the file is no checkpoint, and the errors of reading weights.
    pub fn read(path: &Path) -> Result<Self> {
        let mut weights = Weights::read(path)?;
        let text = |key: &str| {
            let missing = || Error::model(path, "it is no checkpoint of a training");
            weights.metadata.get(key).cloned().ok_or_else(missing)
        };
        let (config, position) = (text(CONFIG)?, text(POSITION)?);
        let parsing = |error: serde_json::Error| Error::model(path, error);
        let [velocities, average, best] =
            [VELOCITY, AVERAGE, BEST].map(|prefix| weights.under(prefix));
        let is_extra = |name: &str| {
            [VELOCITY, AVERAGE, BEST]
                .iter()
                .any(|p| name.starts_with(p))
        };
        weights.tensors.retain(|name, _| !is_extra(name));
        Ok(Self {
            config: serde_json::from_str(&config).map_err(parsing)?,
            position: serde_json::from_str(&position).map_err(parsing)?,
            weights,
            velocities: velocities.tensors,
            average,
            best,
        })
    }

    /// The graph in training, for a training whose network is no residual network of the configuration.
    ///
    /// # Errors
    /// [`Error::Model`] where there is none or it does not fit the input.
    pub fn graph(&self, path: &Path, device: &Device) -> Result<TrainableNetwork> {
        let (graph, summary) = Graph::from_weights(&self.weights, self.config.input, device)
            .map_err(|reason| Error::model(path, reason))?;
        Ok(TrainableNetwork::Graph {
            graph: Box::new(graph),
            architecture: Architecture::Graph(summary),
        })
    }

    /// Restores weights, averages and optimiser state.
    ///
    /// # Errors
    /// [`Error::Tensors`] and [`Error::Model`] where they do not match the networks.
    pub fn restore(
        &self,
        path: &Path,
        networks: &mut Networks,
        sgd: &mut Sgd,
        device: &Device,
    ) -> Result<()> {
        let fill = |weights: &Weights, network: &mut TrainableNetwork| {
            let filled = weights.fill(network);
            filled.map_err(|mismatch| Error::Tensors {
                path: path.into(),
                architecture: network.architecture().to_string(),
                mismatch,
            })
        };
        fill(&self.weights, &mut networks.trained)?;
        if let Some(average) = &mut networks.average {
            fill(&self.average, average)?;
        }
        if !self.best.tensors.is_empty() {
            let mut best = networks.trained.clone();
            fill(&self.best, &mut best)?;
            networks.best = Some(best);
        }
        let fits = |(name, velocity): (&String, &Array)| {
            let weights = self.weights.tensors.get(name);
            weights.is_some_and(|weights| weights.values.len() == velocity.values.len())
        };
        if !self.velocities.iter().all(fits) {
            return Err(Error::model(path, "its velocities do not fit its weights"));
        }
        sgd.restore(&self.velocities, device);
        Ok(())
    }
}
