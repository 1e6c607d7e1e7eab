//! The model-randomisation check (Adebayo et al. 2018, section 4): a map that stays the same when
//! the model's weights are replaced by noise does not explain the model.

use rand_distr::{Distribution, StandardNormal};

use crate::data::random::noise_rng;
use crate::model::import::ModelSource;
use crate::model::{DISCRIMINATOR, Weights};

/// What is randomised, from the output down; each stage includes the one before.
pub const RANDOMISED: [&str; 3] = ["last layer", "last stage too", "all layers"];

/// A model with kernels replaced by noise of the same mean and deviation; `stage` is an index into
/// [`RANDOMISED`]. Biases and normalisation stay.
pub fn randomised(source: &ModelSource, stage: usize) -> ModelSource {
    match source {
        ModelSource::Weights(weights) => {
            ModelSource::Weights(randomised_weights(weights.clone(), stage))
        }
        ModelSource::Graph(graph, manifest) => {
            let noise = |number, values: &mut [f32]| scramble(values, number);
            ModelSource::Graph(Box::new(graph.reweighted(stage, noise)), manifest.clone())
        }
    }
}

fn randomised_weights(mut weights: Weights, stage: usize) -> Weights {
    // In a file that holds more than a classifier, its tensors begin with a word of their own.
    let own = |name: &str| name.strip_prefix(DISCRIMINATOR).unwrap_or(name).to_owned();
    let stages = weights.tensors.keys().filter_map(|name| {
        let name = own(name);
        let number = name.strip_prefix("layer")?.split('.').next()?;
        number.parse::<usize>().ok()
    });
    let last = format!("layer{}.", stages.max().unwrap_or(0));
    let meant = |name: &str| match stage {
        0 => own(name).starts_with("fc."),
        1 => own(name).starts_with("fc.") || own(name).starts_with(&last),
        _ => true,
    };
    for (number, (name, array)) in weights.tensors.iter_mut().enumerate() {
        if array.shape.len() > 1 && meant(name) {
            scramble(&mut array.values, number as u64);
        }
    }
    weights
}

fn scramble(values: &mut [f32], number: u64) {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count;
    let mut rng = noise_rng(0, number);
    for value in values {
        let noise: f32 = StandardNormal.sample(&mut rng);
        *value = mean + variance.sqrt() * noise;
    }
}
