//! Operations on tensors of any axes, with their gradients: what transformers are made of.

use std::sync::Arc;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::instructions::Resources;
use super::layout::{CHUNK, side_by_side};
use super::linear::Linear;
use super::pointwise::Pointwise;
use super::strided::{Combination, accumulate, combine, combine_backward, copy};
use super::view::{Operand, View, for_rows, matrix_mut};
use crate::model::cpu::product::{MatrixView, MatrixViewMut, add_product};
use crate::model::cpu::rows::RowOp;

/// An operation that writes a row-major tensor.
pub(super) enum TensorOp {
    /// The operand, row-major.
    Copy,
    /// Operands one after the other along an axis.
    Concatenate { axis: usize },
    /// These indices of an axis.
    Gather { axis: usize, indices: Vec<usize> },
    /// A linear layer on the rows `[rows, in]` of the operand.
    Linear(Arc<Linear>),
    /// Matrix products along the last two axes; operands have the same axes before them.
    MatMul,
    /// An operation on rows of so many numbers of a row-major operand.
    Rows(RowOp, usize),
    /// A function of each value of a row-major operand.
    Function(Pointwise),
    /// Of each pair of values of operands with the same sides.
    Combine(Combination),
    /// Mean over the axes along which the result, whose sides these are, has length 1.
    Mean { sides: Vec<usize> },
}

impl TensorOp {
    /// Whether the gradient depends on the values of the operands.
    pub(super) fn needs_operands(&self) -> bool {
        match self {
            Self::MatMul => true,
            Self::Rows(operation, _) => *operation != RowOp::Softmax,
            Self::Function(function) => !function.is_linear(),
            Self::Combine(combination) => {
                matches!(combination, Combination::Mul | Combination::Div)
            }
            _ => false,
        }
    }

    /// Whether the gradient depends on the result.
    pub(super) fn needs_result(&self) -> bool {
        matches!(self, Self::Rows(..))
    }

    /// Computes the result, whose sides these are, of one picture.
    pub(super) fn forward(
        &self,
        operands: &[Operand],
        sides: &[usize],
        out: &mut [f32],
        resources: Resources,
    ) {
        let threads = resources.threads;
        let first = operands[0];
        let result = View::contiguous(first.view.base.clone(), sides.to_vec());
        match self {
            Self::Copy => copy(first, (&result, out), resources),
            Self::Concatenate { axis } => {
                let mut start = 0;
                for operand in operands {
                    let end = start + operand.view.sides[*axis];
                    let to = result.sliced(*axis, start, end, 1);
                    copy(*operand, (&to, &mut *out), resources);
                    start = end;
                }
            }
            Self::Gather { axis, indices } => {
                for (at, &index) in indices.iter().enumerate() {
                    let part = first.view.sliced(*axis, index, index + 1, 1);
                    let part = Operand::new(&part, first.values);
                    let to = result.sliced(*axis, at, at + 1, 1);
                    copy(part, (&to, &mut *out), resources);
                }
            }
            Self::Linear(layer) => layer.forward(first, out, resources),
            Self::MatMul => {
                let sizes = product_sizes(operands);
                let size = sizes[0] * sizes[2];
                out.fill(0.0);
                let places = leading(operands.iter().map(|operand| operand.view));
                let of_one = |(out, place): (&mut [f32], &[usize; 2]), wide: bool| {
                    let [a, b] = [0, 1].map(|at| operands[at].matrix(place[at]));
                    add_product(sizes, MatrixViewMut::row_major(out, sizes[2]), a, b, wide);
                };
                if threads > 1 && places.len() >= threads {
                    let parts = out.par_chunks_exact_mut(size.max(1)).zip(&places);
                    parts.for_each(|part| of_one(part, false));
                } else {
                    let parts = out.chunks_exact_mut(size.max(1)).zip(&places);
                    parts.for_each(|part| of_one(part, threads > 1));
                }
            }
            Self::Rows(operation, length) => {
                out.copy_from_slice(first.contiguous());
                for_chunks(out, *length, resources.threads, |_, rows| {
                    resources.instructions.run(RowsForward {
                        operation: *operation,
                        length: *length,
                        rows,
                    });
                });
            }
            Self::Function(function) => {
                let from = first.contiguous();
                for_chunks(out, 1, resources.threads, |start, out| {
                    let from = &from[start..start + out.len()];
                    function.run(resources.instructions, (from, out), 1);
                });
            }
            Self::Combine(combination) => {
                let pair = [first, operands[1]];
                combine(*combination, pair, (&result, out), resources);
            }
            Self::Mean { sides } => {
                out.fill(0.0);
                let mean = View::contiguous(first.view.base.clone(), sides.clone());
                let count = first.view.len() / mean.len().max(1);
                let Some(mean) = mean.broadcast(&first.view.sides) else {
                    return;
                };
                accumulate(first, (&mean, out), 1.0 / count as f32, resources);
            }
        }
    }

