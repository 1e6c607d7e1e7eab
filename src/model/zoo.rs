//! The models that come with the program.

use std::path::Path;

use burn::tensor::Device;

use super::{Classifier, Weights};
use crate::error::{Error, Result};

/// A model inside the program's own file.
pub struct Bundled {
    /// What the command line calls it.
    pub id: &'static str,
    bytes: &'static [u8],
}

/// The CIFAR-10 pair; their model cards are in `assets/models/`.
pub const BUNDLED: [Bundled; 2] = [
    Bundled {
        id: "cifar10-standard",
        bytes: include_bytes!("../../assets/models/cifar10-standard.safetensors"),
    },
    Bundled {
        id: "cifar10-robust",
        bytes: include_bytes!("../../assets/models/cifar10-robust.safetensors"),
    },
];

/// The weights of a bundled model by its id, or of any other by the path of its file.
///
/// # Errors
/// As [`Weights::read`]; a name that is neither lists the bundled ids.
pub fn weights(name: &str) -> Result<Weights> {
    let path = Path::new(name);
    if let Some(bundled) = BUNDLED.iter().find(|bundled| bundled.id == name) {
        return Weights::from_bytes(bundled.bytes).map_err(|reason| Error::model(path, reason));
    }
    if !path.exists() {
        let ids = BUNDLED.map(|bundled| bundled.id).join(", ");
        return Err(Error::model(
            path,
            format!("no such file, nor one of the bundled models: {ids}"),
        ));
    }
    Weights::read(path)
}

/// Opens the model of that name; see [`weights`].
///
/// # Errors
/// As [`weights`] and [`Classifier::new`].
pub fn open(name: &str, device: &Device) -> Result<Classifier> {
    Classifier::new(&weights(name)?, Path::new(name), device)
}
