//! Laws of attributions on functions simple enough to know the answer.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use epsiloscope::attribution::{
    Attribution, Baseline, CurvesRun, ExpectedGradients, Fill, Input, IntegratedGradients, Masker,
    Method, Occlusion, PartitionShap, Rule, Score, Target, box_blur, explain, gauss_legendre, gini,
    randomised, spearman, ssim, trapezoid,
};
use epsiloscope::model::import::ModelSource;
use epsiloscope::model::{Classifier, FeatureLayer, Network, zoo};

use crate::support::{largest_difference, message, tiny_classifier, tiny_manifest, values};

const SIZE: [usize; 2] = [8, 8];
const LENGTH: usize = 3 * 8 * 8;

/// One logit: a weighted sum of the pixels, to some power.
struct Sum {
    weights: Vec<f32>,
    power: i32,
}

impl Network for Sum {
    fn features(&self, x: Tensor<4>, _: FeatureLayer) -> Tensor<4> {
        x
    }

    fn embed(&self, features: Tensor<4>) -> Tensor<2> {
        features.flatten(1, 3)
    }

    fn logits(&self, x: Tensor<2>) -> Tensor<2> {
        let data = TensorData::new(self.weights.clone(), [LENGTH, 1]);
        let sum = x.clone().matmul(Tensor::from_data(data, &x.device()));
        sum.powi_scalar(self.power)
    }
}

fn model(weights: Vec<f32>, power: i32) -> Classifier {
    let mut manifest = tiny_manifest(1);
    // Pixels as they are.
    manifest.normalizer.mean = [0.0; 3];
    manifest.normalizer.std = [1.0; 3];
    Classifier::from_network(Box::new(Sum { weights, power }), manifest, &Device::flex())
}

/// Some numbers in [−1, 1], not all different in sign.
fn weights() -> Vec<f32> {
    (0..LENGTH).map(|at| (at as f32 * 0.7).sin()).collect()
}

fn picture() -> Vec<f32> {
    (0..LENGTH)
        .map(|at| (at as f32 * 1.3).cos() * 0.4 + 0.5)
        .collect()
}

fn input(pixels: Vec<f32>) -> Input {
    let background = (0..4).map(|n| vec![0.2 * n as f32; LENGTH]).collect();
    Input {
        pixels,
        size: SIZE,
        reference: Some(vec![0.3; LENGTH]),
        background: Arc::new(background),
    }
}

const LOGIT: Target = Target {
    score: Score::Logit,
    class: 0,
    against: None,
};

fn map(model: &Classifier, method: &Method, pixels: Vec<f32>) -> Attribution {
    explain(model, method, LOGIT, &input(pixels)).expect("a map")
}

fn integrated(steps: usize, rule: Rule, fill: Fill) -> Method {
    Method::IntegratedGradients(IntegratedGradients {
        steps,
        rule,
        baseline: Baseline::Fill(fill),
        seed: 0,
    })
}

fn partition(evaluations: usize) -> Method {
    Method::PartitionShap(PartitionShap {
        evaluations,
        masker: Masker::Blur(5),
    })
}

fn expected(samples: usize) -> Method {
    Method::ExpectedGradients(ExpectedGradients {
        samples,
        ..ExpectedGradients::default()
    })
}

/// weights × (x − reference), value by value.
fn products(reference: &[f32]) -> Vec<f32> {
    let values = weights().into_iter().zip(picture()).zip(reference);
    values.map(|((w, x), r)| w * (x - r)).collect()
}

#[test]
fn a_linear_model_is_explained_by_its_weights_times_the_difference() {
    let model = model(weights(), 1);
    let grey = map(
        &model,
        &integrated(3, Rule::Trapezoid, Fill::Picture),
        picture(),
    );
    assert!(largest_difference(&grey.values, &products(&[0.3; LENGTH])) < 1e-5);
    let gradient = map(&model, &Method::Gradient, picture());
    assert!(largest_difference(&gradient.values, &weights()) < 1e-5);
    let times = map(&model, &Method::GradientTimesInput, picture());
    assert!(largest_difference(&times.values, &products(&[0.0; LENGTH])) < 1e-5);
    let blurred = box_blur(&picture(), SIZE, 5);
    // Every value is parted from every other well before this budget.
    let owen = map(&model, &partition(60_000), picture());
    assert!(largest_difference(&owen.values, &products(&blurred)) < 1e-4);
    let cover = Method::Occlusion(Occlusion {
        window: 1,
        stride: 1,
        fill: Fill::Picture,
    });
    let occluded = map(&model, &cover, picture());
    assert!(largest_difference(&occluded.values, &grey.pixels()) < 1e-4);
}