    /// Adds what the gradient of the result, row-major with these sides, passes on to an operand's gradient, which lies in
    /// `to` as the operand lies in its memory.
    pub(super) fn backward(
        &self,
        which: usize,
        operands: &[Operand],
        (result, gradient): (&[f32], &[f32]),
        sides: &[usize],
        to: &mut [f32],
        resources: Resources,
    ) {
        let threads = resources.threads;
        let view = operands[which].view;
        let whole = View::contiguous(view.base.clone(), sides.to_vec());
        match self {
            Self::Copy => {
                accumulate(Operand::new(&whole, gradient), (view, to), 1.0, resources);
            }
            Self::Concatenate { axis } => {
                let before = &operands[..which];
                let start: usize = before.iter().map(|other| other.view.sides[*axis]).sum();
                let part = whole.sliced(*axis, start, start + view.sides[*axis], 1);
                accumulate(Operand::new(&part, gradient), (view, to), 1.0, resources);
            }
            Self::Gather { axis, indices } => {
                for (at, &index) in indices.iter().enumerate() {
                    let part = whole.sliced(*axis, at, at + 1, 1);
                    let view = view.sliced(*axis, index, index + 1, 1);
                    let part = Operand::new(&part, gradient);
                    accumulate(part, (&view, &mut *to), 1.0, resources);
                }
            }
            Self::Linear(layer) => layer.backward(view, gradient, to, resources),
            Self::MatMul => {
                let [m, k, n] = product_sizes(operands);
                let places = leading(operands.iter().map(|operand| operand.view));
                let add = |number: usize, to: MatrixViewMut, wide: bool| {
                    let gradient = MatrixView::row_major(&gradient[number * m * n..], n);
                    let place = places[number][1 - which];
                    let other = operands[1 - which].matrix(place).transposed();
                    match which {
                        0 => add_product([m, n, k], to, gradient, other, wide),
                        _ => add_product([k, m, n], to, other, gradient, wide),
                    }
                };
                if threads == 1 || places.len() < threads {
                    for (number, place) in places.iter().enumerate() {
                        add(number, matrix_mut(view, to, place[which]), threads > 1);
                    }
                    return;
                }
                // Side by side, each in memory of its own first.
                let own = View::contiguous(view.base.clone(), view.sides.clone());
                let width = view.sides[view.sides.len() - 1];
                let mut products = vec![0.0; own.len()];
                let parts = products.par_chunks_exact_mut(own.len() / places.len());
                parts.enumerate().for_each(|(number, part)| {
                    add(number, MatrixViewMut::row_major(part, width), false);
                });
                let products = Operand::new(&own, &products);
                accumulate(products, (view, to), 1.0, resources);
            }
            Self::Rows(operation, length) => {
                let x = match self.needs_operands() {
                    true => operands[which].contiguous(),
                    false => result,
                };
                let to = &mut to[view.offset..][..view.len()];
                for_chunks(to, *length, resources.threads, |start, to| {
                    let here = start..start + to.len();
                    resources.instructions.run(RowsBackward {
                        operation: *operation,
                        length: *length,
                        x: &x[here.clone()],
                        result: &result[here.clone()],
                        gradient: &gradient[here],
                        to,
                    });
                });
            }
            Self::Function(function) => {
                // The operands of linear functions are gone, and not needed.
                let x = match function.is_linear() {
                    true => gradient,
                    false => operands[which].contiguous(),
                };
                let to = &mut to[view.offset..][..view.len()];
                for_chunks(to, 1, resources.threads, |start, to| {
                    let here = start..start + to.len();
                    let (x, gradient) = (&x[here.clone()], &gradient[here]);
                    function.run_backward(resources.instructions, (x, gradient, to), 1);
                });
            }
            Self::Combine(combination) => {
                let (pair, gradient) = ([operands[0], operands[1]], Operand::new(&whole, gradient));
                combine_backward(*combination, which, pair, gradient, to, resources);
            }
            Self::Mean { sides } => {
                let mean = View::contiguous(view.base.clone(), sides.clone());
                let count = view.len() / mean.len().max(1);
                let Some(mean) = mean.broadcast(&view.sides) else {
                    return;
                };
                let factor = 1.0 / count as f32;
                accumulate(Operand::new(&mean, gradient), (view, to), factor, resources);
            }
        }
    }
}

