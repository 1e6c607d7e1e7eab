//! Transformers and modern convolutional networks as ONNX files, against what PyTorch and onnxruntime say of a
//! picture (`tests/fixtures/make_modern.py`).

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use epsiloscope::attribution::{AttentionHead, Input, Method, Score, Target, explain};
use epsiloscope::error::Result;
use epsiloscope::model::import::{ActivationName, Description, open_as};
use epsiloscope::model::{Classifier, FeatureLayer, ModelRef, zoo};

use super::foreign::{check, check_near, opened, path, picture, plain, size};
use crate::support::parity_checks::Values;

/// The networks of the script.
pub(super) const MODERN: [&str; 20] = [
    "vit",
    "vit_unfused",
    "vit_dynamo",
    "vit_dynamic",
    "vit_mean",
    "vit_torchvision",
    "vit_torchvision_dynamo",
    "deit",
    "swin",
    "swin_torchvision",
    "swin_dynamo",
    "convnext",
    "convnext_dynamo",
    "convnext_torchvision",
    "odd",
    "odd_dynamo",
    "regnet",
    "resnext",
    "seresnet",
    "shufflenet",
];

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().expect("floats")
}

/// Pictures of a batch stay apart, wherever the network moves the batch axis.
fn check_batch(file: &str, model: &Classifier, values: &Values) {
    let one = picture(size(values));
    let two = Tensor::cat(vec![one.clone(), 1.0 - one], 0);
    check_near(
        file,
        &floats(model.logits(two)),
        values.values("batch"),
        1e-3,
    );
}

