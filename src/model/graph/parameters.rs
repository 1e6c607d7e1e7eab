//! The trainable parameters of a graph, and another last layer for other classes.

use super::op::{Convolution, Op};
use super::stored::{rebuild, tensor_name};
use super::{Graph, GraphSummary};
use crate::model::{Array, Parameters, Role, Visitor, tensor_values};
use burn::tensor::{Tensor, TensorData};

impl Parameters for Graph {
    /// BatchNorms are part of the convolutions before them, or stay as scales and shifts: a graph has no
    /// running statistics.
    fn visit(&mut self, visitor: &mut impl Visitor) {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let name = |part| tensor_name(index, part);
            match &mut node.op {
                Op::Conv(Convolution { weight, bias, .. }) => {
                    visitor.tensor(&name("weight"), Role::Weight, weight);
                    if let Some(bias) = bias {
                        visitor.tensor(&name("bias"), Role::Bias, bias);
                    }
                }
                Op::Linear { weight, bias } => {
                    visitor.tensor(&name("weight"), Role::Weight, weight);
                    if let Some(bias) = bias {
                        visitor.tensor(&name("bias"), Role::Bias, bias);
                    }
                }
                Op::Affine { scale, shift } => {
                    visitor.tensor(&name("scale"), Role::Scale, scale);
                    visitor.tensor(&name("shift"), Role::Shift, shift);
                }
                _ => {}
            }
        }
    }
}

impl Graph {
    /// Number of values of all its weights.
    pub fn parameter_count(&self) -> usize {
        let mut counter = Counter(0);
        self.clone().visit(&mut counter);
        counter.0
    }

    /// Prefix of the names of the last layer's tensors, if the graph ends in a linear layer.
    pub fn head(&self) -> Option<String> {
        let last = self.nodes.len().checked_sub(1)?;
        matches!(self.nodes[last].op, Op::Linear { .. }).then(|| tensor_name(last, ""))
    }

    /// Weight `[classes, d]` and bias `[classes]` of the last linear layer.
    ///
    /// # Errors
    /// A message, when it does not end in one.
    pub fn last_layer(&self) -> Result<[Array; 2], String> {
        let Some(Op::Linear { weight, bias }) = self.nodes.last().map(|node| &node.op) else {
            return Err("it does not end in a linear layer".into());
        };
        let [classes, inside] = weight.dims();
        let bias = bias.clone().map(tensor_values);
        Ok([
            Array {
                shape: vec![classes, inside],
                values: tensor_values(weight.clone()),
            },
            Array {
                shape: vec![classes],
                values: bias.unwrap_or_else(|| vec![0.0; classes]),
            },
        ])
    }

    /// The same graph with another last linear layer, for pictures of height and width `input`.
    ///
    /// # Errors
    /// A message, when it does not end in a linear layer or does not fit that size.
    pub fn with_last_layer(
        &self,
        [weight, bias]: [Array; 2],
        input: [usize; 2],
    ) -> Result<(Self, GraphSummary), String> {
        let mut nodes = self.nodes.clone();
        let Some(Op::Linear {
            weight: old,
            bias: old_bias,
        }) = nodes.last_mut().map(|node| &mut node.op)
        else {
            return Err("it does not end in a linear layer".into());
        };
        let device = old.device();
        let [classes, inside] = [weight.shape[0], weight.shape[1]];
        *old = Tensor::from_data(TensorData::new(weight.values, [classes, inside]), &device);
        *old_bias = Some(Tensor::from_data(
            TensorData::new(bias.values, [classes]),
            &device,
        ));
        rebuild(nodes, self.title.clone(), input)
    }
}

struct Counter(usize);

impl Visitor for Counter {
    fn tensor<const D: usize>(&mut self, _: &str, _: Role, tensor: &mut Tensor<D>) {
        self.0 += tensor.dims().iter().product::<usize>();
    }
}
