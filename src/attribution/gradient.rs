//! Gradient attributions: plain gradients (Simonyan et al. 2014), gradient × input (Shrikumar et al.
//! 2016), and the mean gradient of noisy copies (SmoothGrad, Smilkov et al. 2017).

use std::sync::Arc;

use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::Input;
use super::averaging::{GradientAverage, GradientSample};
use super::target_score::TargetScore;
use crate::data::random::noise_rng;

/// Settings of SmoothGrad.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SmoothGrad {
    /// Number of noisy copies.
    pub samples: usize,
    /// Standard deviation of the noise, in units of pixels in [0, 1].
    pub sigma: f32,
    /// Seed of the noise.
    pub seed: u64,
}

impl Default for SmoothGrad {
    fn default() -> Self {
        Self {
            samples: 32,
            sigma: 0.15,
            seed: 0,
        }
    }
}

fn single(
    target_score: TargetScore,
    input: &Input,
    factor: Option<Arc<Vec<f32>>>,
) -> GradientAverage {
    let sample = GradientSample {
        point: input.pixels.clone(),
        factor,
        weight: 1.0,
        ends_group: true,
    };
    GradientAverage::new(target_score, 1, std::iter::once(sample), None)
}

/// The gradient of the score with respect to each input value.
pub(super) fn plain(target_score: TargetScore, input: &Input) -> GradientAverage {
    single(target_score, input, None)
}

/// Gradient × input: integrated gradients from a black baseline in one step.
pub(super) fn times_input(target_score: TargetScore, input: &Input) -> GradientAverage {
    single(target_score, input, Some(Arc::new(input.pixels.clone())))
}

impl SmoothGrad {
    pub(super) fn start(self, target_score: TargetScore, input: &Input) -> GradientAverage {
        let pixels = input.pixels.clone();
        let samples = (0..self.samples as u64).map(move |number| {
            let mut rng = noise_rng(self.seed, number);
            let noisy = pixels.iter().map(|value| {
                let noise: f32 = StandardNormal.sample(&mut rng);
                value + self.sigma * noise
            });
            GradientSample {
                point: noisy.collect(),
                factor: None,
                weight: 1.0,
                ends_group: true,
            }
        });
        GradientAverage::new(target_score, self.samples, samples, None)
    }
}
