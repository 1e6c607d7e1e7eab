//! The innermost loops of convolutions, generic over the processor's vectors, which are chosen at run time.
//!
//! A tile is the outputs of up to 12 positions in a block of channels, all kept in registers while the inputs are summed.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::kernel::{Epilogue, Finish, Output, Position, load};

/// What sums begin with: a number for each output, and what is stored at the output so far.
#[derive(Clone, Copy)]
struct Start<S: Simd, const V: usize> {
    bias: [S::f32s; V],
    /// Null where nothing is.
    stored: *const f32,
}

impl<S: Simd, const V: usize> Start<S, V> {
    /// # Safety
    /// The output of this position exists, if any is stored.
    #[expect(unsafe_code, reason = "loads without checks")]
    #[inline(always)]
    unsafe fn at(self, simd: S, position: &Position) -> (S::f32s, S::f32s) {
        if self.stored.is_null() {
            return (self.bias[0], self.bias[V - 1]);
        }
        // SAFETY: as demanded.
        unsafe {
            let from = self.stored.add(position.to);
            let first = simd.add_f32s(self.bias[0], load::<S>(from));
            let second = load::<S>(from.add((V - 1) * S::F32_LANES));
            (first, simd.add_f32s(self.bias[V - 1], second))
        }
    }
}

/// Products of weights that stay in a core's first cache while all positions are summed over them.
const CACHED_DEPTH: usize = 256;

/// Taps and channels that are summed at once: `[taps, channels]` as ranges. A longer depth is summed part by part, between
/// which the sums are stored at the output.
fn parts(taps: usize, input: usize) -> Vec<[Range<usize>; 2]> {
    let cut = |all: usize, most: usize| {
        let count = all.div_ceil(most.max(1)).max(1);
        let size = all.div_ceil(count);
        (0..count).map(move |at| at * size..((at + 1) * size).min(all))
    };
    // Without taps there is one part, of no sum.
    if input > CACHED_DEPTH && taps > 0 {
        let channels =
            move |tap: usize| cut(input, CACHED_DEPTH).map(move |range| [tap..tap + 1, range]);
        (0..taps).flat_map(channels).collect()
    } else {
        let most = CACHED_DEPTH / input.max(1);
        cut(taps, most).map(|range| [range, 0..input]).collect()
    }
}

/// Defines the sums of a tile of some positions for blocks of two vectors and of one, in which the second is not used.
///
/// Every sum is a variable of its own and loops over positions are written out: elements of an array would be stored after
/// every product, and at low optimisation levels loops would stay loops.
macro_rules! tile {
    ($name:ident, $count:literal: $(($p:literal $one:ident $two:ident))*) => {
        /// # Safety
        /// All inputs, weights and sums that taps and positions name exist.
        #[expect(unsafe_code, reason = "the innermost loop of all convolutions")]
        #[inline(always)]
        unsafe fn $name<S: Simd, const V: usize>(
            simd: S,
            x: *const f32,
            positions: &[Position],
            taps: &[usize],
            input: usize,
            weights: *const f32,
            start: Start<S, V>,
        ) -> [[S::f32s; 2]; $count] {
            // SAFETY: as demanded.
            $(let (mut $one, mut $two) = unsafe { start.at(simd, &positions[$p]) };)*
            let mut weights = weights;
            // SAFETY: as demanded.
            unsafe {
                for &tap in taps {
                    let from = [$(x.add(positions[$p].from + tap),)*];
                    for channel in 0..input {
                        let first = load::<S>(weights);
                        let second = load::<S>(weights.add((V - 1) * S::F32_LANES));
                        $(
                            let value = simd.splat_f32s(*from[$p].add(channel));
                            $one = simd.mul_add_e_f32s(value, first, $one);
                            if V > 1 {
                                $two = simd.mul_add_e_f32s(value, second, $two);
                            }
                        )*
                        weights = weights.add(V * S::F32_LANES);
                    }
                }
            }
            [$([$one, $two],)*]
        }
    };
}

tile!(twelve, 12: (0 a0 b0) (1 a1 b1) (2 a2 b2) (3 a3 b3) (4 a4 b4) (5 a5 b5) (6 a6 b6) (7 a7 b7) (8 a8 b8) (9 a9 b9) (10 a10 b10) (11 a11 b11));
tile!(eight, 8: (0 a0 b0) (1 a1 b1) (2 a2 b2) (3 a3 b3) (4 a4 b4) (5 a5 b5) (6 a6 b6) (7 a7 b7));
tile!(six, 6: (0 a0 b0) (1 a1 b1) (2 a2 b2) (3 a3 b3) (4 a4 b4) (5 a5 b5));
tile!(four, 4: (0 a0 b0) (1 a1 b1) (2 a2 b2) (3 a3 b3));
tile!(two, 2: (0 a0 b0) (1 a1 b1));
tile!(one, 1: (0 a0 b0));

