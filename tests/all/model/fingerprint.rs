//! What the fingerprint of a model covers.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use epsiloscope::model::Fingerprint;
use epsiloscope::model::import::ModelSource;
use epsiloscope::model::{ModelRef, zoo};

/// Databases and sessions keep these hashes: the manifest's facts, the file, and the files beside it.
#[test]
fn the_fingerprint_of_a_graph_covers_its_file_and_those_beside_it() {
    let model = ModelRef::from("tests/fixtures/foreign/onnx_dynamo.onnx");
    let source = zoo::source(&model, &Device::flex()).expect("a sound file");
    let ModelSource::Graph(graph) = &source else {
        panic!("an ONNX file is a graph");
    };
    let beside = Path::new("tests/fixtures/foreign/onnx_dynamo.onnx.data");
    assert_eq!(graph.files_beside, [beside]);
    let manifest = &graph.manifest;
    let facts = (
        &manifest.architecture,
        manifest.input,
        manifest.normalizer,
        &manifest.labels,
    );
    let mut hasher = blake3::Hasher::new();
    hasher.update(&serde_json::to_vec(&facts).expect("plain data"));
    hasher.update(&fs::read("tests/fixtures/foreign/onnx_dynamo.onnx").expect("the file"));
    hasher.update(&fs::read(beside).expect("the file beside"));
    let expected = Fingerprint(*hasher.finalize().as_bytes());
    let found = Fingerprint::of_model(&model, &source).expect("a fingerprint");
    assert_eq!(found, expected);
}
