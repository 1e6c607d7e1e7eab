//! The parts of counterfactuals: loss terms against numbers worked out by hand, files, the optimiser.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use epsiloscope::counterfactual::{
    Counterfactual, Generator, Interface, one_hot, otsu, overlap, translate,
};
use epsiloscope::data::samples::synthetic_cracks::generate;
use epsiloscope::model::{
    DISCRIMINATOR, Manifest, Normalizer, Parameters, Precision, Role, UNet, UNetConfig, Visitor,
    Weights,
};
use epsiloscope::train::counterfactual::losses;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::support::{tiny_manifest, tiny_network, values};

const INTERFACE: Interface = Interface {
    normalizer: Normalizer::CIFAR10,
    reduction: 1,
    mixed: false,
};

fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

#[track_caller]
fn close(found: f32, expected: f32) {
    assert!((found - expected).abs() < 1e-5, "{found}, not {expected}");
}

fn scalar(tensor: Tensor<1>) -> f32 {
    values(tensor)[0]
}

#[test]
fn cross_entropy_by_hand() {
    // ln(e⁰ + e^{ln 3}) = ln 4; so −ln(1/4) for the first class, −ln(3/4) for the second.
    let logits = tensor(&[0.0, 3.0_f32.ln(), 3.0_f32.ln(), 0.0], [2, 2]);
    let wanted = tensor(&[1.0, 0.0, 0.5, 0.5], [2, 2]);
    let mixed = 0.5 * (4.0_f32 / 3.0).ln() + 0.5 * 4.0_f32.ln();
    close(
        scalar(losses::cross_entropy(logits, wanted)),
        (4.0_f32.ln() + mixed) / 2.0,
    );
}

#[test]
fn labels_of_generated_pictures() {
    let labels = losses::labels_of_generated(&[1, 0], 2, 0.25, &Device::flex());
    assert_eq!(values(labels), [0.0, 0.25, 0.75, 0.25, 0.0, 0.75]);
}

#[test]
fn distances_and_variation_by_hand() {
    let change = tensor(&[0.0, 1.0, -1.0, 0.0, 3.0, 0.0, 0.0, 0.0], [2, 1, 2, 2]);
    let zero = change.clone() * 0.0;
    close(scalar(losses::distance(change.clone(), zero)), 5.0 / 8.0);
    // Only the second picture was to stay the same: (3/4) / 2.
    let same = tensor(&[0.0, 1.0], [2]);
    close(scalar(losses::identity(change.clone(), same)), 0.375);
    // Vertical: |−1|, |−1|, |−3|, 0; horizontal: 1, 1, |−3|, 0; four of each.
    close(
        scalar(losses::total_variation(change)),
        5.0 / 4.0 + 5.0 / 4.0,
    );
}

#[test]
fn otsu_parts_two_groups_and_nothing_else() {
    let mut changes = vec![0.01; 90];
    changes.extend([0.5; 10]);
    let threshold = otsu(&changes);
    assert!((0.01..0.5).contains(&threshold), "{threshold}");
    assert_eq!(otsu(&[0.0; 4]), 0.0);
    assert_eq!(otsu(&[]), 0.0);
}

#[test]
fn overlap_by_hand() {
    let (mask, truth) = ([true, true, false, false], [true, false, true, false]);
    let score = overlap(mask.into_iter(), truth.into_iter());
    close(score.iou, 1.0 / 3.0);
    close(score.dice, 0.5);
    close(score.precision, 0.5);
    close(score.recall, 0.5);
    let nothing = overlap([false].into_iter(), [false].into_iter());
    assert_eq!((nothing.iou, nothing.precision), (1.0, 1.0));
}

#[test]
fn walls_are_the_same_but_for_the_crack() {
    let ((clean, no_mask), (cracked, mask)) = (generate(5, 64, false), generate(5, 64, true));
    assert!(no_mask.pixels().all(|pixel| pixel.0 == [0; 3]));
    let inside = mask.pixels().filter(|pixel| pixel.0 == [255; 3]).count();
    assert!((64..1200).contains(&inside), "{inside}");
    for ((a, b), mask) in clean.pixels().zip(cracked.pixels()).zip(mask.pixels()) {
        if mask.0 == [255; 3] {
            assert!(b.0[0] < a.0[0]);
        }
    }
    assert_eq!(cracked, generate(5, 64, true).0);
}

struct Random(ChaCha8Rng);

impl Visitor for Random {
    fn tensor<const D: usize>(&mut self, _: &str, role: Role, tensor: &mut Tensor<D>) {
        let shape = tensor.dims();
        let reach = if role == Role::Weight { 0.3 } else { 0.1 };
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|_| self.0.random_range(-reach..reach))
            .collect();
        *tensor = Tensor::from_data(TensorData::new(values, shape), &tensor.device());
    }
}

