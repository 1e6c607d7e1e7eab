//! Convolutions 3×3 of stride 1 with 16 products for four outputs instead of 36: Winograd's minimal filtering
//! F(2×2, 3×3) (Lavin and Gray 2016, section 4.1).

use std::cell::RefCell;

use pulp::{Simd, WithSimd};

use super::instructions::Instructions;
use super::kernel::{Epilogue, Finish, Output, Position, load};
use super::sums::Sums;

/// Products of one tile, and of its inputs.
const PRODUCTS: usize = 16;

/// Numbers of transformed inputs and products that are in use at once: half of a core's second-level cache.
const WORKING_SET: usize = 1 << 16;

/// Four outputs, 2×2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    /// Index of the first of its 4×4 inputs.
    pub(super) from: usize,
    /// Its outputs row by row; `None` where they are outside the map.
    pub(super) outputs: [Option<Position>; 4],
}

/// Transformed weights.
pub(super) struct Winograd {
    /// For each product, for each block of outputs, `[input, block]`.
    weights: Vec<f32>,
    input: usize,
    pub(super) output: usize,
}

impl Winograd {
    /// Transforms weights that `weight(output, input, row, column)` names, for `output` channels in whole vectors.
    pub(super) fn new(
        [input, output]: [usize; 2],
        instructions: Instructions,
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> Self {
        let lanes = instructions.lanes();
        let mut weights = vec![0.0; PRODUCTS * input * output];
        for out in 0..output {
            for channel in 0..input {
                let kernel = std::array::from_fn(|row| {
                    std::array::from_fn(|column| weight(out, channel, row, column))
                });
                for (product, value) in transformed_weights(kernel).into_iter().enumerate() {
                    let at = super::convolution::packed_index(
                        [out, 0, channel],
                        [output, 1, input],
                        lanes,
                    );
                    weights[product * input * output + at] = value;
                }
            }
        }
        Self {
            weights,
            input,
            output,
        }
    }

    /// Computes tiles of inputs `x`, whose rows and pixels are so many numbers apart.
    #[expect(clippy::too_many_arguments, reason = "where to read and to write")]
    pub(super) fn run(
        &self,
        instructions: Instructions,
        x: &[f32],
        [row, pitch]: [usize; 2],
        tiles: &[Tile],
        range: std::ops::Range<usize>,
        bias: &[f32],
        to: Output,
        epilogue: Epilogue,
    ) {
        thread_local! {
            static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
        }
        let lanes = instructions.lanes();
        let depth = self.input.next_multiple_of(lanes);
        let at_once = (WORKING_SET / (PRODUCTS * (depth + self.output))).clamp(12, 96) / 12 * 12;
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(PRODUCTS * at_once * (depth + self.output), 0.0);
            let (inputs, products) = scratch.split_at_mut(PRODUCTS * at_once * depth);
            for tiles in tiles.chunks(at_once) {
                instructions.run(TransformInputs {
                    x,
                    row,
                    pitch,
                    tiles,
                    depth,
                    to: inputs,
                });
                self.multiply(instructions, tiles.len(), inputs, products, range.clone());
                instructions.run(TransformProducts {
                    products,
                    tiles,
                    output: self.output,
                    channels: range.start * 2 * lanes..(range.end * 2 * lanes).min(self.output),
                    bias,
                    to,
                    epilogue,
                });
            }
        });
    }

    fn multiply(
        &self,
        instructions: Instructions,
        count: usize,
        inputs: &[f32],
        products: &mut [f32],
        range: std::ops::Range<usize>,
    ) {
        let depth = self.input.next_multiple_of(instructions.lanes());
        let positions: Vec<Position> = (0..count)
            .map(|tile| Position {
                from: tile * depth,
                to: tile * self.output,
                add: 0,
                mask: 0,
            })
            .collect();
        for product in 0..PRODUCTS {
            let to = &mut products[product * count * self.output..][..count * self.output];
            instructions.run(Sums {
                x: &inputs[product * count * depth..][..count * depth],
                taps: &[0],
                input: self.input,
                weights: &self.weights[product * self.input * self.output..],
                bias: &[],
                positions: &positions,
                first_output: 0,
                output: self.output,
                blocks: range.clone(),
                to: Output::new(to),
                epilogue: Epilogue::default(),
            });
        }
    }
}

/// G g Gᵀ.
fn transformed_weights(kernel: [[f32; 3]; 3]) -> [f32; PRODUCTS] {
    let transform = |[a, b, c]: [f32; 3]| [a, (a + b + c) / 2.0, (a - b + c) / 2.0, c];
    let columns: [[f32; 4]; 3] =
        std::array::from_fn(|column| transform(kernel.map(|row| row[column])));
    let mut out = [0.0; PRODUCTS];
    for row in 0..4 {
        let values = transform(columns.map(|column| column[row]));
        out[4 * row..4 * row + 4].copy_from_slice(&values);
    }
    out
}

