//! The innermost loops of convolutions, generic over the processor's vectors, which are chosen at run time.
//!
//! A tile is the outputs of up to 12 positions in a block of channels, all kept in registers while the inputs are summed.

use pulp::{Simd, WithSimd};

use super::layout::Layout;

/// Where one output position reads and writes: indices of the first channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// In the inputs, of the first tap.
    pub(super) from: usize,
    /// In the outputs.
    pub(super) to: usize,
    /// In the values that are added.
    pub(super) add: usize,
    /// In the values that decide where outputs are zeroed.
    pub(super) mask: usize,
}

/// Positions of a map of `pictures` pictures that are `step` pixels apart, the first at `offset`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) step: [usize; 2],
    pub(super) offset: [usize; 2],
}

impl Grid {
    /// Number of positions in one picture.
    pub(super) fn len(&self) -> usize {
        self.rows * self.columns
    }

    /// Picture, row and column of the position with this number.
    pub(super) fn place(&self, number: usize) -> [usize; 3] {
        let (picture, rest) = (number / self.len(), number % self.len());
        [picture, rest / self.columns, rest % self.columns]
    }

    /// The pixel of the position in row `y` and column `x`.
    pub(super) fn pixel(&self, y: usize, x: usize) -> [usize; 2] {
        [
            y * self.step[0] + self.offset[0],
            x * self.step[1] + self.offset[1],
        ]
    }
}

/// What happens to an output before it is written.
#[derive(Clone, Copy, Default)]
pub(super) struct Epilogue<'a> {
    /// Values that are added: a residual, or the gradient so far, which may be the output itself.
    pub(super) add: Option<(Layout, Add<'a>)>,
    /// ReLU with this largest value.
    pub(super) ceiling: Option<f32>,
    /// Outputs are zeroed where these values are not positive, or are the largest value: the gradient of ReLU.
    pub(super) mask: Option<(Layout, &'a [f32], f32)>,
}

/// Values that are added to the outputs.
#[derive(Clone, Copy)]
pub(super) enum Add<'a> {
    /// What the output holds already.
    Output,
    Values(&'a [f32]),
}

/// Outputs that several threads write, each its own positions or channels.
#[derive(Clone, Copy)]
pub(super) struct Output<'a> {
    start: *mut f32,
    length: usize,
    of: std::marker::PhantomData<&'a mut [f32]>,
}

#[expect(
    unsafe_code,
    reason = "threads share the pointer; every task writes positions and channels of its own"
)]
// SAFETY: only `unsafe` functions write through it, and those demand disjoint places.
unsafe impl Send for Output<'_> {}
#[expect(unsafe_code, reason = "as above")]
// SAFETY: as above.
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    pub(super) fn new(values: &'a mut [f32]) -> Self {
        Self {
            start: values.as_mut_ptr(),
            length: values.len(),
            of: std::marker::PhantomData,
        }
    }
}

/// The finishing of outputs: [`Epilogue`] as pointers.
#[derive(Clone, Copy)]
pub(super) struct Finish {
    to: *mut f32,
    /// Null without addition.
    add: *const f32,
    ceiling: Option<f32>,
    /// Null without mask.
    mask: *const f32,
    /// From where on the mask zeroes.
    mask_ceiling: f32,
}

