//! The executor against burn's operations, on graphs made at random and on convolutions of every kind.

mod random_graph;

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use pulp::Arch;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::instructions::Instructions;
use super::{Executor, Pixels};
use crate::model::graph::{Activation, Convolution, Draft, Graph, Op, Source};
use crate::model::{FeatureLayer, Network, Normalizer, gradient, tensor_values};

/// Every kind of vectors that this processor has, and plain Rust.
fn instructions() -> Vec<Instructions> {
    let mut all = vec![Instructions::Plain];
    if !matches!(Arch::new(), Arch::Scalar) {
        all.push(Instructions::Best(Arch::new()));
    }
    #[cfg(target_arch = "x86_64")]
    all.extend(pulp::x86::V3::try_new().map(|v3| Instructions::Best(Arch::V3(v3))));
    all
}

/// Random tensors.
struct Random(ChaCha8Rng);

impl Random {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.0.random_range(-1.0..1.0)).collect()
    }

    fn tensor<const D: usize>(&mut self, dims: [usize; D]) -> Tensor<D> {
        let values = self.values(dims.iter().product());
        Tensor::from_data(TensorData::new(values, dims), &Device::flex())
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.0.random_range(0..all.len())]
    }

    fn convolution(
        &mut self,
        [input, output]: [usize; 2],
        kernel: [usize; 2],
        groups: usize,
    ) -> Convolution {
        let fan_in = (input / groups * kernel[0] * kernel[1]) as f32;
        Convolution {
            weight: self.tensor([output, input / groups, kernel[0], kernel[1]])
                * (2.0 / fan_in).sqrt(),
            bias: Some(self.tensor([output])),
            stride: [1, 1],
            padding: [kernel[0] / 2, kernel[1] / 2, kernel[0] / 2, kernel[1] / 2],
            dilation: [1, 1],
            groups,
        }
    }
}

/// The graph of a draft up to a value.
fn graph(draft: Draft, place: usize) -> Graph {
    draft.finish_with(&[place], place, "random".into())
}

/// Compares features and gradients of `count` random pictures with burn's.
fn check(graph: &Graph, size: [usize; 2], count: usize, seed: u64) {
    let normalizer = Normalizer::CIFAR10;
    let mut random = Random::new(seed);
    let x = random.tensor([count, 3, size[0], size[1]]) * 0.5 + 0.5;
    for fake_relu in [false, true] {
        let cut = FeatureLayer {
            stage: None,
            fake_relu,
        };
        let features = tensor_values(graph.features(normalizer.apply(x.clone()), cut));
        let weights = Random::new(seed + 1).values(features.len());
        let (_, wanted) = gradient(&x, |x| {
            let features = graph.features(normalizer.apply(x), cut);
            let weights = TensorData::new(weights.clone(), features.dims());
            let weights = Tensor::<4>::from_data(weights, &Device::flex());
            (features * weights).sum_dims(&[1, 2, 3]).reshape([count])
        });
        let wanted = tensor_values(wanted);
        for instructions in instructions() {
            let executor = Executor::with_instructions(graph.clone(), &normalizer, instructions);
            let pixels = Pixels {
                values: tensor_values(x.clone()),
                size,
            };
            // Memory that was used before is as good as new.
            for _ in 0..2 {
                let found = executor.forward(&pixels, cut, true).expect("a plan");
                compare(&found.values, &features, 1e-4, instructions, graph);
                let without_tape = executor.forward(&pixels, cut, false).expect("a plan");
                assert_eq!(found.values, without_tape.values);
                let found = executor.backward(found, &weights);
                compare(&found, &wanted, 1e-3, instructions, graph);
            }
        }
    }
}

fn compare(
    found: &[f32],
    wanted: &[f32],
    tolerance: f32,
    instructions: Instructions,
    graph: &Graph,
) {
    assert_eq!(found.len(), wanted.len());
    let largest = wanted
        .iter()
        .fold(0.1_f32, |most, value| most.max(value.abs()));
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let apart = (found - wanted).abs();
        assert!(
            apart <= tolerance * largest,
            "{instructions:?}: {found} instead of {wanted} at {at}: {graph:?}"
        );
    }
}

fn push(draft: &mut Draft, op: Op, inputs: &[usize]) -> usize {
    let inputs = inputs.iter().map(|&place| Source::Value(place)).collect();
    draft.push(op, inputs).expect("it fits")
}

