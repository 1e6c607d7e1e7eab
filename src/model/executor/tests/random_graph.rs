//! Graphs made at random.

use rand::RngExt;

use super::{Random, push};
use crate::model::graph::{Activation, Draft, Op, Pooling, Source, Value};

/// Adds a random operation that reads these values.
pub(super) fn grow(draft: &mut Draft, random: &mut Random, values: &mut Vec<usize>) {
    let place = values[random.0.random_range(0..values.len())];
    let &[_, c, h, w] = draft.sides(place) else {
        return;
    };
    let like = |draft: &Draft, other: usize| draft.sides(other) == [1, c, h, w];
    let pooling = |random: &mut Random| Pooling {
        kernel: [3, 2],
        stride: [2, random.one_of(&[1, 2])],
        padding: [1, 0, 1, 1],
        ceil: false,
        count_padding: random.one_of(&[true, false]),
    };
    let op = match random.0.random_range(0..18) {
        0..=2 => {
            let groups = random.one_of(&[1, 1, c]);
            let output = if groups == 1 {
                random.one_of(&[3, 8, 17, 24])
            } else {
                c
            };
            let side = random.one_of(&[1, 3]);
            let mut convolution = random.convolution([c, output], [side, side], groups);
            let stride = random.one_of(&[1, 1, 2]);
            convolution.stride = [stride, stride];
            let place = push(draft, Op::Conv(convolution), &[place]);
            values.push(place);
            if random.one_of(&[true, false]) {
                return;
            }
            values.pop();
            values.push(push(draft, Op::Activation(Activation::Relu), &[place]));
            return;
        }
        3 => Op::Activation(Activation::Relu),
        4 => Op::Activation(random.one_of(&[
            Activation::LeakyRelu(0.1),
            Activation::Sigmoid,
            Activation::HardSigmoid(0.2, 0.4),
            Activation::HardSwish,
            Activation::Silu,
            Activation::Clip(-0.5, 0.5),
            Activation::Clip(0.0, 0.5),
        ])),
        5 => Op::Affine {
            scale: random.tensor([c]),
            shift: random.tensor([c]),
        },
        6 if h > 1 && w > 1 => Op::MaxPool(pooling(random)),
        7 if h > 1 && w > 1 => Op::AvgPool(pooling(random)),
        8 => {
            let axes = vec![2, 3];
            let mean = push(draft, Op::Mean { axes, keep: true }, &[place]);
            values.push(push(draft, Op::Mul, &[place, mean]));
            return;
        }
        9 => Op::Slice {
            axis: 1,
            start: 0,
            end: c,
            step: 2,
        },
        10 => {
            values.push(push(draft, Op::Concat(1), &[place, place]));
            return;
        }
        11 => Op::Pad {
            padding: [1, 0, 2, 1],
            value: 0.0,
        },
        12..=14 if h * w > 1 => {
            values.push(tokens(draft, random, place));
            return;
        }
        15 => Op::Activation(random.one_of(&[
            Activation::Elu(0.7),
            Activation::Tanh,
            Activation::Erf,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::QuickGelu,
            Activation::Softplus,
            Activation::Exp,
            Activation::Neg,
        ])),
        16 if c % 2 == 0 => {
            let apart = Source::Value(place);
            let apart = draft
                .reshape(apart, vec![1, 2, c / 2, h, w])
                .expect("it fits");
            let turned = push(draft, Op::Transpose(vec![0, 2, 1, 3, 4]), &[apart]);
            let together = draft.reshape(Source::Value(turned), vec![1, c, h, w]);
            values.push(together.expect("it fits"));
            return;
        }
        _ => {
            let others = values.iter().copied().filter(|&other| like(draft, other));
            let others: Vec<usize> = others.collect();
            let other = random.one_of(&others);
            let op = random.one_of(&[true, true, false]);
            let op = if op { Op::Add } else { Op::Mul };
            values.push(push(draft, op, &[place, other]));
            return;
        }
    };
    values.push(push(draft, op, &[place]));
}