impl Finish {
    /// # Safety
    /// Position and channel lie inside all of its values, and no other thread writes there.
    #[expect(
        unsafe_code,
        reason = "loads and stores without checks in the innermost loop"
    )]
    #[inline(always)]
    pub(super) unsafe fn store<S: Simd>(
        self,
        simd: S,
        position: &Position,
        channel: usize,
        sum: S::f32s,
    ) {
        let mut sum = sum;
        // SAFETY: as demanded.
        unsafe {
            if !self.add.is_null() {
                sum = simd.add_f32s(sum, load::<S>(self.add.add(position.add + channel)));
            }
            if let Some(ceiling) = self.ceiling {
                // Not a maximum: what is not a number stays so, that errors are seen.
                let [zero, most] = [0.0, ceiling].map(|end| simd.splat_f32s(end));
                sum = simd.select_f32s(simd.less_than_f32s(sum, zero), zero, sum);
                sum = simd.select_f32s(simd.less_than_f32s(most, sum), most, sum);
            }
            if !self.mask.is_null() {
                let [zero, most] = [0.0, self.mask_ceiling].map(|end| simd.splat_f32s(end));
                let mask = load::<S>(self.mask.add(position.mask + channel));
                sum = simd.select_f32s(simd.less_than_or_equal_f32s(mask, zero), zero, sum);
                sum = simd.select_f32s(simd.less_than_or_equal_f32s(most, mask), zero, sum);
            }
            self.to
                .add(position.to + channel)
                .cast::<S::f32s>()
                .write_unaligned(sum);
        }
    }

    /// Checks that all positions lie inside the values, with `channels` channels each.
    pub(super) fn checked(
        to: &Output,
        epilogue: &Epilogue,
        positions: &[Position],
        channels: usize,
    ) -> Self {
        let reaches =
            |at: fn(&Position) -> usize| positions.iter().map(at).max().unwrap_or(0) + channels;
        assert!(reaches(|position| position.to) <= to.length);
        let add = match epilogue.add {
            None => std::ptr::null(),
            Some((_, Add::Output)) => {
                assert!(reaches(|position| position.add) <= to.length);
                to.start.cast_const()
            }
            Some((_, Add::Values(values))) => {
                assert!(reaches(|position| position.add) <= values.len());
                values.as_ptr()
            }
        };
        let mask = epilogue.mask.map_or(std::ptr::null(), |(_, values, _)| {
            assert!(reaches(|position| position.mask) <= values.len());
            values.as_ptr()
        });
        let mask_ceiling = epilogue.mask.map_or(f32::INFINITY, |(.., ceiling)| ceiling);
        Self {
            to: to.start,
            add,
            ceiling: epilogue.ceiling,
            mask,
            mask_ceiling,
        }
    }
}

/// # Safety
/// As many numbers as a vector has lie at `from`.
#[expect(unsafe_code, reason = "a load without checks in the innermost loop")]
#[inline(always)]
pub(super) unsafe fn load<S: Simd>(from: *const f32) -> S::f32s {
    // SAFETY: as demanded; vectors are plain numbers.
    unsafe { from.cast::<S::f32s>().read_unaligned() }
}

/// Defines the sums of a tile of some positions for blocks of two vectors and of one, in which the second is not used.
///
/// Every sum is a variable of its own and loops over positions are written out: elements of an array would be stored after
/// every product, and at low optimisation levels loops would stay loops.
macro_rules! tile {
    ($name:ident, $count:literal: $(($p:literal $one:ident $two:ident))*) => {
        /// # Safety
        /// All inputs and weights that taps and positions name exist.
        #[expect(unsafe_code, reason = "the innermost loop of all convolutions")]
        #[inline(always)]
        unsafe fn $name<S: Simd, const V: usize>(
            simd: S,
            x: *const f32,
            positions: &[Position],
            taps: &[usize],
            input: usize,
            weights: *const f32,
            start: [S::f32s; V],
        ) -> [[S::f32s; 2]; $count] {
            $(let (mut $one, mut $two) = (start[0], start[V - 1]);)*
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
    pub(super) blocks: std::ops::Range<usize>,
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
        let x = self.x.as_ptr();
        let mut positions = self.positions;
        // SAFETY: the caller checked that the block's weights and biases exist.
        let (weights, start) = unsafe {
            let weights = self.weights.as_ptr().add(depth * channel);
            let mut start = [simd.splat_f32s(0.0); V];
            if !self.bias.is_empty() {
                let bias = self.bias.as_ptr().add(channel);
                start[0] = load::<S>(bias);
                start[V - 1] = load::<S>(bias.add((V - 1) * S::F32_LANES));
            }
            (weights, start)
        };
        macro_rules! all {
            ($count:literal, $tile:ident) => {
                while positions.len() >= $count {
                    let (tile, rest) = positions.split_at($count);
                    positions = rest;
                    // SAFETY: positions, taps and weights were checked by the caller.
                    unsafe {
                        let sums =
                            $tile::<S, V>(simd, x, tile, self.taps, self.input, weights, start);
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
