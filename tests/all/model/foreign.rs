//! Models that other programs wrote, against what those programs say of a picture
//! (`tests/fixtures/make_foreign.py`).

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use epsiloscope::model::import::{
    Description, LabelSource, ModelSource, NormalizerSource, open_as,
};
use epsiloscope::model::{Classifier, Normalizer, Precision, gradient, zoo};

use super::modern::MODERN;
use crate::support::parity_checks::Values;

/// As in the script.
const STRIDE: usize = 37;

pub(super) fn path(file: &str) -> PathBuf {
    Path::new("tests/fixtures/foreign").join(file)
}

/// The script's picture.
pub(super) fn picture([h, w]: [usize; 2]) -> Tensor<4> {
    let values: Vec<f32> = (0..3 * h * w)
        .map(|at| (at * 7919 % 1009) as f32 / 1009.0)
        .collect();
    Tensor::from_data(TensorData::new(values, [1, 3, h, w]), &Device::flex())
}

pub(super) fn opened(file: &str, description: &Description) -> Classifier {
    let (path, device) = (path(file), Device::flex());
    let source = open_as(&path, description, &device).unwrap_or_else(|error| panic!("{error}"));
    zoo::classifier(&source, &path, &device).unwrap_or_else(|error| panic!("{error}"))
}

/// Without a normaliser, for pictures of the script's size.
pub(super) fn plain(values: &Values) -> Description {
    Description {
        normalizer: Some(NormalizerSource::Given(Normalizer::NONE)),
        input: Some(size(values)),
        ..Description::default()
    }
}

pub(super) fn size(values: &Values) -> [usize; 2] {
    let sides = values.labels("size");
    [sides[0], sides[1]]
}

pub(super) fn check_near(what: &str, found: &[f32], wanted: &[f32], tolerance: f32) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!(
            (found - wanted).abs() <= tolerance * (1.0 + wanted.abs()),
            "{what} {at}: {found}, and PyTorch says {wanted}"
        );
    }
}

/// Logits and the gradient of the second one, both ways there are to compute it.
pub(super) fn check(file: &str, description: Option<Description>, tolerance: f32) -> Classifier {
    let stem = file.split('.').next().unwrap_or(file);
    let values = Values::read(&format!("foreign/{stem}_io"));
    let description = description.unwrap_or_else(|| plain(&values));
    let model = opened(file, &description);
    let x = picture(size(&values));
    let floats = |tensor: Tensor<1>| tensor.into_data().try_into_vec::<f32>().expect("floats");
    let logits = floats(model.logits(x.clone()).flatten(0, 1));
    check_near(
        &format!("{file}, logit"),
        &logits,
        values.values("logits"),
        tolerance,
    );
    let second = |logits: Tensor<2>| logits.narrow(1, 1, 1).flatten(0, 1);
    let at_features = model
        .gradient(&x, &|features| second(model.logits_of(features)))
        .1;
    let at_pixels = gradient(&x, |x| second(model.logits(x))).1;
    let wanted = values.values("gradient");
    let scale = wanted
        .iter()
        .fold(1e-6_f32, |most, value| most.max(value.abs()));
    let wanted: Vec<f32> = wanted.iter().map(|value| value / scale).collect();
    for gradient in [at_features, at_pixels] {
        let all = floats(gradient.flatten(0, 3));
        let some: Vec<f32> = all
            .iter()
            .step_by(STRIDE)
            .map(|value| value / scale)
            .collect();
        check_near(&format!("{file}, gradient"), &some, &wanted, 1e-3);
    }
    model
}

fn notes(model: &Classifier) -> String {
    let manifest = model.manifest();
    [&*manifest.notes, &*manifest.assumptions]
        .concat()
        .join("; ")
}

#[test]
fn torchvision_s_files_agree_with_pytorch() {
    for (file, title) in [
        ("resnet18.pth", "as ResNet-18"),
        ("resnet34.pth", "as ResNet-34"),
        ("resnet50.pth", "as ResNet-50"),
        ("resnet101.pth", "as ResNet-101"),
        ("resnet152.pth", "as ResNet-152"),
        ("wide_resnet50_2.pth", "as WideResNet-50"),
    ] {
        let model = check(file, None, 1e-4);
        assert!(notes(&model).contains(title), "{}", notes(&model));
        assert_eq!(model.classes(), 7);
    }
}

