//! The operations of network graphs: convolution, pooling, linear, activations, reshaping.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::shape::BatchAxis;

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

/// Factor of the input of QuickGELU's sigmoid.
pub(in crate::model) const QUICK_GELU: f32 = 1.702;

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
    /// `x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`.
    GeluTanh,
    /// `x·sigmoid(1.702·x)` (Hendrycks and Gimpel 2016).
    QuickGelu,
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

impl Activation {
    /// The largest value of a ReLU: ∞, or that of a ReLU6 and its kind; `None` of any other function.
    pub(in crate::model) fn ceiling(self) -> Option<f32> {
        match self {
            Self::Relu => Some(f32::INFINITY),
            Self::Clip(0.0, most) if most > 0.0 => Some(most),
            _ => None,
        }
    }
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

/// A reshape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredReshape")]
pub(in crate::model) struct Reshape {
    /// The new lengths for one picture.
    pub(in crate::model) sides: Vec<usize>,
    /// Where the batch lies then.
    pub(in crate::model) batch: Option<BatchAxis>,
}

/// A reshape in a file.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredReshape {
    /// As files before version 0.2 have it: the lengths after the batch axis, which is first.
    Rest(Vec<usize>),
    Whole {
        sides: Vec<usize>,
        batch: Option<BatchAxis>,
    },
}

impl From<StoredReshape> for Reshape {
    fn from(stored: StoredReshape) -> Self {
        match stored {
            StoredReshape::Rest(rest) => Self {
                sides: [&[1], &rest[..]].concat(),
                batch: Some(BatchAxis::FIRST),
            },
            StoredReshape::Whole { sides, batch } => Self { sides, batch },
        }
    }
}

/// The step of slices in files that say none.
fn every() -> usize {
    1
}

/// An operation; axes are counted from 0, the batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::model) enum Op {
    Conv(Convolution),
    /// Along the last axis; weight `[out, in]`.
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
    /// Matrix products of two inputs along their last two axes, the axes before them broadcast.
    MatMul,
    /// `(x − mean)/√(variance + ε)` over these axes: LayerNorm, InstanceNorm and GroupNorm.
    Normalize {
        axes: Vec<usize>,
        epsilon: f64,
    },
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
    /// Maximum over axes, likewise.
    Max {
        axes: Vec<usize>,
        keep: bool,
    },
    Pad {
        padding: Padding,
        value: f32,
    },
    Concat(usize),
    Reshape(Reshape),
    Transpose(Vec<usize>),
    /// A slice of an axis: from start to before end, every `step`-th.
    Slice {
        axis: usize,
        start: usize,
        end: usize,
        #[serde(default = "every")]
        step: usize,
    },
    /// These indices of an axis.
    Select {
        axis: usize,
        indices: Vec<usize>,
    },
    Softmax(usize),
}
