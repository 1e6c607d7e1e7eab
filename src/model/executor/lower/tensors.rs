//! Steps on tensors of any axes: matrix products, normalisation, attention, and the moves of axes between them.

use std::sync::Arc;

use super::super::linear::Linear;
use super::super::pointwise::Pointwise;
use super::super::program::{Map, Step};
use super::super::strided::Combination;
use super::super::tensor::TensorOp;
use super::super::view::{Base, View};
use super::Lowering;
use crate::model::cpu::rows::RowOp;
use crate::model::graph::{Node, Op, Shape, Source};
use crate::model::tensor_values;

impl Lowering<'_> {
    /// The tensor that a node makes, with the steps that compute it; `None` if the operation is not known.
    pub(super) fn tensor(&mut self, index: usize, shape: &Shape) -> Option<View> {
        let nodes = self.nodes;
        let Node { op, inputs } = &nodes[index];
        let first = self.operand(index, 0)?;
        let sides = &shape.sides;
        match op {
            Op::Linear { weight, bias } => {
                let [out, inside] = weight.dims();
                let instructions = self.instructions;
                let layer = self.packed.linear.entry(index).or_insert_with(|| {
                    let bias = bias.clone().map(tensor_values);
                    let weight = tensor_values(weight.clone());
                    Arc::new(Linear::new(weight, bias, [out, inside], instructions))
                });
                let layer = layer.clone();
                let rows = first.len() / inside;
                let flat = first.reshaped(&[rows, inside]);
                let flat = match flat {
                    Some(flat) => self.as_matrices(flat),
                    None => self.contiguous(first).reshaped(&[rows, inside])?,
                };
                let result = self.push(TensorOp::Linear(layer), vec![flat], vec![rows, out]);
                result.reshaped(sides)
            }
            Op::MatMul => {
                let operands = [first, self.operand(index, 1)?];
                let before = &sides[..sides.len().checked_sub(2)?];
                let operands = operands.map(|view| {
                    let matrix = &view.sides[view.sides.len().checked_sub(2)?..];
                    let view = view.broadcast(&[before, matrix].concat())?;
                    Some(self.as_matrices(view))
                });
                let [Some(a), Some(b)] = operands else {
                    return None;
                };
                Some(self.push(TensorOp::MatMul, vec![a, b], sides.clone()))
            }
            Op::Normalize { axes, epsilon } => {
                let before = first.sides.len().checked_sub(axes.len())?;
                let is_last = axes.iter().copied().eq(before..first.sides.len());
                let length = first.sides[before..].iter().product();
                let epsilon = *epsilon as f32;
                let operation = TensorOp::Rows(RowOp::Normalize { epsilon }, length);
                let x = is_last.then(|| self.contiguous(first))?;
                Some(self.push(operation, vec![x], sides.clone()))
            }
            Op::Softmax(axis) => {
                // The axis comes last, and goes back.
                let last = sides.len() - 1;
                let mut order: Vec<usize> = (0..=last).collect();
                order.swap(*axis, last);
                let x = self.contiguous(first.permuted(&order));
                let operation = TensorOp::Rows(RowOp::Softmax, sides[*axis]);
                let moved = x.sides.clone();
                Some(self.push(operation, vec![x], moved).permuted(&order))
            }
            Op::Activation(activation) => {
                let ceiling = activation.ceiling();
                let function = match ceiling {
                    Some(_) => Pointwise::Identity,
                    None => Pointwise::of(*activation)?,
                };
                let x = self.contiguous(first);
                let result = self.push(TensorOp::Function(function), vec![x], sides.clone());
                self.maps[result.map()?].ceiling = ceiling;
                Some(result)
            }
            Op::Affine { scale, shift } => {
                let constant = |values: Vec<f32>| {
                    let mut of_channels = vec![1; sides.len()];
                    of_channels[1] = values.len();
                    let constant = Base::Constant(Arc::new(values));
                    View::contiguous(constant, of_channels).broadcast(sides)
                };
                let scale = constant(tensor_values(scale.clone()))?;
                let shift = constant(tensor_values(shift.clone()))?;
                let scaled = self.combine(Combination::Mul, [first, scale], sides);
                Some(self.combine(Combination::Add, [scaled, shift], sides))
            }
            Op::Add | Op::Sub | Op::Mul | Op::Div => {
                let combination = match op {
                    Op::Add => Combination::Add,
                    Op::Sub => Combination::Sub,
                    Op::Mul => Combination::Mul,
                    _ => Combination::Div,
                };
                let second = self.operand(index, 1)?.broadcast(sides)?;
                Some(self.combine(combination, [first.broadcast(sides)?, second], sides))
            }
            Op::Mean { axes, .. } => {
                let mut kept = first.sides.clone();
                axes.iter().for_each(|&axis| kept[axis] = 1);
                let operation = TensorOp::Mean {
                    sides: kept.clone(),
                };
                self.push(operation, vec![first], kept).reshaped(sides)
            }
            Op::Concat(axis) => {
                let views = (0..inputs.len()).map(|at| self.operand(index, at));
                let views = views.collect::<Option<Vec<View>>>()?;
                let operation = TensorOp::Concatenate { axis: *axis };
                Some(self.push(operation, views, sides.clone()))
            }
            Op::Reshape(_) => match first.reshaped(sides) {
                Some(view) => Some(view),
                None => self.contiguous(first).reshaped(sides),
            },
            Op::Transpose(order) => Some(first.permuted(order)),
            Op::Slice {
                axis,
                start,
                end,
                step,
            } => Some(first.sliced(*axis, *start, *end, *step)),
            Op::Select { axis, indices } => {
                let operation = TensorOp::Gather {
                    axis: *axis,
                    indices: indices.clone(),
                };
                Some(self.push(operation, vec![first], sides.clone()))
            }
            Op::Conv(_) | Op::MaxPool(_) | Op::AvgPool(_) | Op::Max { .. } | Op::Pad { .. } => None,
        }
    }

    /// An input of a node as a tensor.
    fn operand(&mut self, index: usize, at: usize) -> Option<View> {
        let nodes = self.nodes;
        match nodes[index].inputs.get(at)? {
            Source::Value(place) => self.view_of(*place),
            Source::Constant(value) => {
                let constants = &mut self.packed.constants;
                let values = constants.entry((index, at));
                let values = values.or_insert_with(|| Arc::new((**value).clone().values()));
                let base = Base::Constant(values.clone());
                Some(View::contiguous(base, value.sides()))
            }
        }
    }

    fn combine(&mut self, combination: Combination, operands: [View; 2], sides: &[usize]) -> View {
        let operation = TensorOp::Combine(combination);
        self.push(operation, operands.into(), sides.to_vec())
    }

    /// The same values, row-major.
    fn contiguous(&mut self, view: View) -> View {
        match view.is_contiguous() {
            true => view,
            false => {
                let sides = view.sides.clone();
                self.push(TensorOp::Copy, vec![view], sides)
            }
        }
    }

    /// The same values; a view whose last two axes are broadcast is copied.
    fn as_matrices(&mut self, view: View) -> View {
        let first = view.sides.len() - 2;
        let mut axes = view.sides[first..].iter().zip(&view.strides[first..]);
        match axes.any(|(&side, &stride)| side > 1 && stride == 0) {
            true => self.contiguous(view),
            false => view,
        }
    }

    /// A new tensor, which no step writes yet.
    pub(super) fn new_tensor(&mut self, sides: Vec<usize>) -> View {
        self.maps.push(Map {
            sides: [sides.iter().product(), 1, 1],
            ceiling: None,
        });
        View::contiguous(Base::Map(self.maps.len() - 1), sides)
    }

    /// The tensor of these sides that an operation makes.
    fn push(&mut self, operation: TensorOp, from: Vec<View>, sides: Vec<usize>) -> View {
        let view = self.new_tensor(sides.clone());
        if let Some(to) = view.map() {
            self.steps.push(Step::Tensor {
                operation,
                from,
                sides,
                to,
            });
        }
        view
    }
}
