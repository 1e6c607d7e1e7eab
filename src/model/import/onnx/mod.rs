//! Classifiers in ONNX files, as graphs of burn operations, so that gradients flow.
//!
//! The operators are those of convolutional networks and of transformers; anything else is refused by name. What follows from shapes and constants alone is computed
//! once, on opening, for the size of picture that the model is opened for.

mod arrays;
mod attributes;
mod constant_folding;
mod context;
mod elementwise;
mod head;
mod import;
mod normalization;
mod operators;
mod proto;
mod rearrangement;
mod shape_ops;
mod size_limits;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use prost::Message;

use super::metadata::Metadata;
use super::{Description, Found, FoundNetwork, LoadError};
use crate::model::architecture::Architecture;
use import::Imported;
use proto::{ModelProto, TensorProto};

/// Opsets whose operators are read as they are meant.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=25;

/// Files beyond this are refused before they are read.
const LONGEST: u64 = 4 << 30;

/// Whether a file is to be read as ONNX: by its name, or by how such files begin (the version, then the
/// name of a producer).
pub(super) fn is_onnx(path: &Path, start: &[u8]) -> bool {
    let named = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
    named || matches!(start, [0x08, 1..=20, 0x12, ..])
}

/// Opens a classifier for pictures of the size that is said of it, or that it was made for.
///
/// # Errors
/// [`Error::Model`] names the node that cannot be read, and why.
pub(super) fn open(
    path: &Path,
    start: &[u8],
    description: &Description,
    device: &Device,
) -> Result<Found, LoadError> {
    let refuse = |reason: String| LoadError::tried(WHAT, reason);
    let model = read(path, start)?;
    let opset = model
        .opset_import
        .iter()
        .find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
    let opset = opset.map_or(0, |set| set.version);
    if !OPSETS.contains(&opset) {
        let [low, high] = [OPSETS.start(), OPSETS.end()];
        return Err(refuse(format!(
            "its opset is {opset}; {low} to {high} are known"
        )));
    }
    let properties = model.metadata_props.iter();
    let metadata = Metadata::of_properties(
        properties.map(|property| (property.key.as_str(), property.value.as_str())),
    );
    let description = &description.clone().or(&metadata.description);
    let graph = model
        .graph
        .ok_or_else(|| refuse("it holds no graph".into()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let producer = model.producer_name;
    let beside = files_beside(&graph.initializer, folder);
    let imported = import::import(graph, opset, description, folder, device);
    let Imported {
        graph,
        summary,
        input,
        grey,
        mut notes,
        assumptions,
    } = imported.map_err(refuse)?;
    let by = if producer.is_empty() {
        String::new()
    } else {
        format!(" by {producer}")
    };
    Ok(Found {
        architecture: Architecture::Graph(summary),
        network: FoundNetwork::Graph(Box::new(graph), beside),
        input,
        normalizer: None,
        grey,
        notes: {
            notes.insert(0, format!("an ONNX graph, opset {opset}, written{by}"));
            notes
        },
        assumptions,
        metadata,
    })
}

/// What a file was tried as.
const WHAT: &str = "as an ONNX file";

/// The message that a file is, if it begins like one (with `start`) and takes no more room than it should.
fn read(path: &Path, start: &[u8]) -> Result<ModelProto, LoadError> {
    require_model(path, start)?;
    let bytes = std::fs::read(path)?;
    size_limits::require_room(&bytes).map_err(|reason| LoadError::tried(WHAT, reason))?;
    ModelProto::decode(bytes.as_slice()).map_err(|error| LoadError::tried(WHAT, error))
}

/// Refuses what is too long, or begins as no message does, before all of it is read.
fn require_model(path: &Path, start: &[u8]) -> Result<(), LoadError> {
    let length = std::fs::metadata(path)?.len();
    if length > LONGEST || !matches!(start.first(), Some(0x08 | 0x12 | 0x3a | 0x42)) {
        return Err("it does not begin like an ONNX file".into());
    }
    let mut file = std::fs::File::open(path)?;
    Ok(size_limits::require_outline(&mut file, length)?)
}

/// The files in `folder`, where the ONNX file is, that hold numbers of its tensors.
fn files_beside(tensors: &[TensorProto], folder: &Path) -> Vec<PathBuf> {
    let location = |tensor: &TensorProto| {
        let place = tensor.elsewhere()?;
        Some(folder.join(place.get("location")?))
    };
    let files: BTreeSet<PathBuf> = tensors.iter().filter_map(location).collect();
    files.into_iter().collect()
}
