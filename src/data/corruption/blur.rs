//! Blur: defocus, glass, motion, zoom.

use std::f32::consts::FRAC_PI_4;

use rand::{Rng, RngExt};

use super::resample::{Edge, blur_along, gaussian_blur, map_planes, zoomed};
use super::{Severity, scaled};

/// Positions across a pixel at which it is looked whether the disk covers it.
const SAMPLES: i32 = 5;

/// Radius below which a disk is drawn as a Gaussian, in pixels.
const SMALLEST_DISK: f32 = 1.5;

/// Blur by a disk, whose edge is smoothed.
pub(super) fn defocus(pixels: &[f32], size: [usize; 2], severity: Severity) -> Vec<f32> {
    let radius = scaled(severity.of(0.0, [3.0, 4.0, 6.0, 8.0, 10.0]), size);
    let smoothing = scaled(severity.of(0.0, [0.1, 0.5, 0.5, 0.5, 0.5]), size);
    if radius < SMALLEST_DISK {
        // A disk of so few pixels is none; a Gaussian of the same variance is as wide.
        return gaussian_blur(pixels, size, (radius / 2.0).hypot(smoothing), Edge::Nearest);
    }
    let reach = radius.ceil() as i64;
    let mut kernel = Vec::new();
    for dy in -reach..=reach {
        for dx in -reach..=reach {
            let weight = covered(dy as f32, dx as f32, radius);
            if weight > 0.0 {
                kernel.push((dy, dx, weight));
            }
        }
    }
    let total: f32 = kernel.iter().map(|(.., weight)| weight).sum();
    let blurred = map_planes(pixels, size, |plane, y, x| {
        let values = kernel
            .iter()
            .map(|&(dy, dx, weight)| weight * plane.at(y as i64 + dy, x as i64 + dx));
        values.sum::<f32>() / total
    });
    gaussian_blur(&blurred, size, smoothing, Edge::Nearest)
}

/// Share of the pixel at (y, x) within `radius` of the origin.
fn covered(y: f32, x: f32, radius: f32) -> f32 {
    let offset = |at: i32| (at as f32 + 0.5) / SAMPLES as f32 - 0.5;
    let mut inside = 0;
    for dy in 0..SAMPLES {
        for dx in 0..SAMPLES {
            let distance = (y + offset(dy)).hypot(x + offset(dx));
            inside += i32::from(distance <= radius);
        }
    }
    inside as f32 / (SAMPLES * SAMPLES) as f32
}

/// Pixels change places with their neighbours, between two Gaussian blurs.
pub(super) fn glass(
    pixels: &[f32],
    size: [usize; 2],
    severity: Severity,
    rng: &mut impl Rng,
) -> Vec<f32> {
    let sigma = scaled(severity.of(0.0, [0.7, 0.9, 1.0, 1.1, 1.5]), size);
    // In small pictures, too, neighbours change places, as far as in the authors' CIFAR-10-C.
    let least = severity.of(0.0, [1.0, 1.0, 1.0, 2.0, 2.0]);
    let distance = scaled(severity.of(0.0, [1.0, 2.0, 2.0, 3.0, 4.0]), size).max(least);
    let rounds = severity.held([2.0, 1.0, 3.0, 2.0, 2.0]).round() as usize;
    let [h, w] = size;
    let mut shuffled = gaussian_blur(pixels, size, sigma, Edge::Nearest);
    let moved = |at: usize, by: f32, side: usize| {
        (at as f32 + by).round().clamp(0.0, side as f32 - 1.0) as usize
    };
    for _ in 0..rounds {
        for y in (0..h).rev() {
            for x in (0..w).rev() {
                let by = [(); 2].map(|()| rng.random_range(-1.0..=1.0_f32) * distance);
                let other = moved(y, by[0], h) * w + moved(x, by[1], w);
                for plane in shuffled.chunks_exact_mut(h * w) {
                    plane.swap(y * w + x, other);
                }
            }
        }
    }
    gaussian_blur(&shuffled, size, sigma, Edge::Nearest)
}

/// Blur along a line whose direction is random.
pub(super) fn motion(
    pixels: &[f32],
    size: [usize; 2],
    severity: Severity,
    rng: &mut impl Rng,
) -> Vec<f32> {
    let radius = scaled(severity.of(0.0, [10.0, 15.0, 15.0, 15.0, 20.0]), size);
    let sigma = scaled(severity.of(0.0, [3.0, 5.0, 8.0, 12.0, 15.0]), size);
    let angle = rng.random_range(-FRAC_PI_4..=FRAC_PI_4);
    blur_along(pixels, size, [2.0 * radius, sigma, angle])
}

/// The mean of the picture and of enlargements of its middle.
pub(super) fn zoom(pixels: &[f32], size: [usize; 2], severity: Severity) -> Vec<f32> {
    /// Enlargements that are averaged.
    const COUNT: usize = 16;
    let largest = severity.of(0.0, [0.10, 0.15, 0.20, 0.24, 0.30]);
    let mut sum = pixels.to_vec();
    for step in 0..COUNT {
        let factor = 1.0 + largest * step as f32 / (COUNT - 1) as f32;
        for (sum, value) in sum.iter_mut().zip(zoomed(pixels, size, factor)) {
            *sum += value;
        }
    }
    for value in &mut sum {
        *value /= (COUNT + 1) as f32;
    }
    sum
}