#[test]
fn convolutions_of_every_kind_agree_with_burn() {
    // Channels, kernel, groups, stride, dilation, padding above and left, below and right, height and width.
    type Case = (
        [usize; 2],
        [usize; 2],
        usize,
        [usize; 2],
        [usize; 2],
        [usize; 4],
        [usize; 2],
    );
    let cases: [Case; 22] = [
        ([3, 16], [3, 3], 1, [1, 1], [1, 1], [1; 4], [6, 7]),
        ([16, 16], [3, 3], 1, [1, 1], [1, 1], [1; 4], [6, 7]),
        ([24, 40], [3, 3], 1, [1, 1], [1, 1], [1; 4], [5, 5]),
        ([32, 32], [3, 3], 1, [1, 1], [1, 1], [1; 4], [8, 8]),
        ([17, 19], [3, 3], 1, [1, 1], [1, 1], [0; 4], [7, 6]),
        ([16, 16], [3, 3], 1, [1, 1], [1, 1], [2; 4], [4, 4]),
        ([16, 24], [3, 3], 1, [2, 2], [1, 1], [1; 4], [7, 8]),
        ([16, 24], [1, 1], 1, [2, 2], [1, 1], [0; 4], [7, 8]),
        ([16, 24], [1, 1], 1, [1, 1], [1, 1], [0; 4], [5, 4]),
        ([3, 8], [7, 7], 1, [4, 4], [1, 1], [3; 4], [13, 16]),
        ([8, 8], [3, 3], 1, [1, 1], [2, 2], [2; 4], [7, 7]),
        ([8, 12], [3, 1], 1, [2, 1], [1, 1], [1, 0, 0, 0], [6, 5]),
        ([8, 8], [3, 3], 1, [2, 2], [1, 1], [0, 0, 1, 1], [6, 6]),
        ([12, 12], [3, 3], 12, [1, 1], [1, 1], [1; 4], [5, 6]),
        ([12, 12], [5, 5], 12, [2, 2], [1, 1], [2; 4], [7, 6]),
        ([16, 32], [3, 3], 4, [1, 1], [1, 1], [1; 4], [5, 6]),
        ([12, 24], [3, 3], 3, [2, 2], [1, 1], [1; 4], [5, 6]),
        ([6, 12], [3, 3], 6, [1, 1], [1, 1], [1; 4], [4, 4]),
        // Sums that are made in parts.
        ([300, 24], [1, 1], 1, [1, 1], [1, 1], [0; 4], [4, 5]),
        ([600, 300], [1, 1], 1, [2, 2], [1, 1], [0; 4], [4, 4]),
        ([48, 40], [3, 3], 1, [2, 2], [1, 1], [1; 4], [6, 5]),
        ([270, 280], [3, 3], 1, [1, 1], [1, 1], [1; 4], [4, 4]),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let (channels, kernel, groups, stride, dilation, padding, size) = case;
        let mut random = Random::new(number as u64);
        let mut draft = Draft::new(size);
        // The picture's three channels become as many as are asked for.
        let first = random.convolution([3, channels[0]], [1, 1], 1);
        let place = push(&mut draft, Op::Conv(first), &[0]);
        let convolution = Convolution {
            stride,
            dilation,
            padding,
            ..random.convolution(channels, kernel, groups)
        };
        let convolved = push(&mut draft, Op::Conv(convolution), &[place]);
        // Where it fits, a residual sum and a ReLU are part of it.
        let place = match draft.sides(convolved) == draft.sides(place) {
            true => push(&mut draft, Op::Add, &[place, convolved]),
            false => convolved,
        };
        let place = push(&mut draft, Op::Activation(Activation::Relu), &[place]);
        let graph = graph(draft, place);
        for count in [1, 5] {
            check(&graph, size, count, number as u64 + 100);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_graphs_agree_with_burn(seed in 0_u64..1 << 40, length in 2_usize..9, count in 1_usize..4) {
        let mut random = Random::new(seed);
        let size = [random.one_of(&[5, 8]), random.one_of(&[6, 8])];
        let mut draft = Draft::new(size);
        let mut values = vec![0];
        for _ in 0..length {
            random_graph::grow(&mut draft, &mut random, &mut values);
        }
        let last = *values.last().expect("the picture");
        check(&graph(draft, last), size, count, seed);
    }
}

#[test]
fn results_do_not_depend_on_what_is_asked_together() {
    let mut random = Random::new(7);
    let mut draft = Draft::new([8, 8]);
    let first = random.convolution([3, 16], [3, 3], 1);
    let place = push(&mut draft, Op::Conv(first), &[0]);
    let place = push(&mut draft, Op::Activation(Activation::Relu), &[place]);
    let second = random.convolution([16, 32], [3, 3], 1);
    let place = push(&mut draft, Op::Conv(second), &[place]);
    let executor = Executor::new(graph(draft, place), &Normalizer::CIFAR10);
    let picture = 3 * 8 * 8;
    let values = random.values(11 * picture);
    let ask = |values: &[f32]| {
        let pixels = Pixels {
            values: values.to_vec(),
            size: [8, 8],
        };
        let features = executor.forward(&pixels, FeatureLayer::LAST, true);
        let features = features.expect("a plan");
        let out = features.values.clone();
        let gradient = executor.backward(features, &out);
        (out, gradient)
    };
    let (together, gradients) = ask(&values);
    for (number, picture) in values.chunks_exact(picture).enumerate() {
        let (alone, gradient) = ask(picture);
        assert_eq!(alone, together[number * alone.len()..][..alone.len()]);
        assert_eq!(
            gradient,
            gradients[number * gradient.len()..][..gradient.len()]
        );
    }
}

#[test]
fn what_is_not_known_is_left_to_burn() {
    let mut draft = Draft::new([4, 4]);
    let place = push(&mut draft, Op::Activation(Activation::Log), &[0]);
    let executor = Executor::new(graph(draft, place), &Normalizer::CIFAR10);
    let pixels = Pixels {
        values: vec![0.5; 48],
        size: [4, 4],
    };
    let features = executor.forward(&pixels, FeatureLayer::LAST, false);
    assert!(features.is_none());
}
