//! Convolutions of every channel with a kernel of its own.

use pulp::{Simd, WithSimd};

use super::kernel::{Epilogue, Finish, Output, Position, load};

/// Sums over taps, channel by channel.
pub(super) struct Depthwise<'a> {
    pub(super) x: &'a [f32],
    /// Where taps are, from a position's first one.
    pub(super) taps: &'a [usize],
    /// `[taps, pitch]`.
    pub(super) weights: &'a [f32],
    /// A number for each channel, or empty.
    pub(super) bias: &'a [f32],
    pub(super) positions: &'a [Position],
    /// Channels in whole vectors.
    pub(super) pitch: usize,
    pub(super) to: Output<'a>,
    pub(super) epilogue: Epilogue<'a>,
}

impl WithSimd for Depthwise<'_> {
    type Output = ();

    #[expect(unsafe_code, reason = "loads and stores without checks")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let reach = self.taps.iter().max().map_or(0, |tap| tap + self.pitch);
        let furthest = self.positions.iter().map(|position| position.from).max();
        assert!(reach == 0 || furthest.unwrap_or(0) + reach <= self.x.len());
        assert!(self.weights.len() >= self.taps.len() * self.pitch);
        assert!(self.bias.is_empty() || self.bias.len() >= self.pitch);
        assert!(self.pitch.is_multiple_of(S::F32_LANES));
        let finish = Finish::checked(&self.to, &self.epilogue, self.positions, self.pitch);
        let (x, weights) = (self.x.as_ptr(), self.weights.as_ptr());
        for position in self.positions {
            let channels = (0..self.pitch).step_by(S::F32_LANES);
            for channel in channels {
                // SAFETY: the largest index of each kind was checked above.
                unsafe {
                    let mut sum = if self.bias.is_empty() {
                        simd.splat_f32s(0.0)
                    } else {
                        load::<S>(self.bias.as_ptr().add(channel))
                    };
                    for (number, &tap) in self.taps.iter().enumerate() {
                        let value = load::<S>(x.add(position.from + tap + channel));
                        let weight = load::<S>(weights.add(number * self.pitch + channel));
                        sum = simd.mul_add_e_f32s(value, weight, sum);
                    }
                    finish.store(simd, position, channel, sum);
                }
            }
        }
    }
}
