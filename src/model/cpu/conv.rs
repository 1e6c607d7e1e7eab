//! CPU convolutions as matrix products (im2col), forward and backward, on one picture, channels last.

use super::product::{MatrixView, add_product};

/// A feature map of one picture, channels last.
#[derive(Clone, Default)]
pub(super) struct FeatureMap {
    pub(super) h: usize,
    pub(super) w: usize,
    pub(super) c: usize,
    pub(super) values: Vec<f32>,
}

impl FeatureMap {
    /// ReLU; NaN is kept, so that errors stay visible.
    pub(super) fn relu(mut self) -> Self {
        self.values
            .iter_mut()
            .for_each(|value| *value = if *value < 0.0 { 0.0 } else { *value });
        self
    }

    /// Gradient of ReLU: zeroes the gradient where the activation is not positive.
    pub(super) fn mask(&self, gradient: &mut [f32]) {
        for (gradient, &value) in gradient.iter_mut().zip(&self.values) {
            if value <= 0.0 {
                *gradient = 0.0;
            }
        }
    }
}

pub(super) struct PackedConv {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) input: usize,
    pub(super) output: usize,
    /// `[kernel · kernel · input, output]`.
    pub(super) weight: Vec<f32>,
    /// The transpose, `[output, kernel · kernel · input]`, for the backward pass.
    pub(super) transposed: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// The part of a kernel window that lies inside the input, for one row or column of the output.
struct Span {
    /// First kernel position that lies inside the input.
    from: usize,
    /// Input position of that kernel position.
    at: usize,
    /// Number of kernel positions inside.
    count: usize,
}

impl PackedConv {
    fn side(&self, side: usize) -> usize {
        (side + 2 * (self.kernel / 2) - self.kernel) / self.stride + 1
    }

    fn span(&self, out: usize, side: usize) -> Span {
        let first = (out * self.stride) as isize - (self.kernel / 2) as isize;
        let from = (-first).max(0) as usize;
        let to = (side as isize - first).clamp(0, self.kernel as isize) as usize;
        Span {
            from,
            at: (first + from as isize) as usize,
            count: to.saturating_sub(from),
        }
    }

    /// Whether it is a 1×1 convolution of stride 1, for which no im2col is needed.
    fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1
    }

    fn depth(&self) -> usize {
        self.kernel * self.kernel * self.input
    }

    /// Calls `visit(column range, input range)` for every contiguous run of values that a window has in
    /// common with the input of height `h` and width `w`.
    fn runs(
        &self,
        h: usize,
        w: usize,
        mut visit: impl FnMut(std::ops::Range<usize>, std::ops::Range<usize>),
    ) {
        let columns: Vec<Span> = (0..self.side(w)).map(|x| self.span(x, w)).collect();
        for y in 0..self.side(h) {
            let rows = self.span(y, h);
            for (x, column) in columns.iter().enumerate() {
                let length = column.count * self.input;
                for row in 0..rows.count {
                    let window = (y * columns.len() + x) * self.depth();
                    let to = window + ((rows.from + row) * self.kernel + column.from) * self.input;
                    let from = ((rows.at + row) * w + column.at) * self.input;
                    visit(to..to + length, from..from + length);
                }
            }
        }
    }

    pub(super) fn forward(&self, x: &FeatureMap, wide: bool, scratch: &mut Vec<f32>) -> FeatureMap {
        let (h, w) = (self.side(x.h), self.side(x.w));
        let mut values = self.bias.repeat(h * w);
        let columns = if self.is_pointwise() {
            &x.values
        } else {
            scratch.clear();
            scratch.resize(h * w * self.depth(), 0.0);
            self.runs(x.h, x.w, |to, from| {
                scratch[to].copy_from_slice(&x.values[from]);
            });
            &*scratch
        };
        add_product(
            [h * w, self.depth(), self.output],
            &mut values,
            MatrixView::row_major(columns, self.depth()),
            MatrixView::row_major(&self.weight, self.output),
            wide,
        );
        FeatureMap {
            h,
            w,
            c: self.output,
            values,
        }
    }

    /// Backward pass: gradient with respect to an input of height `h` and width `w`.
    pub(super) fn backward(
        &self,
        gradient: &[f32],
        h: usize,
        w: usize,
        wide: bool,
        scratch: &mut Vec<f32>,
    ) -> Vec<f32> {
        let count = self.side(h) * self.side(w);
        scratch.clear();
        scratch.resize(count * self.depth(), 0.0);
        add_product(
            [count, self.output, self.depth()],
            scratch,
            MatrixView::row_major(gradient, self.output),
            MatrixView::row_major(&self.transposed, self.depth()),
            wide,
        );
        if self.is_pointwise() {
            return scratch.clone();
        }
        let mut input = vec![0.0; h * w * self.input];
        self.runs(h, w, |column, at| {
            for (sum, part) in input[at].iter_mut().zip(&scratch[column]) {
                *sum += part;
            }
        });
        input
    }
}

/// 3×3 max-pooling of stride 2 and padding 1, with the input index of each maximum.
pub(super) fn max_pool(x: &FeatureMap) -> (FeatureMap, Vec<usize>) {
    let (h, w, c) = (x.h.div_ceil(2), x.w.div_ceil(2), x.c);
    let mut from = Vec::with_capacity(h * w * c);
    for y in 0..h {
        for column in 0..w {
            for channel in 0..c {
                let rows = (2 * y).saturating_sub(1)..(2 * y + 2).min(x.h);
                let columns = (2 * column).saturating_sub(1)..(2 * column + 2).min(x.w);
                let places = rows.flat_map(|row| {
                    columns
                        .clone()
                        .map(move |column| (row * x.w + column) * c + channel)
                });
                let larger = |best: usize, place: usize| {
                    if x.values[place] > x.values[best] {
                        place
                    } else {
                        best
                    }
                };
                from.push(places.reduce(larger).expect("a window is never empty"));
            }
        }
    }
    let values = from.iter().map(|&place| x.values[place]).collect();
    (FeatureMap { h, w, c, values }, from)
}

/// The transpose of a `[rows, columns]` matrix.
pub(super) fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column]))
        .collect()
}
