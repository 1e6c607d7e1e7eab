//! Pooling of maps and products of two maps, with their gradients.

use super::layout::Layout;
use crate::model::graph::Pooling;

type Map<'a> = (&'a Layout, &'a [f32]);
type MapMut<'a> = (&'a Layout, &'a mut [f32]);

/// A pixel of a window that lies inside the map.
struct Tap {
    /// Index of the input's first channel.
    input: usize,
    /// Index of the output's first channel.
    output: usize,
    /// Which output it is, counted without borders.
    number: usize,
    /// Where in the window.
    place: usize,
}

/// Calls `visit` for every pixel of every window that lies inside the map.
fn windows(
    pooling: &Pooling,
    from: &Layout,
    to: &Layout,
    pictures: usize,
    mut visit: impl FnMut(Tap),
) {
    let [above, left, ..] = pooling.padding;
    // Rows or columns of the input, with their place in the window.
    let inside = |position: usize, axis: usize, before: usize, size: usize| {
        let start = position * pooling.stride[axis];
        let first = before.saturating_sub(start);
        let end = pooling.kernel[axis].min((size + before).saturating_sub(start));
        (first..end).map(move |tap| (start + tap - before, tap))
    };
    for picture in 0..pictures {
        let (source, target) = (picture * from.picture(), picture * to.picture());
        for y in 0..to.h {
            for x in 0..to.w {
                let output = target + to.pixel(y, x);
                for (row, ky) in inside(y, 0, above, from.h) {
                    for (column, kx) in inside(x, 1, left, from.w) {
                        visit(Tap {
                            input: source + from.pixel(row, column),
                            output,
                            number: (picture * to.h + y) * to.w + x,
                            place: ky * pooling.kernel[1] + kx,
                        });
                    }
                }
            }
        }
    }
}

/// Maximum pooling; `taps` gets the place in the window of each maximum, `[n, h, w, c]`.
pub(super) fn maximum(
    pooling: &Pooling,
    (from, x): Map,
    (to, out): MapMut,
    taps: &mut Vec<u8>,
    pictures: usize,
) {
    out.fill(f32::NEG_INFINITY);
    taps.clear();
    let c = to.c;
    taps.resize(pictures * to.h * to.w * c, 0);
    windows(pooling, from, to, pictures, |tap| {
        let best = out[tap.output..tap.output + c].iter_mut();
        let best = best.zip(&mut taps[tap.number * c..(tap.number + 1) * c]);
        for ((best, place), &value) in best.zip(&x[tap.input..tap.input + c]) {
            let larger = value > *best;
            *best = if larger { value } else { *best };
            *place = if larger { tap.place as u8 } else { *place };
        }
    });
}

/// The gradient goes to each window's maximum.
pub(super) fn maximum_backward(
    pooling: &Pooling,
    taps: &[u8],
    (from, gradient): Map,
    (to, out): MapMut,
    pictures: usize,
) {
    let c = from.c;
    // The outputs of the pooling are where the gradient comes from.
    windows(pooling, to, from, pictures, |tap| {
        let parts = gradient[tap.output..tap.output + c].iter();
        let parts = parts.zip(&taps[tap.number * c..(tap.number + 1) * c]);
        for (to, (part, &place)) in out[tap.input..tap.input + c].iter_mut().zip(parts) {
            *to += if usize::from(place) == tap.place {
                *part
            } else {
                0.0
            };
        }
    });
}

/// By what the sum of a window is divided, for the output in this row and column.
fn divisor(pooling: &Pooling, map: &Layout, y: usize, x: usize) -> f32 {
    let covered = |position: usize, axis: usize, size: usize| {
        let (before, kernel) = (pooling.padding[axis], pooling.kernel[axis]);
        if pooling.count_padding {
            return kernel;
        }
        let start = position * pooling.stride[axis];
        let first = before.saturating_sub(start);
        kernel.min((size + before).saturating_sub(start)) - first
    };
    (covered(y, 0, map.h) * covered(x, 1, map.w)).max(1) as f32
}

/// Average pooling.
pub(super) fn average(pooling: &Pooling, (from, x): Map, (to, out): MapMut, pictures: usize) {
    out.fill(0.0);
    windows(pooling, from, to, pictures, |tap| {
        let c = to.c;
        let values = &x[tap.input..tap.input + c];
        out[tap.output..tap.output + c]
            .iter_mut()
            .zip(values)
            .for_each(|(sum, value)| *sum += value);
    });
    for picture in 0..pictures {
        for (y, x) in (0..to.h).flat_map(|y| (0..to.w).map(move |x| (y, x))) {
            let factor = 1.0 / divisor(pooling, from, y, x);
            let at = picture * to.picture() + to.pixel(y, x);
            out[at..at + to.c]
                .iter_mut()
                .for_each(|value| *value *= factor);
        }
    }
}

/// The gradient goes to all of a window alike.
pub(super) fn average_backward(
    pooling: &Pooling,
    (from, gradient): Map,
    (to, out): MapMut,
    pictures: usize,
) {
    let factors: Vec<f32> = (0..from.h)
        .flat_map(|y| (0..from.w).map(move |x| (y, x)))
        .map(|(y, x)| 1.0 / divisor(pooling, to, y, x))
        .collect();
    windows(pooling, to, from, pictures, |tap| {
        let factor = factors[tap.number % factors.len()];
        let c = from.c;
        let parts = &gradient[tap.output..tap.output + c];
        out[tap.input..tap.input + c]
            .iter_mut()
            .zip(parts)
            .for_each(|(to, part)| *to += part * factor);
    });
}

/// Calls `visit` with the indices of each pixel in maps of the same size, of which the second may have one pixel only.
fn pairs(
    [first, second, third]: [&Layout; 3],
    pictures: usize,
    mut visit: impl FnMut(usize, usize, usize),
) {
    for picture in 0..pictures {
        for (y, x) in (0..first.h).flat_map(|y| (0..first.w).map(move |x| (y, x))) {
            let at = |layout: &Layout| {
                let (y, x) = (y.min(layout.h - 1), x.min(layout.w - 1));
                picture * layout.picture() + layout.pixel(y, x)
            };
            visit(at(first), at(second), at(third));
        }
    }
}

/// The product of a map and another of the same size or of one pixel.
pub(super) fn multiply((one, a): Map, (two, b): Map, (to, out): MapMut, pictures: usize) {
    let c = to.c;
    pairs([one, two, to], pictures, |first, second, to| {
        let values = a[first..first + c].iter().zip(&b[second..second + c]);
        out[to..to + c]
            .iter_mut()
            .zip(values)
            .for_each(|(to, (a, b))| *to = a * b);
    });
}

/// The gradient of a product with respect to one factor, added to `out`; `other` is the other one.
pub(super) fn multiply_backward(
    (other, values): Map,
    (from, gradient): Map,
    (to, out): MapMut,
    pictures: usize,
) {
    let c = to.c;
    pairs([from, other, to], pictures, |from, second, to| {
        let values = gradient[from..from + c]
            .iter()
            .zip(&values[second..second + c]);
        out[to..to + c]
            .iter_mut()
            .zip(values)
            .for_each(|(to, (g, value))| *to += g * value);
    });
}
