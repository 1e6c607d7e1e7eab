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

/// Models that are compared with each other, one a row, and what to look at with them.
pub struct Set {
    /// What the menu calls it.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Ids of [`BUNDLED`].
    pub models: &'static [&'static str],
    /// Names of the bundled pictures that show its classes, the one to begin with first; see
    /// [`crate::data::samples`].
    pub pictures: &'static [&'static str],
    /// Side of the models' input, in pixels.
    pub side: usize,
    /// Whether one of them has a generator of counterfactuals.
    pub has_generator: bool,
}

impl Set {
    /// The models themselves.
    pub fn references(&self) -> Vec<ModelRef> {
        self.models.iter().map(|id| ModelRef::from(*id)).collect()
    }

    /// The set of these models, if they are one.
    pub fn of(models: &[ModelRef]) -> Option<&'static Self> {
        SETS.iter().find(|set| set.references() == models)
    }
}

/// Id of a network that was trained apart from all others, on other pictures and with another architecture: the
/// independent judge, in whose features distances are measured too.
pub const JUDGE: &str = "efficientnet-lite0";

/// The sets that the window offers; it opens with the first.
pub const SETS: [Set; 4] = [
    Set {
        name: "Photographs: standard and robust",
        about: "One network trained as usual, one on adversarial pictures: 128×128 pixels, ten classes of ImageNet and five of flowers",
        models: &["photographs-standard", "photographs-robust"],
        pictures: &[
            "church-vienna.jpg",
            "church-berlin.jpg",
            "daisy-african.jpg",
            "garbage_truck-white.jpg",
            "parachute-paratrooper.jpg",
            "dandelion-seeds.jpg",
            "rose-wild.jpg",
            "other-yellow_flower.jpg",
            "other-windmill.jpg",
        ],
        side: 128,
        has_generator: false,
    },
    Set {
        name: "CIFAR-10: standard and robust",
        about: "The same two kinds for pictures of 32×32 pixels, in the ten classes of CIFAR-10",
        models: &["cifar10-standard", "cifar10-robust"],
        pictures: &[
            "bird-kingfisher.jpg",
            "ship-yacht.jpg",
            "dog-shepherd.jpg",
            "automobile-beetle.jpg",
            "cat-chelsea.jpg",
            "airplane-airliner.jpg",
            "automobile-mini.jpg",
            "bird-macaw.jpg",
            "cat-kitten.jpg",
            "deer-moose.jpg",
            "frog-common.jpg",
            "horse-zaniskari.jpg",
            "other-astronaut.jpg",
            "other-coffee.jpg",
            "other-panda.jpg",
            "ship-schooner.jpg",
            "truck-fire.jpg",
        ],
        side: 32,
        has_generator: false,
    },
    Set {
        name: "ImageNet: 1,000 classes at 224 pixels",
        about: "EfficientNet-Lite0, trained by others on ImageNet: any photograph gets a sensible answer",
        models: &["efficientnet-lite0"],
        pictures: &[
            "cat-chelsea.jpg",
            "church-vienna.jpg",
            "garbage_truck-white.jpg",
            "bird-macaw.jpg",
            "daisy-african.jpg",
            "dog-shepherd.jpg",
            "other-coffee.jpg",
            "other-panda.jpg",
            "other-windmill.jpg",
            "parachute-paratrooper.jpg",
            "ship-schooner.jpg",
            "truck-fire.jpg",
        ],
        side: 224,
        has_generator: false,
    },
    Set {
        name: "Cracks in concrete: ordinary and counterfactual",
        about: "A classifier of cracked and clean walls, and a discriminator whose generator mends the walls",
        models: &["cracks-ordinary", "cracks-counterfactual"],
        pictures: &[],
        side: 64,
        has_generator: true,
    },
];

/// All of them; their model cards are in `assets/models/`.
pub static BUNDLED: [Bundled; 7] = [
    bundled!("photographs-standard"),
    bundled!("photographs-robust"),
    bundled!("cifar10-standard"),
    bundled!("cifar10-robust"),
    bundled!("efficientnet-lite0"),
    bundled!("cracks-ordinary"),
    bundled!("cracks-counterfactual"),
];

macro_rules! bundled {
    ($id:literal) => {
        Bundled {
            id: $id,
            bytes: include_bytes!(concat!("../../assets/models/", $id, ".safetensors")),
        }
    };
}
use bundled;

/// Ids of models that came with earlier versions, each with that of the model that took its place.
const SUCCESSORS: [(&str, &str); 2] = [
    ("imagenette-standard", "photographs-standard"),
    ("imagenette-robust", "photographs-robust"),
];

/// The model that took the place of one that came with an earlier version.
pub fn successor(model: &ModelRef) -> Option<ModelRef> {
    let path = model.path()?;
    let mut known = SUCCESSORS.iter();
    let (_, successor) = known.find(|(id, _)| path == Path::new(id))?;
    // A file of that name is that file. Asked last, as the window asks for every row in every frame.
    (!path.exists()).then(|| ModelRef::from(*successor))
}

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
            let weights = weights.map_err(|reason| Error::model(model.origin(), reason))?;
            return import::stored_model(weights, model.origin(), device);
        }
        ModelRef::File { path, overrides } => (path, overrides),
    };
    if !path.exists() {
        if let Some(successor) = successor(model) {
            let reason = format!(
                "this model came with an earlier version of the program; {successor} took its place"
            );
            return Err(Error::model(path, reason));
        }
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
        ModelSource::Graph(source) => {
            let reason = format!(
                "{} is no plain residual network, whose tensors are needed here",
                source.manifest.architecture
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
        ModelSource::Graph(source) => {
            let (graph, manifest) = (source.graph.clone(), source.manifest.clone());
            Ok(Classifier::from_graph(graph, manifest, device))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::samples;

    #[test]
    fn replaced_models_are_refused_with_their_successor() {
        let old = ModelRef::from("imagenette-robust");
        let new = successor(&old).expect("a successor");
        assert_eq!(new, ModelRef::from("photographs-robust"));
        let error = open(&old, &Device::flex())
            .err()
            .expect("it is no longer there");
        assert!(error.to_string().contains("photographs-robust"), "{error}");
        for model in ["cifar10-robust", "missing.pt", "photographs-robust"] {
            assert_eq!(successor(&model.into()), None, "{model}");
        }
        for (_, successor) in SUCCESSORS {
            assert!(BundledId::find(successor).is_some());
        }
    }

    #[test]
    fn sets_bring_pictures_of_their_classes() {
        for set in &SETS {
            assert_eq!(samples::of(set.pictures).len(), set.pictures.len());
            for model in set.references() {
                let model = open(&model, &Device::flex()).expect("a bundled model");
                let manifest = model.manifest();
                assert_eq!(manifest.input, [set.side; 2]);
                // Any photograph is for the thousand classes, under finer names than “cat”.
                if manifest.labels.len() == 1000 {
                    continue;
                }
                let classes = samples::of(set.pictures).into_iter();
                for class in classes.filter_map(|(_, class)| class) {
                    assert!(manifest.labels.contains(&class), "{class}");
                }
            }
        }
        let shown = samples::of(SETS[0].pictures).into_iter();
        let shown: std::collections::BTreeSet<_> = shown.filter_map(|(_, class)| class).collect();
        assert!(shown.len() >= 6, "{shown:?}");
    }
}
