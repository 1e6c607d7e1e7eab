//! Checkpoints: everything that the rest of a training depends on, in one safetensors file.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::sgd::Sgd;
use crate::error::{Error, Result};
use crate::model::{Array, Precision, ResNet, Weights};

/// Where in a training a checkpoint was taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Finished epochs.
    pub epoch: usize,
    /// Finished steps of the epoch under way.
    pub step: usize,
    /// Sum of the losses of those steps.
    pub loss_sum: f64,
    /// Pictures classified right in those steps.
    pub right: usize,
    /// Seconds of computing so far.
    pub seconds: f64,
    /// Seconds of computing in the epoch under way.
    #[serde(default)]
    pub epoch_seconds: f64,
    /// Finished steps of the whole training.
    #[serde(default)]
    pub steps: usize,
    /// The best epoch so far, from 1 on, and its accuracy on the pictures set aside.
    #[serde(default)]
    pub best: Option<(usize, f64)>,
}

const VELOCITY: &str = "velocity.";
const AVERAGE: &str = "average.";
const BEST: &str = "best.";
const CONFIG: &str = "config";
const POSITION: &str = "position";

/// The networks of a training: the one that is trained, and copies of it where they are kept.
#[derive(Clone, Debug)]
pub struct Networks {
    /// The weights that steps are made from.
    pub trained: ResNet,
    /// The moving average of the weights.
    pub average: Option<ResNet>,
    /// The weights, averaged if they are, of the best epoch.
    pub best: Option<ResNet>,
}

/// Writes a checkpoint, whole or not at all.
pub fn save(
    path: &Path,
    networks: &mut Networks,
    sgd: &Sgd,
    config: &TrainConfig,
    position: &Position,
) -> Result<()> {
    let mut weights = Weights::of(&mut networks.trained);
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

/// A checkpoint that has been read but not yet put into a network.
pub struct Checkpoint {
    /// The training it belongs to.
    pub config: TrainConfig,
    /// Where it was taken.
    pub position: Position,
    weights: Weights,
    velocities: BTreeMap<String, Array>,
    average: Weights,
    best: Weights,
}

impl Checkpoint {
    /// Reads a checkpoint.
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

    /// Puts weights and velocities where they were.
    pub fn restore(
        &self,
        path: &Path,
        networks: &mut Networks,
        sgd: &mut Sgd,
        device: &Device,
    ) -> Result<()> {
        let fill = |weights: &Weights, network: &mut ResNet| {
            let filled = weights.fill(network);
            filled.map_err(|mismatch| Error::Tensors {
                path: path.into(),
                architecture: network.config().to_string(),
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