#[test]
fn a_dictionary_of_training_state_is_searched_for_the_network() {
    let model = check("paper.pt", None, 1e-4);
    assert!(
        notes(&model).contains("under “model_state_dict”"),
        "{}",
        notes(&model)
    );
    assert!(notes(&model).contains("passed over"), "{}", notes(&model));
}

#[test]
fn the_robustness_library_s_normaliser_and_twin_are_understood() {
    let described = Description {
        input: Some([32, 32]),
        ..Description::default()
    };
    let model = check("madry.pt", Some(described), 1e-4);
    assert_eq!(model.manifest().normalizer.mean, [0.4914, 0.4822, 0.4465]);
    assert!(
        notes(&model).contains("normaliser is in the file"),
        "{}",
        notes(&model)
    );
}

#[test]
fn networks_that_normalise_first_agree_with_pytorch() {
    let model = check("wide.pt", None, 1e-4);
    assert!(
        notes(&model).contains("WideResNet-10-1"),
        "{}",
        notes(&model)
    );
    let inside = Description {
        input: Some([32, 32]),
        ..Description::default()
    };
    check("deepmind.pt", Some(inside), 1e-4);
    let model = check("preact.pt", None, 1e-4);
    assert!(
        notes(&model).contains("PreActResNet-18"),
        "{}",
        notes(&model)
    );
    let raw = Description {
        raw_shortcut: true,
        ..plain(&Values::read("foreign/preact_raw_io"))
    };
    check("preact_raw.pt", Some(raw), 1e-4);
}

#[test]
fn shortcuts_without_weights_agree_with_pytorch() {
    let model = check("option_a.th", None, 1e-4);
    assert!(notes(&model).contains("ResNet-20"), "{}", notes(&model));
    assert!(notes(&model).contains("option A"), "{}", notes(&model));
}

#[test]
fn hugging_face_s_and_timm_s_files_agree_with_pytorch() {
    check("hugging_face.safetensors", None, 1e-4);
    check("timm.safetensors", None, 1e-4);
}

#[test]
fn onnx_graphs_agree_with_pytorch_and_onnxruntime() {
    for name in [
        "resnet",
        "vgg",
        "mobilenet",
        "efficientnet",
        "squeezenet",
        "densenet",
        "dynamo",
    ] {
        let file = format!("onnx_{name}.onnx");
        let values = Values::read(&format!("foreign/onnx_{name}_io"));
        let model = check(&file, None, 1e-3);
        let x = picture(size(&values));
        let logits = model.logits(x).flatten::<1>(0, 1);
        let logits = logits.into_data().try_into_vec::<f32>().expect("floats");
        check_near(&file, &logits, values.values("ort"), 1e-3);
    }
}

#[test]
fn what_is_not_said_is_assumed_and_said_to_be() {
    let model = opened("wide.pt", &Description::default());
    let manifest = model.manifest();
    assert_eq!(manifest.normalizer, Normalizer::CIFAR10);
    assert_eq!(manifest.labels[3], "cat");
    assert_eq!(manifest.input, [32, 32]);
    assert!(
        notes(&model).contains("cifar10 is assumed"),
        "{}",
        notes(&model)
    );
    let Ok(ModelSource::Weights(_)) = open_as(
        &path("resnet18.pth"),
        &Description::default(),
        &Device::flex(),
    ) else {
        panic!("a residual network takes the fast way");
    };
}

#[test]
fn every_graph_is_stored_and_opened_again() {
    let folder = tempfile::tempdir().expect("a folder");
    for family in [
        "vgg",
        "resnet",
        "efficientnet",
        "mobilenet",
        "densenet",
        "squeezenet",
        "dynamo",
    ] {
        check_stored(folder.path(), &format!("onnx_{family}.onnx"));
    }
    for name in MODERN {
        check_stored(folder.path(), &format!("modern_{name}.onnx"));
    }
}