#[test]
fn modern_networks_agree_with_pytorch_and_onnxruntime() {
    let mut wrong = Vec::new();
    for name in MODERN {
        let agrees = std::panic::catch_unwind(|| {
            let file = format!("modern_{name}.onnx");
            let values = Values::read(&format!("foreign/modern_{name}_io"));
            let model = check(&file, None, 1e-3);
            let one = picture(size(&values));
            check_near(
                &file,
                &floats(model.logits(one)),
                values.values("ort"),
                1e-3,
            );
            check_batch(&file, &model, &values);
        });
        if agrees.is_err() {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn weights_of_modern_networks_agree_with_pytorch() {
    for name in [
        "vit",
        "vit_mean",
        "vit_torchvision",
        "deit",
        "hf_vit",
        "hf_deit",
        "hf_vit_older",
        "hf_deit_older",
        "convnext",
        "convnext_torchvision",
        "resnext",
        "seresnet",
        "efficientnet",
        "efficientnet_torchvision",
        "mobilenetv2",
        "mobilenetv2_torchvision",
        "mobilenetv3_large",
        "mobilenetv3_small",
        "mobilenetv3_large_torchvision",
        "mobilenetv3_small_torchvision",
    ] {
        let values = Values::read(&format!("foreign/modern_{name}_io"));
        // Eight channels a head, where networks of full size have 64.
        let is_transformer = name.contains("vit") || name.contains("deit");
        let description = Description {
            heads: is_transformer.then_some(3),
            ..plain(&values)
        };
        let file = format!("modern_{name}.safetensors");
        let model = check(&file, Some(description), 1e-3);
        check_batch(&file, &model, &values);
        if is_transformer {
            let assumed = opened(&file, &plain(&values));
            let assumptions = assumed.manifest().assumptions.join("; ");
            // Its normalised queries tell.
            let is_told = name == "vit_mean";
            assert_eq!(
                assumptions.contains("heads of attention"),
                !is_told,
                "{assumptions}"
            );
        }
    }
}

#[test]
fn transformers_whose_activation_no_tensor_tells_open_only_when_it_is_said() {
    let activations = [
        ("vit_clip", ActivationName::Gelu),
        ("vit_quickgelu", ActivationName::QuickGelu),
    ];
    for (name, activation) in activations {
        let values = Values::read(&format!("foreign/modern_{name}_io"));
        let file = format!("modern_{name}.safetensors");
        let unsaid = Description {
            heads: Some(3),
            ..plain(&values)
        };
        let opened = open_as(&path(&file), &unsaid, &Device::flex());
        let refused = opened.map(drop).expect_err("a refusal").to_string();
        assert!(refused.contains("quick-gelu"), "{refused}");
        let said = Description {
            activation: Some(activation),
            ..unsaid
        };
        let model = check(&file, Some(said), 1e-3);
        check_batch(&file, &model, &values);
        let assumptions = model.manifest().assumptions.join("; ");
        assert!(!assumptions.contains("GELU"), "{assumptions}");
        assert!(
            assumptions.contains("ε of LayerNorm: 1e-5"),
            "{assumptions}"
        );
    }
}

#[test]
fn every_layer_of_a_modern_network_leads_to_its_answer() {
    for name in MODERN {
        let file = format!("modern_{name}.onnx");
        let values = Values::read(&format!("foreign/modern_{name}_io"));
        let model = opened(&file, &plain(&values));
        let x = picture(size(&values));
        let features = model.features(x.clone());
        assert_eq!(
            features.dims()[1],
            model.channels(None),
            "{name}: channels of the last layer"
        );
        check_near(
            name,
            &floats(model.logits_of(features)),
            values.values("logits"),
            1e-3,
        );
        let first = model.features_at(
            x,
            FeatureLayer {
                stage: Some(0),
                fake_relu: false,
            },
        );
        assert_eq!(first.dims()[1], model.channels(Some(0)), "{name}: channels");
    }
}

fn map(model: &Classifier, method: &Method, pixels: Vec<f32>) -> Result<Vec<f32>> {
    let size = model.manifest().input;
    let input = Input {
        pixels,
        size,
        reference: None,
        background: Arc::default(),
    };
    let target = Target {
        score: Score::Logit,
        class: 1,
        against: None,
    };
    explain(model, method, target, &input).map(|map| map.values)
}

#[test]
fn attention_maps_agree_with_pytorch() {
    let values = Values::read("foreign/modern_vit_unfused_io");
    let head = |layer, head| Method::Attention(AttentionHead { layer, head });
    let model = opened("modern_vit_unfused.onnx", &plain(&values));
    let pixels = floats(picture(size(&values)));
    let explained = |method: &Method| {
        map(&model, method, pixels.clone()).unwrap_or_else(|error| panic!("{error}"))
    };
    let rollout = explained(&Method::AttentionRollout);
    check_near("rollout", &rollout, values.values("rollout"), 1e-4);
    check_near(
        "a head",
        &explained(&head(0, Some(1))),
        values.values("head"),
        1e-4,
    );
    let heads: Vec<Vec<f32>> = (0..3).map(|at| explained(&head(0, Some(at)))).collect();
    let mean: Vec<f32> = (0..heads[0].len())
        .map(|at| heads.iter().map(|head| head[at]).sum::<f32>() / 3.0)
        .collect();
    check_near("all heads", &explained(&head(0, None)), &mean, 1e-4);
    for (layer, head_number) in [(2, None), (0, Some(3))] {
        let refused = map(&model, &head(layer, head_number), pixels.clone());
        let reason = refused
            .expect_err("there is no such layer or head")
            .to_string();
        assert!(reason.contains('2') && reason.contains("has"), "{reason}");
    }
}

#[test]
fn every_vision_transformer_has_attention_and_no_other_network() {
    for name in MODERN {
        let values = Values::read(&format!("foreign/modern_{name}_io"));
        let model = opened(&format!("modern_{name}.onnx"), &plain(&values));
        let is_global = name.starts_with("vit") || name == "deit";
        let pixels = floats(picture(size(&values)));
        match map(&model, &Method::AttentionRollout, pixels.clone()) {
            Ok(rollout) => {
                assert!(is_global, "{name}");
                let mean = rollout.iter().sum::<f32>() / rollout.len() as f32;
                // The patches' shares and those of other tokens sum to 1.
                assert!(rollout.iter().all(|share| *share >= 0.0) && mean * 16.0 <= 1.01);
            }
            Err(error) => {
                assert!(!is_global, "{name}: {error}");
                assert!(error.to_string().contains("no attention"), "{error}");
            }
        }
        // Grad-CAM sees the patches, not the class token, and is not flat.
        let cam = map(&model, &Method::GradCam, pixels).unwrap_or_else(|error| panic!("{error}"));
        let largest = cam
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        assert!(largest > 1e-6, "{name}: a flat map");
    }
}

#[test]
fn weights_that_their_folder_calls_tensorflows_are_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let weights = folder.path().join("model.safetensors");
    std::fs::copy(
        "tests/fixtures/foreign/modern_efficientnet.safetensors",
        &weights,
    )
    .expect("a copy");
    let notes = |config: &str| {
        std::fs::write(folder.path().join("config.json"), config).expect("a file");
        let model = zoo::open(&ModelRef::file(weights.clone()), &Device::flex());
        model.expect("a network").manifest().notes.join("; ")
    };
    assert!(notes(r#"{"architecture": "tf_efficientnet_b0"}"#).contains("as TensorFlow does"));
    assert!(!notes(r#"{"architecture": "efficientnet_b0"}"#).contains("TensorFlow"));
}
