//! Where kernels read and write, and how outputs are finished.

use pulp::Simd;

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
    pub(super) to: *mut f32,
    /// Null without addition.
    pub(super) add: *const f32,
    pub(super) ceiling: Option<f32>,
    /// Null without mask.
    pub(super) mask: *const f32,
    /// From where on the mask zeroes.
    pub(super) mask_ceiling: f32,
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
