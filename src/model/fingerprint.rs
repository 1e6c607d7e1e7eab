//! Fingerprints: BLAKE3 hashes of the content of pictures and models, as keys of stored results.

use std::io::{self, Write};
use std::path::Path;

use super::import::ModelSource;
use super::{Manifest, ModelRef, Weights};
use crate::error::{Error, Result};

/// A BLAKE3 hash of 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Fingerprint of a picture file's bytes.
    pub fn of_picture(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Fingerprint of a model that was opened by `name`: its weights and the part of its manifest that
    /// affects predictions, so that the same weights with another normaliser are another model.
    ///
    /// # Errors
    /// [`Error::Model`] without a valid manifest, [`Error::Io`] when a file cannot be read again.
    pub fn of_model(model: &ModelRef, source: &ModelSource) -> Result<Self> {
        let path = model.origin();
        let mut hasher = blake3::Hasher::new();
        match source {
            ModelSource::Weights(weights) => {
                let manifest = Manifest::of(weights);
                let manifest = manifest.map_err(|reason| Error::model(path, reason))?;
                hash_manifest(&mut hasher, &manifest);
                hash_weights(&mut hasher, weights);
            }
            ModelSource::Graph(source) if source.is_stored => {
                hash_manifest(&mut hasher, &source.manifest);
                let weights = source.graph.to_weights();
                hash_weights(&mut hasher, &weights);
                weights.metadata.values().for_each(|operations| {
                    hasher.update(operations.as_bytes());
                });
            }
            ModelSource::Graph(source) => {
                hash_manifest(&mut hasher, &source.manifest);
                let described = model.description().and_then(|said| said.file);
                let file = described.unwrap_or_else(|| path.into());
                hash_file(&mut hasher, &file)?;
                for beside in &source.files_beside {
                    hash_file(&mut hasher, beside)?;
                }
            }
        }
        Ok(Self(*hasher.finalize().as_bytes()))
    }
}

/// Hashes what predictions depend on besides the weights; the display name is not part of it.
fn hash_manifest(hasher: &mut blake3::Hasher, manifest: &Manifest) {
    let facts = (
        &manifest.architecture,
        manifest.input,
        manifest.normalizer,
        &manifest.labels,
    );
    hasher.update(&serde_json::to_vec(&facts).expect("plain data"));
}

/// Hashes every tensor with its name and shape; the name's length goes first to make the encoding
/// unambiguous.
fn hash_weights(hasher: &mut blake3::Hasher, weights: &Weights) {
    for (name, array) in &weights.tensors {
        let head = format!("{}:{name}{:?}", name.len(), array.shape);
        hasher.update(head.as_bytes());
        hasher.update(bytemuck::cast_slice(&array.values));
    }
}

fn hash_file(hasher: &mut blake3::Hasher, file: &Path) -> Result<()> {
    let reading = |error| Error::io(file, "read", error);
    let mut file = std::fs::File::open(file).map_err(reading)?;
    io::copy(&mut file, hasher).map_err(reading)?;
    hasher.flush().map_err(reading)
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}