/// Bᵀ d B of each tile's inputs, to `[product, tile, channel]`.
struct TransformInputs<'a> {
    x: &'a [f32],
    row: usize,
    pitch: usize,
    tiles: &'a [Tile],
    depth: usize,
    to: &'a mut [f32],
}

impl WithSimd for TransformInputs<'_> {
    type Output = ();

    #[expect(unsafe_code, reason = "loads and stores without checks")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            x,
            row,
            pitch,
            tiles,
            depth,
            to,
        } = self;
        let furthest = tiles.iter().map(|tile| tile.from).max().unwrap_or(0);
        assert!(depth <= pitch && furthest + 3 * (row + pitch) + depth <= x.len());
        let plane = tiles.len() * depth;
        assert!(PRODUCTS * plane <= to.len() && depth.is_multiple_of(S::F32_LANES));
        let transform = |[a, b, c, d]: [S::f32s; 4]| {
            [
                simd.sub_f32s(a, c),
                simd.add_f32s(b, c),
                simd.sub_f32s(c, b),
                simd.sub_f32s(b, d),
            ]
        };
        for (index, tile) in tiles.iter().enumerate() {
            for channel in (0..depth).step_by(S::F32_LANES) {
                let at = tile.from + channel;
                // SAFETY: the largest index of each kind was checked above.
                unsafe {
                    let line = |y: usize| {
                        let from = x.as_ptr().add(at + y * row);
                        transform([
                            load::<S>(from),
                            load::<S>(from.add(pitch)),
                            load::<S>(from.add(2 * pitch)),
                            load::<S>(from.add(3 * pitch)),
                        ])
                    };
                    let [a, b, c, d] = [line(0), line(1), line(2), line(3)];
                    let to = to.as_mut_ptr().add(index * depth + channel);
                    let store = |column: usize, values: [S::f32s; 4]| {
                        let [p, q, r, s] = values;
                        to.add(column * plane).cast::<S::f32s>().write_unaligned(p);
                        to.add((4 + column) * plane)
                            .cast::<S::f32s>()
                            .write_unaligned(q);
                        to.add((8 + column) * plane)
                            .cast::<S::f32s>()
                            .write_unaligned(r);
                        to.add((12 + column) * plane)
                            .cast::<S::f32s>()
                            .write_unaligned(s);
                    };
                    store(0, transform([a[0], b[0], c[0], d[0]]));
                    store(1, transform([a[1], b[1], c[1], d[1]]));
                    store(2, transform([a[2], b[2], c[2], d[2]]));
                    store(3, transform([a[3], b[3], c[3], d[3]]));
                }
            }
        }
    }
}

/// Aᵀ m A of each tile's products, finished and written.
struct TransformProducts<'a> {
    products: &'a [f32],
    tiles: &'a [Tile],
    output: usize,
    channels: std::ops::Range<usize>,
    bias: &'a [f32],
    to: Output<'a>,
    epilogue: Epilogue<'a>,
}

impl WithSimd for TransformProducts<'_> {
    type Output = ();

    #[expect(unsafe_code, reason = "loads and stores without checks")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let plane = self.tiles.len() * self.output;
        assert!(PRODUCTS * plane <= self.products.len());
        assert!(self.channels.end <= self.output && self.output.is_multiple_of(S::F32_LANES));
        assert!(self.bias.is_empty() || self.bias.len() >= self.output);
        let positions: Vec<Position> = self
            .tiles
            .iter()
            .flat_map(|tile| tile.outputs.into_iter().flatten())
            .collect();
        let finish = Finish::checked(&self.to, &self.epilogue, &positions, self.output);
        let transform = |[a, b, c, d]: [S::f32s; 4]| {
            [
                simd.add_f32s(simd.add_f32s(a, b), c),
                simd.sub_f32s(simd.sub_f32s(b, c), d),
            ]
        };
        for (index, tile) in self.tiles.iter().enumerate() {
            for channel in self.channels.clone().step_by(S::F32_LANES) {
                // SAFETY: the largest index of each kind was checked above.
                unsafe {
                    let from = self.products.as_ptr().add(index * self.output + channel);
                    let line = |row: usize| {
                        let from = from.add(4 * row * plane);
                        transform([
                            load::<S>(from),
                            load::<S>(from.add(plane)),
                            load::<S>(from.add(2 * plane)),
                            load::<S>(from.add(3 * plane)),
                        ])
                    };
                    let [a, b, c, d] = [line(0), line(1), line(2), line(3)];
                    let left = transform([a[0], b[0], c[0], d[0]]);
                    let right = transform([a[1], b[1], c[1], d[1]]);
                    let bias = if self.bias.is_empty() {
                        simd.splat_f32s(0.0)
                    } else {
                        load::<S>(self.bias.as_ptr().add(channel))
                    };
                    let values = [left[0], right[0], left[1], right[1]];
                    for (position, value) in tile.outputs.iter().zip(values) {
                        if let Some(position) = position {
                            finish.store(simd, position, channel, simd.add_f32s(value, bias));
                        }
                    }
                }
            }
        }
    }
}
