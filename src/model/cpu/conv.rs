//! Convolutions as matrix products, forwards and backwards, on one picture with channels last.

use super::product::{MatrixView, add_product};

/// An activation of one picture, channels last.
#[derive(Clone, Default)]
pub(super) struct Map {
    pub(super) h: usize,
    pub(super) w: usize,
    pub(super) c: usize,
    pub(super) values: Vec<f32>,
}

impl Map {
    /// Negative values become zero; what is no number stays so, to be seen.
    pub(super) fn relu(mut self) -> Self {
        self.values
            .iter_mut()
            .for_each(|value| *value = if *value < 0.0 { 0.0 } else { *value });
        self
    }

    /// Lets a gradient through where the activation is positive.
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
    /// The same as `[output, kernel · kernel · input]`, for the way back.
    pub(super) transposed: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// Where a window of the input begins, for one row or column of the output.
struct Span {
    /// First kernel position that lies inside the input.
    from: usize,
    /// Input position there.
    at: usize,
    /// Kernel positions inside.
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

    /// Whether the columns are the input itself.
    fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1
    }

    fn depth(&self) -> usize {
        self.kernel * self.kernel * self.input
    }

    /// Calls `visit(column range, input range)` for every run of values that a window shares with
    /// the input of height `h` and width `w`.
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

    pub(super) fn forward(&self, x: &Map, wide: bool, scratch: &mut Vec<f32>) -> Map {
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
        Map {
            h,
            w,
            c: self.output,
            values,
        }
    }

    /// Gradient with respect to an input of height `h` and width `w`, from that of the output.
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

/// 3×3 max-pooling of stride 2 and padding 1, with the place each maximum came from.
pub(super) fn max_pool(x: &Map) -> (Map, Vec<usize>) {
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
    (Map { h, w, c, values }, from)
}

/// A `[rows, columns]` matrix as `[columns, rows]`.
pub(super) fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column]))
        .collect()
}
