//! Networks that are not plain logits of red, green and blue pictures, or whose tensors do not tell all: read right,
//! said to be assumed, or refused in words.

use std::path::{Path, PathBuf};

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use epsiloscope::compute::{ModelInput, PreviewRequest, Runner};
use epsiloscope::data::{Crop, Picture, samples};
use epsiloscope::error::Result;
use epsiloscope::evaluate::top;
use epsiloscope::model::import::{
    ChannelOrder, Description, LabelSource, ModelSource, NormalizerSource, open_as,
};
use epsiloscope::model::{Classifier, ModelRef, Normalizer, Stem, zoo};

use crate::support::{message_naming, values};

fn path(file: &str) -> PathBuf {
    Path::new("tests/fixtures/foreign").join(file)
}

fn source(file: &str, description: &Description) -> Result<ModelSource> {
    open_as(&path(file), description, &Device::flex())
}

fn opened(file: &str, description: &Description) -> Classifier {
    let source = source(file, description).unwrap_or_else(|error| panic!("{error}"));
    let model = zoo::classifier(&source, &path(file), &Device::flex());
    model.unwrap_or_else(|error| panic!("{error}"))
}

/// `picture.png` as a model's pixels.
fn picture() -> Tensor<4> {
    let decoded = image::open(path("picture.png"))
        .expect("a picture")
        .to_rgb8();
    let (width, height) = decoded.dimensions();
    let plane = |channel: usize| {
        decoded
            .pixels()
            .map(move |pixel| f32::from(pixel.0[channel]) / 255.0)
    };
    let values: Vec<f32> = (0..3).flat_map(plane).collect();
    let data = TensorData::new(values, [1, 3, height as usize, width as usize]);
    Tensor::from_data(data, &Device::flex())
}

fn check_near(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1e-4,
            "{what}: {found}, not {expected}"
        );
    }
}

/// Logits of the graph that three of the files hold, as onnxruntime says.
const LOGITS: [f32; 10] = [
    2.071259, 1.127042, -1.678661, 0.383949, 2.502408, -1.46136, -0.006944, -1.090541, -0.353681,
    1.835814,
];

#[test]
fn what_does_not_depend_on_the_picture_is_folded_whatever_computes_it() {
    let pad = [
        0.028413, -0.213606, -0.00574, 0.001535, 0.225996, -0.079235, -0.452382, -0.05114,
        0.000909, -0.155711,
    ];
    for (file, expected) in [
        ("onnx_constant_pad.onnx", pad),
        ("onnx_domain.onnx", LOGITS),
    ] {
        let model = opened(file, &Description::default());
        check_near(file, &values(model.logits(picture())), &expected);
    }
}

#[test]
fn a_last_sigmoid_is_taken_off() {
    let model = opened("onnx_sigmoid.onnx", &Description::default());
    check_near("sigmoid", &values(model.logits(picture())), &LOGITS);
    assert!(
        model
            .manifest()
            .notes
            .iter()
            .any(|note| note.contains("sigmoid"))
    );
}

#[test]
fn of_several_outputs_the_logits_are_read_or_those_that_are_said() {
    let file = "onnx_two_outputs.onnx";
    let model = opened(file, &Description::default());
    check_near(file, &values(model.logits(picture())), &LOGITS);
    let notes = &model.manifest().notes;
    assert!(
        notes.iter().any(|note| note.contains("logits is read")),
        "{notes:?}"
    );
    let said = |output: &str| Description {
        output: Some(output.into()),
        ..Description::default()
    };
    assert_eq!(opened(file, &said("f")).classes(), 8);
    let refused = message_naming(&path(file), source(file, &said("nothing")));
    assert!(refused.contains("f, logits"), "{refused}");
}