#[test]
fn expected_gradients_of_a_linear_model_are_right_on_average() {
    let found = map(&model(weights(), 1), &expected(500), picture());
    let mean = [0.3; LENGTH];
    let errors = found.standard_errors.expect("it samples");
    for ((ours, exact), error) in found.values.iter().zip(products(&mean)).zip(errors) {
        assert!(
            (ours - exact).abs() <= 4.5 * error + 1e-6,
            "{ours} instead of {exact} ± {error}"
        );
    }
}

#[test]
fn gauss_legendre_is_exact_for_polynomials() {
    for count in [1, 2, 5, 16, 50] {
        let nodes = gauss_legendre(count);
        for power in [0, 1, 2 * count - 1] {
            let sum: f64 = nodes.iter().map(|(x, w)| w * x.powi(power as i32)).sum();
            let exact = 1.0 / (power as f64 + 1.0);
            assert!(
                (sum - exact).abs() < 1e-12,
                "{count} nodes, x^{power}: {sum}"
            );
        }
    }
    let sum: f64 = trapezoid(11).iter().map(|(x, w)| w * x).sum();
    assert!((sum - 0.5).abs() < 1e-12);
}

#[test]
fn completeness_is_exact_for_a_square_and_grows_with_the_steps_on_a_network() {
    let exact = map(
        &model(weights(), 2),
        &integrated(2, Rule::GaussLegendre, Fill::Black),
        picture(),
    );
    assert!(exact.gap.expect("a gap").relative() < 1e-4);
    let network = tiny_classifier(4, 3);
    for rule in [Rule::Trapezoid, Rule::GaussLegendre] {
        let gap = |steps| {
            let method = integrated(steps, rule, Fill::White);
            map(&network, &method, picture())
                .gap
                .expect("a gap")
                .absolute()
        };
        let (few, many) = (gap(2), gap(500));
        assert!(many < 0.1 * few && many < 1e-2, "{rule:?}: {few} to {many}");
    }
}

#[test]
fn equal_pixels_share_alike_and_unused_ones_get_nothing() {
    let mut weights = weights();
    let mut pixels = picture();
    let (twin, other, unused) = (10, 45, 70);
    (weights[other], pixels[other]) = (weights[twin], pixels[twin]);
    weights[unused] = 0.0;
    let model = model(weights, 3);
    for method in [
        integrated(20, Rule::GaussLegendre, Fill::Grey),
        expected(50),
        Method::GradientTimesInput,
    ] {
        let found = map(&model, &method, pixels.clone()).values;
        let difference = (found[twin] - found[other]).abs();
        assert!(difference < 1e-3, "{}: {difference}", method.name());
        assert!(found[unused].abs() < 1e-6, "{}", method.name());
    }
    let owen = map(&model, &partition(60_000), pixels);
    assert!(owen.values[unused].abs() < 1e-4, "{}", owen.values[unused]);
}

#[test]
fn shap_values_add_up() {
    let network = tiny_classifier(4, 5);
    for budget in [4, 50, 400] {
        let gap = map(&network, &partition(budget), picture())
            .gap
            .expect("a gap");
        assert!(gap.absolute() < 1e-4, "{budget} evaluations: {gap:?}");
    }
    let sampled = map(&network, &expected(3000), picture());
    let gap = sampled.gap.expect("a gap");
    let errors = sampled.standard_errors.expect("it samples");
    // The errors of neighbours are not independent; their plain sum is the worst case.
    let bound: f32 = errors.iter().sum();
    assert!(gap.absolute() < f64::from(bound), "{gap:?} over {bound}");
}

#[test]
fn what_is_hidden_among_its_own_colour_makes_no_difference() {
    let method = Method::PartitionShap(PartitionShap {
        evaluations: 200,
        masker: Masker::Inpaint,
    });
    let found = map(&tiny_classifier(4, 7), &method, vec![0.6; LENGTH]);
    assert!(found.values.iter().all(|value| value.abs() < 1e-5));
}

