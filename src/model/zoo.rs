//! The models that come with the program.

use std::path::Path;

use burn::tensor::Device;

use super::import::{Description, ModelSource};
use super::{Classifier, ModelRef, Weights};
use crate::error::{Error, Result};
use crate::model::import;

/// A model inside the program's own file.
pub struct Bundled {
    /// What the command line calls it.
    pub id: &'static str,
    bytes: &'static [u8],
}

/// Models that are compared with each other, one a row.
pub struct Set {
    /// What the menu calls it.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Ids of [`BUNDLED`].
    pub models: &'static [&'static str],
    /// Whether one of them turns pictures into another class.
    pub turns: bool,
}

impl Set {
    /// The models themselves.
    pub fn references(&self) -> Vec<ModelRef> {
        self.models.iter().map(|id| ModelRef::from(*id)).collect()
    }
}

/// The sets that the window offers; it opens with the first.
pub const SETS: [Set; 3] = [
    Set {
        name: "CIFAR-10: standard and robust",
        about: "One network trained as usual, one on adversarial pictures",
        models: &["cifar10-standard", "cifar10-robust"],
        turns: false,
    },
    Set {
        name: "Imagenette: standard and robust",
        about: "The same two kinds for photographs of 64×64 pixels, in ten classes of ImageNet",
        models: &["imagenette-standard", "imagenette-robust"],
        turns: false,
    },
    Set {
        name: "Cracks in concrete: ordinary and counterfactual",
        about: "A classifier of cracked and clean walls, and a discriminator whose generator mends the walls",
        models: &["cracks-ordinary", "cracks-counterfactual"],
        turns: true,
    },
];

/// All of them; their model cards are in `assets/models/`.
pub static BUNDLED: [Bundled; 6] = [
    Bundled {
        id: "cifar10-standard",
        bytes: include_bytes!("../../assets/models/cifar10-standard.safetensors"),
    },
    Bundled {
        id: "cifar10-robust",
        bytes: include_bytes!("../../assets/models/cifar10-robust.safetensors"),
    },
    Bundled {
        id: "imagenette-standard",
        bytes: include_bytes!("../../assets/models/imagenette-standard.safetensors"),
    },
    Bundled {
        id: "imagenette-robust",
        bytes: include_bytes!("../../assets/models/imagenette-robust.safetensors"),
    },
    Bundled {
        id: "cracks-ordinary",
        bytes: include_bytes!("../../assets/models/cracks-ordinary.safetensors"),
    },
    Bundled {
        id: "cracks-counterfactual",
        bytes: include_bytes!("../../assets/models/cracks-counterfactual.safetensors"),
    },
];

/// The id of one of [`BUNDLED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BundledId(&'static str);

impl BundledId {
    /// The bundled model of that name, if there is one.
    pub fn find(name: &str) -> Option<Self> {
        let found = BUNDLED.iter().find(|bundled| bundled.id == name);
        found.map(|bundled| Self(bundled.id))
    }

    /// What the command line calls it.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    fn bytes(self) -> &'static [u8] {
        let found = BUNDLED.iter().find(|bundled| bundled.id == self.0);
        found.expect("ids are made by `find` alone").bytes
    }
}

/// What that model is.
///
/// # Errors
/// As [`import::open`]; a file that is not there lists the bundled ids.
pub fn source(model: &ModelRef, device: &Device) -> Result<ModelSource> {
    let (path, overrides) = match model {
        ModelRef::Bundled(id) => {
            let weights = Weights::from_bytes(id.bytes());
            return weights
                .map(ModelSource::Weights)
                .map_err(|reason| Error::model(model.origin(), reason));
        }
        ModelRef::File { path, overrides } => (path, overrides),
    };
    if !path.exists() {
        let ids = BUNDLED.each_ref().map(|bundled| bundled.id).join(", ");
        return Err(Error::model(
            path,
            format!("no such file, nor one of the bundled models: {ids}"),
        ));
    }
    if **overrides == Description::default() {
        import::open(path, device)
    } else {
        import::open_as(path, overrides, device)
    }
}

/// The tensors of a residual network; see [`source`].
///
/// # Errors
/// As [`source`]; [`Error::Model`] for any other network.
pub fn weights(model: &ModelRef, device: &Device) -> Result<Weights> {
    match source(model, device)? {
        ModelSource::Weights(weights) => Ok(weights),
        ModelSource::Graph(_, manifest) => {
            let reason = format!(
                "{} is no plain residual network, whose tensors are needed here",
                manifest.architecture
            );
            Err(Error::model(model.origin(), reason))
        }
    }
}

/// Opens that model; see [`source`].
///
/// # Errors
/// As [`source`] and [`Classifier::from_weights`].
pub fn open(model: &ModelRef, device: &Device) -> Result<Classifier> {
    classifier(&source(model, device)?, model.origin(), device)
}

/// The classifier behind a source that was opened by `path`.
///
/// # Errors
/// As [`Classifier::from_weights`].
pub fn classifier(source: &ModelSource, path: &Path, device: &Device) -> Result<Classifier> {
    match source {
        ModelSource::Weights(weights) => Classifier::from_weights(weights, path, device),
        ModelSource::Graph(graph, manifest) => {
            let network = Box::new((**graph).clone());
            Ok(Classifier::from_network(network, manifest.clone(), device))
        }
    }
}
