//! A folded residual network in plain loops and matrix products, for the CPU.
//!
//! burn's CPU back end lays the weights out anew at every call and keeps no thread busy on a single
//! picture; attacks on one picture are what the window waits for. Here weights are packed once,
//! activations stay in channels-last order from end to end, and the gradient with respect to the
//! input is the same matrix products backwards. The values agree with burn's to rounding.

use rayon::prelude::*;

use super::config::{ResNetConfig, Stem};
use super::resnet::ResNet;
use super::{Normalizer, tensor_values};

/// An activation of one picture, channels last.
#[derive(Clone, Default)]
struct Map {
    h: usize,
    w: usize,
    c: usize,
    values: Vec<f32>,
}

impl Map {
    fn relu(mut self) -> Self {
        self.values
            .iter_mut()
            .for_each(|value| *value = value.max(0.0));
        self
    }

    /// Lets a gradient through where the activation is positive.
    fn mask(&self, gradient: &mut [f32]) {
        for (gradient, &value) in gradient.iter_mut().zip(&self.values) {
            if value <= 0.0 {
                *gradient = 0.0;
            }
        }
    }
}

struct Conv {
    kernel: usize,
    stride: usize,
    input: usize,
    output: usize,
    /// `[kernel · kernel · input, output]`.
    weight: Vec<f32>,
    /// The same as `[output, kernel · kernel · input]`, for the way back.
    transposed: Vec<f32>,
    bias: Vec<f32>,
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

impl Conv {
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

