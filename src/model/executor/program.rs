//! Programs: the steps on feature maps that compute a feature layer of a picture.

use std::sync::Arc;

use super::convolution::Convolution;
use super::layout::MapId;
use super::pointwise::Pointwise;
use super::tensor::TensorOp;
use super::view::View;
use crate::model::graph::Pooling;

/// Steps from the picture, map 0, to a feature layer.
pub(super) struct Program {
    pub(super) maps: Vec<Map>,
    pub(super) steps: Vec<Step>,
    /// The feature layer.
    pub(super) output: MapId,
}

/// A feature map that steps read and write. A tensor of other axes is one of a single pixel, whose channels are its values.
#[derive(Clone, Debug)]
pub(super) struct Map {
    /// Channels, height, width.
    pub(super) sides: [usize; 3],
    /// The largest value of the ReLU that its values went through as the last thing, so that they tell the ReLU's gradient:
    /// ∞, or 6 of a ReLU6.
    pub(super) ceiling: Option<f32>,
}

/// One step of a forward pass.
pub(super) enum Step {
    Convolution {
        packed: Arc<Convolution>,
        from: MapId,
        to: MapId,
        residual: Option<MapId>,
    },
    /// A function of each value.
    Pointwise {
        function: Pointwise,
        from: MapId,
        to: MapId,
    },
    /// The sum of two maps.
    Add { from: [MapId; 2], to: MapId },
    /// The product of two maps, of which the second may have one pixel only.
    Multiply { from: [MapId; 2], to: MapId },
    MaxPool {
        pooling: Pooling,
        from: MapId,
        to: MapId,
    },
    AveragePool {
        pooling: Pooling,
        from: MapId,
        to: MapId,
    },
    /// Channels of several maps, one after the other.
    Concatenate { from: Vec<MapId>, to: MapId },
    /// These channels.
    Select {
        channels: Vec<usize>,
        from: MapId,
        to: MapId,
    },
    /// A border of zeros.
    Pad {
        before: [usize; 2],
        from: MapId,
        to: MapId,
    },
    /// A map as a tensor `[h, w, c]`.
    Unpack { from: MapId, to: MapId },
    /// A tensor `[1, c, h, w]` as a map.
    Pack { from: View, to: MapId },
    /// An operation on tensors.
    Tensor {
        operation: TensorOp,
        from: Vec<View>,
        /// Of the result.
        sides: Vec<usize>,
        to: MapId,
    },
}

impl Step {
    /// The map that it writes.
    pub(super) fn to(&self) -> MapId {
        match self {
            Self::Convolution { to, .. }
            | Self::Pointwise { to, .. }
            | Self::Add { to, .. }
            | Self::Multiply { to, .. }
            | Self::MaxPool { to, .. }
            | Self::AveragePool { to, .. }
            | Self::Concatenate { to, .. }
            | Self::Select { to, .. }
            | Self::Pad { to, .. }
            | Self::Unpack { to, .. }
            | Self::Pack { to, .. }
            | Self::Tensor { to, .. } => *to,
        }
    }

    /// The maps that it reads.
    pub(super) fn reads(&self) -> Vec<MapId> {
        match self {
            Self::Convolution { from, residual, .. } => {
                std::iter::once(*from).chain(*residual).collect()
            }
            Self::Pointwise { from, .. }
            | Self::MaxPool { from, .. }
            | Self::AveragePool { from, .. }
            | Self::Select { from, .. }
            | Self::Pad { from, .. }
            | Self::Unpack { from, .. } => vec![*from],
            Self::Pack { from, .. } => from.map().into_iter().collect(),
            Self::Tensor { from, .. } => from.iter().filter_map(View::map).collect(),
            Self::Add { from, .. } | Self::Multiply { from, .. } => from.to_vec(),
            Self::Concatenate { from, .. } => from.clone(),
        }
    }
}
