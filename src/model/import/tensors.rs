//! Files of named tensors, read only as far as they are needed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::LoadError;
use super::metadata::Metadata;
use super::pytorch::PytorchCheckpoint;
use crate::model::{Array, Weights};

/// How many of a file's first bytes tell what it is.
const START: u64 = 512;

/// The first bytes of a file.
pub(super) fn start(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(START).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Named tensors of either kind of file.
pub(super) enum TensorFile {
    Safetensors(Weights),
    PyTorch(PytorchCheckpoint),
}

impl TensorFile {
    /// Opens the file that begins with `start`.
    pub(super) fn open(path: &Path, start: &[u8]) -> Result<Self, LoadError> {
        if PytorchCheckpoint::begins(start) {
            return PytorchCheckpoint::open(path).map(Self::PyTorch);
        }
        Ok(Self::Safetensors(Weights::read(path)?))
    }

    /// What the file says of itself besides its tensors.
    pub(super) fn metadata(&self) -> Metadata {
        match self {
            Self::Safetensors(weights) => {
                let pairs = weights.metadata.iter();
                Metadata::of_properties(pairs.map(|(key, text)| (key.as_str(), text.as_str())))
            }
            Self::PyTorch(_) => Metadata::default(),
        }
    }

    /// Shape of every tensor of floating-point numbers.
    pub(super) fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        match self {
            Self::Safetensors(weights) => {
                let tensors = weights.tensors.iter();
                tensors
                    .map(|(name, array)| (name.clone(), array.shape.clone()))
                    .collect()
            }
            Self::PyTorch(checkpoint) => checkpoint.shapes(),
        }
    }

    /// The tensors of these names.
    pub(super) fn read<'a>(
        &self,
        names: impl Iterator<Item = &'a String>,
    ) -> Result<BTreeMap<String, Array>, LoadError> {
        match self {
            Self::Safetensors(weights) => {
                let known = names.filter_map(|name| weights.tensors.get_key_value(name));
                Ok(known
                    .map(|(name, array)| (name.clone(), array.clone()))
                    .collect())
            }
            Self::PyTorch(checkpoint) => checkpoint.read(names),
        }
    }
}