/// Sums over taps and channels: what convolutions and the products inside Winograd's have in common.
pub(super) struct Sums<'a> {
    pub(super) x: &'a [f32],
    /// Where taps are, from a position's first one.
    pub(super) taps: &'a [usize],
    /// Number of input channels.
    pub(super) input: usize,
    /// For each block of two vectors of outputs (the last may have one) `[taps, input, block]`.
    pub(super) weights: &'a [f32],
    /// A number for each output, or empty.
    pub(super) bias: &'a [f32],
    pub(super) positions: &'a [Position],
    /// The first output channel.
    pub(super) first_output: usize,
    /// Output channels, whole vectors, that the weights make.
    pub(super) output: usize,
    /// The blocks that are made.
    pub(super) blocks: Range<usize>,
    pub(super) to: Output<'a>,
    pub(super) epilogue: Epilogue<'a>,
}

/// Number of blocks of two vectors in so many numbers.
pub(super) fn blocks(output: usize, lanes: usize) -> usize {
    output.div_ceil(2 * lanes)
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[expect(unsafe_code, reason = "calls the tiles after checking all bounds")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = S::F32_LANES;
        let depth = self.taps.len() * self.input;
        let reach = self.taps.iter().max().map_or(0, |tap| tap + self.input);
        let furthest = self.positions.iter().map(|position| position.from).max();
        assert!(reach == 0 || furthest.unwrap_or(0) + reach <= self.x.len());
        assert!(self.weights.len() >= depth * self.output);
        assert!(self.bias.is_empty() || self.bias.len() >= self.output);
        assert!(self.output.is_multiple_of(lanes) && self.blocks.end <= blocks(self.output, lanes));
        let finish = Finish::checked(
            &self.to,
            &self.epilogue,
            self.positions,
            self.first_output + self.output,
        );
        for block in self.blocks.clone() {
            let channel = 2 * lanes * block;
            // SAFETY: inputs, weights, biases and outputs were checked above.
            unsafe {
                if channel + lanes < self.output {
                    self.block::<S, 2>(simd, channel, finish);
                } else {
                    self.block::<S, 1>(simd, channel, finish);
                }
            }
        }
    }
}

impl Sums<'_> {
    /// All positions of a block of `V` vectors that begins at `channel`.
    ///
    /// # Safety
    /// Bounds were checked.
    #[expect(unsafe_code, reason = "reads and writes without checks")]
    #[inline(always)]
    unsafe fn block<S: Simd, const V: usize>(&self, simd: S, channel: usize, finish: Finish) {
        let depth = self.taps.len() * self.input;
        let parts = parts(self.taps.len(), self.input);
        let last = parts.len() - 1;
        // What the output holds already is there from the start, as sums are stored in its place.
        let accumulates = finish.add == finish.to.cast_const();
        let whole = Finish {
            add: match accumulates {
                true => std::ptr::null(),
                false => finish.add,
            },
            ..finish
        };
        let partial = Finish {
            add: std::ptr::null(),
            ceiling: None,
            mask: std::ptr::null(),
            ..finish
        };
        for (number, [taps, channels]) in parts.iter().enumerate() {
            let width = V * S::F32_LANES;
            let before = taps.start * self.input + channels.start;
            // SAFETY: the caller checked that the block's weights, biases and outputs exist.
            let (weights, start) = unsafe {
                let weights = self.weights.as_ptr().add(depth * channel + before * width);
                let mut bias = [simd.splat_f32s(0.0); V];
                if number == 0 && !self.bias.is_empty() {
                    let from = self.bias.as_ptr().add(channel);
                    bias[0] = load::<S>(from);
                    bias[V - 1] = load::<S>(from.add((V - 1) * S::F32_LANES));
                }
                let stored = match accumulates || number > 0 {
                    true => finish.to.add(self.first_output + channel).cast_const(),
                    false => std::ptr::null(),
                };
                (weights, Start { bias, stored })
            };
            let finish = if number == last { whole } else { partial };
            // SAFETY: as the caller checked.
            unsafe {
                self.part::<S, V>(simd, channel, (taps, channels), (weights, start), finish);
            }
        }
    }

    /// All positions of a part of the depth.
    ///
    /// # Safety
    /// As of [`Sums::block`].
    #[expect(unsafe_code, reason = "reads and writes without checks")]
    #[inline(always)]
    unsafe fn part<S: Simd, const V: usize>(
        &self,
        simd: S,
        channel: usize,
        (taps, channels): (&Range<usize>, &Range<usize>),
        (weights, start): (*const f32, Start<S, V>),
        finish: Finish,
    ) {
        let taps = &self.taps[taps.clone()];
        let input = channels.len();
        // SAFETY: channels are of the inputs.
        let x = unsafe { self.x.as_ptr().add(channels.start) };
        let mut positions = self.positions;
        macro_rules! all {
            ($count:literal, $tile:ident) => {
                while positions.len() >= $count {
                    let (tile, rest) = positions.split_at($count);
                    positions = rest;
                    // SAFETY: positions, taps and weights were checked by the caller.
                    unsafe {
                        let sums = $tile::<S, V>(simd, x, tile, taps, input, weights, start);
                        let channel = self.first_output + channel;
                        for (position, sums) in tile.iter().zip(&sums) {
                            finish.store(simd, position, channel, sums[0]);
                            if V > 1 {
                                finish.store(simd, position, channel + S::F32_LANES, sums[1]);
                            }
                        }
                    }
                }
            };
        }
        if S::REGISTER_COUNT >= 32 || V == 1 {
            all!(12, twelve);
            all!(8, eight);
        } else {
            all!(6, six);
        }
        all!(4, four);
        all!(2, two);
        all!(1, one);
    }
}
