//! The models that come with the program.

use std::path::Path;

use burn::tensor::Device;

use super::import::ModelSource;
use super::{Classifier, Weights};
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
    /// The ids, as names of models.
    pub fn names(&self) -> Vec<String> {
        self.models.iter().map(|id| (*id).to_owned()).collect()
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

fn bundled(name: &str) -> Option<&'static Bundled> {
    BUNDLED.iter().find(|bundled| bundled.id == name)
}

/// Whether the model of that name comes with the program.
pub fn is_bundled(name: &str) -> bool {
    bundled(name).is_some()
}

/// The path that the name of a model is, if it is neither a bundled one's id nor a description.
pub fn path(name: &str) -> Option<&Path> {
    (!is_bundled(name) && !import::is_inline(name)).then(|| Path::new(name))
}

/// The same name from wherever the program is started: paths of files that are there become absolute.
pub fn absolute(name: &str) -> String {
    let there = path(name).filter(|path| path.exists());
    let absolute = there.and_then(|path| std::path::absolute(path).ok());
    absolute.map_or(name.to_owned(), |path| path.to_string_lossy().into_owned())
}

/// What the model of that name is: a bundled one by its id, any other by the path of its file.
///
/// # Errors
/// As [`import::open`]; a name that is neither lists the bundled ids.
pub fn source(name: &str, device: &Device) -> Result<ModelSource> {
    let path = Path::new(name);
    if let Some(bundled) = bundled(name) {
        let weights = Weights::from_bytes(bundled.bytes);
        return weights
            .map(ModelSource::Weights)
            .map_err(|reason| Error::model(path, reason));
    }
    if import::is_inline(name) {
        return import::open_inline(name, device);
    }
    if !path.exists() {
        let ids = BUNDLED.each_ref().map(|bundled| bundled.id).join(", ");
        return Err(Error::model(
            path,
            format!("no such file, nor one of the bundled models: {ids}"),
        ));
    }
    import::open(path, device)
}

/// The tensors of a residual network; see [`source`].
///
/// # Errors
/// As [`source`]; [`Error::Model`] for any other network.
pub fn weights(name: &str, device: &Device) -> Result<Weights> {
    match source(name, device)? {
        ModelSource::Weights(weights) => Ok(weights),
        ModelSource::Graph(_, manifest) => {
            let reason = format!(
                "{} is no plain residual network, whose tensors are needed here",
                manifest.architecture
            );
            Err(Error::model(Path::new(name), reason))
        }
    }
}

/// Opens the model of that name; see [`source`].
///
/// # Errors
/// As [`source`] and [`Classifier::from_weights`].
pub fn open(name: &str, device: &Device) -> Result<Classifier> {
    classifier(&source(name, device)?, Path::new(name), device)
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
