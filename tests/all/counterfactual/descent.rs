//! Counterfactuals by descent: of any classifier, within a ball, resumed after a pause.

use std::sync::Arc;

use burn::tensor::Device;
use epsiloscope::attack::Norm;
use epsiloscope::compute::scheduler::Worker;
use epsiloscope::compute::{
    ComputeMessage, ComputeWorker, CounterfactualMethod, CounterfactualRequest,
    CounterfactualResult, GpuImage, Lane, Place, Request, SURE, by_descent,
};
use epsiloscope::counterfactual::DescentSettings;
use epsiloscope::data::picture::unit_planes;
use epsiloscope::data::{Crop, Picture, samples};
use epsiloscope::evaluate::top;
use epsiloscope::model::{Classifier, ModelRef, zoo};

use crate::support::{message, tiny_classifier, values};

/// A bundled photograph as a model of this input size sees it.
fn photograph(input: [usize; 2]) -> GpuImage {
    let (picture, _) = samples::all().swap_remove(2);
    GpuImage::from_planes(unit_planes(&picture.cropped_whole(input)), input)
}

fn request(model: ModelRef, input: [usize; 2], settings: DescentSettings) -> CounterfactualRequest {
    CounterfactualRequest {
        model,
        picture: photograph(input),
        epsilon: 0.0,
        target: None,
        method: CounterfactualMethod::Descent(settings),
        mask: None,
        attempt: 0,
    }
}

fn answer(name: &str, settings: DescentSettings) -> CounterfactualResult {
    let model = ModelRef::from(name);
    let classifier = zoo::open(&model, &Device::flex()).expect("a sound model");
    let input = classifier.manifest().input;
    let asked = request(model, input, settings);
    by_descent(&Arc::new(classifier), asked, settings).expect("a counterfactual")
}

/// Σ|δ| over the length: smaller for changes of few pixels.
fn spread(result: &CounterfactualResult) -> f32 {
    let pair = result
        .request
        .picture
        .planes()
        .iter()
        .zip(result.picture.planes());
    let delta: Vec<f32> = pair.map(|(x, g)| g - x).collect();
    let sum: f32 = delta.iter().map(|value| value.abs()).sum();
    sum / Norm::L2.length_of(delta.into_iter())
}

#[test]
fn counterfactuals_change_only_what_is_inside_a_mask() {
    let settings = DescentSettings {
        steps: 10,
        ..DescentSettings::default()
    };
    let model = ModelRef::from("cifar10-robust");
    let classifier = zoo::open(&model, &Device::flex()).expect("a sound model");
    let (picture, _) = samples::all().swap_remove(2);
    let (width, height) = picture.pixels.dimensions();
    let left = image::RgbImage::from_fn(width, height, |x, _| {
        image::Rgb([255 * u8::from(x < width / 2); 3])
    });
    let mask = Picture::from_image("left.png".into(), left.into());
    let asked = CounterfactualRequest {
        mask: Some((mask, Crop::default())),
        ..request(model, [32, 32], settings)
    };
    let made = by_descent(&Arc::new(classifier), asked, settings).expect("a counterfactual");
    let back = made.back.as_ref().expect("the way back");
    for picture in [&made.picture, &back.picture] {
        let pairs = picture.planes().iter().zip(made.request.picture.planes());
        let changed: Vec<usize> = pairs
            .enumerate()
            .filter(|(_, (a, b))| (*a - *b).abs() > 1e-6)
            .map(|(at, _)| at % 32)
            .collect();
        assert!(changed.len() > 100, "{}", changed.len());
        assert!(changed.into_iter().all(|column| column <= 16));
    }
}

#[test]
fn every_kind_of_model_has_counterfactuals() {
    for name in [
        "cifar10-standard",
        "cifar10-robust",
        "cracks-counterfactual",
        "tests/fixtures/foreign/resnet18.pth",
        "tests/fixtures/foreign/onnx_mobilenet.onnx",
    ] {
        let settings = DescentSettings {
            steps: 12,
            ..DescentSettings::default()
        };
        let result = answer(name, settings);
        assert!(
            result.finished() && result.source != result.target,
            "{name}"
        );
        let radius = settings.radius_for(result.picture.size());
        assert!(
            result.length() <= radius * 1.0001,
            "{name}: {}",
            result.length()
        );
        let planes = result.picture.planes();
        assert!(
            planes.iter().all(|value| (0.0..=1.0).contains(value)),
            "{name}"
        );
        let (before, after) = (result.seen(0.0), result.seen(1.0));
        assert_eq!(top(&before), result.source, "{name}");
        assert!(after[result.target] >= before[result.target], "{name}");
        let back = result.back.as_ref().expect("a way back");
        // Networks with random weights hardly answer to their input.
        let trained = !name.contains("foreign");
        if trained {
            assert_eq!(top(&after), result.target, "{name}");
            assert_eq!(top(&back.probabilities), result.source, "{name}");
        }
    }
}