#[test]
fn a_map_that_is_no_number_is_an_error() {
    let model = model(vec![f32::NAN; LENGTH], 1);
    let result = explain(&model, &Method::Gradient, LOGIT, &input(picture()));
    assert!(message(result).contains("not finite"));
}

#[test]
fn likeness_knows_equal_and_opposite_maps() {
    let map = picture();
    let opposite: Vec<f32> = map.iter().map(|value| -value).collect();
    assert!((spearman(&map, &map) - 1.0).abs() < 1e-6);
    assert!((spearman(&map, &opposite) + 1.0).abs() < 1e-6);
    assert_eq!(spearman(&map, &[1.0; LENGTH]), 0.0);
    let area = SIZE[0] * SIZE[1];
    assert!((ssim(&map[..area], &map[..area], SIZE) - 1.0).abs() < 1e-6);
    assert!(ssim(&map[..area], &map[area..2 * area], SIZE) < 0.9);
    // Ties share a rank: 1, 2½, 2½, 4 against 1, 2, 3, 4.
    assert!((spearman(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]) - 0.948_683).abs() < 1e-5);
}

#[test]
fn gini_tells_even_from_concentrated() {
    assert!(gini(&[0.5; 100]).abs() < 1e-6);
    let mut one = [0.0; 100];
    one[3] = -2.0;
    assert!((gini(&one) - 0.99).abs() < 1e-6);
}

#[test]
fn curves_meet_at_the_picture() {
    let network = tiny_classifier(4, 9);
    let input = input(picture());
    let map = explain(&network, &Method::GradientTimesInput, LOGIT, &input).expect("a map");
    let mut run = CurvesRun::new(LOGIT, &input, &map);
    let curves = loop {
        if let Some(curves) = run.step(&network) {
            break curves;
        }
    };
    let first = curves.deletion.first().expect("points");
    let last = curves.insertion.last().expect("points");
    assert!((first - last).abs() < 1e-6);
    assert!((0.0..=1.0).contains(&curves.deletion_area()));
}

#[test]
fn randomising_goes_from_the_output_down() {
    let weights = zoo::weights(&"cifar10-robust".into(), &Device::flex()).expect("a bundled model");
    let changed = |stage| -> Vec<String> {
        let source = ModelSource::Weights(weights.clone());
        let ModelSource::Weights(random) = randomised(&source, stage) else {
            panic!("weights stay weights")
        };
        let tensors = weights.tensors.iter();
        tensors
            .filter(|(name, array)| random.tensors[*name] != **array)
            .map(|(name, _)| name.clone())
            .collect()
    };
    assert_eq!(changed(0), ["fc.weight"]);
    assert!(
        changed(1)
            .iter()
            .all(|name| name.starts_with("fc.") || name.starts_with("layer3."))
    );
    assert!(changed(2).contains(&"conv1.weight".to_owned()));
    assert!(!changed(2).iter().any(|name| name.contains("bn")));
}

#[test]
fn graphs_are_randomised_from_the_output_down_too() {
    let device = Device::flex();
    let path = Path::new("tests/fixtures/foreign/onnx_resnet.onnx");
    let source =
        zoo::source(&epsiloscope::model::ModelRef::file(path), &device).expect("a fixture");
    let open = |source: &ModelSource| zoo::classifier(source, path, &device).expect("a classifier");
    let own = open(&source);
    let [h, w] = own.manifest().input;
    let x = Tensor::from_data(
        TensorData::new(vec![0.4_f32; 3 * h * w], [1, 3, h, w]),
        &device,
    );
    let middle = FeatureLayer {
        stage: Some(1),
        ..FeatureLayer::LAST
    };
    let seen = |model: &Classifier| {
        [
            values(model.features_at(x.clone(), middle)),
            values(model.features(x.clone())),
            values(model.logits(x.clone())),
        ]
    };
    let before = seen(&own);
    let changed = |stage| {
        let now = seen(&open(&randomised(&source, stage)));
        [0, 1, 2].map(|at| now[at] != before[at])
    };
    assert_eq!(changed(0), [false, false, true], "the last layer only");
    assert_eq!(changed(1), [false, true, true], "the last stage too");
    assert_eq!(changed(2), [true, true, true], "all layers");
}
