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

/// Opens a bundled model by its id, or any other by the path of its file.
///
/// # Errors
/// As [`Classifier::open`]; a name that is neither lists the bundled ids.
pub fn open(name: &str, device: &Device) -> Result<Classifier> {
    let path = Path::new(name);
    if let Some(bundled) = BUNDLED.iter().find(|bundled| bundled.id == name) {
        let weights = Weights::from_bytes(bundled.bytes);
        return Classifier::new(
            &weights.map_err(|reason| Error::model(path, reason))?,
            path,
            device,
        );
    }
    if !path.exists() {
        let ids = BUNDLED.map(|bundled| bundled.id).join(", ");
        return Err(Error::model(
            path,
            format!("no such file, nor one of the bundled models: {ids}"),
        ));
    }
    Classifier::open(path, device)
}
