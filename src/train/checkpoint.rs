//! Checkpoints: everything that the rest of a training depends on, in one safetensors file.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::sgd::Sgd;
use crate::error::{Error, Result};
use crate::model::{Precision, ResNet, Weights};

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
}

const VELOCITY: &str = "velocity.";
const CONFIG: &str = "config";
const POSITION: &str = "position";

/// Writes a checkpoint, whole or not at all.
pub fn save(
    path: &Path,
    network: &mut ResNet,
    sgd: &Sgd,
    config: &TrainConfig,
    position: &Position,
) -> Result<()> {
    let mut weights = Weights::of(network);
    let velocities = sgd.state().into_iter();
    weights
        .tensors
        .extend(velocities.map(|(name, array)| (format!("{VELOCITY}{name}"), array)));
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
    velocities: BTreeMap<String, crate::model::Array>,
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
        let is_velocity = |name: &String| name.starts_with(VELOCITY);
        let (velocities, tensors): (BTreeMap<_, _>, BTreeMap<_, _>) = weights
            .tensors
            .into_iter()
            .partition(|(name, _)| is_velocity(name));
        weights.tensors = tensors;
        let strip = |(name, array): (String, _)| (name[VELOCITY.len()..].to_owned(), array);
        Ok(Self {
            config: serde_json::from_str(&config).map_err(parsing)?,
            position: serde_json::from_str(&position).map_err(parsing)?,
            weights,
            velocities: velocities.into_iter().map(strip).collect(),
        })
    }

    /// Puts weights and velocities where they were.
    pub fn restore(
        &self,
        path: &Path,
        network: &mut ResNet,
        sgd: &mut Sgd,
        device: &Device,
    ) -> Result<()> {
        self.weights
            .fill(network)
            .map_err(|mismatch| Error::Tensors {
                path: path.into(),
                architecture: network.config().to_string(),
                mismatch,
            })?;
        let fits = |(name, velocity): (&String, &crate::model::Array)| {
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
