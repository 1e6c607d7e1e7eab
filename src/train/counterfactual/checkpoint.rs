//! Checkpoints of a counterfactual training: both networks, their averages and both optimisers in one
//! safetensors file.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::config::CounterfactualConfig;
use super::losses::LossTerms;
use super::step::CounterfactualTraining;
use crate::error::{Error, Result};
use crate::model::{Array, Parameters, Precision, Weights};
use crate::train::adam::Adam;

/// Position in a training at which a checkpoint was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CounterfactualPosition {
    /// Number of finished epochs.
    pub epoch: usize,
    /// Finished steps of the current epoch.
    pub step: usize,
    /// Sums of the loss terms over the current epoch's steps.
    pub sums: LossTerms,
    /// Training time so far, in seconds.
    pub seconds: f64,
    /// Training time of the current epoch, in seconds.
    pub epoch_seconds: f64,
}

/// Metadata of a checkpoint: all state that is not a tensor.
#[derive(Serialize, Deserialize)]
struct CheckpointMetadata {
    config: CounterfactualConfig,
    position: CounterfactualPosition,
    /// Number of steps of the discriminator's and of the generator's optimiser.
    steps: [usize; 2],
}

const KEY: &str = "counterfactual training";
const DISCRIMINATOR: &str = "critic.";
const GENERATOR: &str = "generator.";
const DISCRIMINATOR_AVERAGE: &str = "critic average.";
const GENERATOR_AVERAGE: &str = "generator average.";
/// Prefixes of the first and second moments of the discriminator's and of the generator's optimiser.
const MOMENTS: [[&str; 2]; 2] = [
    ["critic mean.", "critic square."],
    ["generator mean.", "generator square."],
];

/// Writes a checkpoint atomically.
pub fn save(
    path: &Path,
    training: &mut CounterfactualTraining,
    position: &CounterfactualPosition,
) -> Result<()> {
    let mut weights = Weights::default();
    weights.add_under(
        DISCRIMINATOR,
        Weights::of(&mut training.discriminator).tensors,
    );
    weights.add_under(GENERATOR, Weights::of(&mut training.generator).tensors);
    let discriminator = Weights::of(&mut training.discriminator_average);
    weights.add_under(DISCRIMINATOR_AVERAGE, discriminator.tensors);
    let generator = Weights::of(&mut training.generator_average);
    weights.add_under(GENERATOR_AVERAGE, generator.tensors);
    let states = [&training.discriminator_adam, &training.generator_adam].map(Adam::state);
    let steps = states.each_ref().map(|(steps, _)| *steps);
    for ((_, moments), names) in states.into_iter().zip(MOMENTS) {
        for (moment, name) in moments.into_iter().zip(names) {
            weights.add_under(name, moment);
        }
    }
    let metadata = CheckpointMetadata {
        config: training.config.clone(),
        position: position.clone(),
        steps,
    };
    let text = serde_json::to_string(&metadata).expect("plain data");
    weights.metadata.insert(KEY.into(), text);
    weights.write(path, Precision::Single)
}

/// A checkpoint read from a file.
pub struct CounterfactualCheckpoint {
    metadata: CheckpointMetadata,
    weights: Weights,
}

impl CounterfactualCheckpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// [`Error::Model`] where the file is no such checkpoint, and the errors of reading weights.
    pub fn read(path: &Path) -> Result<Self> {
        let weights = Weights::read(path)?;
        let text = weights.metadata.get(KEY);
        let text = text.ok_or_else(|| {
            Error::model(path, "it is no checkpoint of a training of counterfactuals")
        })?;
        let metadata = serde_json::from_str(text).map_err(|error| Error::model(path, error))?;
        Ok(Self { metadata, weights })
    }

    /// Configuration of the training.
    pub fn config(&self) -> &CounterfactualConfig {
        &self.metadata.config
    }

    /// Position of the training.
    pub fn position(&self) -> &CounterfactualPosition {
        &self.metadata.position
    }

    /// Restores the training and its position.
    ///
    /// # Errors
    /// [`Error::Tensors`] and [`Error::Model`] where the tensors do not match the configuration.
    pub fn restore(
        self,
        path: &Path,
        classes: &[String],
        device: &Device,
    ) -> Result<(CounterfactualTraining, CounterfactualPosition)> {
        let mut training = CounterfactualTraining::new(&self.metadata.config, classes, device)?;
        self.fill(path, DISCRIMINATOR, &mut training.discriminator)?;
        self.fill(path, GENERATOR, &mut training.generator)?;
        self.fill(
            path,
            DISCRIMINATOR_AVERAGE,
            &mut training.discriminator_average,
        )?;
        self.fill(path, GENERATOR_AVERAGE, &mut training.generator_average)?;
        let optimisers = [
            &mut training.discriminator_adam,
            &mut training.generator_adam,
        ];
        let owners = [DISCRIMINATOR, GENERATOR];
        for (index, adam) in optimisers.into_iter().enumerate() {
            let owner = self.weights.under(owners[index]).tensors;
            let moments = MOMENTS[index].map(|name| self.weights.under(name).tensors);
            if !moments.iter().all(|moments| lengths_match(moments, &owner)) {
                return Err(Error::model(path, "its moments do not fit its weights"));
            }
            adam.restore(self.metadata.steps[index], &moments, device);
        }
        Ok((training, self.metadata.position))
    }

    fn fill(&self, path: &Path, prefix: &str, network: &mut impl Parameters) -> Result<()> {
        let filled = self.weights.under(prefix).fill(network);
        filled.map_err(|mismatch| Error::Tensors {
            path: path.into(),
            architecture: format!("the training's {}", prefix.trim_end_matches('.')),
            mismatch,
        })
    }
}

/// Whether every moment has the length of its parameter.
fn lengths_match(moments: &BTreeMap<String, Array>, owner: &BTreeMap<String, Array>) -> bool {
    moments.iter().all(|(name, moment)| {
        let owner = owner.get(name);
        owner.is_some_and(|owner| owner.values.len() == moment.values.len())
    })
}
