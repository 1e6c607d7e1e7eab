//! Model files that are something else, cut short, contradictory or hostile.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use burn::tensor::Device;
use epsiloscope::error::Error;
use epsiloscope::model::{
    Architecture, Array, Block, Classifier, Manifest, ResNetConfig, Weights, zoo,
};
use safetensors::tensor::{Dtype, TensorView, serialize};
use tempfile::tempdir;

use crate::model::sound_models::{sound, written};
use crate::support::allocation::watch;
use crate::support::{message, message_naming, tiny_config, tiny_manifest};

/// Bytes that opening a file may take besides twice its length.
const MOST: usize = 16 << 20;

/// Checks that a file is refused, named, and takes no memory beyond its own size.
fn check_refused(path: &Path) -> String {
    let length = fs::metadata(path).map_or(0, |file| file.len() as usize);
    let (text, most) = watch(|| message_naming(path, Weights::read(path)));
    assert!(most <= 2 * length + MOST, "{text}: {most} bytes");
    assert_eq!(text, message(Classifier::open(path, &Device::flex())));
    text
}

#[test]
fn what_is_no_model_is_refused_by_name() {
    let folder = tempdir().expect("a folder");
    let header = |length: u64, rest: &[u8]| [&length.to_le_bytes()[..], rest].concat();
    let bad = [
        ("empty", Vec::new()),
        ("short", vec![1, 2, 3]),
        (
            "text",
            b"This is a letter and no model at all; it is longer than a header.".to_vec(),
        ),
        ("huge-header", header(u64::MAX, &[b'{'; 100])),
        ("large-header", header(50 << 20, &[b'{'; 100])),
        ("zeros", vec![0; 4096]),
        ("brackets", header(4096, &[b'['; 5000])),
        ("not-utf8", header(4, &[0xFF; 4])),
        ("nothing-inside", header(2, b"{}")),
    ];
    for (name, bytes) in bad {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a file can be written");
        if name == "nothing-inside" {
            // A sound file of no tensors; it is no model all the same.
            message_naming(&path, Classifier::open(&path, &Device::flex()));
        } else {
            check_refused(&path);
        }
    }
    check_refused(&folder.path().join("missing"));
    check_refused(folder.path());
    assert!(
        message(zoo::open(&"no-such-model".into(), &Device::flex())).contains("cifar10-robust")
    );
}

#[test]
fn a_model_cut_short_anywhere_is_refused() {
    let folder = tempdir().expect("a folder");
    let whole = fs::read(written(folder.path(), &sound())).expect("the model can be read");
    let path = folder.path().join("cut.safetensors");
    for share in 0..50 {
        fs::write(&path, &whole[..whole.len() * share / 50]).expect("a file can be written");
        check_refused(&path);
    }
    fs::write(&path, [&whole[..], &[0]].concat()).expect("a file can be written");
    check_refused(&path);
}

#[test]
fn a_large_wrong_file_is_found_out_by_its_first_bytes() {
    let folder = tempdir().expect("a folder");
    let large = |name: &str, start: &[u8]| {
        let path = folder.path().join(name);
        let mut file = File::create(&path).expect("a file can be made");
        file.write_all(start).expect("a file can be written");
        // Sparse: it takes no room.
        file.set_len(5 << 30).expect("a file can be long");
        path
    };
    check_refused(&large("zeros", &[]));
    check_refused(&large("no-tensors", b"\x02\0\0\0\0\0\0\0{}"));
}

#[test]
fn tensors_that_do_not_fit_are_listed() {
    let mut weights = sound();
    weights.tensors.remove("layer2.0.conv1.weight");
    let bias = weights.tensors.remove("fc.bias").expect("a linear layer");
    weights.tensors.insert("head.bias".into(), bias);
    let stem = weights.tensors.get_mut("conv1.weight").expect("a stem");
    stem.shape = vec![4, 27];
    // PyTorch's counters are no part of the function and are passed over.
    let counter = Array {
        shape: vec![1],
        values: vec![5.0],
    };
    weights
        .tensors
        .insert("bn1.num_batches_tracked".into(), counter);
    let folder = tempdir().expect("a folder");
    let path = written(folder.path(), &weights);
    let result = Classifier::open(&path, &Device::flex());
    let Err(Error::Tensors { mismatch, .. }) = &result else {
        panic!("the tensors do not fit")
    };
    assert_eq!(mismatch.missing, ["layer2.0.conv1.weight", "fc.bias"]);
    assert_eq!(mismatch.extra, ["head.bias"]);
    assert_eq!(
        mismatch.misshapen,
        [("conv1.weight".to_owned(), vec![4, 27], vec![4, 3, 3, 3])]
    );
    let text = message_naming(&path, result);
    for part in [
        "missing (2): layer2.0.conv1.weight, fc.bias",
        "not part of the network (1): head.bias",
        "wrong shape (1): conv1.weight is [4, 27] and should be [4, 3, 3, 3]",
        "ResNet-6",
    ] {
        assert!(text.contains(part), "no “{part}” in: {text}");
    }
}

