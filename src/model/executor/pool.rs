//! Pooling of maps, row by row, with its gradients.

use super::layout::{Layout, Map, MapMut, side_by_side};
use crate::model::graph::Pooling;

/// A window of pooling along one axis.
#[derive(Clone, Copy)]
struct Windows {
    kernel: usize,
    stride: usize,
    /// Pixels of padding before the map.
    before: usize,
    /// Length of the map.
    size: usize,
    /// Number of windows.
    count: usize,
}

impl Windows {
    /// Those of a pooling along an axis, 0 for rows and 1 for columns, from maps of one size to those of another.
    fn new(pooling: &Pooling, axis: usize, from: &Layout, to: &Layout) -> Self {
        Self {
            kernel: pooling.kernel[axis],
            stride: pooling.stride[axis],
            before: pooling.padding[axis],
            size: [from.h, from.w][axis],
            count: [to.h, to.w][axis],
        }
    }

    /// The pixels of a window that lie inside the map, each with its place in the window.
    #[inline(always)]
    fn inside(self, window: usize) -> impl Iterator<Item = (usize, usize)> {
        let start = window * self.stride;
        let first = self.before.saturating_sub(start);
        let end = (self.size + self.before).saturating_sub(start);
        (first..self.kernel.min(end)).map(move |place| (start + place - self.before, place))
    }

    /// The windows that a pixel lies in, each with the pixel's place in it.
    #[inline(always)]
    fn around(self, pixel: usize) -> impl Iterator<Item = (usize, usize)> {
        let at = pixel + self.before;
        let first = (at + 1).saturating_sub(self.kernel).div_ceil(self.stride);
        let end = (at / self.stride + 1).min(self.count);
        (first..end).map(move |window| (window, at - window * self.stride))
    }

    /// Number of pixels by which the sum of a window is divided.
    fn divisor(self, window: usize, count_padding: bool) -> usize {
        match count_padding {
            true => self.kernel,
            false => self.inside(window).count(),
        }
    }
}

/// Maximum pooling; `taps` gets the place in the window of each maximum, `[n, h, w, c]`.
pub(super) fn maximum(
    pooling: &Pooling,
    (from, x): Map,
    (to, out): MapMut,
    taps: &mut Vec<u8>,
    threads: usize,
) {
    let [rows, columns] = [0, 1].map(|axis| Windows::new(pooling, axis, from, to));
    let c = to.c;
    let pictures = out.len() / to.picture().max(1);
    taps.clear();
    taps.resize(pictures * to.h * to.w * c, 0);
    let parts = to
        .rows_mut(out)
        .zip(taps.chunks_exact_mut((to.w * c).max(1)));
    side_by_side(
        parts,
        to.w * to.pitch,
        threads,
        |(([picture, y], row), taps)| {
            row.fill(f32::NEG_INFINITY);
            for (source, ky) in rows.inside(y) {
                let source = from.row_of(x, [picture, source]);
                let pixels = row.chunks_exact_mut(to.pitch).zip(taps.chunks_exact_mut(c));
                for (window, (best, taps)) in pixels.enumerate() {
                    for (column, kx) in columns.inside(window) {
                        let tap = (ky * columns.kernel + kx) as u8;
                        let values = &source[column * from.pitch..][..c];
                        for ((best, place), &value) in best.iter_mut().zip(&mut *taps).zip(values) {
                            let larger = value > *best;
                            *best = if larger { value } else { *best };
                            *place = if larger { tap } else { *place };
                        }
                    }
                }
            }
        },
    );
}

/// The gradient goes to each window's maximum; it is added to `out`.
pub(super) fn maximum_backward(
    pooling: &Pooling,
    taps: &[u8],
    (from, gradient): Map,
    (to, out): MapMut,
    threads: usize,
) {
    // The outputs of the pooling are where the gradient comes from.
    let [rows, columns] = [0, 1].map(|axis| Windows::new(pooling, axis, to, from));
    let c = from.c;
    to.for_each_row(out, threads, |[picture, y], row| {
        for (window, ky) in rows.around(y) {
            let gradient = from.row_of(gradient, [picture, window]);
            let taps = &taps[(picture * from.h + window) * from.w * c..][..from.w * c];
            for (x, to) in row.chunks_exact_mut(to.pitch).enumerate() {
                for (window, kx) in columns.around(x) {
                    let tap = (ky * columns.kernel + kx) as u8;
                    let parts = gradient[window * from.pitch..][..c].iter();
                    let parts = parts.zip(&taps[window * c..]);
                    for (to, (part, &place)) in to.iter_mut().zip(parts) {
                        *to += if place == tap { *part } else { 0.0 };
                    }
                }
            }
        }
    });
}

/// Average pooling.
pub(super) fn average(pooling: &Pooling, (from, x): Map, (to, out): MapMut, threads: usize) {
    let [rows, columns] = [0, 1].map(|axis| Windows::new(pooling, axis, from, to));
    let counts_padding = pooling.count_padding;
    to.for_each_row(out, threads, |[picture, y], row| {
        row.fill(0.0);
        let height = rows.divisor(y, counts_padding);
        for (window, to) in row.chunks_exact_mut(to.pitch).enumerate() {
            for (source, _) in rows.inside(y) {
                let source = from.row_of(x, [picture, source]);
                for (column, _) in columns.inside(window) {
                    let values = &source[column * from.pitch..];
                    to.iter_mut()
                        .zip(values)
                        .for_each(|(sum, value)| *sum += value);
                }
            }
            let divisor = height * columns.divisor(window, counts_padding);
            let factor = 1.0 / divisor.max(1) as f32;
            to.iter_mut().for_each(|value| *value *= factor);
        }
    });
}

/// The gradient goes to all of a window alike; it is added to `out`.
pub(super) fn average_backward(
    pooling: &Pooling,
    (from, gradient): Map,
    (to, out): MapMut,
    threads: usize,
) {
    let [rows, columns] = [0, 1].map(|axis| Windows::new(pooling, axis, to, from));
    let divisors = |windows: Windows| -> Vec<usize> {
        let divisor = |window| windows.divisor(window, pooling.count_padding);
        (0..windows.count).map(divisor).collect()
    };
    let (heights, widths) = (divisors(rows), divisors(columns));
    to.for_each_row(out, threads, |[picture, y], row| {
        for (window, _) in rows.around(y) {
            let gradient = from.row_of(gradient, [picture, window]);
            let height = heights[window];
            for (x, to) in row.chunks_exact_mut(to.pitch).enumerate() {
                for (window, _) in columns.around(x) {
                    let factor = 1.0 / (height * widths[window]).max(1) as f32;
                    let parts = &gradient[window * from.pitch..];
                    to.iter_mut()
                        .zip(parts)
                        .for_each(|(to, part)| *to += part * factor);
                }
            }
        }
    });
}
