//! Checkpoints of both networks, their averages and both optimisers, in one safetensors file.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::config::CounterfactualConfig;
use super::step::{CounterfactualTraining, Terms};
use crate::error::{Error, Result};
use crate::model::{Array, Parameters, Precision, Weights};
use crate::train::adam::Adam;

/// Where in a training a checkpoint was taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CounterfactualPosition {
    /// Finished epochs.
    pub epoch: usize,
    /// Finished steps of the epoch under way.
    pub step: usize,
    /// Sums of the terms of those steps.
    pub sums: Terms,
    /// Seconds of computing so far.
    pub seconds: f64,
    /// Seconds of computing in the epoch under way.
    pub epoch_seconds: f64,
}

/// Everything about a training that is not a tensor.
#[derive(Serialize, Deserialize)]
struct Head {
    config: CounterfactualConfig,
    position: CounterfactualPosition,
    /// Steps of the discriminator's and the generator's optimiser.
    steps: [usize; 2],
}

const KEY: &str = "counterfactual training";
const DISCRIMINATOR: &str = "critic.";
const GENERATOR: &str = "generator.";
const DISCRIMINATOR_AVERAGE: &str = "critic average.";
const GENERATOR_AVERAGE: &str = "generator average.";
/// First and second moments of the discriminator's and the generator's optimiser.
const MOMENTS: [[&str; 2]; 2] = [
    ["critic mean.", "critic square."],
    ["generator mean.", "generator square."],
];

/// Writes a checkpoint, whole or not at all.
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
    let head = Head {
        config: training.config.clone(),
        position: position.clone(),
        steps,
    };
    let text = serde_json::to_string(&head).expect("plain data");
    weights.metadata.insert(KEY.into(), text);
    weights.write(path, Precision::Single)
}

/// A checkpoint that has been read but not yet put into networks.
pub struct CounterfactualCheckpoint {
    head: Head,
    weights: Weights,
}

impl CounterfactualCheckpoint {
    /// Reads a checkpoint.
    pub fn read(path: &Path) -> Result<Self> {
        let weights = Weights::read(path)?;
        let text = weights.metadata.get(KEY);
        let text = text.ok_or_else(|| {
            Error::model(path, "it is no checkpoint of a training of counterfactuals")
        })?;
        let head = serde_json::from_str(text).map_err(|error| Error::model(path, error))?;
        Ok(Self { head, weights })
    }

    /// The training it belongs to.
    pub fn config(&self) -> &CounterfactualConfig {
        &self.head.config
    }

    /// Where it was taken.
    pub fn position(&self) -> &CounterfactualPosition {
        &self.head.position
    }

    /// The training as it was, and where.
    pub fn restore(
        self,
        path: &Path,
        classes: &[String],
        device: &Device,
    ) -> Result<(CounterfactualTraining, CounterfactualPosition)> {
        let mut training = CounterfactualTraining::new(&self.head.config, classes, device)?;
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
            if !moments.iter().all(|moments| belong(moments, &owner)) {
                return Err(Error::model(path, "its moments do not fit its weights"));
            }
            adam.restore(self.head.steps[index], &moments, device);
        }
        Ok((training, self.head.position))
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

/// Whether every moment is as long as the tensor it belongs to.
fn belong(moments: &BTreeMap<String, Array>, owner: &BTreeMap<String, Array>) -> bool {
    moments.iter().all(|(name, moment)| {
        let owner = owner.get(name);
        owner.is_some_and(|owner| owner.values.len() == moment.values.len())
    })
}
