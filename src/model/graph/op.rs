//! The operations of network graphs: convolution, pooling, linear, activations, reshaping.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// What stands for a tensor in an operation that was read without its numbers.
fn placeholder<const D: usize>() -> Tensor<D> {
    Tensor::zeros([1; D], &Device::flex())
}

/// Padding of a feature map in pixels: top, left, bottom, right.
pub(in crate::model) type Padding = [usize; 4];

/// A pooling window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::model) struct Pooling {
    /// Height and width of the window.
    pub(in crate::model) kernel: [usize; 2],
    /// Stride in pixels, vertical and horizontal.
    pub(in crate::model) stride: [usize; 2],
    /// Padding of the map.
    pub(in crate::model) padding: Padding,
    /// Whether output sizes are rounded up, so that the last window may extend past the edge.
    pub(in crate::model) ceil: bool,
    /// Whether averages include the padding.
    pub(in crate::model) count_padding: bool,
}

/// Elementwise activation functions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::model) enum Activation {
    Relu,
    LeakyRelu(f64),
    Elu(f64),
    Sigmoid,
    /// `clamp(a·x + b, 0, 1)`.
    HardSigmoid(f64, f64),
    /// `x·clamp(x/6 + 1/2, 0, 1)`.
    HardSwish,
    Silu,
    Tanh,
    Erf,
    Gelu,
    Softplus,
    Exp,
    Log,
    Sqrt,
    Reciprocal,
    Neg,
    Abs,
    Clip(f32, f32),
    Power(f32),
}

/// A grouped convolution.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::model) struct Convolution {
    /// `[out, in/groups, height, width]`.
    #[serde(skip, default = "placeholder")]
    pub(in crate::model) weight: Tensor<4>,
    #[serde(skip)]
    pub(in crate::model) bias: Option<Tensor<1>>,
    pub(in crate::model) stride: [usize; 2],
    pub(in crate::model) padding: Padding,
    pub(in crate::model) dilation: [usize; 2],
    pub(in crate::model) groups: usize,
}

/// An operation; axes are counted from 0, the batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::model) enum Op {
    Conv(Convolution),
    /// Weight `[out, in]`.
    Linear {
        #[serde(skip, default = "placeholder")]
        weight: Tensor<2>,
        #[serde(skip)]
        bias: Option<Tensor<1>>,
    },
    /// BatchNorm at inference: `scale·x + shift` for each channel.
    Affine {
        #[serde(skip, default = "placeholder")]
        scale: Tensor<1>,
        #[serde(skip, default = "placeholder")]
        shift: Tensor<1>,
    },
    Activation(Activation),
    Add,
    Sub,
    Mul,
    Div,
    MaxPool(Pooling),
    AvgPool(Pooling),
    /// Mean over axes, which are kept with length 1 or removed.
    Mean {
        axes: Vec<usize>,
        keep: bool,
    },
    Pad {
        padding: Padding,
        value: f32,
    },
    Concat(usize),
    /// The new shape without the batch axis.
    Reshape(Vec<usize>),
    Transpose(Vec<usize>),
    /// A slice: start and end on an axis.
    Slice {
        axis: usize,
        start: usize,
        end: usize,
    },
    Softmax(usize),
}
