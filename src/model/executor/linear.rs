//! Linear layers with packed weights.

use super::convolution::{Convolution, Definition};
use super::instructions::{Instructions, Resources};
use super::kernel::{Add, Epilogue};
use super::layout::Layout;
use super::view::{Operand, View, matrix_mut};
use crate::model::cpu::product::{MatrixView, MatrixViewMut, add_product};

/// A linear layer.
pub(super) struct Linear {
    /// `[out, in]`.
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    inside: usize,
    out: usize,
    /// The same as a convolution of one pixel.
    packed: Convolution,
    lanes: usize,
}

impl Linear {
    /// Packs a layer with weights `[out, in]`.
    pub(super) fn new(
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
        [out, inside]: [usize; 2],
        instructions: Instructions,
    ) -> Self {
        let definition = Definition {
            weight: &weight,
            dims: [out, inside, 1, 1],
            bias: bias.as_deref(),
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        };
        Self {
            packed: Convolution::new(&definition, instructions),
            lanes: instructions.lanes(),
            weight,
            bias,
            inside,
            out,
        }
    }

    /// The products with rows `x`, and the bias.
    pub(super) fn forward(&self, x: Operand, out: &mut [f32], resources: Resources) {
        let (rows, place) = (x.view.sides[0], x.view.offset);
        if x.view.strides[1] == 1 && self.out.is_multiple_of(self.lanes) {
            let from = rows_layout(rows, self.inside, x.view.strides[0]);
            let to = rows_layout(rows, self.out, self.out);
            let pass = &self.packed.forward;
            let values = &x.values[place..];
            pass.run(
                resources,
                (&from, values),
                (&to, out),
                1,
                Epilogue::default(),
            );
            return;
        }
        match &self.bias {
            Some(bias) => out
                .chunks_exact_mut(self.out)
                .for_each(|row| row.copy_from_slice(bias)),
            None => out.fill(0.0),
        }
        let weight = MatrixView::row_major(&self.weight, self.inside).transposed();
        let sizes = [rows, self.inside, self.out];
        let out = MatrixViewMut::row_major(out, self.out);
        add_product(sizes, out, x.matrix(place), weight, resources.threads > 1);
    }

    /// Adds the gradient with respect to the rows, which lie in `to` as `view` says.
    pub(super) fn backward(
        &self,
        view: &View,
        gradient: &[f32],
        to: &mut [f32],
        resources: Resources,
    ) {
        let rows = view.sides[0];
        let aligned = self.out.is_multiple_of(self.lanes) && self.inside.is_multiple_of(self.lanes);
        if view.strides[1] == 1 && aligned {
            let from = rows_layout(rows, self.out, self.out);
            let layout = rows_layout(rows, self.inside, view.strides[0]);
            let epilogue = Epilogue {
                add: Some((layout, Add::Output)),
                ..Epilogue::default()
            };
            let pass = &self.packed.backward[0];
            let to = (&layout, &mut to[view.offset..]);
            pass.run(resources, (&from, gradient), to, 1, epilogue);
            return;
        }
        let weight = MatrixView::row_major(&self.weight, self.inside);
        let gradient = MatrixView::row_major(gradient, self.out);
        let sizes = [rows, self.out, self.inside];
        let to = matrix_mut(view, to, view.offset);
        add_product(sizes, to, gradient, weight, resources.threads > 1);
    }
}

/// Rows that are `apart` numbers apart as the pixels of a map of height 1.
fn rows_layout(rows: usize, channels: usize, apart: usize) -> Layout {
    Layout {
        h: 1,
        w: rows,
        c: channels,
        // A single row is at no distance from another.
        pitch: apart.max(channels),
        border: [0; 4],
    }
}
