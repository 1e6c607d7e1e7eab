//! Execution of a graph, or a part of it, on burn tensors with automatic differentiation.

use burn::tensor::activation::{elu, gelu, leaky_relu, sigmoid, silu, softmax, softplus, tanh};
use burn::tensor::module::{avg_pool2d, conv2d, linear, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions, PadMode};
use burn::tensor::{Tensor, TensorData};

use super::op::{Activation, Convolution, Op, Padding};
use super::{Graph, Source};
use crate::model::cpu::training::convolve;
use crate::model::layers::rectified;

/// A tensor of one to four axes, stored with four: missing axes are leading axes of length 1.
#[derive(Clone, Debug)]
pub(in crate::model) struct Value {
    pub(super) tensor: Tensor<4>,
    rank: usize,
}

impl Value {
    /// A tensor of up to four axes.
    pub(in crate::model) fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        let shape = padded(&tensor.dims());
        Self {
            tensor: tensor.reshape(shape),
            rank: D,
        }
    }

    /// A constant array.
    pub(in crate::model) fn constant(
        values: Vec<f32>,
        shape: &[usize],
        device: &burn::tensor::Device,
    ) -> Self {
        let data = TensorData::new(values, padded(shape));
        Self {
            tensor: Tensor::from_data(data, device),
            rank: shape.len(),
        }
    }

    /// The shape without the added axes.
    pub(super) fn shape(&self) -> Vec<usize> {
        self.tensor.dims()[4 - self.rank..].to_vec()
    }

    /// The tensor of a value of four axes.
    pub(super) fn tensor(self) -> Tensor<4> {
        self.tensor
    }

    /// The tensor of a value of two axes.
    pub(super) fn row(self) -> Tensor<2> {
        let [_, _, n, k] = self.tensor.dims();
        self.tensor.reshape([n, k])
    }

    /// Index of an axis among the four stored ones.
    fn axis(&self, axis: usize) -> usize {
        axis + 4 - self.rank
    }

    fn map(self, change: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Self {
        Self {
            tensor: change(self.tensor),
            rank: self.rank,
        }
    }

    fn with(self, other: Self, change: impl FnOnce(Tensor<4>, Tensor<4>) -> Tensor<4>) -> Self {
        Self {
            rank: self.rank.max(other.rank),
            tensor: change(self.tensor, other.tensor),
        }
    }
}

fn padded(shape: &[usize]) -> [usize; 4] {
    let missing = 4 - shape.len();
    std::array::from_fn(|axis| axis.checked_sub(missing).map_or(1, |axis| shape[axis]))
}

impl Graph {
    /// Computes the value at `to` from the value at `from`, on which all nodes between must exclusively
    /// depend. With `fake_relu`, the gradient of a ReLU that computes the last value is 1 everywhere.
    pub(super) fn run(&self, from: usize, value: Value, to: usize, fake_relu: bool) -> Value {
        let mut values: Vec<Option<Value>> = vec![None; to + 1];
        values[from] = Some(value);
        for index in from..to {
            let node = &self.nodes[index];
            let inputs = node.inputs.iter().map(|input| match input {
                Source::Constant(value) => (**value).clone(),
                Source::Value(place) => values[*place]
                    .clone()
                    .expect("a value is made before it is read"),
            });
            let inputs: Vec<Value> = inputs.collect();
            // Values are freed after their last use.
            for place in node.reads() {
                if self.last_read[place] == index {
                    values[place] = None;
                }
            }
            values[index + 1] = Some(node.op.run(inputs, fake_relu && index + 1 == to));
        }
        values[to].take().expect("the last value was made")
    }
}