#[test]
fn one_output_is_two_classes() {
    let labelled = Description {
        labels: Some(LabelSource::Given(vec!["no".into(), "yes".into()])),
        ..Description::default()
    };
    for file in ["single_logit.pt", "onnx_single_logit.onnx"] {
        let model = opened(file, &labelled);
        assert_eq!(model.manifest().labels, ["no", "yes"]);
        let logits = values(model.logits(picture()));
        assert!(logits[0] == 0.0 && logits[1] != 0.0, "{file}: {logits:?}");
        let probability = values(softmax(model.logits(picture()), 1))[1];
        let sigmoid = 1.0 / (1.0 + (-logits[1]).exp());
        assert!((probability - sigmoid).abs() < 1e-6, "{file}");
        // An attack has something to change.
        let first = |features: Tensor<4>| model.logits_of(features).narrow(1, 1, 1).flatten(0, 1);
        let (_, gradient) = model.gradient(&picture(), &first);
        assert!(values(gradient).iter().any(|value| *value != 0.0), "{file}");
    }
}

#[test]
fn what_tensors_do_not_tell_is_assumed_aloud_and_can_be_said() {
    let file = "stem3_maxpool.pt";
    let assumptions = opened(file, &Description::default())
        .manifest()
        .assumptions
        .clone();
    for word in ["max-pooling", "normaliser", "labels", "pixels", "channels"] {
        let is_named = assumptions
            .iter()
            .any(|assumption| assumption.contains(word));
        assert!(is_named, "{word} in {assumptions:?}");
    }
    let said = Description {
        stem: Some(Stem::CifarPool),
        ..Description::default()
    };
    let model = opened(file, &said);
    let expected = [
        6.445778, -7.402822, 1.721051, -1.136628, -8.401704, -1.241748, 4.501645, -15.672853,
        12.332527, 15.822233,
    ];
    let found = values(model.logits(picture()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-3, "{found}, not {expected}");
    }
    assert!(
        !model
            .manifest()
            .assumptions
            .iter()
            .any(|text| text.contains("max-pooling"))
    );
    let wrong = Description {
        stem: Some(Stem::Imagenet),
        ..Description::default()
    };
    assert!(message_naming(&path(file), source(file, &wrong)).contains("3×3"));
}

#[test]
fn strides_of_the_original_bottlenecks_can_be_said() {
    let file = "resnet50.pth";
    let first = Description {
        stride_in_first: true,
        ..Description::default()
    };
    let [torchvision, original] = [Description::default(), first].map(|said| opened(file, &said));
    let has_stride = |model: &Classifier| {
        model
            .manifest()
            .assumptions
            .iter()
            .any(|text| text.contains("stride in the 3×3"))
    };
    assert!(has_stride(&torchvision) && !has_stride(&original));
    let x = Tensor::cat(vec![picture(), picture()], 3);
    assert_ne!(
        values(torchvision.logits(x.clone())),
        values(original.logits(x))
    );
}

#[test]
fn blue_green_and_red_are_read_in_the_order_that_is_said() {
    let normalizer = |mean: [f32; 3]| {
        Some(NormalizerSource::Given(Normalizer {
            mean,
            std: [0.5; 3],
        }))
    };
    for file in ["single_logit.pt", "onnx_sigmoid.onnx"] {
        let rgb = opened(
            file,
            &Description {
                normalizer: normalizer([0.1, 0.2, 0.3]),
                ..Description::default()
            },
        );
        let bgr = opened(
            file,
            &Description {
                normalizer: normalizer([0.1, 0.2, 0.3]),
                channels: Some(ChannelOrder::Bgr),
                ..Description::default()
            },
        );
        let planes: Vec<Tensor<4>> = (0..3).rev().map(|at| picture().narrow(1, at, 1)).collect();
        let reversed = values(rgb.logits(Tensor::cat(planes, 1)));
        check_near(file, &values(bgr.logits(picture())), &reversed);
    }
}