#[test]
fn long_lists_of_tensors_are_cut() {
    let folder = tempdir().expect("a folder");
    let mut weights = sound();
    weights.tensors.clear();
    let path = written(folder.path(), &weights);
    let text = message_naming(&path, Classifier::open(&path, &Device::flex()));
    assert!(text.contains(" more"), "{text}");
    assert!(text.len() < 1000, "{text}");
}

fn shape(manifest: &mut Manifest) -> &mut ResNetConfig {
    match &mut manifest.architecture {
        Architecture::ResNet(config) => config,
        Architecture::Graph(_) => panic!("a residual network was written"),
    }
}

#[test]
fn impossible_manifests_are_refused() {
    let folder = tempdir().expect("a folder");
    let refused = |change: &dyn Fn(&mut Manifest)| {
        let mut weights = sound();
        let mut manifest = tiny_manifest(3);
        change(&mut manifest);
        manifest.attach(&mut weights);
        let path = written(folder.path(), &weights);
        let result = Classifier::open(&path, &Device::flex());
        assert!(
            matches!(result, Err(Error::Model { .. })),
            "not refused as a model: {manifest:?}"
        );
        message_naming(&path, result)
    };
    assert!(refused(&|manifest| manifest.labels.truncate(2)).contains("2 labels for 3 classes"));
    assert!(refused(&|manifest| shape(manifest).widths[1] = 1 << 40).contains("stage widths"));
    assert!(refused(&|manifest| shape(manifest).widths[0] = 0).contains("stage widths"));
    assert!(refused(&|manifest| shape(manifest).blocks[1] = 100_000).contains("block counts"));
    assert!(
        refused(&|manifest| shape(manifest).blocks = vec![usize::MAX; 2]).contains("block counts")
    );
    assert!(refused(&|manifest| shape(manifest).blocks = vec![1]).contains("as many stage widths"));
    refused(&|manifest| shape(manifest).classes = 0);
    assert!(refused(&|manifest| manifest.normalizer.std[1] = 0.0).contains("normaliser"));
    refused(&|manifest| manifest.normalizer.mean[0] = f32::NAN);
    refused(&|manifest| manifest.normalizer.std[2] = f32::INFINITY);
    assert!(refused(&|manifest| manifest.input = [0, 8]).contains("input"));
    assert!(refused(&|manifest| manifest.input = [8, 1 << 30]).contains("input"));
}

#[test]
fn a_file_without_a_readable_manifest_is_refused() {
    let folder = tempdir().expect("a folder");
    let mut weights = sound();
    weights.metadata.clear();
    let path = written(folder.path(), &weights);
    assert!(message_naming(&path, Classifier::open(&path, &Device::flex())).contains("manifest"));
    weights
        .metadata
        .insert("epsiloscope".into(), "{\"name\": 3}".into());
    let path = written(folder.path(), &weights);
    assert!(message_naming(&path, Classifier::open(&path, &Device::flex())).contains("manifest"));
}

/// A file of a few kilobytes must not make the program ask for terabytes.
#[test]
fn a_manifest_cannot_ask_for_more_than_its_file_holds() {
    let folder = tempdir().expect("a folder");
    let mut weights = sound();
    let manifest = Manifest {
        architecture: ResNetConfig {
            block: Block::Bottleneck,
            widths: vec![8192; 8],
            blocks: vec![256; 8],
            ..tiny_config(3)
        }
        .into(),
        ..tiny_manifest(3)
    };
    manifest.attach(&mut weights);
    let path = written(folder.path(), &weights);
    let (_, most) = watch(|| message_naming(&path, Classifier::open(&path, &Device::flex())));
    assert!(most <= MOST, "{most} bytes");
}

#[test]
fn only_floating_point_tensors_are_read() {
    let folder = tempdir().expect("a folder");
    let counts = 7_i64.to_le_bytes();
    let counter = TensorView::new(Dtype::I64, vec![1], &counts).expect("eight bytes");
    let write = |name: &str| {
        let path = folder.path().join("integers.safetensors");
        fs::write(
            &path,
            serialize([(name, &counter)], None).expect("one tensor"),
        )
        .expect("a file can be written");
        path
    };
    let text = check_refused(&write("fc.weight"));
    assert!(text.contains("fc.weight") && text.contains("I64"), "{text}");
    let read = Weights::read(&write("bn1.num_batches_tracked")).expect("a counter is passed over");
    assert!(read.tensors.is_empty());
}
