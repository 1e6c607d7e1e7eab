//! Functions of each value of a map, with their derivatives.

use std::f32::consts::SQRT_2;

use pulp::{Simd, WithSimd};

use super::instructions::Instructions;
use crate::model::cpu::rows::{exp_of_negative, normal};
use crate::model::graph::{Activation, QUICK_GELU};

/// A function of each value.
#[derive(Clone, Debug)]
pub(super) enum Pointwise {
    Identity,
    /// `scale·x + shift` for each channel.
    Affine {
        scale: Vec<f32>,
        shift: Vec<f32>,
    },
    LeakyRelu(f32),
    Sigmoid,
    /// `clamp(a·x + b, 0, 1)`.
    HardSigmoid(f32, f32),
    HardSwish,
    Silu,
    Clip(f32, f32),
    Elu(f32),
    Tanh,
    Erf,
    Gelu,
    /// `x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`.
    GeluTanh,
    /// `x·sigmoid(1.702·x)`.
    QuickGelu,
    Softplus,
    Exp,
    Sqrt,
    Reciprocal,
    Neg,
    Abs,
}

/// √(2/π) and the factor of the cube in the approximation of GELU.
const GELU_TANH: [f32; 2] = [0.797_884_6, 0.044_715];

/// tanh, by exponentials of what is not positive.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

/// 1/(1 + exp(−x)).
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    let small = exp_of_negative(-x.abs());
    let positive = 1.0 / (1.0 + small);
    if x < 0.0 { small * positive } else { positive }
}

impl Pointwise {
    /// The function of an activation; `None` where it is not known here.
    pub(super) fn of(activation: Activation) -> Option<Self> {
        Some(match activation {
            Activation::LeakyRelu(slope) => Self::LeakyRelu(slope as f32),
            Activation::Sigmoid => Self::Sigmoid,
            Activation::HardSigmoid(a, b) => Self::HardSigmoid(a as f32, b as f32),
            Activation::HardSwish => Self::HardSwish,
            Activation::Silu => Self::Silu,
            Activation::Clip(least, most) => Self::Clip(least, most),
            Activation::Elu(alpha) => Self::Elu(alpha as f32),
            Activation::Tanh => Self::Tanh,
            Activation::Erf => Self::Erf,
            Activation::Gelu => Self::Gelu,
            Activation::GeluTanh => Self::GeluTanh,
            Activation::QuickGelu => Self::QuickGelu,
            Activation::Softplus => Self::Softplus,
            Activation::Exp => Self::Exp,
            Activation::Sqrt => Self::Sqrt,
            Activation::Reciprocal => Self::Reciprocal,
            Activation::Neg => Self::Neg,
            Activation::Abs => Self::Abs,
            Activation::Relu | Activation::Log | Activation::Power(_) => {
                return None;
            }
        })
    }

    /// Whether its derivative depends on its input.
    pub(super) fn is_linear(&self) -> bool {
        matches!(self, Self::Identity | Self::Affine { .. } | Self::Neg)
    }

    /// `to = f(from)` for whole pixels of `pitch` numbers.
    pub(super) fn run(
        &self,
        instructions: Instructions,
        (from, to): (&[f32], &mut [f32]),
        pitch: usize,
    ) {
        instructions.run(Forward {
            function: self,
            from,
            to,
            pitch,
        });
    }

    /// `gradient · f'(x)`, added to `to`, for whole pixels of `pitch` numbers.
    pub(super) fn run_backward(
        &self,
        instructions: Instructions,
        (x, gradient, to): (&[f32], &[f32], &mut [f32]),
        pitch: usize,
    ) {
        instructions.run(Backward {
            function: self,
            x,
            gradient,
            to,
            pitch,
        });
    }

