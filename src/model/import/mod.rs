//! Models that other programs wrote: which network a file's tensors belong to, and all that a
//! classifier needs besides.
//!
//! What the file does not say comes from a [`Description`], and what that does not say either is
//! assumed, and said to be.

mod alternatives;
mod builder;
mod convnext;
mod description;
mod inverted_families;
mod inverted_residual;
mod layout;
mod load_error;
mod metadata;
pub(in crate::model) mod onnx;
mod preactivation;
mod pytorch;
mod resnet;
mod resnext;
mod tensors;
mod transformer;
mod transformer_names;

use std::path::{Path, PathBuf};

use burn::tensor::Device;

pub use alternatives::{Alternative, alternatives};
pub use description::{
    ActivationName, ChannelOrder, Described, Description, DescriptionEdit, LabelSource,
    NORMALIZERS, NormalizerSource,
};
use load_error::LoadError;
use metadata::Metadata;
use tensors::{TensorFile, start};

use super::architecture::Architecture;
use super::graph::{Graph, stored};
use super::{GENERATOR_MANIFEST, Manifest, Normalizer, Weights};
use crate::data::labels;
use crate::error::Result;

/// File name extensions of models, in lower case.
pub const EXTENSIONS: [&str; 10] = [
    "safetensors",
    "pt",
    "pth",
    "ckpt",
    "bin",
    "pkl",
    "tar",
    "onnx",
    "toml",
    "model",
];

/// A model as its file has it, before it is on any device.
pub enum ModelSource {
    /// A residual network; the manifest is attached.
    Weights(Weights),
    /// Any other network.
    Graph(Box<GraphSource>),
}

impl ModelSource {
    /// The content of a file of this program's own format.
    pub fn into_weights(self) -> Weights {
        match self {
            Self::Weights(weights) => weights,
            Self::Graph(source) => {
                let mut weights = source.graph.to_weights();
                source.manifest.attach(&mut weights);
                weights
            }
        }
    }
}

/// A network as a graph.
pub struct GraphSource {
    /// The operations with their numbers.
    pub graph: Graph,
    /// What is known of it.
    pub manifest: Manifest,
    /// The files beside its own that hold numbers of it.
    pub files_beside: Vec<PathBuf>,
    /// Whether it is of this program's own format, in which its content is all in one place.
    pub is_stored: bool,
}

/// What was found out about a file: the network, and what its makers left beside it.
pub(super) struct Found {
    pub(super) architecture: Architecture,
    pub(super) network: FoundNetwork,
    /// Side lengths it is usually fed.
    pub(super) input: [usize; 2],
    pub(super) normalizer: Option<Normalizer>,
    /// Whether it was made for one channel, and now reads the luma of three.
    pub(super) grey: bool,
    pub(super) notes: Vec<String>,
    /// What the file does not tell and was assumed.
    pub(super) assumptions: Vec<String>,
    /// What the file says of itself.
    pub(super) metadata: Metadata,
}

/// The note of a network for one channel.
const GREY: &str = "its first layer reads one channel: the luma of pictures, which are shown grey and changed in all channels alike; lengths of changes are those of one channel";

/// The note of a network with one output.
const ONE_OUTPUT: &str = "its one output z, whose sigmoid is a probability, is read as two classes with the logits 0 and z";

/// Tensors under torchvision's names, or a graph with the files beside its own that hold numbers of it.
pub(super) enum FoundNetwork {
    Tensors(Weights),
    Graph(Box<Graph>, Vec<PathBuf>),
}

/// Whether a file name looks like a model's.
pub fn has_model_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.to_lowercase().as_str()))
}

/// Opens a model file of any kind: this program's own, safetensors, PyTorch, ONNX, or a description
/// of one in TOML.
///
/// # Errors
/// [`Error::Model`](crate::error::Error::Model) names the file and what is wrong with it, or which layouts are known;
/// [`Error::Tensors`](crate::error::Error::Tensors) lists what is missing, extra and misshapen.
pub fn open(path: &Path, device: &Device) -> Result<ModelSource> {
    if description::is_one(path) {
        let Described { description, file } = Description::read(path)?;
        return open_as(&file, &description, device);
    }
    open_as(path, &Description::default(), device)
}

/// As [`open`], with what a person says of the file.
///
/// # Errors
/// As [`open`].
pub fn open_as(path: &Path, description: &Description, device: &Device) -> Result<ModelSource> {
    read(path, description, device).map_err(|error| error.of(path))
}