/// Checks that a graph stored in this program's own format is the same classifier.
fn check_stored(folder: &Path, file: &str) {
    let (file, device) = (path(file), Device::flex());
    let source = open_as(&file, &Description::default(), &device);
    let source = source.unwrap_or_else(|error| panic!("{error}"));
    let before = zoo::classifier(&source, &file, &device).expect("a classifier");
    let stored = folder.join("stored.safetensors");
    let weights = source.into_weights();
    weights.write(&stored, Precision::Single).expect("a file");
    let after = zoo::open(&stored.into_os_string().into(), &device);
    let after = after.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(before.manifest(), after.manifest());
    let x = picture(before.manifest().input);
    let floats = |model: &Classifier| {
        let logits = model.logits(x.clone()).into_data();
        logits.try_into_vec::<f32>().expect("floats")
    };
    let file = file.display().to_string();
    check_near(&file, &floats(&after), &floats(&before), 1e-5);
}

#[test]
fn the_bundled_graph_agrees_with_pytorch() {
    let device = Device::flex();
    let model = zoo::open(&"efficientnet-lite0".into(), &device).expect("a bundled model");
    let logits = model.logits(picture([224, 224])).into_data();
    let logits = logits.try_into_vec::<f32>().expect("floats");
    // Every fiftieth, of the package's own weights (`assets/models/efficientnet_lite0.py`); the bundled ones
    // are in half precision.
    let expected = [
        -1.6081, -0.5584, -0.4778, -1.5078, -0.4727, -0.0447, -0.3564, 0.5792, -1.767, -0.6238,
        -1.2478, -1.3006, 2.8819, 1.791, 1.7458, 0.7855, -0.1448, 0.425, 1.2273, 0.1337,
    ];
    let some: Vec<f32> = logits.into_iter().step_by(50).collect();
    check_near("efficientnet-lite0", &some, &expected, 0.02);
}

/// Appends a key and its value to the metadata of an ONNX file: a message's fields may be in any order.
fn add_property(bytes: &mut Vec<u8>, key: &str, value: &str) {
    let field = |tag: u8, content: &[u8]| {
        let length = content.len();
        let low = (length & 0x7f) as u8 | 0x80;
        [&[tag << 3 | 2, low, (length >> 7) as u8][..], content].concat()
    };
    let entry = [field(1, key.as_bytes()), field(2, value.as_bytes())].concat();
    bytes.extend(field(14, &entry));
}

#[test]
fn what_an_onnx_file_says_of_itself_is_used_unless_a_description_says_otherwise() {
    let mut bytes = std::fs::read(path("onnx_resnet.onnx")).expect("a fixture");
    let labels: Vec<String> = (0..7).map(|at| format!("thing {at}")).collect();
    let text = serde_json::to_string(&labels).expect("plain data");
    for (key, value) in [
        ("name", "exported"),
        ("labels", text.as_str()),
        ("mean", "[0.25, 0.5, 0.75]"),
        ("std", "[0.5, 0.25, 1]"),
    ] {
        add_property(&mut bytes, key, value);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, &bytes).expect("written");
    let open = |description: &Description| {
        let source = open_as(&file, description, &Device::flex());
        source.map(|source| match source {
            ModelSource::Graph(source) => source.manifest,
            ModelSource::Weights(_) => panic!("an ONNX file is a graph"),
        })
    };
    let manifest = open(&Description::default()).expect("it opens");
    assert_eq!(
        (manifest.name.as_str(), &manifest.labels),
        ("exported", &labels)
    );
    assert_eq!(manifest.normalizer.mean, [0.25, 0.5, 0.75]);
    let notes = manifest.notes.join("; ");
    assert!(
        notes.contains("in its metadata: its name, normaliser, labels"),
        "{notes}"
    );
    assert_eq!(
        manifest.assumptions.len(),
        1,
        "the order of the channels alone"
    );
    let other = vec!["other".to_string(); 7];
    let said = Description {
        labels: Some(LabelSource::Given(other.clone())),
        ..Description::default()
    };
    let overruled = open(&said).expect("it opens");
    assert_eq!(
        (overruled.labels, overruled.normalizer),
        (other, manifest.normalizer)
    );
    // Labels for another number of outputs are refused, not cut.
    add_property(&mut bytes, "labels", r#"["one", "two"]"#);
    std::fs::write(&file, &bytes).expect("written");
    let refused = open(&Description::default()).expect_err("it is refused");
    assert!(refused.to_string().contains("label"), "{refused}");
}
