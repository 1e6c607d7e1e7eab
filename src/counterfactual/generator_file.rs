//! Files with a generator alone, made for a classifier that stays as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::generator::{Generator, Interface, PREFIX, network};
use crate::data::class_indices;
use crate::error::{Error, Result};
use crate::files::path_text;
use crate::model::{GENERATOR_MANIFEST, Manifest, Normalizer, UNet, UNetConfig, Weights};

/// Largest reduction of pictures.
const MAX_REDUCTION: usize = 16;
/// Longest list of classes.
const MAX_CLASSES: usize = 4096;

/// The classifier for which a generator was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetClassifier {
    /// Its display name.
    pub name: String,
    /// Its content: [`crate::model::Fingerprint`] in hexadecimal digits.
    pub fingerprint: String,
}

/// What a generator's own file says of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneratorManifest {
    /// Display name.
    pub name: String,
    /// The classifier it was made for.
    pub classifier: TargetClassifier,
    /// Names of the classes into which it turns pictures, all of them classes of the classifier.
    pub labels: Vec<String>,
    /// Height and width of the pictures, in pixels.
    pub input: [usize; 2],
    /// Normalisation of its network's input.
    pub normalizer: Normalizer,
    /// See [`Interface::reduction`].
    pub reduction: usize,
    /// Shape of its network.
    pub network: UNetConfig,
    /// One line about the training.
    pub training: String,
}

impl GeneratorManifest {
    /// The manifest of a generator's own file; only the file's header is read.
    ///
    /// # Errors
    /// As [`Weights::read`]; [`Error::Model`] for any other file, and for a broken manifest.
    pub fn read(path: &Path) -> Result<Self> {
        Self::required(&Weights::read_metadata(path)?, path)
    }

    /// The manifest in the metadata of the file `path`.
    fn required(metadata: &BTreeMap<String, String>, path: &Path) -> Result<Self> {
        Self::of(metadata, path).unwrap_or_else(|| {
            let reason = "it is no file of a generator of counterfactuals";
            Err(Error::model(path, reason))
        })
    }

    /// The manifest in the metadata of the file `path`, if it is the file of a generator alone.
    fn of(metadata: &BTreeMap<String, String>, path: &Path) -> Option<Result<Self>> {
        let manifest = serde_json::from_str::<Self>(metadata.get(GENERATOR_MANIFEST)?);
        let manifest = manifest.map_err(|error| format!("the manifest of its generator: {error}"));
        let manifest = manifest.and_then(Self::validated);
        Some(manifest.map_err(|reason| Error::model(path, reason)))
    }

    fn validated(self) -> Result<Self, String> {
        let reducible =
            |side: &usize| *side > 0 && side.is_multiple_of(self.reduction) && *side <= 2048;
        let wrong = if !(1..=MAX_REDUCTION).contains(&self.reduction) {
            format!("a reduction of pictures by {}", self.reduction)
        } else if !self.input.iter().all(reducible) {
            format!(
                "pictures of {:?} pixels reduced by {}",
                self.input, self.reduction
            )
        } else if self.labels.len() != self.network.classes || self.labels.len() > MAX_CLASSES {
            format!(
                "{} labels for {} classes",
                self.labels.len(),
                self.network.classes
            )
        } else if !self.normalizer.is_valid() {
            "a normaliser that is no mean and positive deviation".into()
        } else {
            return Ok(self);
        };
        Err(format!("the manifest of its generator describes {wrong}"))
    }

    /// The content of a generator's own file.
    pub fn with_network(&self, network: &mut UNet) -> Weights {
        let mut weights = Weights::default();
        weights.add_under(PREFIX, Weights::of(network).tensors);
        let text = serde_json::to_string(self).expect("plain data");
        weights.metadata.insert(GENERATOR_MANIFEST.into(), text);
        weights
    }

    fn interface(&self) -> Interface {
        Interface {
            normalizer: self.normalizer,
            reduction: self.reduction,
            mixed: false,
        }
    }
}

/// A generator's own file, as a session knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorEntry {
    /// The file, absolute.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// Display name of the generator.
    pub name: String,
    /// The classifier it was made for.
    pub classifier: TargetClassifier,
}

impl GeneratorEntry {
    /// What the file `path` says of itself, if it is that of a generator alone; only its header is read.
    ///
    /// # Errors
    /// [`Error::Model`] where its manifest is broken.
    pub fn of_file(path: &Path) -> Option<Result<Self>> {
        let named = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors"));
        let metadata = Weights::read_metadata(path).ok().filter(|_| named)?;
        let manifest = GeneratorManifest::of(&metadata, path)?;
        Some(manifest.map(|manifest| Self {
            path: std::path::absolute(path).unwrap_or_else(|_| path.into()),
            name: manifest.name,
            classifier: manifest.classifier,
        }))
    }
}

/// Which generator of a classifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GeneratorRef {
    /// The one in the classifier's own file, with which it was trained.
    WithModel,
    /// The one in this file.
    File(PathBuf),
}

/// A generator's own file, read.
#[derive(Clone)]
pub struct GeneratorFile {
    /// What it says of itself.
    pub manifest: GeneratorManifest,
    weights: Weights,
}

impl GeneratorFile {
    /// Reads a generator's own file.
    ///
    /// # Errors
    /// As [`Weights::read`]; [`Error::Model`] for any other file.
    pub fn read(path: &Path) -> Result<Self> {
        Self::of(Weights::read(path)?, path)
    }

    /// The generator in `weights`, read from `path`.
    ///
    /// # Errors
    /// [`Error::Model`] where there is none alone.
    pub fn of(weights: Weights, path: &Path) -> Result<Self> {
        let manifest = GeneratorManifest::required(&weights.metadata, path)?;
        Ok(Self { manifest, weights })
    }

    /// The generator for the classifier that `classifier` describes and whose content is `fingerprint`.
    ///
    /// # Errors
    /// [`Error::Model`] where it was made for another classifier, other classes or another size; as
    /// [`Generator::new`].
    pub fn generator(
        &self,
        classifier: &Manifest,
        fingerprint: &str,
        path: &Path,
        device: &Device,
    ) -> Result<Generator> {
        let wrong = |reason: String| Error::model(path, reason);
        let made_for = &self.manifest.classifier;
        if made_for.fingerprint != fingerprint {
            return Err(wrong(format!(
                "this generator was made for another classifier, {} (BLAKE3 {}…), not for {} (BLAKE3 {}…)",
                made_for.name,
                short(&made_for.fingerprint),
                classifier.name,
                short(fingerprint),
            )));
        }
        if self.manifest.input != classifier.input {
            return Err(wrong(format!(
                "this generator is for pictures of {:?} pixels, the classifier for {:?}",
                self.manifest.input, classifier.input
            )));
        }
        let outputs = class_indices(&self.manifest.labels, &classifier.labels).map_err(wrong)?;
        let input = self
            .manifest
            .input
            .map(|side| side / self.manifest.reduction);
        let network = network(&self.manifest.network, &self.weights, input, path, device)?;
        let interface = self.manifest.interface();
        Ok(Generator::with_interface(
            network, interface, outputs, device,
        ))
    }
}

/// The first digits of a fingerprint.
fn short(fingerprint: &str) -> String {
    fingerprint.chars().take(16).collect()
}
