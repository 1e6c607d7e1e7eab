//! captum's and shap's values (`tests/fixtures/make_attributions.py`) against ours, on any device.

use std::sync::Arc;

use burn::tensor::Device;
use epsiloscope::attribution::{
    Baseline, Fill, Input, IntegratedGradients, Masker, Method, Occlusion, PartitionShap, Rule,
    Score, Target, explain,
};

use crate::support::parity_checks::{NETWORKS, Values, classifier};

/// ‖ours − theirs‖₂ / ‖theirs‖₂.
fn relative_distance(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let length = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
    let difference = length(&mut ours.iter().zip(theirs).map(|(a, b)| a - b));
    difference / length(&mut theirs.iter().copied())
}

/// The picture of a fixture.
pub fn input(file: &Values, key: &str) -> Input {
    let shape = file.shape(key);
    Input {
        pixels: file.values(key).to_vec(),
        size: [shape[1], shape[2]],
        reference: None,
        background: Arc::default(),
    }
}

/// The logit that a fixture explains.
pub fn logit(file: &Values) -> Target {
    Target {
        score: Score::Logit,
        class: file.labels("class")[0],
        against: None,
    }
}

/// Gradient, integrated gradients, Grad-CAM and occlusion of every network: 1e-3 relative.
pub fn check_captum(device: &Device) {
    let methods = [
        ("gradient", Method::Gradient),
        (
            "ig",
            Method::IntegratedGradients(IntegratedGradients {
                steps: 50,
                rule: Rule::GaussLegendre,
                baseline: Baseline::Fill(Fill::Black),
                seed: 0,
            }),
        ),
        ("gradcam", Method::GradCam),
        (
            "occlusion",
            Method::Occlusion(Occlusion {
                window: 7,
                stride: 3,
                fill: Fill::Grey,
            }),
        ),
    ];
    for name in NETWORKS {
        let model = classifier(name, device);
        let file = Values::read(&format!("{name}_attributions"));
        for (key, method) in &methods {
            let map = explain(&model, method, logit(&file), &input(&file, "x"));
            let ours = map.expect("a map").values;
            // captum repeats a value for each channel where we keep it once a pixel.
            let theirs = &file.values(key)[..ours.len()];
            let distance = relative_distance(&ours, theirs);
            assert!(distance < 1e-3, "{name} {key}: {distance} from captum");
        }
    }
}

/// Partition SHAP with the same masker, hierarchy and budget: 1e-3 relative.
pub fn check_partition(device: &Device) {
    let model = classifier("cifar_basic", device);
    let file = Values::read("cifar_basic_attributions");
    let method = Method::PartitionShap(PartitionShap {
        evaluations: 300,
        masker: Masker::Blur(8),
    });
    let map = explain(&model, &method, logit(&file), &input(&file, "smooth")).expect("a map");
    let distance = relative_distance(&map.values, file.values("partition"));
    assert!(distance < 1e-3, "{distance} from shap");
}