impl Op {
    /// Computes the output for inputs that [`Op::shape`] accepts.
    fn run(&self, inputs: Vec<Value>, fake_relu: bool) -> Value {
        let mut inputs = inputs.into_iter();
        let x = inputs.next().expect("every operation has an input");
        match self {
            Self::Conv(convolution) => x.map(|x| convolution.run(x)),
            Self::Linear { weight, bias } => {
                let row = linear(x.row(), weight.clone().transpose(), bias.clone());
                Value::new(row)
            }
            Self::Affine { scale, shift } => {
                let mut shape = [1; 4];
                shape[x.axis(1)] = scale.dims()[0];
                let (scale, shift) = (scale.clone().reshape(shape), shift.clone().reshape(shape));
                x.map(|x| x * scale + shift)
            }
            Self::Activation(Activation::Relu) => x.map(|x| rectified(x, fake_relu)),
            Self::Activation(activation) => x.map(|x| activation.run(x)),
            Self::Add | Self::Sub | Self::Mul | Self::Div => {
                let y = inputs.next().expect("two inputs were checked");
                x.with(y, |x, y| match self {
                    Self::Add => x + y,
                    Self::Sub => x - y,
                    Self::Mul => x * y,
                    _ => x / y,
                })
            }
            Self::MaxPool(pooling) => {
                let options = MaxPoolOptions::new(pooling.kernel)
                    .with_stride(pooling.stride)
                    .with_padding_pairs(pairs(pooling.padding))
                    .with_ceil_mode(pooling.ceil);
                x.map(|x| max_pool2d(x, options))
            }
            Self::AvgPool(pooling) => {
                let options = AvgPoolOptions::new(pooling.kernel)
                    .with_stride(pooling.stride)
                    .with_padding_pairs(pairs(pooling.padding))
                    .with_count_include_pad(pooling.count_padding)
                    .with_ceil_mode(pooling.ceil);
                x.map(|x| avg_pool2d(x, options))
            }
            Self::Mean { axes, keep } => {
                let places: Vec<usize> = axes.iter().map(|&axis| x.axis(axis)).collect();
                let mean = x.map(|x| places.iter().fold(x, |x, &place| x.mean_dim(place)));
                if *keep {
                    return mean;
                }
                let shape = mean.shape().into_iter().enumerate();
                let left = shape.filter(|(axis, _)| !axes.contains(axis));
                let left: Vec<usize> = left.map(|(_, size)| size).collect();
                mean.reshaped(&left)
            }
            Self::Pad { padding, value } => {
                x.map(|x| x.pad(pairs(*padding), PadMode::Constant(*value)))
            }
            Self::Concat(axis) => {
                let (place, rank) = (x.axis(*axis), x.rank);
                let all = std::iter::once(x).chain(inputs);
                let all: Vec<Tensor<4>> = all.map(|value| value.tensor).collect();
                let tensor = Tensor::cat(all, place);
                Value { tensor, rank }
            }
            Self::Reshape(rest) => {
                let batch = x.shape()[0];
                x.reshaped(&[&[batch], &rest[..]].concat())
            }
            Self::Transpose(order) => {
                let missing = 4 - x.rank;
                let order = std::array::from_fn::<usize, 4, _>(|place| {
                    let axis = place.checked_sub(missing);
                    axis.map_or(place, |axis| order[axis] + missing)
                });
                x.map(|x| x.permute(order))
            }
            Self::Slice { axis, start, end } => {
                let place = x.axis(*axis);
                x.map(|x| x.narrow(place, *start, end - start))
            }
            Self::Softmax(axis) => {
                let place = x.axis(*axis);
                x.map(|x| softmax(x, place))
            }
        }
    }
}

impl Convolution {
    fn run(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, kh, kw] = self.weight.dims();
        let ordinary = self.groups == 1
            && kh == kw
            && kh % 2 == 1
            && self.padding == [kh / 2; 4]
            && self.dilation == [1, 1]
            && self.stride[0] == self.stride[1];
        if ordinary && let Some(y) = convolve(&x, &self.weight, self.stride[0]) {
            return match &self.bias {
                Some(bias) => y + bias.clone().reshape([1, -1, 1, 1]),
                None => y,
            };
        }
        let padding = pairs(self.padding);
        let options =
            ConvOptions::new_with_padding(self.stride, padding, self.dilation, self.groups);
        conv2d(x, self.weight.clone(), self.bias.clone(), options)
    }
}

impl Value {
    fn reshaped(self, shape: &[usize]) -> Self {
        Self {
            tensor: self.tensor.reshape(padded(shape)),
            rank: shape.len(),
        }
    }
}

/// Padding before and after, for height and width.
fn pairs([top, left, bottom, right]: Padding) -> [(usize, usize); 2] {
    [(top, bottom), (left, right)]
}

impl Activation {
    fn run(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Relu => rectified(x, false),
            Self::LeakyRelu(slope) => leaky_relu(x, slope),
            Self::Elu(alpha) => elu(x, alpha),
            Self::Sigmoid => sigmoid(x),
            Self::HardSigmoid(a, b) => (x * a + b).clamp(0.0, 1.0),
            Self::HardSwish => x.clone() * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Silu => silu(x),
            Self::Tanh => tanh(x),
            Self::Erf => x.erf(),
            Self::Gelu => gelu(x),
            Self::Softplus => softplus(x, 1.0),
            Self::Exp => x.exp(),
            Self::Log => x.log(),
            Self::Sqrt => x.sqrt(),
            Self::Reciprocal => x.recip(),
            Self::Neg => -x,
            Self::Abs => x.abs(),
            Self::Clip(low, high) => x.clamp(low, high),
            Self::Power(exponent) => x.powf_scalar(exponent),
        }
    }
}
