//! Weather: snow, frost, fog.

use std::f32::consts::FRAC_PI_4;

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::resample::{blur_along, zoomed};
use super::{Severity, scaled};

/// Flakes in two directions over a picture that is paler.
pub(super) fn snow(
    pixels: &[f32],
    size: [usize; 2],
    severity: Severity,
    rng: &mut impl Rng,
) -> Vec<f32> {
    let mean = severity.held([0.1, 0.2, 0.55, 0.55, 0.55]);
    let zoom = severity.held([3.0, 2.0, 4.0, 4.5, 2.5]);
    let threshold = severity.held([0.5, 0.5, 0.9, 0.85, 0.85]);
    let radius = scaled(severity.held([10.0, 12.0, 12.0, 12.0, 12.0]), size);
    let sigma = scaled(severity.held([4.0, 4.0, 8.0, 8.0, 12.0]), size);
    let kept = 1.0 - severity.share() * (1.0 - severity.held([0.8, 0.7, 0.7, 0.65, 0.55]));
    let area = size[0] * size[1];
    let layer: Vec<f32> = (0..area)
        .map(|_| {
            let noise: f32 = StandardNormal.sample(rng);
            mean + 0.3 * noise
        })
        .collect();
    // Flakes of some pixels also in small pictures.
    let mut layer = zoomed(&layer, size, scaled(zoom, size).max(1.0));
    for value in &mut layer {
        *value = if *value < threshold {
            0.0
        } else {
            value.min(1.0)
        };
    }
    let angle = rng.random_range(-3.0 * FRAC_PI_4..=-FRAC_PI_4);
    let flakes = blur_along(&layer, size, [2.0 * radius, sigma, angle]);
    let [red, green, blue] = [0, 1, 2].map(|channel| &pixels[channel * area..][..area]);
    let paler: Vec<f32> = (0..area)
        .map(|at| 1.5 * (0.299 * red[at] + 0.587 * green[at] + 0.114 * blue[at]) + 0.5)
        .collect();
    let share = severity.share();
    let each = pixels.iter().enumerate().map(|(index, &value)| {
        let at = index % area;
        let fallen = share * (flakes[at] + flakes[area - 1 - at]);
        kept * value + (1.0 - kept) * value.max(paler[at]) + fallen
    });
    each.collect()
}

/// Crystals over a darker picture.
pub(super) fn frost(
    pixels: &[f32],
    size: [usize; 2],
    severity: Severity,
    rng: &mut impl Rng,
) -> Vec<f32> {
    let kept = severity.of(1.0, [1.0, 0.8, 0.7, 0.65, 0.6]);
    let amount = severity.of(0.0, [0.4, 0.6, 0.7, 0.7, 0.75]);
    let [clouds, edges] = [1.6, 1.4].map(|decay| plasma(size, decay, rng));
    let area = size[0] * size[1];
    // Bright where the density is high, with ridges where a second one is at its middle.
    let crystals: Vec<f32> = (0..area)
        .map(|at| {
            let ridge = 1.0 - (2.0 * edges[at] - 1.0).abs();
            (clouds[at].powi(2) * (0.4 + 0.6 * ridge.powi(4))).clamp(0.0, 1.0)
        })
        .collect();
    let tint = [0.85, 0.95, 1.0];
    let each = pixels.iter().enumerate().map(|(index, &value)| {
        kept * value + amount * tint[index / area % 3] * crystals[index % area]
    });
    each.collect()
}

/// A fractal density, with the picture's range kept.
pub(super) fn fog(
    pixels: &[f32],
    size: [usize; 2],
    severity: Severity,
    rng: &mut impl Rng,
) -> Vec<f32> {
    let amount = severity.of(0.0, [1.5, 2.0, 2.5, 2.5, 3.0]);
    let decay = severity.held([2.0, 2.0, 1.7, 1.5, 1.4]);
    let density = plasma(size, decay, rng);
    let largest = pixels.iter().fold(0.0_f32, |most, &value| most.max(value));
    let each = pixels.iter().enumerate().map(|(index, &value)| {
        let foggy = value + amount * density[index % density.len()];
        if largest + amount > 0.0 {
            foggy * largest / (largest + amount)
        } else {
            value
        }
    });
    each.collect()
}

/// A plasma fractal in [0, 1] by the diamond-square algorithm; the higher `decay`, the smoother. It is periodic.
fn plasma(size: [usize; 2], decay: f32, rng: &mut impl Rng) -> Vec<f32> {
    let side = size[0].max(size[1]).next_power_of_two().max(2);
    let mut map = vec![0.0_f32; side * side];
    let (mut step, mut wobble) = (side, 100.0_f32);
    while step >= 2 {
        let half = step / 2;
        let mut add = |map: &mut Vec<f32>, y: usize, x: usize, corners: [(usize, usize); 4]| {
            let corner = |(y, x): (usize, usize)| map[y % side * side + x % side];
            let mean = corners.map(corner).iter().sum::<f32>() / 4.0;
            map[y % side * side + x % side] = mean + wobble * rng.random_range(-1.0..=1.0_f32);
        };
        for y in (0..side).step_by(step) {
            for x in (0..side).step_by(step) {
                let corners = [(y, x), (y + step, x), (y, x + step), (y + step, x + step)];
                add(&mut map, y + half, x + half, corners);
            }
        }
        for y in (0..side).step_by(step) {
            for x in (0..side).step_by(step) {
                // Around the middle of the upper and of the left edge; the other edges are neighbours'.
                let up = [
                    (y, x),
                    (y, x + step),
                    (y + half, x + half),
                    (y + side - half, x + half),
                ];
                add(&mut map, y, x + half, up);
                let left = [
                    (y, x),
                    (y + step, x),
                    (y + half, x + half),
                    (y + half, x + side - half),
                ];
                add(&mut map, y + half, x, left);
            }
        }
        step = half;
        wobble /= decay;
    }
    let lowest = map.iter().copied().fold(f32::INFINITY, f32::min);
    let range = map.iter().copied().fold(f32::NEG_INFINITY, f32::max) - lowest;
    let [h, w] = size;
    let value = |y: usize, x: usize| (map[y * side + x] - lowest) / range.max(1e-6);
    (0..h * w).map(|at| value(at / w, at % w)).collect()
}
