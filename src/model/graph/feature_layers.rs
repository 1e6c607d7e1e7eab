//! Feature layers of a graph: values on which all later operations depend exclusively.

use burn::tensor::Tensor;

use super::shape::{Grid, Shape};
use super::value::Value;
use super::{Node, Op, Source};
use crate::model::network::TokenGrid;

/// How the channels and positions of a feature layer lie in its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum FeatureLayout {
    /// `[n, c, h, w]`.
    ChannelsFirst,
    /// `[n, h, w, c]`.
    ChannelsLast,
    /// Tokens `[n, t, c]`.
    Tokens(TokenGrid),
}

impl FeatureLayout {
    /// FeatureLayout of a value, if it is a feature layer.
    fn of(shape: &Shape) -> Option<Self> {
        if !shape.is_batch_first() {
            return None;
        }
        match (&shape.sides[..], shape.grid) {
            (&[_, _, _, _], Some(Grid::Map([1, 2]))) => Some(Self::ChannelsLast),
            (&[_, _, _, _], Some(Grid::Map([2, 3]))) => Some(Self::ChannelsFirst),
            // Operations in between hide where the positions are; maps are square.
            (&[_, a, b, c], _) if a == b && b != c => Some(Self::ChannelsLast),
            (&[_, _, _, _], _) => Some(Self::ChannelsFirst),
            (
                &[_, _, _],
                Some(Grid::Tokens {
                    axis: 1,
                    skipped,
                    size,
                }),
            ) => Some(Self::Tokens(TokenGrid { skipped, size })),
            _ => None,
        }
    }

    /// The map `[n, c, h, w]` of a value; tokens are `[n, c, t, 1]`.
    pub(super) fn to_map(self, value: Value) -> Tensor<4> {
        match self {
            Self::ChannelsFirst => value.tensor(),
            Self::ChannelsLast => value.transposed(&[0, 3, 1, 2]).tensor(),
            Self::Tokens(_) => value.tensor::<3>().swap_dims(1, 2).unsqueeze_dim(3),
        }
    }

    /// The value of a map: the inverse of [`Self::to_map`].
    pub(super) fn to_value(self, map: Tensor<4>) -> Value {
        match self {
            Self::ChannelsFirst => Value::new(map),
            Self::ChannelsLast => Value::new(map).transposed(&[0, 2, 3, 1]),
            Self::Tokens(_) => Value::new(map.squeeze_dim::<3>(3).swap_dims(1, 2)),
        }
    }
}

/// A feature layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    /// Index of its value.
    pub(super) place: usize,
    pub(super) layout: FeatureLayout,
}

impl Stage {
    /// Number of channels.
    pub(super) fn channels(&self, shapes: &[Shape]) -> usize {
        let axis = match self.layout {
            FeatureLayout::ChannelsFirst => 1,
            FeatureLayout::ChannelsLast => 3,
            FeatureLayout::Tokens(_) => 2,
        };
        shapes[self.place].sides[axis]
    }

    /// What tells its resolution from another's: whether it is tokens, and height and width.
    fn resolution(&self, shapes: &[Shape]) -> (bool, [usize; 2]) {
        let sides = &shapes[self.place].sides;
        match self.layout {
            FeatureLayout::ChannelsFirst => (false, [sides[2], sides[3]]),
            FeatureLayout::ChannelsLast => (false, [sides[1], sides[2]]),
            FeatureLayout::Tokens(grid) => (true, grid.size),
        }
    }
}

/// Indices of the values that serve as feature layers and representation.
#[derive(Clone, Debug)]
pub(super) struct FeatureLayers {
    /// Feature layers from the stem on: the last one of each resolution.
    pub(super) stages: Vec<Stage>,
    /// The representation `[n, d]` that the last linear layer reads, else the logits themselves.
    pub(super) embedding: usize,
}

impl FeatureLayers {
    pub(super) fn find(nodes: &[Node], shapes: &[Shape]) -> Result<Self, String> {
        let separating = separating_values(nodes);
        let is_vector = |at: usize| shapes[at].sides.len() == 2 && shapes[at].is_batch_first();
        let reads = |at: usize| -> Option<usize> {
            let node = nodes.get(at.checked_sub(1)?)?;
            let linear = matches!(node.op, Op::Linear { .. });
            linear.then(|| node.reads().next()).flatten()
        };
        let output = nodes.len();
        let before = reads(output).filter(|at| is_vector(*at) && separating.contains(at));
        let embedding = before.unwrap_or(output);
        let mixing = last_mixing(nodes, shapes, embedding);
        let mut stages: Vec<Stage> = Vec::new();
        for &place in separating.iter().filter(|&&at| at > 0 && at < embedding) {
            let Some(layout) = FeatureLayout::of(&shapes[place]) else {
                continue;
            };
            // After the last operation that mixes tokens, only the class token counts for the output.
            if matches!(layout, FeatureLayout::Tokens(_)) && place > mixing {
                continue;
            }
            let stage = Stage { place, layout };
            let resolution = stage.resolution(shapes);
            // A map of one pixel is pooled already; it is a feature layer only if there is no larger map.
            if resolution.1 == [1, 1] && !stages.is_empty() {
                continue;
            }
            let last = stages.last().map(|last| last.resolution(shapes));
            if last == Some(resolution) {
                stages.pop();
            }
            stages.push(stage);
        }
        if stages.is_empty() {
            return Err("it has no feature map through which everything passes".into());
        }
        Ok(Self { stages, embedding })
    }
}

/// Index of the last node before the value `end` that mixes positions: attention, a convolution, a mean.
fn last_mixing(nodes: &[Node], shapes: &[Shape], end: usize) -> usize {
    let grid_axes = |place: usize| match shapes[place].grid {
        Some(Grid::Map(axes)) => axes.to_vec(),
        Some(Grid::Tokens { axis, .. }) => vec![axis],
        None => Vec::new(),
    };
    let mixes = |node: &Node| match &node.op {
        Op::MatMul => node
            .inputs
            .iter()
            .all(|input| matches!(input, Source::Value(_))),
        Op::Mean { axes, .. } | Op::Max { axes, .. } => node
            .reads()
            .any(|place| grid_axes(place).iter().any(|axis| axes.contains(axis))),
        Op::Conv(_) | Op::MaxPool(_) | Op::AvgPool(_) => true,
        _ => false,
    };
    nodes[..end].iter().rposition(mixes).unwrap_or(0)
}

/// Indices of the values that separate the graph: no later node reads an earlier value.
fn separating_values(nodes: &[Node]) -> Vec<usize> {
    // For each index, the earliest value that is read at or after it.
    let mut earliest = vec![usize::MAX; nodes.len() + 2];
    for (index, node) in nodes.iter().enumerate().rev() {
        let read = node.reads().min().unwrap_or(usize::MAX);
        earliest[index + 1] = earliest[index + 2].min(read);
    }
    (0..=nodes.len())
        .filter(|&place| earliest[place + 1] >= place)
        .collect()
}