/// Adds steps of a transformer on the pixels of a map as tokens, which become a map again.
fn tokens(draft: &mut Draft, random: &mut Random, place: usize) -> usize {
    let &[_, c, h, w] = draft.sides(place) else {
        return place;
    };
    let flat = draft.reshape(Source::Value(place), vec![1, c, h * w]);
    let mut place = push(
        draft,
        Op::Transpose(vec![0, 2, 1]),
        &[flat.expect("it fits")],
    );
    let has_class_token = random.one_of(&[true, false]);
    if has_class_token {
        // The mean stands for a token that all pictures share, which takes a place in the batch.
        let axes = vec![1];
        let token = push(draft, Op::Mean { axes, keep: true }, &[place]);
        place = push(draft, Op::Concat(1), &[token, place]);
    }
    for _ in 0..random.0.random_range(1..4) {
        place = token_step(draft, random, place);
    }
    if has_class_token {
        let end = h * w + 1;
        let step = 1;
        let slice = Op::Slice {
            axis: 1,
            start: 1,
            end,
            step,
        };
        place = push(draft, slice, &[place]);
    }
    let turned = push(draft, Op::Transpose(vec![0, 2, 1]), &[place]);
    let c = draft.sides(turned)[1];
    let map = draft.reshape(Source::Value(turned), vec![1, c, h, w]);
    map.expect("it fits")
}

fn token_step(draft: &mut Draft, random: &mut Random, place: usize) -> usize {
    let &[_, t, c] = draft.sides(place) else {
        return place;
    };
    let constant = |random: &mut Random, sides: &[usize]| {
        let values = random.values(sides.iter().product());
        let value = Value::constant(values, sides, &burn::tensor::Device::flex());
        Source::Constant(value.into())
    };
    let with = |draft: &mut Draft, op: Op, constant: Source| {
        let inputs = vec![Source::Value(place), constant];
        draft.push(op, inputs).expect("it fits")
    };
    match random.0.random_range(0..9) {
        0 => {
            let out = random.one_of(&[c, 5, 16]);
            let weight = random.tensor([out, c]) / (c as f32).sqrt();
            let bias = random.one_of(&[true, false]).then(|| random.tensor([out]));
            push(draft, Op::Linear { weight, bias }, &[place])
        }
        1 if c > 2 => {
            let (axes, epsilon) = (vec![2], 1e-2);
            push(draft, Op::Normalize { axes, epsilon }, &[place])
        }
        2 => push(draft, Op::Activation(Activation::Gelu), &[place]),
        3 => with(draft, Op::Add, constant(random, &[t, c])),
        4 => with(draft, Op::Mul, constant(random, &[c])),
        5 => {
            let selected = Op::Select {
                axis: 1,
                indices: (0..t).rev().collect(),
            };
            let turned = push(draft, selected, &[place]);
            push(draft, Op::Sub, &[place, turned])
        }
        6 => push(draft, Op::Activation(Activation::Relu), &[place]),
        7 => push(draft, Op::Softmax(random.one_of(&[1, 2])), &[place]),
        _ => attention(draft, random, place),
    }
}

/// Attention of a value to itself, with a residual connection.
fn attention(draft: &mut Draft, random: &mut Random, place: usize) -> usize {
    let &[_, t, c] = draft.sides(place) else {
        return place;
    };
    let heads = random.one_of(&[1, 2, 3]);
    let heads = if c % heads == 0 { heads } else { 1 };
    let weight = random.tensor([3 * c, c]) / (c as f32).sqrt();
    let linear = Op::Linear { weight, bias: None };
    let all = push(draft, linear, &[place]);
    let apart = vec![1, t, 3, heads, c / heads];
    let apart = draft.reshape(Source::Value(all), apart).expect("it fits");
    let turned = push(draft, Op::Transpose(vec![2, 0, 3, 1, 4]), &[apart]);
    let [q, k, v] = [0, 1, 2].map(|at| {
        let slice = Op::Slice {
            axis: 0,
            start: at,
            end: at + 1,
            step: 1,
        };
        let part = push(draft, slice, &[turned]);
        let part = draft.reshape(Source::Value(part), vec![1, heads, t, c / heads]);
        part.expect("it fits")
    });
    let k = push(draft, Op::Transpose(vec![0, 1, 3, 2]), &[k]);
    let products = push(draft, Op::MatMul, &[q, k]);
    let weights = push(draft, Op::Softmax(3), &[products]);
    let read = push(draft, Op::MatMul, &[weights, v]);
    let read = push(draft, Op::Transpose(vec![0, 2, 1, 3]), &[read]);
    let read = draft.reshape(Source::Value(read), vec![1, t, c]);
    push(draft, Op::Add, &[place, read.expect("it fits")])
}
