//! Noise: Gaussian, shot, impulse.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Poisson, StandardNormal};

use super::Severity;

/// Normal noise on every value.
pub(super) fn gaussian(pixels: &[f32], severity: Severity, rng: &mut impl Rng) -> Vec<f32> {
    let deviation = severity.of(0.0, [0.08, 0.12, 0.18, 0.26, 0.38]);
    let noisy = |&value: &f32| {
        let noise: f32 = StandardNormal.sample(rng);
        value + deviation * noise
    };
    pixels.iter().map(noisy).collect()
}

/// Poisson noise: each value is counted in photons, so many of which are full brightness.
pub(super) fn shot(pixels: &[f32], severity: Severity, rng: &mut impl Rng) -> Vec<f32> {
    // The share of full brightness that one photon is.
    let photon = severity.of(0.0, [60.0, 25.0, 12.0, 5.0, 3.0].map(f32::recip));
    let counted = |&value: &f32| match Poisson::new(value / photon) {
        Ok(photons) => photons.sample(rng) * photon,
        // No photons of black.
        Err(_) => value,
    };
    pixels.iter().map(counted).collect()
}

/// A share of the values, replaced by 0 or 1.
pub(super) fn impulse(pixels: &[f32], severity: Severity, rng: &mut impl Rng) -> Vec<f32> {
    let share = severity.of(0.0, [0.03, 0.06, 0.09, 0.17, 0.27]);
    let replaced = |&value: &f32| {
        // Both numbers are drawn for every value, so that more severity replaces more of the same values.
        let (replaces, is_white): (f32, bool) = (rng.random(), rng.random());
        match replaces < share {
            true if is_white => 1.0,
            true => 0.0,
            false => value,
        }
    };
    pixels.iter().map(replaced).collect()
}