const SHAPE: UNetConfig = UNetConfig {
    width: 4,
    levels: 2,
    outputs: 3,
    classes: 2,
};

fn network() -> UNet {
    let mut network = UNet::zeros(&SHAPE, &Device::flex());
    network.visit(&mut Random(epsiloscope::data::random::noise_rng(3, 0)));
    network
}

/// A file with a discriminator of two classes and “fake”, and a generator.
fn file() -> Weights {
    let mut weights = Weights::default();
    weights.add_under(DISCRIMINATOR, Weights::of(&mut tiny_network(3, 1)).tensors);
    Generator::attach(&mut network(), &mut weights);
    tiny_manifest(3).attach(&mut weights);
    weights
}

fn open(weights: &Weights) -> Result<Counterfactual, String> {
    let path = Path::new("pair.safetensors");
    Counterfactual::new(weights, path, &Device::flex()).map_err(|error| error.to_string())
}

#[test]
fn the_shape_says_how_many_numbers_there_are() {
    assert_eq!(
        SHAPE.parameter_count(),
        Weights::of(&mut network()).parameter_count()
    );
    let plain = UNetConfig {
        outputs: 1,
        classes: 0,
        levels: 4,
        ..SHAPE
    };
    let mut network = UNet::zeros(&plain, &Device::flex());
    assert_eq!(
        plain.parameter_count(),
        Weights::of(&mut network).parameter_count()
    );
}

#[test]
fn a_zero_last_layer_changes_nothing_and_classes_matter_otherwise() {
    let x = tensor(&[0.4; 2 * 3 * 64], [2, 3, 8, 8]);
    let told = one_hot(&[0, 1], 2, &Device::flex());
    let still = UNet::zeros(&SHAPE, &Device::flex());
    let same = translate(&still, x.clone(), &told, &INTERFACE);
    assert_eq!(values(same.picture), values(x.clone()));
    let made = translate(&network(), x, &told, &INTERFACE);
    let made_values = values(made.picture);
    assert!(made_values.iter().all(|value| (0.0..=1.0).contains(value)));
    let (first, second) = made_values.split_at(made_values.len() / 2);
    assert_ne!(first, second, "the same picture, told another class");
    let head = values(made.head);
    assert_eq!(head[..2], head[2..], "the head is not told");
}

#[test]
fn a_file_holds_both_and_its_discriminator_is_an_ordinary_classifier() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pair.safetensors");
    file().write(&path, Precision::Single).expect("written");
    let weights = Weights::read(&path).expect("read");
    assert_eq!(weights, file());
    let pair = open(&weights).unwrap_or_else(|error| panic!("{error}"));
    let x = tensor(&[0.3; 3 * 64], [1, 3, 8, 8]);
    let all = values(pair.discriminator.logits(x.clone()));
    let classes = Counterfactual::classes_only(&weights, &path, &Device::flex());
    let classes = classes.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(classes.classes(), 2);
    for (all, class) in all.iter().zip(values(classes.logits(x.clone()))) {
        close(*all, class);
    }
    let head = pair.generator.head(&tiny_manifest(3));
    let told = pair.generator.translate(x.clone(), &[1]).head;
    assert_eq!(values(head.logits(x)), values(told));
}

#[test]
fn hostile_generators_are_refused() {
    let spoiled = |spoil: &dyn Fn(&mut Weights)| {
        let mut weights = file();
        spoil(&mut weights);
        open(&weights).err().expect("no model")
    };
    let missing = spoiled(&|weights| {
        weights.tensors.remove("generator.out.weight");
    });
    assert!(missing.contains("out.weight"), "{missing}");
    let none = spoiled(&|weights| {
        weights.metadata.remove("generator");
    });
    assert!(none.contains("no generator"), "{none}");
    for shape in [
        r#"{"width":512,"levels":6,"outputs":3,"classes":2}"#,
        r#"{"width":0,"levels":2,"outputs":3,"classes":2}"#,
        r#"{"width":4,"levels":2,"outputs":3,"classes":9}"#,
        r#"{"width":4,"levels":2,"outputs":3,"classes":0}"#,
        r#"{"width":4,"levels":60,"outputs":3,"classes":2}"#,
        "[]",
    ] {
        let refused = spoiled(&|weights| {
            weights.metadata.insert("generator".into(), shape.into());
        });
        assert!(refused.contains("pair.safetensors"), "{refused}");
    }
    let mut odd = file();
    let manifest = Manifest {
        input: [10, 10],
        ..tiny_manifest(3)
    };
    manifest.attach(&mut odd);
    assert!(open(&odd).is_err(), "10 pixels cannot be halved twice");
}
