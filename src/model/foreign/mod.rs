//! Models that other programs wrote: which network a file's tensors belong to, and all that a
//! classifier needs besides.
//!
//! What the file does not say comes from a [`Description`], and what that does not say either is
//! assumed, and said to be.

mod description;
mod layout;
mod preactivation;
mod pytorch;
mod resnet;
mod tensors;

use std::path::Path;

use burn::tensor::Device;

pub use description::{
    Described, Description, LabelSource, NORMALIZERS, NormalizerSource, described, is_inline,
    normalizer_of, title,
};
use tensors::TensorFile;
pub(super) use tensors::start;

use super::architecture::Architecture;
use super::graph::Graph;
use super::labels;
use super::onnx;
use super::{Manifest, Normalizer, Weights};
use crate::error::{Error, Result};

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
pub enum Source {
    /// A residual network; the manifest is attached.
    Weights(Weights),
    /// Anything else.
    Graph(Box<Graph>, Manifest),
}

impl Source {
    /// What is known of the model.
    ///
    /// # Errors
    /// As [`Manifest::of`].
    pub fn manifest(&self) -> Result<Manifest, String> {
        match self {
            Self::Weights(weights) => Manifest::of(weights),
            Self::Graph(_, manifest) => Ok(manifest.clone()),
        }
    }
}

/// What was found out about a file: the network, and what its makers left beside it.
pub(super) struct Found {
    pub(super) architecture: Architecture,
    pub(super) network: Network,
    /// Side lengths it is usually fed.
    pub(super) input: [usize; 2],
    pub(super) normalizer: Option<Normalizer>,
    pub(super) notes: Vec<String>,
}

/// Tensors under torchvision's names, or a graph.
pub(super) enum Network {
    Tensors(Weights),
    Graph(Box<Graph>),
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
/// [`Error::Model`] names the file and what is wrong with it, or which layouts are known;
/// [`Error::Tensors`] lists what is missing, extra and misshapen.
pub fn open(path: &Path, device: &Device) -> Result<Source> {
    if path
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        let Described { description, file } = Description::read(path)?;
        return open_as(&file, &description, device);
    }
    open_as(path, &Description::default(), device)
}

/// As [`open`], for a description that is not in a file.
///
/// # Errors
/// As [`open`].
pub fn open_inline(text: &str, device: &Device) -> Result<Source> {
    let Described { description, file } =
        Description::parse(text, Path::new("the model"), Path::new(""))?;
    open_as(&file, &description, device)
}

/// As [`open`], with what a person says of the file.
///
/// # Errors
/// As [`open`].
pub fn open_as(path: &Path, description: &Description, device: &Device) -> Result<Source> {
    let refuse = |reason: String| Error::model(path, reason);
    let start = start(path)?;
    let found = if onnx::is_onnx(path, &start) {
        onnx::open(path, description.input, device)?
    } else {
        let file = TensorFile::open(path, &start)?;
        if let TensorFile::Safetensors(weights) = &file
            && Manifest::is_in(weights)
        {
            let weights = description.amend(weights.clone(), path)?;
            return Ok(Source::Weights(weights));
        }
        layout::recognise(&file, description, path, device)?
    };
    let manifest = complete(
        found.architecture,
        found.input,
        found.normalizer,
        found.notes,
        description,
        path,
    )?;
    manifest
        .validate()
        .map_err(|error| refuse(error.to_string()))?;
    Ok(match found.network {
        Network::Tensors(mut weights) => {
            manifest.attach(&mut weights);
            Source::Weights(weights)
        }
        Network::Graph(graph) => Source::Graph(graph, manifest),
    })
}

/// All that is known of a model, in the order: said by a person, found in its file, assumed.
fn complete(
    architecture: Architecture,
    input: [usize; 2],
    normalizer: Option<Normalizer>,
    mut notes: Vec<String>,
    description: &Description,
    path: &Path,
) -> Result<Manifest> {
    let classes = architecture.classes();
    description.check_architecture(&architecture, path)?;
    let said = description.normalizer()?;
    let normalizer = match (said, normalizer) {
        (Some(said), _) => said,
        (None, Some(found)) => {
            notes.push("its normaliser is in the file".into());
            found
        }
        (None, None) => {
            let (name, normalizer) = description::usual_normalizer(classes);
            notes.push(format!(
                "its normaliser is not in the file; {name} is assumed"
            ));
            normalizer
        }
    };
    let labels = match description.labels(path)? {
        Some(labels) => labels,
        None => {
            let (labels, name) = labels::usual(classes);
            notes.push(format!("its labels are not in the file; {name} is assumed"));
            labels
        }
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = description.name.clone();
    Ok(Manifest {
        name: name.unwrap_or_else(|| stem.into_owned()),
        architecture,
        input: description.input.unwrap_or(input),
        normalizer,
        labels,
        training: description
            .training
            .clone()
            .unwrap_or_else(|| "not known".into()),
        notes,
    })
}
