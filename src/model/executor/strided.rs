//! Copies, sums and pairs of strided views.

use super::instructions::Resources;
use super::view::{Operand, View, for_parts, for_rows};

/// A function of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Combination {
    Add,
    Sub,
    Mul,
    Div,
}

impl Combination {
    #[inline(always)]
    fn value(self, a: f32, b: f32) -> f32 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
        }
    }

    /// Derivative with respect to the first or second value.
    #[inline(always)]
    fn slope(self, operand: usize, a: f32, b: f32) -> f32 {
        match (self, operand) {
            (Self::Add, _) | (Self::Sub, 0) => 1.0,
            (Self::Sub, _) => -1.0,
            (Self::Mul, 0) => b,
            (Self::Mul, _) => a,
            (Self::Div, 0) => 1.0 / b,
            (Self::Div, _) => -a / (b * b),
        }
    }
}

/// Copies an operand to where `to` lies in `out`.
pub(super) fn copy(from: Operand, (to, out): (&View, &mut [f32]), resources: Resources) {
    for_parts(to, out, resources.threads, |part, to, out| {
        let view = part.of(from.view);
        let strides = [&view.strides[..], &to.strides];
        let places = [view.offset, to.offset];
        for_rows(&to.sides, strides, places, |[a, b], apart, length| {
            if apart == [1, 1] {
                out[b..b + length].copy_from_slice(&from.values[a..a + length]);
            } else {
                for at in 0..length {
                    out[b + at * apart[1]] = from.values[a + at * apart[0]];
                }
            }
        });
    });
}

/// Adds an operand times a factor to where `to` lies in `out`.
pub(super) fn accumulate(
    from: Operand,
    (to, out): (&View, &mut [f32]),
    factor: f32,
    resources: Resources,
) {
    for_parts(to, out, resources.threads, |part, to, out| {
        let view = part.of(from.view);
        let strides = [&view.strides[..], &to.strides];
        let places = [view.offset, to.offset];
        resources.instructions.run_inlined(|| {
            for_rows(&to.sides, strides, places, |[a, b], apart, length| {
                if apart == [1, 1] {
                    let values = out[b..b + length].iter_mut().zip(&from.values[a..]);
                    values.for_each(|(out, value)| *out += value * factor);
                } else {
                    for at in 0..length {
                        out[b + at * apart[1]] += from.values[a + at * apart[0]] * factor;
                    }
                }
            });
        });
    });
}

/// Combines each pair of values into a row-major result.
pub(super) fn combine(
    combination: Combination,
    [a, b]: [Operand; 2],
    (result, out): (&View, &mut [f32]),
    resources: Resources,
) {
    for_parts(result, out, resources.threads, |part, to, out| {
        let views = [part.of(a.view), part.of(b.view)];
        let strides = [&views[0].strides[..], &views[1].strides, &to.strides];
        let places = [views[0].offset, views[1].offset, to.offset];
        resources.instructions.run_inlined(|| {
            for_rows(&to.sides, strides, places, |[i, j, to], apart, length| {
                let out = out[to..to + length].iter_mut();
                match apart {
                    [1, 1, _] => {
                        let pairs = a.values[i..].iter().zip(&b.values[j..]);
                        for (out, (a, b)) in out.zip(pairs) {
                            *out = combination.value(*a, *b);
                        }
                    }
                    [p, q, _] => {
                        for (at, out) in out.enumerate() {
                            let (a, b) = (a.values[i + at * p], b.values[j + at * q]);
                            *out = combination.value(a, b);
                        }
                    }
                }
            });
        });
    });
}

/// Adds the gradient with respect to an operand, which lies in `to` as the operand lies in its memory.
pub(super) fn combine_backward(
    combination: Combination,
    which: usize,
    [a, b]: [Operand; 2],
    gradient: Operand,
    to: &mut [f32],
    resources: Resources,
) {
    let view = [a.view, b.view][which];
    if matches!(combination, Combination::Add | Combination::Sub) {
        let factor = combination.slope(which, 0.0, 0.0);
        return accumulate(gradient, (view, to), factor, resources);
    }
    for_parts(view, to, resources.threads, |part, view, to| {
        let views = [gradient.view, a.view, b.view].map(|view| part.of(view));
        let strides = [
            &views[0].strides[..],
            &views[1].strides,
            &views[2].strides,
            &view.strides,
        ];
        let [g, i, j] = [0, 1, 2].map(|at| views[at].offset);
        let places = [g, i, j, view.offset];
        let visit = |[g, i, j, t]: [usize; 4], apart: [usize; 4], length: usize| {
            if apart == [1; 4] {
                let pairs = a.values[i..].iter().zip(&b.values[j..]);
                let parts = gradient.values[g..].iter().zip(pairs);
                for (to, (gradient, (a, b))) in to[t..t + length].iter_mut().zip(parts) {
                    *to += gradient * combination.slope(which, *a, *b);
                }
            } else {
                for at in 0..length {
                    let values = [a.values[i + at * apart[1]], b.values[j + at * apart[2]]];
                    let slope = combination.slope(which, values[0], values[1]);
                    to[t + at * apart[3]] += gradient.values[g + at * apart[0]] * slope;
                }
            }
        };
        let loops = || for_rows(&view.sides, strides, places, visit);
        resources.instructions.run_inlined(loops);
    });
}
