//! Operations of transformers on the CPU in one pass over each row, with their gradients: GELU, LayerNorm, softmax.
//!
//! burn composes them of up to ten operations on whole tensors each, and evaluates erf number by number.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::flex::{tensor, values};

/// An operation on every row of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::model) enum RowOp {
    /// x·Φ(x), Φ the standard normal distribution function (Hendrycks and Gimpel 2016).
    Gelu,
    /// `(x − mean)/√(variance + ε)` (Ba et al. 2016, without scale and shift).
    Normalize {
        /// ε.
        epsilon: f32,
    },
    /// exp(x)/Σ exp(x).
    Softmax,
}

/// Rows that one thread computes at once are at least of so many numbers together.
const CHUNK: usize = 1 << 14;

impl RowOp {
    /// Applies the operation to the rows of `length` numbers that the tensor's last axes are. `None` where it is not
    /// on the CPU.
    pub(in crate::model) fn apply<const D: usize>(
        self,
        x: &Tensor<D>,
        length: usize,
    ) -> Option<Tensor<D>> {
        let dims = x.dims();
        if !x.is_autodiff() {
            let x = x.clone().try_into_primitive::<Flex>().ok()?;
            let out = self.forward(values(&x), length);
            return Some(Tensor::from_primitive::<Flex>(tensor(out, &dims)));
        }
        let x = x.clone().try_into_primitive::<Autodiff<Flex>>().ok()?;
        let preparation = RowBackward
            .prepare::<NoCheckpointing>([x.node()])
            .compute_bound()
            .stateful();
        let x = x.into_primitive();
        let out = tensor(self.forward(values(&x), length), &dims);
        let out = match preparation {
            OpsKind::Tracked(preparation) => {
                let state = (self, x, out.clone(), length, dims.to_vec());
                preparation.finish(state, out)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(out),
        };
        Some(Tensor::from_primitive::<Autodiff<Flex>>(out))
    }

    fn forward(self, mut out: Vec<f32>, length: usize) -> Vec<f32> {
        out.par_chunks_mut(chunk(length)).for_each(|rows| {
            for row in rows.chunks_exact_mut(length) {
                self.forward_row(row);
            }
        });
        out
    }

    /// Applies the operation to one row.
    #[inline(always)]
    pub(in crate::model) fn forward_row(self, row: &mut [f32]) {
        match self {
            Self::Gelu => {
                for x in row {
                    *x *= normal(*x).0;
                }
            }
            Self::Normalize { epsilon } => {
                let (mean, inverse) = statistics(row, epsilon);
                for x in row {
                    *x = (*x - mean) * inverse;
                }
            }
            Self::Softmax => {
                let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                for x in &mut *row {
                    *x = exp_of_negative(*x - most);
                }
                let sum = total(row, |x| x);
                for x in row {
                    *x /= sum;
                }
            }
        }
    }

    /// The gradient with respect to a row `x` whose result is `out`, in place of the one with respect to `out`.
    #[inline(always)]
    pub(in crate::model) fn backward_row(self, x: &[f32], out: &[f32], gradient: &mut [f32]) {
        match self {
            Self::Gelu => {
                for (gradient, &x) in gradient.iter_mut().zip(x) {
                    let (distribution, density) = normal(x);
                    *gradient *= distribution + x * density;
                }
            }
            Self::Normalize { epsilon } => {
                let (_, inverse) = statistics(x, epsilon);
                let count = x.len() as f32;
                let mean = total(gradient, |x| x) / count;
                let along = dot(gradient, out) / count;
                for (gradient, &out) in gradient.iter_mut().zip(out) {
                    *gradient = inverse * (*gradient - mean - out * along);
                }
            }
            Self::Softmax => {
                let along = dot(gradient, out);
                for (gradient, &out) in gradient.iter_mut().zip(out) {
                    *gradient = out * (*gradient - along);
                }
            }
        }
    }
}

/// Whole rows of at least [`CHUNK`] numbers together.
fn chunk(length: usize) -> usize {
    CHUNK.div_ceil(length.max(1)) * length.max(1)
}

/// Sums that are made side by side, as a sum of one number after the other waits for each.
const SUMS: usize = 16;

/// Sum of a function of each number.
#[inline(always)]
fn total(row: &[f32], function: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; SUMS];
    let parts = row.chunks_exact(SUMS);
    let rest = parts.remainder();
    for part in parts {
        for (sum, &x) in sums.iter_mut().zip(part) {
            *sum += function(x);
        }
    }
    let rest = rest.iter().map(|&x| function(x)).sum::<f32>();
    sums.iter().sum::<f32>() + rest
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; SUMS];
    let (parts, others) = (a.chunks_exact(SUMS), b.chunks_exact(SUMS));
    let rest = parts.remainder().iter().zip(others.remainder());
    let rest = rest.map(|(a, b)| a * b).sum::<f32>();
    for (a, b) in parts.zip(others) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Mean, and 1/√(variance + ε).