    fn forward(&self, x: &Map, wide: bool, scratch: &mut Vec<f32>) -> Map {
        let (h, w) = (self.side(x.h), self.side(x.w));
        let mut values = self.bias.repeat(h * w);
        let columns = if self.is_pointwise() {
            &x.values
        } else {
            scratch.clear();
            scratch.resize(h * w * self.depth(), 0.0);
            self.runs(x.h, x.w, |to, from| {
                scratch[to].copy_from_slice(&x.values[from])
            });
            &*scratch
        };
        add_product(
            [h * w, self.depth(), self.output],
            &mut values,
            columns,
            &self.weight,
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
    fn backward(
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
            gradient,
            &self.transposed,
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

/// `out += a · b` for row-major matrices `[m, k]` and `[k, n]`; `wide` spreads one product over all
/// cores.
#[expect(
    unsafe_code,
    reason = "the gemm crate takes pointers; the assertions bound its reach"
)]
fn add_product([m, k, n]: [usize; 3], out: &mut [f32], a: &[f32], b: &[f32], wide: bool) {
    assert!(out.len() >= m * n && a.len() >= m * k && b.len() >= k * n);
    let parallelism = if wide {
        gemm::Parallelism::Rayon(0)
    } else {
        gemm::Parallelism::None
    };
    let (out, a, b) = (out.as_mut_ptr(), a.as_ptr(), b.as_ptr());
    let (from_b, from_a) = (n as isize, k as isize);
    // SAFETY: with these strides every element touched lies within the slices, as just asserted;
    // `out` is borrowed mutably, so it overlaps neither factor.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out,
            1,
            from_b,
            true,
            a,
            1,
            from_a,
            b,
            1,
            from_b,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

struct Block {
    convs: Vec<Conv>,
    downsample: Option<Conv>,
}

/// What the backward pass needs of one picture's forward pass.
#[derive(Default)]
struct Tape {
    stem: Map,
    /// For each pooled value, where in the stem's output it came from.
    pooled_from: Vec<usize>,
    /// For each block: its input, the activations inside, its output.
    blocks: Vec<(Map, Vec<Map>, Map)>,
}

/// The network, packed.
pub(super) struct Compiled {
    stem: Conv,
    pool: bool,
    blocks: Vec<Block>,
    scale: [f32; 3],
    shift: [f32; 3],
}

/// Pictures `[n, 3, h, w]` as numbers.
pub(super) struct Pixels {
    pub(super) values: Vec<f32>,
    pub(super) size: [usize; 2],
}

/// Feature maps `[n, c, h, w]`, and what leads back from them.
pub(super) struct Features {
    pub(super) values: Vec<f32>,
    pub(super) shape: [usize; 4],
    tapes: Vec<Tape>,
    size: [usize; 2],
}

impl Compiled {
    /// Packs a folded network and its normaliser.
    pub(super) fn new(network: &ResNet, normalizer: &Normalizer) -> Self {
        let config: &ResNetConfig = network.config();
        let pack = |conv: &super::resnet::Conv| {
            let [output, input, kernel, _] = conv.weight.dims();
            let weight = tensor_values(conv.weight.clone().permute([2, 3, 1, 0]));
            let transposed = tensor_values(conv.weight.clone().permute([0, 2, 3, 1]));
            let bias = conv
                .bias
                .clone()
                .map_or_else(|| vec![0.0; output], tensor_values);
            Conv {
                kernel,
                stride: conv.stride,
                input,
                output,
                weight,
                transposed,
                bias,
            }
        };
        let block = |block: &super::resnet::Residual| Block {
            convs: block.convs.iter().map(pack).collect(),
            downsample: block.downsample.as_ref().map(pack),
        };
        Self {
            stem: pack(&network.stem),
            pool: config.stem == Stem::Imagenet,
            blocks: network.stages.iter().flatten().map(block).collect(),
            scale: normalizer.std.map(|std| 1.0 / std),
            shift: std::array::from_fn(|c| -normalizer.mean[c] / normalizer.std[c]),
        }
    }

    /// The last feature maps; with `keep`, also what [`Compiled::backward`] needs.
    pub(super) fn forward(&self, pixels: &Pixels, keep: bool) -> Features {
        let [h, w] = pixels.size;
        let length = 3 * h * w;
        let count = pixels.values.len() / length;
        let one =
            |picture: &[f32]| self.forward_one(self.normalize(picture, h, w), keep, count == 1);
        let maps: Vec<(Map, Tape)> = pixels.values.par_chunks_exact(length).map(one).collect();
        let Map { h, w, c, .. } = maps[0].0;
        let values = maps
            .iter()
            .flat_map(|(map, _)| transposed(&map.values, h * w, c))
            .collect();
        let tapes = maps.into_iter().map(|(_, tape)| tape).collect();
        Features {
            values,
            shape: [count, c, h, w],
            tapes,
            size: pixels.size,
        }
    }

    /// The gradient with respect to the pixels `[n, 3, h, w]`, from that of kept feature maps.
    pub(super) fn backward(&self, features: &Features, gradient: &[f32]) -> Vec<f32> {
        let [count, c, h, w] = features.shape;
        let parts = gradient.par_chunks_exact(c * h * w).zip(&features.tapes);
        let one = |(gradient, tape): (&[f32], &Tape)| {
            let gradient = transposed(gradient, c, h * w);
            self.backward_one(gradient, tape, features.size, count == 1)
        };
        parts.map(one).collect::<Vec<_>>().concat()
    }

    fn normalize(&self, picture: &[f32], h: usize, w: usize) -> Map {
        let mut values = transposed(picture, 3, h * w);
        for pixel in values.chunks_exact_mut(3) {
            for (channel, value) in pixel.iter_mut().enumerate() {
                *value = *value * self.scale[channel] + self.shift[channel];
            }
        }
        Map { h, w, c: 3, values }
    }

    fn forward_one(&self, x: Map, keep: bool, wide: bool) -> (Map, Tape) {
        let mut tape = Tape::default();
        let scratch = &mut Vec::new();
        let stem = self.stem.forward(&x, wide, scratch).relu();
        let mut x = if self.pool {
            let (pooled, from) = max_pool(&stem);
            tape.pooled_from = from;
            pooled
        } else {
            stem.clone()
        };
        tape.stem = stem;
        for block in &self.blocks {
            let (inner, y) = block.forward(&x, wide, scratch);
            if keep {
                tape.blocks.push((x, inner, y.clone()));
            }
            x = y;
        }
        (x, tape)
    }

    fn backward_one(
        &self,
        mut gradient: Vec<f32>,
        tape: &Tape,
        [h, w]: [usize; 2],
        wide: bool,
    ) -> Vec<f32> {
        let scratch = &mut Vec::new();
        for (block, (x, inner, y)) in self.blocks.iter().zip(&tape.blocks).rev() {
            gradient = block.backward(gradient, x, inner, y, wide, scratch);
        }
        if self.pool {
            let mut unpooled = vec![0.0; tape.stem.values.len()];
            for (&from, part) in tape.pooled_from.iter().zip(&gradient) {
                unpooled[from] += part;
            }
            gradient = unpooled;
        }
        tape.stem.mask(&mut gradient);
        let mut pixels = self.stem.backward(&gradient, h, w, wide, scratch);
        for pixel in pixels.chunks_exact_mut(3) {
            pixel
                .iter_mut()
                .zip(self.scale)
                .for_each(|(value, scale)| *value *= scale);
        }
        transposed(&pixels, h * w, 3)
    }
}

impl Block {
    fn forward(&self, x: &Map, wide: bool, scratch: &mut Vec<f32>) -> (Vec<Map>, Map) {
        let (last, first) = self.convs.split_last().expect("a block has convolutions");
        let mut inner: Vec<Map> = Vec::with_capacity(first.len());
        for conv in first {
            let y = conv
                .forward(inner.last().unwrap_or(x), wide, scratch)
                .relu();
            inner.push(y);
        }
        let mut y = last.forward(inner.last().unwrap_or(x), wide, scratch);
        let shortcut = self
            .downsample
            .as_ref()
            .map(|conv| conv.forward(x, wide, scratch));
        for (sum, part) in y
            .values
            .iter_mut()
            .zip(&shortcut.as_ref().unwrap_or(x).values)
        {
            *sum += part;
        }
        (inner, y.relu())
    }

    fn backward(
        &self,
        mut gradient: Vec<f32>,
        x: &Map,
        inner: &[Map],
        y: &Map,
        wide: bool,
        scratch: &mut Vec<f32>,
    ) -> Vec<f32> {
        y.mask(&mut gradient);
        let shortcut = match &self.downsample {
            Some(conv) => conv.backward(&gradient, x.h, x.w, wide, scratch),
            None => gradient.clone(),
        };
        for (index, conv) in self.convs.iter().enumerate().rev() {
            let input = if index == 0 { x } else { &inner[index - 1] };
            gradient = conv.backward(&gradient, input.h, input.w, wide, scratch);
            if index > 0 {
                input.mask(&mut gradient);
            }
        }
        gradient
            .iter_mut()
            .zip(shortcut)
            .for_each(|(sum, part)| *sum += part);
        gradient
    }
}

/// 3×3 max-pooling of stride 2 and padding 1, with the place each maximum came from.
fn max_pool(x: &Map) -> (Map, Vec<usize>) {
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
fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column]))
        .collect()
}
