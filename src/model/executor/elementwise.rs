//! Steps that compute each value of a map from those at the same place of others, row by row, with their gradients.

use super::instructions::Resources;
use super::layout::{Map, MapMut, side_by_side};
use super::pointwise::Pointwise;

/// A function of each value.
pub(super) fn apply(function: &Pointwise, (from, x): Map, (to, out): MapMut, resources: Resources) {
    to.for_each_row(out, resources.threads, |place, row| {
        let parts = (from.row_of(x, place), row);
        function.run(resources.instructions, parts, to.pitch);
    });
}

/// The gradient of a function of each value `x`, added to `out`.
pub(super) fn apply_backward(
    function: &Pointwise,
    (inputs, x): Map,
    (from, gradient): Map,
    (to, out): MapMut,
    resources: Resources,
) {
    to.for_each_row(out, resources.threads, |place, row| {
        let parts = (inputs.row_of(x, place), from.row_of(gradient, place), row);
        function.run_backward(resources.instructions, parts, to.pitch);
    });
}

/// The sum of two maps.
pub(super) fn add((one, a): Map, (two, b): Map, (to, out): MapMut, resources: Resources) {
    to.for_each_row(out, resources.threads, |place, row| {
        let (a, b) = (one.row_of(a, place), two.row_of(b, place));
        resources.instructions.run_inlined(|| {
            for (to, (a, b)) in row.iter_mut().zip(a.iter().zip(b)) {
                *to = a + b;
            }
        });
    });
}

/// ReLU with a largest value; what is not a number stays so.
pub(super) fn rectify((layout, values): MapMut, ceiling: f32, resources: Resources) {
    layout.for_each_row(values, resources.threads, |_, row| {
        resources
            .instructions
            .run_inlined(|| rectify_values(row, ceiling));
    });
}

/// The same of numbers that follow each other.
#[inline(always)]
pub(super) fn rectify_values(values: &mut [f32], ceiling: f32) {
    for value in values {
        *value = if *value < 0.0 { 0.0 } else { *value };
        *value = if *value > ceiling { ceiling } else { *value };
    }
}

/// Zeroes a gradient of a map where its values are not positive, or are the largest of its ReLU.
pub(super) fn mask((from, values): Map, (to, out): MapMut, ceiling: f32, resources: Resources) {
    to.for_each_row(out, resources.threads, |place, row| {
        let values = from.row_of(values, place);
        resources.instructions.run_inlined(|| {
            for (gradient, &value) in row.iter_mut().zip(values) {
                let stops = value <= 0.0 || value >= ceiling;
                *gradient = if stops { 0.0 } else { *gradient };
            }
        });
    });
}

/// The product of a map and another of the same size or of one pixel.
pub(super) fn multiply((one, a): Map, (two, b): Map, (to, out): MapMut, resources: Resources) {
    to.for_each_row(out, resources.threads, |place, row| {
        let (a, b) = (one.row_of(a, place), Factors::new((two, b), place));
        resources.instructions.run_inlined(|| {
            let pixels = row.chunks_exact_mut(to.pitch);
            for (x, (to, a)) in pixels.zip(a.chunks_exact(one.pitch)).enumerate() {
                for (to, (a, b)) in to.iter_mut().zip(a.iter().zip(b.pixel(x))) {
                    *to = a * b;
                }
            }
        });
    });
}

/// The gradient of a product with respect to one factor, added to `out`; `other` is the other one.
pub(super) fn multiply_backward(
    other: Map,
    (from, gradient): Map,
    (to, out): MapMut,
    resources: Resources,
) {
    if (to.h, to.w) != (from.h, from.w) {
        return multiply_backward_of_pixel(other, (from, gradient), (to, out), resources);
    }
    to.for_each_row(out, resources.threads, |place, row| {
        let (gradient, other) = (from.row_of(gradient, place), Factors::new(other, place));
        resources.instructions.run_inlined(|| {
            let pixels = row.chunks_exact_mut(to.pitch);
            for (x, (to, gradient)) in pixels.zip(gradient.chunks_exact(from.pitch)).enumerate() {
                for (to, (g, value)) in to.iter_mut().zip(gradient.iter().zip(other.pixel(x))) {
                    *to += g * value;
                }
            }
        });
    });
}

/// The same of a factor of one pixel, which gets the sum over all; threads divide the channels.
fn multiply_backward_of_pixel(
    (other, values): Map,
    (from, gradient): Map,
    (to, out): MapMut,
    resources: Resources,
) {
    let share = to.c.div_ceil(resources.threads);
    for (picture, pixel) in out.chunks_exact_mut(to.picture()).enumerate() {
        let start = to.pixel(0, 0);
        let parts = pixel[start..start + to.c].chunks_mut(share).enumerate();
        let work = from.h * from.w * share;
        side_by_side(parts, work, resources.threads, |(part, sums)| {
            resources.instructions.run_inlined(|| {
                for y in 0..from.h {
                    let gradient = from.row_of(gradient, [picture, y]);
                    let values = other.row_of(values, [picture, y]);
                    let pixels = gradient.chunks_exact(from.pitch);
                    for (gradient, value) in pixels.zip(values.chunks_exact(other.pitch)) {
                        let factors = gradient[part * share..].iter();
                        let factors = factors.zip(&value[part * share..]);
                        for (sum, (g, value)) in sums.iter_mut().zip(factors) {
                            *sum += g * value;
                        }
                    }
                }
            });
        });
    }
}

/// The second factors of a row of pixels.
struct Factors<'a> {
    row: &'a [f32],
    pitch: usize,
    /// 0 where one pixel is the factor of all.
    step: usize,
}

impl<'a> Factors<'a> {
    fn new((layout, values): Map<'a>, [picture, y]: [usize; 2]) -> Self {
        Self {
            row: layout.row_of(values, [picture, y.min(layout.h - 1)]),
            pitch: layout.pitch,
            step: if layout.w == 1 { 0 } else { layout.pitch },
        }
    }

    #[inline(always)]
    fn pixel(&self, x: usize) -> &'a [f32] {
        &self.row[x * self.step..][..self.pitch]
    }
}