    #[inline(always)]
    fn forward(&self, from: &[f32], to: &mut [f32], pitch: usize) {
        match self {
            Self::Identity => to.copy_from_slice(from),
            Self::Affine { scale, shift } => {
                let pixels = to.chunks_exact_mut(pitch).zip(from.chunks_exact(pitch));
                for (to, from) in pixels {
                    let factors = scale.iter().zip(shift);
                    for ((to, from), (scale, shift)) in to.iter_mut().zip(from).zip(factors) {
                        *to = from * scale + shift;
                    }
                }
            }
            Self::LeakyRelu(slope) => map(from, to, |x| if x < 0.0 { slope * x } else { x }),
            Self::Sigmoid => map(from, to, sigmoid),
            Self::HardSigmoid(a, b) => map(from, to, |x| (a * x + b).clamp(0.0, 1.0)),
            Self::HardSwish => map(from, to, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
            Self::Silu => map(from, to, |x| x * sigmoid(x)),
            Self::Clip(least, most) => map(from, to, |x| x.clamp(*least, *most)),
            Self::Elu(alpha) => map(from, to, |x| if x > 0.0 { x } else { alpha * x.exp_m1() }),
            Self::Tanh => map(from, to, f32::tanh),
            Self::Erf => map(from, to, |x| 2.0 * normal(x * SQRT_2).0 - 1.0),
            Self::Gelu => map(from, to, |x| x * normal(x).0),
            Self::GeluTanh => map(from, to, |x| {
                let [root, cubic] = GELU_TANH;
                0.5 * x * (1.0 + tanh(root * (x + cubic * x * x * x)))
            }),
            Self::QuickGelu => map(from, to, |x| x * sigmoid(QUICK_GELU * x)),
            Self::Softplus => map(from, to, |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
            Self::Exp => map(from, to, f32::exp),
            Self::Sqrt => map(from, to, f32::sqrt),
            Self::Reciprocal => map(from, to, f32::recip),
            Self::Neg => map(from, to, |x| -x),
            Self::Abs => map(from, to, f32::abs),
        }
    }

    #[inline(always)]
    fn backward(&self, x: &[f32], gradient: &[f32], to: &mut [f32], pitch: usize) {
        match self {
            Self::Identity => to
                .iter_mut()
                .zip(gradient)
                .for_each(|(to, gradient)| *to += gradient),
            Self::Affine { scale, .. } => {
                let pixels = to.chunks_exact_mut(pitch).zip(gradient.chunks_exact(pitch));
                for (to, gradient) in pixels {
                    for ((to, gradient), scale) in to.iter_mut().zip(gradient).zip(scale) {
                        *to += gradient * scale;
                    }
                }
            }
            Self::LeakyRelu(slope) => add(x, gradient, to, |x| if x > 0.0 { 1.0 } else { *slope }),
            Self::Sigmoid => add(x, gradient, to, |x| {
                let s = sigmoid(x);
                s * (1.0 - s)
            }),
            Self::HardSigmoid(a, b) => add(x, gradient, to, |x| inside(a * x + b, 0.0, 1.0) * a),
            Self::HardSwish => add(x, gradient, to, |x| {
                let gate = x / 6.0 + 0.5;
                gate.clamp(0.0, 1.0) + inside(gate, 0.0, 1.0) * x / 6.0
            }),
            Self::Silu => add(x, gradient, to, |x| {
                let s = sigmoid(x);
                s * (1.0 + x * (1.0 - s))
            }),
            Self::Clip(least, most) => add(x, gradient, to, |x| inside(x, *least, *most)),
            Self::Elu(alpha) => add(
                x,
                gradient,
                to,
                |x| {
                    if x > 0.0 { 1.0 } else { alpha * x.exp() }
                },
            ),
            Self::Tanh => add(x, gradient, to, |x| {
                let y = x.tanh();
                1.0 - y * y
            }),
            Self::Erf => add(x, gradient, to, |x| 2.0 * SQRT_2 * normal(x * SQRT_2).1),
            Self::Gelu => add(x, gradient, to, |x| {
                let (distribution, density) = normal(x);
                distribution + x * density
            }),
            Self::GeluTanh => add(x, gradient, to, |x| {
                let [root, cubic] = GELU_TANH;
                let y = tanh(root * (x + cubic * x * x * x));
                let slope = root * (1.0 + 3.0 * cubic * x * x);
                0.5 * (1.0 + y) + 0.5 * x * (1.0 - y * y) * slope
            }),
            Self::QuickGelu => add(x, gradient, to, |x| {
                let s = sigmoid(QUICK_GELU * x);
                s * (1.0 + QUICK_GELU * x * (1.0 - s))
            }),
            Self::Softplus => add(x, gradient, to, sigmoid),
            Self::Exp => add(x, gradient, to, f32::exp),
            Self::Sqrt => add(x, gradient, to, |x| 0.5 / x.sqrt()),
            Self::Reciprocal => add(x, gradient, to, |x| -1.0 / (x * x)),
            Self::Neg => add(x, gradient, to, |_| -1.0),
            Self::Abs => add(x, gradient, to, |x| match x {
                _ if x > 0.0 => 1.0,
                _ if x < 0.0 => -1.0,
                _ => 0.0,
            }),
        }
    }
}

/// A function of many values, compiled for every kind of vectors.
struct Forward<'a> {
    function: &'a Pointwise,
    from: &'a [f32],
    to: &'a mut [f32],
    pitch: usize,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.function.forward(self.from, self.to, self.pitch);
    }
}

/// The same of its gradient.
struct Backward<'a> {
    function: &'a Pointwise,
    x: &'a [f32],
    gradient: &'a [f32],
    to: &'a mut [f32],
    pitch: usize,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.function
            .backward(self.x, self.gradient, self.to, self.pitch);
    }
}

/// 1 between the bounds and on them, 0 outside, as burn's and PyTorch's clamp have it.
fn inside(x: f32, least: f32, most: f32) -> f32 {
    if x >= least && x <= most { 1.0 } else { 0.0 }
}

#[inline(always)]
fn map(from: &[f32], to: &mut [f32], function: impl Fn(f32) -> f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = function(*from);
    }
}

#[inline(always)]
fn add(x: &[f32], gradient: &[f32], to: &mut [f32], slope: impl Fn(f32) -> f32) {
    for ((to, gradient), x) in to.iter_mut().zip(gradient).zip(x) {
        *to += gradient * slope(*x);
    }
}