/// Rows, inner length and columns of matrix products.
fn product_sizes(operands: &[Operand]) -> [usize; 3] {
    let [a, b] = [0, 1].map(|at| &operands[at].view.sides);
    let axes = a.len();
    [a[axes - 2], a[axes - 1], b[axes - 1]]
}

/// Where each matrix of two views begins, for all indices of the axes before the last two.
fn leading<'a>(views: impl Iterator<Item = &'a View>) -> Vec<[usize; 2]> {
    let views: Vec<&View> = views.collect();
    let before = views[0].sides.len() - 2;
    let mut places = Vec::new();
    let strides = [0, 1].map(|at| &views[at].strides[..before]);
    let offsets = [0, 1].map(|at| views[at].offset);
    for_rows(
        &views[0].sides[..before],
        strides,
        offsets,
        |place, apart, length| {
            places.extend((0..length).map(|at| [0, 1].map(|of| place[of] + at * apart[of])));
        },
    );
    places
}

/// An operation on each row, in place.
struct RowsForward<'a> {
    operation: RowOp,
    length: usize,
    rows: &'a mut [f32],
}

impl WithSimd for RowsForward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.rows.chunks_exact_mut(self.length) {
            self.operation.forward_row(row);
        }
    }
}

/// Adds the gradient of each row.
struct RowsBackward<'a> {
    operation: RowOp,
    length: usize,
    x: &'a [f32],
    result: &'a [f32],
    gradient: &'a [f32],
    to: &'a mut [f32],
}

impl WithSimd for RowsBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut row = vec![0.0; self.length];
        for (at, to) in self.to.chunks_exact_mut(self.length).enumerate() {
            let here = at * self.length..(at + 1) * self.length;
            row.copy_from_slice(&self.gradient[here.clone()]);
            let (x, result) = (&self.x[here.clone()], &self.result[here]);
            self.operation.backward_row(x, result, &mut row);
            to.iter_mut().zip(&row).for_each(|(to, row)| *to += row);
        }
    }
}

/// Calls `work` with the start of each part, whole rows, and the part, side by side on several threads.
fn for_chunks(
    values: &mut [f32],
    row: usize,
    threads: usize,
    work: impl Fn(usize, &mut [f32]) + Sync + Send,
) {
    let size = CHUNK.div_ceil(row.max(1)) * row.max(1);
    let parts = values.chunks_mut(size).enumerate();
    side_by_side(parts, size, threads, |(at, part)| work(at * size, part));
}