#[test]
fn the_way_tells_where_the_prediction_flips_and_where_it_is_sure() {
    for name in ["cifar10-standard", "cifar10-robust"] {
        let result = answer(name, DescentSettings::default());
        let flip = result.flip().expect("the radius is large enough");
        let sure = result.sure().expect("the radius is large enough");
        assert!(
            0.0 < flip && flip < sure && sure <= 1.0,
            "{name}: {flip}, {sure}"
        );
        // Between two places of the way the answer is interpolated.
        let seen = result.seen(sure);
        assert!((seen[result.target] - SURE).abs() < 1e-3, "{name}");
        let around = [flip - 0.0626, flip + 0.0626].map(|share| top(&result.seen(share)));
        assert_ne!(around[0], result.target, "{name}");
        assert_eq!(around[1], result.target, "{name}");
    }
}

#[test]
fn changes_under_l1p5_are_sparser() {
    let under = |norm| {
        let settings = DescentSettings {
            norm,
            steps: 20,
            ..DescentSettings::default()
        };
        spread(&answer("cifar10-robust", settings))
    };
    let (l1p5, l2, linf) = (under(Norm::L1p5), under(Norm::L2), under(Norm::Linf));
    assert!(l1p5 < l2 && l2 < linf, "{l1p5}, {l2}, {linf}");
}

#[test]
fn the_model_stays_as_it_is() {
    let model = Arc::new(tiny_classifier(3, 1));
    let picture = crate::support::random_pictures(1, 8, 3);
    let before = values(model.logits(picture.clone()));
    let settings = DescentSettings::default();
    let asked = request("tiny".into(), model.manifest().input, settings);
    by_descent(&model, asked, settings).expect("a counterfactual");
    assert_eq!(values(model.logits(picture)), before);
}

#[test]
fn what_is_no_question_is_refused() {
    let refusal = |model: &Arc<Classifier>, target, settings: DescentSettings| {
        let mut asked = request("tiny".into(), model.manifest().input, settings);
        asked.target = target;
        message(by_descent(model, asked, settings))
    };
    let model = Arc::new(tiny_classifier(3, 1));
    let usual = DescentSettings::default();
    assert!(refusal(&model, Some(3), usual).contains("has only 3 classes"));
    let none = DescentSettings {
        radius: Some(0.0),
        ..usual
    };
    assert!(refusal(&model, None, none).contains("radius"));
    let alone = Arc::new(tiny_classifier(1, 1));
    assert!(refusal(&alone, None, usual).contains("no second class"));
}

#[test]
fn a_pause_costs_no_step_and_a_finished_answer_is_kept() {
    let settings = DescentSettings {
        steps: 6,
        ..DescentSettings::default()
    };
    let model = ModelRef::from("cifar10-standard");
    let lane = Lane::Counterfactual(Place::on_screen(0));
    let asked = Request::Counterfactual(request(model, [32, 32], settings));
    let mut worker = ComputeWorker::new(Device::flex());
    // Preparation, six steps each way, the turn, the end.
    let whole = 1 + 6 + 1 + 6 + 1;
    let mut job = worker.start(&lane, &asked);
    for _ in 0..5 {
        assert!(!worker.step(&mut job).done);
    }
    drop(job);
    let mut job = worker.start(&lane, &asked);
    let mut steps = 1;
    let last = loop {
        let step = worker.step(&mut job);
        if step.done {
            break step.message;
        }
        steps += 1;
    };
    // Only the preparation was done twice.
    assert_eq!(steps + 5, whole + 1);
    let Some(ComputeMessage::Counterfactual(answer)) = last else {
        panic!("an answer");
    };
    let mut job = worker.start(&lane, &asked);
    let again = worker.step(&mut job);
    let Some(ComputeMessage::Counterfactual(kept)) = again.message else {
        panic!("an answer");
    };
    assert!(again.done && Arc::ptr_eq(&answer, &kept));
}
