//! Execution of a graph, or a part of it, on burn tensors with automatic differentiation.

use burn::tensor::Tensor;
use burn::tensor::activation::{elu, gelu, leaky_relu, sigmoid, silu, softmax, softplus, tanh};
use burn::tensor::module::{avg_pool2d, conv2d, linear, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions, PadMode};

use super::fusion::{Fusion, Step};
use super::op::{Activation, Convolution, Op, Padding, QUICK_GELU, Reshape};
use super::shape::MAX_AXES;
use super::value::{Value, joined, made};
use super::{Draft, Graph, Node, Source};
use crate::model::cpu::rows::RowOp;
use crate::model::cpu::training::convolve;
use crate::model::layers::rectified;
#[cfg(feature = "tch")]
use crate::model::libtorch;

impl Draft {
    /// The value at `place` of a graph of a constant.
    pub(in crate::model) fn run(&self, input: Value, place: usize) -> Value {
        let mut values = vec![input];
        for node in &self.nodes[..place] {
            let inputs = node.inputs.iter().map(|input| match input {
                Source::Constant(value) => (**value).clone(),
                Source::Value(place) => values[*place].clone(),
            });
            values.push(node.op.run(inputs.collect(), 1, false));
        }
        values.swap_remove(place)
    }
}

impl Graph {
    /// Computes the value at `to` from the value at `from`, on which all nodes between must exclusively
    /// depend. With `fake_relu`, the gradient of a ReLU that computes the last value, or the values whose maximum pooling it
    /// is, is 1 everywhere.
    pub(super) fn run(&self, from: usize, value: Value, to: usize, fake_relu: bool) -> Value {
        let fusion = self.fusion.as_ref();
        self.run_steps([from, to], value, fake_relu, fusion, |_, _| {})
    }

    /// Index of the node of the ReLU that computes the value at `to`, or the values whose maximum pooling that is; else of
    /// the node that computes it.
    fn relu_before(&self, to: usize) -> usize {
        let last = to.saturating_sub(1);
        match self.nodes.get(last) {
            Some(Node {
                op: Op::MaxPool(_),
                inputs,
            }) => match inputs[..] {
                [Source::Value(place)] => place.saturating_sub(1),
                _ => last,
            },
            _ => last,
        }
    }

    /// As [`Self::run`]; `watch` sees every value, with its index, as it is computed.
    pub(super) fn run_watched(
        &self,
        from: usize,
        value: Value,
        to: usize,
        fake_relu: bool,
        watch: impl FnMut(usize, &Value),
    ) -> Value {
        // What is fused has no values between.
        self.run_steps([from, to], value, fake_relu, None, watch)
    }

    /// As [`Self::run`], by the steps of `fusion` where there is one, else node by node.
    fn run_steps(
        &self,
        [from, to]: [usize; 2],
        value: Value,
        fake_relu: bool,
        fusion: Option<&Fusion>,
        mut watch: impl FnMut(usize, &Value),
    ) -> Value {
        let last_read = fusion.map_or(&self.last_read, |fusion| &fusion.last_read);
        let mut values: Vec<Option<Value>> = vec![None; to + 1];
        // Pictures, maps and rows from which a part is computed have the batch first.
        let pictures = value.sides()[0];
        values[from] = Some(value);
        let last_relu = self.relu_before(to);
        for index in from..to {
            let node = &self.nodes[index];
            let fused = match fusion.map(|fusion| (fusion, fusion.step(index))) {
                Some((_, Step::Deferred)) => continue,
                Some((fusion, Step::Convolution(fused))) => Some((fusion, fused)),
                Some((_, Step::Node)) | None => None,
            };
            let (inputs, reads): (Vec<Value>, Vec<usize>) = match fused {
                Some((_, fused)) => (fused.values(&values), fused.reads().collect()),
                None => (node.values(&values), node.reads().collect()),
            };
            // Values are freed after their last use.
            for place in reads {
                if last_read[place] == index {
                    values[place] = None;
                }
            }
            let fake_relu = fake_relu && index == last_relu;
            let value = match fused {
                Some((fusion, fused)) => fusion.run(fused, &self.nodes, inputs, fake_relu),
                None => node.op.run(inputs, pictures, fake_relu),
            };
            watch(index + 1, &value);
            values[index + 1] = Some(value);
        }
        values[to].take().expect("the last value was made")
    }
}

impl Node {
    /// What it reads.
    fn values(&self, values: &[Option<Value>]) -> Vec<Value> {
        let inputs = self.inputs.iter().map(|input| match input {
            Source::Constant(value) => (**value).clone(),
            Source::Value(place) => made(values, *place),
        });
        inputs.collect()
    }
}

