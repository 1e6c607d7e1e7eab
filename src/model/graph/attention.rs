//! The attention of transformers: the values of a graph that say what each token reads of each.

use burn::tensor::Tensor;

use super::shape::{BatchAxis, Grid, Shape, product};
use super::value::Value;
use super::{Graph, Node, Op, Source};
use crate::model::network::{Attention, TokenGrid};

/// The layers of global attention of a graph.
#[derive(Clone, Debug)]
pub(super) struct AttentionLayers {
    /// Index of each layer's attention: the value of a softmax.
    places: Vec<usize>,
    /// Number of heads of each layer.
    heads: Vec<usize>,
    grid: TokenGrid,
}

impl AttentionLayers {
    /// The softmaxes over all tokens by which other values are multiplied; `None` if there are none.
    pub(super) fn find(nodes: &[Node], shapes: &[Shape]) -> Option<Self> {
        // Class tokens are joined after the first patches: the longest row of tokens is what attention reads.
        let rows = shapes.iter().filter_map(|shape| match shape.grid? {
            Grid::Tokens {
                axis,
                skipped,
                size,
            } => Some((shape.sides[axis], TokenGrid { skipped, size })),
            Grid::Map(_) => None,
        });
        let (tokens, grid) = rows.max_by_key(|(tokens, _)| *tokens)?;
        let (mut places, mut heads) = (Vec::new(), Vec::new());
        for node in nodes {
            let (Op::MatMul, [Source::Value(place), Source::Value(_)]) =
                (&node.op, &node.inputs[..])
            else {
                continue;
            };
            let sides = &shapes[*place].sides;
            let is_softmax = matches!(nodes[place.checked_sub(1)?].op, Op::Softmax(_));
            let batch_leads = shapes[*place].batch == Some(BatchAxis::FIRST);
            if is_softmax && batch_leads && sides.ends_with(&[tokens, tokens]) {
                places.push(*place);
                heads.push(product(&sides[..sides.len() - 2]));
            }
        }
        (!places.is_empty()).then_some(Self {
            places,
            heads,
            grid,
        })
    }
}

impl Graph {
    /// The attention of normalised pixels `[n, 3, h, w]`.
    pub(super) fn attention_layers(&self, x: Tensor<4>) -> Option<Attention> {
        let AttentionLayers {
            places,
            heads,
            grid,
        } = self.attention.as_ref()?;
        let [n, ..] = x.dims();
        let mut layers = Vec::with_capacity(places.len());
        let last = *places.last()?;
        self.run_watched(0, Value::new(x), last, false, |place, value| {
            if let Some(layer) = places.iter().position(|&other| other == place) {
                let sides = value.sides();
                let tokens = sides[sides.len() - 1];
                let shape = [n, heads[layer], tokens, tokens];
                layers.push(value.tensor.clone().reshape(shape));
            }
        });
        Some(Attention {
            layers,
            grid: *grid,
        })
    }
}
