//! Sanity check by model-parameter randomisation (Adebayo et al. 2018, section 4): a map that does not
//! change when the weights are replaced by noise does not explain the model.

use rand_distr::{Distribution, StandardNormal};

use crate::data::random::noise_rng;
use crate::model::import::{GraphSource, ModelSource};
use crate::model::{DISCRIMINATOR, Weights};

/// Cascading randomisation from the output down: the layers of each stage, which include those of the
/// stage before.
pub const RANDOMISED: [&str; 3] = ["last layer", "last stage too", "all layers"];

/// A model with weights replaced by Gaussian noise of the same mean and standard deviation; `stage` is
/// an index into [`RANDOMISED`]. Biases and normalisation are kept.
pub fn randomised(source: &ModelSource, stage: usize) -> ModelSource {
    match source {
        ModelSource::Weights(weights) => {
            ModelSource::Weights(randomised_weights(weights.clone(), stage))
        }
        ModelSource::Graph(source) => {
            let noise = |number, values: &mut [f32]| replace_by_noise(values, number);
            ModelSource::Graph(Box::new(GraphSource {
                graph: source.graph.reweighted(stage, noise),
                manifest: source.manifest.clone(),
                files_beside: source.files_beside.clone(),
                is_stored: source.is_stored,
            }))
        }
    }
}

fn randomised_weights(mut weights: Weights, stage: usize) -> Weights {
    // In a counterfactual model file, the classifier's tensors have the prefix of the discriminator.
    let classifier_name = |name: &str| name.strip_prefix(DISCRIMINATOR).unwrap_or(name).to_owned();
    let stages = weights.tensors.keys().filter_map(|name| {
        let name = classifier_name(name);
        let number = name.strip_prefix("layer")?.split('.').next()?;
        number.parse::<usize>().ok()
    });
    let last = format!("layer{}.", stages.max().unwrap_or(0));
    let is_selected = |name: &str| match stage {
        0 => classifier_name(name).starts_with("fc."),
        1 => classifier_name(name).starts_with("fc.") || classifier_name(name).starts_with(&last),
        _ => true,
    };
    for (number, (name, array)) in weights.tensors.iter_mut().enumerate() {
        if array.shape.len() > 1 && is_selected(name) {
            replace_by_noise(&mut array.values, number as u64);
        }
    }
    weights
}

fn replace_by_noise(values: &mut [f32], number: u64) {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count;
    let mut rng = noise_rng(0, number);
    for value in values {
        let noise: f32 = StandardNormal.sample(&mut rng);
        *value = mean + variance.sqrt() * noise;
    }
}
