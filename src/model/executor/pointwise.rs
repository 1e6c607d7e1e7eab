//! Functions of each value of a map, with their derivatives.

use crate::model::cpu::rows::exp_of_negative;
use crate::model::graph::Activation;

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
}

/// 1/(1 + exp(−x)).
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
            _ => return None,
        })
    }

    /// Whether its derivative depends on its input.
    pub(super) fn is_linear(&self) -> bool {
        matches!(self, Self::Identity | Self::Affine { .. })
    }

    /// `to = f(from)` for whole pixels of `pitch` numbers.
    pub(super) fn forward(&self, from: &[f32], to: &mut [f32], pitch: usize) {
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
        }
    }

    /// `gradient · f'(x)`, added to `to`, for whole pixels of `pitch` numbers.
    pub(super) fn backward(&self, x: &[f32], gradient: &[f32], to: &mut [f32], pitch: usize) {
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
        }
    }
}

/// 1 between the bounds and on them, 0 outside, as burn's and PyTorch's clamp have it.
fn inside(x: f32, least: f32, most: f32) -> f32 {
    if x >= least && x <= most { 1.0 } else { 0.0 }
}

fn map(from: &[f32], to: &mut [f32], function: impl Fn(f32) -> f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = function(*from);
    }
}

fn add(x: &[f32], gradient: &[f32], to: &mut [f32], slope: impl Fn(f32) -> f32) {
    for ((to, gradient), x) in to.iter_mut().zip(gradient).zip(x) {
        *to += gradient * slope(*x);
    }
}
