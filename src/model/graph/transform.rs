//! Graph transformations: BatchNorm folding and replacement of weights.

use burn::tensor::{Tensor, TensorData};

use super::op::{Convolution, Op};
use super::shape::Shape;
use super::{Graph, Node, Source, activations};
use crate::model::tensor_values;

/// Nodes and value shapes of a graph, and the index of its output.
pub(super) type Parts = (Vec<Node>, Vec<Shape>, usize);

/// Folds every BatchNorm into the convolution before it, where it is the only reader of that
/// convolution: at inference, both are one linear map. Drops what the output does not depend on.
pub(super) fn fold((mut nodes, shapes, output): Parts) -> Parts {
    activations::recognize(&mut nodes);
    let readers = count_readers(&nodes, output);
    let mut folded = (Vec::with_capacity(nodes.len()), vec![shapes[0].clone()]);
    // New index of each value.
    let mut places = vec![0];
    for (index, (node, shape)) in nodes.into_iter().zip(&shapes[1..]).enumerate() {
        if readers[index + 1] == 0 {
            // Nothing reads it, so its place is never looked up.
            places.push(usize::MAX);
            continue;
        }
        let before = node.reads().next().filter(|&at| at > 0 && readers[at] == 1);
        let into = before.and_then(|at| folded.0.get_mut(places[at] - 1));
        let merged = into.is_some_and(|into: &mut Node| merge(&node.op, &mut into.op));
        if merged {
            places.push(places[before.unwrap_or(0)]);
            continue;
        }
        let moved = |input| match input {
            Source::Value(place) => Source::Value(places[place]),
            constant @ Source::Constant(_) => constant,
        };
        let inputs = node.inputs.into_iter().map(moved).collect();
        folded.0.push(Node {
            op: node.op,
            inputs,
        });
        folded.1.push(shape.clone());
        places.push(folded.0.len());
    }
    (folded.0, folded.1, places[output])
}

/// How many operations that the output depends on read each value; the output is read once more.
fn count_readers(nodes: &[Node], output: usize) -> Vec<usize> {
    let mut readers = vec![0; nodes.len() + 1];
    readers[output] = 1;
    // Operations read values that were made before them.
    for (index, node) in nodes.iter().enumerate().rev() {
        if readers[index + 1] > 0 {
            node.reads().for_each(|place| readers[place] += 1);
        }
    }
    readers
}

/// Folds `op` into the operation before it, if possible. Whether it was.
fn merge(op: &Op, before: &mut Op) -> bool {
    let (Op::Affine { scale, shift }, Op::Conv(convolution)) = (op, before) else {
        return false;
    };
    let weight = convolution.weight.clone();
    convolution.weight = weight * scale.clone().reshape([-1, 1, 1, 1]);
    convolution.bias = Some(match convolution.bias.take() {
        Some(bias) => bias * scale.clone() + shift.clone(),
        None => shift.clone(),
    });
    true
}

impl Graph {
    /// The same graph with weights changed by `change`, which gets an id and the values of each weight:
    /// for `stage` 0 the weights after the representation, for 1 also those of the last stage, for 2 all.
    pub fn reweighted(&self, stage: usize, change: impl Fn(u64, &mut [f32])) -> Self {
        let stages = &self.feature_layers.stages;
        let from = match stage {
            0 if self.feature_layers.embedding == self.nodes.len() => self.last_weight(),
            0 => self.feature_layers.embedding,
            1 => stages
                .len()
                .checked_sub(2)
                .map_or(0, |last| stages[last].place),
            _ => 0,
        };
        let mut graph = self.clone();
        // It knows the weights as they were.
        graph.fusion = None;
        for (number, node) in graph.nodes.iter_mut().enumerate().skip(from) {
            let number = number as u64;
            match &mut node.op {
                Op::Conv(Convolution { weight, .. }) => changed(weight, |v| change(number, v)),
                Op::Linear { weight, .. } => changed(weight, |v| change(number, v)),
                _ => {}
            }
        }
        graph
    }

    /// Index of the last node with weights.
    fn last_weight(&self) -> usize {
        let weighted = |node: &Node| matches!(node.op, Op::Conv(_) | Op::Linear { .. });
        self.nodes.iter().rposition(weighted).unwrap_or(0)
    }
}

fn changed<const D: usize>(tensor: &mut Tensor<D>, change: impl Fn(&mut [f32])) {
    let mut values = tensor_values(tensor.clone());
    change(&mut values);
    *tensor = Tensor::from_data(TensorData::new(values, tensor.dims()), &tensor.device());
}
