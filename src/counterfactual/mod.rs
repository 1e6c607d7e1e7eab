//! Counterfactual explanations (paper B, arXiv 2310.00761): a generator translates a picture into a
//! target class; the discriminator that it was trained against is also the classifier, with one output
//! for every class and one more for “fake”.
//!
//! The discriminator is an ordinary [`Classifier`], so that attacks and attributions apply to it as to any
//! other; its last label is [`FAKE`]. Discriminator and [`Generator`] share a file.

mod descent;
mod generator;
mod generator_file;
mod resampling;
mod saliency;

pub use descent::DescentSettings;
pub use generator::{Generator, Interface, Translated, one_hot, translate};
pub use generator_file::{
    GeneratorEntry, GeneratorFile, GeneratorManifest, GeneratorRef, TargetClassifier,
};
pub(crate) use resampling::{reduced, smoothed};
pub use saliency::{Overlap, change_map, otsu, overlap};

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;

use crate::error::{Error, Result};
use crate::model::{Classifier, DISCRIMINATOR, Manifest, Weights};

/// The discriminator's label of generated pictures, its last class.
pub const FAKE: &str = "fake";

/// How many of a model's outputs are classes: all but “fake”, which is the last one where there is one.
pub fn real_classes(labels: &[String]) -> usize {
    let has_fake = labels.last().is_some_and(|label| label == FAKE);
    labels.len() - usize::from(has_fake)
}

/// A discriminator–generator pair.
#[derive(Clone)]
pub struct Counterfactual {
    /// Classifier of all classes and “fake”.
    pub discriminator: Arc<Classifier>,
    /// Generator of counterfactuals, trained against the discriminator.
    pub generator: Arc<Generator>,
}

impl Counterfactual {
    /// Reads both networks from a file's weights; `path` is used in error messages only.
    ///
    /// # Errors
    /// As [`Classifier::from_weights`]; [`crate::error::Error::Model`] when there is no generator.
    pub fn new(weights: &Weights, path: &Path, device: &Device) -> Result<Self> {
        Ok(Self {
            discriminator: Arc::new(Classifier::from_weights(weights, path, device)?),
            generator: Arc::new(Generator::new(weights, path, device)?),
        })
    }

    /// The discriminator as a classifier without the output “fake”.
    ///
    /// # Errors
    /// As [`Classifier::from_weights`].
    pub fn classes_only(weights: &Weights, path: &Path, device: &Device) -> Result<Classifier> {
        let mut weights = weights.clone();
        let wrong = |reason: String| Error::model(path, reason);
        let mut manifest = Manifest::of(&weights).map_err(wrong)?;
        manifest.labels.pop();
        let classes = manifest.architecture.classes();
        manifest.architecture = manifest
            .architecture
            .with_classes(classes.saturating_sub(1));
        manifest.attach(&mut weights);
        for name in ["fc.weight", "fc.bias"] {
            if let Some(array) = weights.tensors.get_mut(&format!("{DISCRIMINATOR}{name}"))
                && let Some(outputs) = array.shape.first_mut().filter(|outputs| **outputs > 1)
            {
                let each = array.values.len() / *outputs;
                *outputs -= 1;
                array.values.truncate(*outputs * each);
            }
        }
        Classifier::from_weights(&weights, path, device)
    }

    /// Number of classes, without “fake”.
    pub fn classes(&self) -> usize {
        real_classes(&self.discriminator.manifest().labels)
    }
}