#[test]
fn files_that_cannot_be_read_are_refused_with_the_reason_and_the_remedy() {
    let refused = |file: &str| message_naming(&path(file), source(file, &Description::default()));
    assert!(opened("grey.pt", &Description::default()).manifest().grey);
    for (file, remedy) in [
        ("traced.pt", "torch.jit.load"),
        ("exported.pt2", "torch.export.load"),
    ] {
        let message = refused(file);
        assert!(
            message.contains(remedy) && message.contains("onnx.export"),
            "{message}"
        );
    }
    opened("double.safetensors", &Description::default());
    let folder = tempfile::tempdir().expect("a folder");
    let upper = folder.path().join("model.ONNX");
    std::fs::copy(path("onnx_domain.onnx"), &upper).expect("a copy");
    let device = Device::flex();
    let result = open_as(&upper, &Description::default(), &device);
    assert!(result.is_ok(), "{:?}", result.err());
}

#[test]
fn own_files_leave_nothing_open() {
    let model = opened("onnx_sigmoid.onnx", &Description::default());
    drop(model);
    let folder = tempfile::tempdir().expect("a folder");
    let stored = folder.path().join("stored.safetensors");
    let source = source("onnx_sigmoid.onnx", &Description::default()).expect("a fixture");
    let single = epsiloscope::model::Precision::Single;
    source
        .into_weights()
        .write(&stored, single)
        .expect("a file");
    let said = Description {
        channels: Some(ChannelOrder::Bgr),
        ..Description::default()
    };
    let refused = message_naming(&stored, open_as(&stored, &said, &Device::flex()));
    assert!(refused.contains("channels"), "{refused}");
}

#[test]
fn ways_to_read_a_file_are_compared_on_labelled_pictures() {
    let file = ModelRef::file(path("stem3_maxpool.pt"));
    let mut runner = Runner::new(Device::flex());
    let opened = runner.models().get(&file).expect("a model").classifier;
    let labels = &opened.manifest().labels;
    let pictures: Vec<Picture> = samples::all()
        .into_iter()
        .map(|(picture, _)| picture)
        .take(4)
        .collect();
    let input = ModelInput::new(&file, &pictures[0], None);
    let seen = |runner: &mut Runner, picture: &Picture| {
        let prediction = runner
            .predict(ModelInput::new(&file, picture, None))
            .expect("a prediction");
        labels[top(&prediction.probabilities)].clone()
    };
    // As the file is read now all are right; a name of no class does not count.
    let mut labelled: Vec<(Picture, Crop, String)> = pictures
        .iter()
        .map(|picture| (picture.clone(), Crop::default(), seen(&mut runner, picture)))
        .collect();
    labelled.push((pictures[0].clone(), Crop::default(), "holiday".into()));
    let previews = runner
        .preview(PreviewRequest { input, labelled })
        .expect("previews");
    let stems: Vec<_> = previews
        .iter()
        .filter(|one| one.alternative.what == "Stem")
        .collect();
    assert!(stems.len() >= 2, "{}", stems.len());
    for preview in &previews {
        let [right, known] = preview.right;
        assert_eq!(known, pictures.len());
        assert!(
            right == known || !preview.alternative.is_current,
            "{preview:?}"
        );
    }
}

#[test]
fn heads_of_attention_are_among_the_ways_to_read_a_transformer() {
    let file = ModelRef::file(path("modern_vit.safetensors"));
    let (picture, _) = samples::all().swap_remove(2);
    let request = PreviewRequest {
        input: ModelInput::new(&file, &picture, None),
        labelled: Vec::new(),
    };
    let previews = Runner::new(Device::flex())
        .preview(request)
        .expect("previews");
    let heads = previews
        .iter()
        .filter(|one| one.alternative.what == "Heads of attention");
    let heads: Vec<(&str, bool)> = heads
        .map(|one| (one.alternative.name, one.alternative.is_current))
        .collect();
    // Those that divide 24 channels; one head of 64 channels is assumed.
    let known = [
        ("1", true),
        ("2", false),
        ("3", false),
        ("4", false),
        ("6", false),
        ("8", false),
        ("12", false),
    ];
    assert_eq!(heads, known);
}