impl Op {
    /// Computes the output of a batch of `pictures` for inputs that [`Op::shape`] accepts.
    fn run(&self, inputs: Vec<Value>, pictures: usize, fake_relu: bool) -> Value {
        let mut inputs = inputs.into_iter();
        let x = inputs.next().expect("every operation has an input");
        let mut second = || inputs.next().expect("two inputs were checked");
        match self {
            Self::Conv(convolution) => x.map_image(|x| convolution.run(x)),
            Self::Linear { weight, bias } => {
                let mut sides = x.sides();
                let [out, inside] = weight.dims();
                let rows = sides.iter().product::<usize>() / inside;
                let row = x.tensor.reshape([rows, inside]);
                let row = linear(row, weight.clone().transpose(), bias.clone());
                *sides.last_mut().expect("two axes were checked") = out;
                Value::new(row).reshaped(&sides)
            }
            Self::MatMul => {
                let y = second();
                x.with_leading(y, MAX_AXES - 2, Tensor::matmul)
            }
            Self::Affine { scale, shift } => {
                let mut shape = [1; MAX_AXES];
                shape[x.axis(1)] = scale.dims()[0];
                let (scale, shift) = (scale.clone().reshape(shape), shift.clone().reshape(shape));
                x.map(|x| x * scale + shift)
            }
            Self::Normalize { axes, epsilon } => {
                let places: Vec<usize> = axes.iter().map(|&axis| x.axis(axis)).collect();
                let sides = x.sides();
                let first = sides.len() - axes.len();
                let operation = RowOp::Normalize {
                    epsilon: *epsilon as f32,
                };
                if axes.iter().copied().eq(first..sides.len())
                    && let Some(rows) = x.rows(operation, axes.len())
                {
                    return rows;
                }
                x.map(|x| {
                    let centred = x.clone() - x.mean_dims(&places);
                    let variance = centred.clone().square().mean_dims(&places);
                    centred / (variance + *epsilon).sqrt()
                })
            }
            Self::Activation(Activation::Relu) => x.map(|x| rectified(x, fake_relu)),
            Self::Activation(Activation::Gelu) => match x.rows(RowOp::Gelu, 1) {
                Some(rows) => rows,
                None => x.map(gelu),
            },
            Self::Activation(activation) => x.map(|x| activation.run(x)),
            Self::Add => x.with(second(), |x, y| x + y),
            Self::Sub => x.with(second(), |x, y| x - y),
            Self::Mul => x.with(second(), |x, y| x * y),
            Self::Div => x.with(second(), |x, y| x / y),
            Self::MaxPool(pooling) => {
                let options = MaxPoolOptions::new(pooling.kernel)
                    .with_stride(pooling.stride)
                    .with_padding_pairs(pairs(pooling.padding))
                    .with_ceil_mode(pooling.ceil);
                x.map_image(|x| max_pool2d(x, options))
            }
            Self::AvgPool(pooling) => {
                let options = AvgPoolOptions::new(pooling.kernel)
                    .with_stride(pooling.stride)
                    .with_padding_pairs(pairs(pooling.padding))
                    .with_count_include_pad(pooling.count_padding)
                    .with_ceil_mode(pooling.ceil);
                x.map_image(|x| avg_pool2d(x, options))
            }
            Self::Mean { axes, keep } => {
                let places: Vec<usize> = axes.iter().map(|&axis| x.axis(axis)).collect();
                let mean = x.map(|x| places.iter().fold(x, |x, &place| x.mean_dim(place)));
                if *keep { mean } else { mean.without(axes) }
            }
            Self::Max { axes, keep } => {
                let places: Vec<usize> = axes.iter().map(|&axis| x.axis(axis)).collect();
                let max = x.map(|x| places.iter().fold(x, |x, &place| x.max_dim(place)));
                if *keep { max } else { max.without(axes) }
            }
            Self::Pad { padding, value } => {
                x.map_image(|x| x.pad(pairs(*padding), PadMode::Constant(*value)))
            }
            Self::Concat(axis) => joined(std::iter::once(x).chain(inputs), *axis),
            Self::Reshape(Reshape { sides, batch }) => {
                let mut sides = sides.clone();
                if let Some(batch) = batch {
                    sides[batch.axis] *= pictures;
                }
                x.reshaped(&sides)
            }
            Self::Transpose(order) => x.transposed(order),
            Self::Slice {
                axis,
                start,
                end,
                step,
            } => {
                let place = x.axis(*axis);
                let part = x.map(|x| x.narrow(place, *start, end - start));
                if *step == 1 {
                    return part;
                }
                let indices = (0..end - start).step_by(*step).collect::<Vec<_>>();
                part.selected(*axis, &indices)
            }
            Self::Select { axis, indices } => x.selected(*axis, indices),
            Self::Softmax(axis) => {
                if axis + 1 == x.sides().len()
                    && let Some(rows) = x.rows(RowOp::Softmax, 1)
                {
                    return rows;
                }
                let place = x.axis(*axis);
                x.map(|x| softmax(x, place))
            }
        }
    }
}

impl Convolution {
    pub(super) fn run(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, kh, kw] = self.weight.dims();
        let ordinary = self.groups == 1
            && kh == kw
            && kh % 2 == 1
            && self.padding == [kh / 2; 4]
            && self.dilation == [1, 1]
            && self.stride[0] == self.stride[1];
        #[cfg(feature = "tch")]
        if ordinary
            && self.groups == 1
            && let Some(y) =
                libtorch::convolve(&x, &self.weight, self.bias.as_ref(), self.stride[0], false)
        {
            return y;
        }
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

/// Padding before and after, for height and width.
fn pairs([top, left, bottom, right]: Padding) -> [(usize, usize); 2] {
    [(top, bottom), (left, right)]
}

impl Activation {
    pub(super) fn run(self, x: Tensor<MAX_AXES>) -> Tensor<MAX_AXES> {
        match self {
            Self::Relu => rectified(x, false),
            Self::LeakyRelu(slope) => leaky_relu(x, slope),
            Self::Elu(alpha) => elu(x, alpha),
            Self::Sigmoid => sigmoid(x),
            Self::HardSigmoid(a, b) => (x * a + b).clamp(0.0, 1.0),
            Self::HardSwish => x.clone() * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Silu => silu(x),
            Self::QuickGelu => x.clone() * sigmoid(x * QUICK_GELU),
            Self::Tanh => tanh(x),
            Self::Erf => x.erf(),
            Self::Gelu => gelu(x),
            Self::GeluTanh => {
                let cubic = x.clone() + x.clone().powi_scalar(3) * 0.044_715;
                let inner = cubic * std::f64::consts::FRAC_2_PI.sqrt();
                x * (tanh(inner) + 1.0) * 0.5
            }
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
