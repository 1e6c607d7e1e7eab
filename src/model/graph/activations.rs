//! Activation functions that exporters write as several operations.

use super::op::{Activation, Op};
use super::{Node, Source};

/// Makes one operation of every activation function that ends at a node; what it was made of stays, and may be read by others.
pub(super) fn recognize(nodes: &mut [Node]) {
    for index in 0..nodes.len() {
        let found = gelu_input(nodes, index)
            .map(|input| (Activation::Gelu, input))
            .or_else(|| gated(nodes, index));
        if let Some((activation, input)) = found {
            nodes[index] = Node {
                op: Op::Activation(activation),
                inputs: vec![Source::Value(input)],
            };
        }
    }
}

/// The node that computes a value.
fn node_of(nodes: &[Node], place: usize) -> Option<&Node> {
    nodes.get(place.checked_sub(1)?)
}

/// SiLU, x·sigmoid(x), or hard-swish, x·hardsigmoid(x), that ends at this node, with its input.
fn gated(nodes: &[Node], index: usize) -> Option<(Activation, usize)> {
    let Node { op, inputs } = &nodes[index];
    let (Op::Mul, &[Source::Value(a), Source::Value(b)]) = (op, &inputs[..]) else {
        return None;
    };
    [(a, b), (b, a)].into_iter().find_map(|(x, gate)| {
        let Node { op, inputs } = node_of(nodes, gate)?;
        let reads_x = matches!(inputs[..], [Source::Value(read)] if read == x);
        let activation = match op {
            Op::Activation(Activation::Sigmoid) => Activation::Silu,
            &Op::Activation(Activation::HardSigmoid(slope, middle))
                if (slope - 1.0 / 6.0).abs() < 1e-6 && (middle - 0.5).abs() < 1e-6 =>
            {
                Activation::HardSwish
            }
            _ => return None,
        };
        reads_x.then_some((activation, x))
    })
}

/// The input of a GELU that ends at this node, as exporters write it without an operator of its own:
/// x·(erf(x/√2) + 1)·½.
fn gelu_input(nodes: &[Node], index: usize) -> Option<usize> {
    let of = |place: usize| node_of(nodes, place);
    // The value that a product, quotient or sum with this number reads.
    let with_number = |node: &Node, op: fn(&Op) -> bool, number: f32| {
        let values = match &node.inputs[..] {
            [Source::Value(place), Source::Constant(constant)]
            | [Source::Constant(constant), Source::Value(place)] => Some((*place, constant)),
            _ => None,
        };
        let (place, constant) = values.filter(|_| op(&node.op))?;
        let values = (**constant).clone().values();
        let is_it = values.len() == 1 && (values[0] - number).abs() < 1e-5;
        is_it.then_some(place)
    };
    let is_mul = |op: &Op| matches!(op, Op::Mul);
    let product = of(with_number(&nodes[index], is_mul, 0.5)?)?;
    let [Source::Value(a), Source::Value(b)] = product.inputs[..] else {
        return None;
    };
    if !is_mul(&product.op) {
        return None;
    }
    [(a, b), (b, a)].into_iter().find_map(|(x, sum)| {
        let erf = of(with_number(of(sum)?, |op| matches!(op, Op::Add), 1.0)?)?;
        let (Op::Activation(Activation::Erf), [Source::Value(scaled)]) = (&erf.op, &erf.inputs[..])
        else {
            return None;
        };
        let scaled = of(*scaled)?;
        let root = std::f32::consts::SQRT_2;
        let read = with_number(scaled, |op| matches!(op, Op::Div), root)
            .filter(|_| matches!(scaled.inputs[0], Source::Value(_)))
            .or_else(|| with_number(scaled, is_mul, 1.0 / root))?;
        (read == x).then_some(x)
    })
}
