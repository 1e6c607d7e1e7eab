//! Random views of pictures, differentiable: what survives them is no mere perturbation.

use burn::tensor::Tensor;
use rand::{Rng, RngExt};

use crate::attack::per_picture;
use crate::counterfactual::smoothed;

/// Largest shift, as a share of the side.
const SHIFT: f32 = 1.0 / 16.0;
/// Largest change of a picture's contrast, as a share of it, and twice that of its brightness.
const JITTER: f32 = 0.2;

/// A view: the same shift, mirroring and blur for all pictures of a batch, contrast and brightness for each.
pub(super) struct View {
    shift: [usize; 2],
    mirrored: bool,
    blurred: bool,
    gains: Vec<f32>,
    offsets: Vec<f32>,
}

impl View {
    /// A random view of `n` pictures of height and width `size`.
    pub(super) fn random(n: usize, size: [usize; 2], rng: &mut impl Rng) -> Self {
        let shift = size.map(|side| {
            let most = (side as f32 * SHIFT) as usize;
            // The pictures are rolled, so that shifts to the left are those by almost the whole side.
            (side + rng.random_range(0..=2 * most) - most) % side
        });
        Self {
            shift,
            mirrored: rng.random(),
            blurred: rng.random(),
            gains: (0..n)
                .map(|_| 1.0 + JITTER * rng.random_range(-1.0..=1.0f32))
                .collect(),
            offsets: (0..n)
                .map(|_| JITTER / 2.0 * rng.random_range(-1.0..=1.0f32))
                .collect(),
        }
    }

    /// The view of pictures `[n, 3, h, w]`, clamped to [0, 1].
    pub(super) fn of(&self, x: Tensor<4>) -> Tensor<4> {
        let device = x.device().inner();
        let mut x = rolled(rolled(x, 2, self.shift[0]), 3, self.shift[1]);
        if self.mirrored {
            x = x.flip([3]);
        }
        if self.blurred {
            x = smoothed(x, 3);
        }
        let gains = per_picture(&self.gains, &device);
        let middle = (gains.clone() - 1.0) * -0.5 + per_picture(&self.offsets, &device);
        (x * gains + middle).clamp(0.0, 1.0)
    }

    /// The same view of every picture twice over: for two batches of them in one.
    pub(super) fn twice(&self) -> Self {
        Self {
            gains: self.gains.repeat(2),
            offsets: self.offsets.repeat(2),
            ..*self
        }
    }
}

/// `x` rolled by `shift` along `dim`: what leaves at the end comes back at the beginning.
fn rolled(x: Tensor<4>, dim: usize, shift: usize) -> Tensor<4> {
    let side = x.dims()[dim];
    if shift == 0 {
        return x;
    }
    let [first, last] = [
        x.clone().narrow(dim, side - shift, shift),
        x.narrow(dim, 0, side - shift),
    ];
    Tensor::cat(vec![first, last], dim)
}