fn read(path: &Path, description: &Description, device: &Device) -> Result<ModelSource, LoadError> {
    if description::is_one(path) {
        return Err("it describes another description".into());
    }
    let start = start(path)?;
    let beside = Metadata::beside(path);
    let with_beside = description.clone().or(&beside.description);
    let mut found = if onnx::is_onnx(path, &start) {
        onnx::open(path, &start, &with_beside, device)?
    } else {
        match TensorFile::open(path, &start)? {
            TensorFile::Safetensors(weights) if Manifest::is_in(&weights) => {
                return own(weights, description, device);
            }
            TensorFile::Safetensors(weights)
                if weights.metadata.contains_key(GENERATOR_MANIFEST) =>
            {
                return Err(
                    "it holds no classifier but a generator of counterfactuals for one: open it beside its classifier"
                        .into(),
                );
            }
            file => {
                let metadata = file.metadata();
                let found = layout::recognise(&file, &with_beside, device)?;
                Found { metadata, ..found }
            }
        }
    };
    found.notes.extend(said_by(path, &beside, &found.metadata));
    let description = with_beside.or(&found.metadata.description);
    let mut manifest = manifest(&found, &description, path);
    description.put_over(&mut manifest)?;
    Ok(match found.network {
        FoundNetwork::Tensors(mut weights) => {
            manifest.attach(&mut weights);
            ModelSource::Weights(weights)
        }
        FoundNetwork::Graph(graph, files_beside) => ModelSource::Graph(Box::new(GraphSource {
            graph: *graph,
            manifest,
            files_beside,
            is_stored: false,
        })),
    })
}

/// Notes on what the file, and files beside it, say of themselves.
fn said_by(path: &Path, beside: &Metadata, inside: &Metadata) -> Vec<String> {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    let places = [
        (
            format!("in JSON files of its folder {}", folder.display()),
            beside,
        ),
        ("in its metadata".into(), inside),
    ];
    let notes = places.into_iter().flat_map(|(place, metadata)| {
        let said = metadata.description.said();
        let note = (!said.is_empty()).then(|| format!("{place}: its {}", said.join(", ")));
        note.into_iter().chain(metadata.notes.clone())
    });
    notes.collect()
}

/// The model in a file of this program's own format, which was opened as `path`.
///
/// # Errors
/// [`Error::Model`](crate::error::Error::Model) without a valid manifest, or where its graph does not fit together.
pub(super) fn stored_model(weights: Weights, path: &Path, device: &Device) -> Result<ModelSource> {
    own(weights, &Description::default(), device).map_err(|error| error.of(path))
}

/// One of this program's own files, with what a person says of it.
fn own(
    mut weights: Weights,
    description: &Description,
    device: &Device,
) -> Result<ModelSource, LoadError> {
    description.require_none_of_tensors()?;
    let mut manifest = Manifest::of(&weights)?;
    description.put_over(&mut manifest)?;
    if !stored::is_in(&weights) {
        manifest.attach(&mut weights);
        return Ok(ModelSource::Weights(weights));
    }
    let (graph, summary) = Graph::from_weights(&weights, manifest.input, device)?;
    manifest.architecture = Architecture::Graph(summary);
    manifest.validate().map_err(|error| error.to_string())?;
    Ok(ModelSource::Graph(Box::new(GraphSource {
        graph,
        manifest,
        files_beside: Vec::new(),
        is_stored: true,
    })))
}

/// All that is known of a model, with notes of what is found in its file and of what is assumed where nobody
/// says it.
fn manifest(found: &Found, description: &Description, path: &Path) -> Manifest {
    let (mut notes, mut assumptions) = (found.notes.clone(), found.assumptions.clone());
    if description.channels.is_none() && !found.grey {
        assumptions.push(
            "the order of its channels is not in the file; red, green, blue is assumed".into(),
        );
    }
    let classes = found.architecture.classes();
    let (name, usual) = match found.grey {
        true => ("none", Normalizer::NONE),
        false => description::usual_normalizer(classes),
    };
    if found.grey {
        notes.push(GREY.into());
    }
    if description.normalizer.is_none() {
        match found.normalizer {
            Some(_) => notes.push("its normaliser is in the file".into()),
            None => assumptions.push(format!(
                "its normaliser is not in the file; {name} is assumed"
            )),
        }
    }
    let (labels, name) = labels::usual(classes);
    if description.labels.is_none() {
        assumptions.push(format!("its labels are not in the file; {name} is assumed"));
    }
    let stem = path.file_stem().unwrap_or_default();
    Manifest {
        name: stem.to_string_lossy().into_owned(),
        architecture: found.architecture.clone(),
        input: found.input,
        grey: found.grey,
        normalizer: found.normalizer.unwrap_or(usual),
        labels,
        training: "not known".into(),
        notes,
        assumptions,
    }
}