#[inline(always)]
fn statistics(row: &[f32], epsilon: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = total(row, |x| x) / count;
    let variance = total(row, |x| (x - mean) * (x - mean)) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// Distribution function Φ and density φ of the standard normal distribution, Φ by Abramowitz and Stegun 1964,
/// equation 7.1.26, whose error is below 1.5·10⁻⁷.
#[inline(always)]
pub(in crate::model) fn normal(x: f32) -> (f32, f32) {
    const FACTORS: [f32; 5] = [
        0.254_829_6,
        -0.284_496_72,
        1.421_413_8,
        -1.453_152_1,
        1.061_405_4,
    ];
    let bell = exp_of_negative(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * x.abs());
    let polynomial = FACTORS
        .iter()
        .rev()
        .fold(0.0, |sum, factor| (sum + factor) * t);
    let tail = 0.5 * polynomial * bell;
    let distribution = if x < 0.0 { tail } else { 1.0 - tail };
    (distribution, bell * 0.398_942_3)
}

/// exp(x) of x ≤ 0 with a relative error below (2 + |x|)·10⁻⁷; without branches or conversions, so that loops over it are
/// vectorised. 2ʸ is split into a power of two and a polynomial of the rest in [−½, ½] (Cephes).
#[inline(always)]
pub(in crate::model) fn exp_of_negative(x: f32) -> f32 {
    const FACTORS: [f32; 6] = [
        1.535_336_2e-4,
        1.339_887_4e-3,
        9.618_437e-3,
        5.550_332_5e-2,
        2.402_264_8e-1,
        6.931_472e-1,
    ];
    // 1.5·2²³: numbers near it are 1 apart, so that adding it rounds y, whose whole part the lowest bits of the sum are.
    const ROUNDING: f32 = 12_582_912.0;
    let y = x * std::f32::consts::LOG2_E;
    // Below, results are no normal numbers any more; what is not a number stays so.
    let y = if y < -126.0 { -126.0 } else { y };
    let rounded = y + ROUNDING;
    let rest = y - (rounded - ROUNDING);
    let polynomial = FACTORS.iter().fold(0.0, |sum, factor| sum * rest + factor) * rest + 1.0;
    let power = (rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits());
    polynomial * f32::from_bits(power)
}

#[derive(Debug)]
struct RowBackward;

impl Backward<Flex, 1> for RowBackward {
    /// Operation, input, output, length of a row, lengths of all axes.
    type State = (RowOp, FlexTensor, FlexTensor, usize, Vec<usize>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (operation, x, out, length, dims) = ops.state;
        let gradient = gradients.consume::<Flex>(&ops.node);
        let [parent] = ops.parents;
        let Some(node) = parent else {
            return;
        };
        let (x, out) = (values(&x), values(&out));
        let mut to = values(&gradient);
        let size = chunk(length);
        let chunks = to.par_chunks_mut(size).zip(x.par_chunks(size));
        chunks.zip(out.par_chunks(size)).for_each(|((to, x), out)| {
            let rows = to.chunks_exact_mut(length).zip(x.chunks_exact(length));
            for ((to, x), out) in rows.zip(out.chunks_exact(length)) {
                operation.backward_row(x, out, to);
            }
        });
        gradients.register::<Flex>(node.id, tensor(to, &dims));
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::{gelu, softmax};
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::model::tensor_values;

    const DIMS: [usize; 3] = [2, 5, 33];

    fn input() -> Tensor<3> {
        let count = DIMS.iter().product::<usize>();
        let values = (0..count).map(|at| (at * 7919 % 1009) as f32 / 84.0 - 6.0);
        Tensor::from_data(
            TensorData::new(values.collect::<Vec<f32>>(), DIMS),
            &Device::flex(),
        )
    }

    /// Result and gradient of a sum in which every value counts differently.
    fn result_and_gradient(operation: impl Fn(Tensor<3>) -> Tensor<3>) -> [Vec<f32>; 2] {
        let x = input().autodiff().require_grad();
        let out = operation(x.clone());
        let weights = input().autodiff().sin();
        let mut gradients = (out.clone() * weights).sum().backward();
        let gradient = x.grad_remove(&mut gradients).expect("a gradient");
        [tensor_values(out.inner()), tensor_values(gradient)]
    }

    fn check(operation: RowOp, composed: impl Fn(Tensor<3>) -> Tensor<3>) {
        let rows = |x: Tensor<3>| operation.apply(&x, DIMS[2]).expect("on the CPU");
        let plain = tensor_values(rows(input()));
        let found = result_and_gradient(rows);
        assert_eq!(plain, found[0]);
        let wanted = result_and_gradient(composed);
        for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
            let close = (found - wanted).abs() <= 2e-6 * (1.0 + wanted.abs());
            assert!(close, "{operation:?}: {found}, burn says {wanted}");
        }
    }

    #[test]
    fn rows_agree_with_burn_s_operations() {
        check(RowOp::Gelu, gelu);
        check(RowOp::Softmax, |x| softmax(x, 2));
        check(RowOp::Normalize { epsilon: 1e-3 }, |x| {
            let centred = x.clone() - x.mean_dim(2);
            let variance = centred.clone().square().mean_dim(2);
            centred / (variance + 1e-3).sqrt()
        });
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        for operation in [
            RowOp::Gelu,
            RowOp::Softmax,
            RowOp::Normalize { epsilon: 1e-3 },
        ] {
            for value in [f32::NAN, f32::INFINITY] {
                let mut row = [0.5, value, -1.0];
                operation.forward_row(&mut row);
                let found = row[1];
                assert!(!found.is_finite(), "{operation:?} makes {found} of {value}");
            }
        }
    }

    #[test]
    fn exponentials_are_as_exact_as_they_are_said_to_be() {
        for at in 0..2000 {
            let x = -0.05 * at as f32;
            let (found, wanted) = (exp_of_negative(x), x.exp());
            let bound = (2.0 - x) * 1e-7 * wanted + f32::MIN_POSITIVE;
            let close = (found - wanted).abs() <= bound;
            assert!(close, "exp({x}): {found} and {wanted}");
        }
        assert_eq!(exp_of_negative(f32::NEG_INFINITY), exp_of_negative(-1e4));
    }
}
