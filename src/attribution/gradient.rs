//! Plain gradients: Simonyan et al. 2014, times the input (Shrikumar et al. 2016), and their mean
//! over noisy copies (SmoothGrad, Smilkov et al. 2017).

use std::sync::Arc;

use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::Input;
use super::averaging::{Averaging, Sample};
use super::probe::Probe;
use crate::data::random::noise_rng;

/// Settings of SmoothGrad.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SmoothGrad {
    /// Noisy copies.
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

fn single(probe: Probe, input: &Input, factor: Option<Arc<Vec<f32>>>) -> Averaging {
    let sample = Sample {
        point: input.pixels.clone(),
        factor,
        weight: 1.0,
        ends_group: true,
    };
    Averaging::new(probe, 1, std::iter::once(sample), None)
}

/// The gradient of the score with respect to each value.
pub(super) fn plain(probe: Probe, input: &Input) -> Averaging {
    single(probe, input, None)
}

/// The gradient times the value: integrated gradients from black in one step.
pub(super) fn times_input(probe: Probe, input: &Input) -> Averaging {
    single(probe, input, Some(Arc::new(input.pixels.clone())))
}

impl SmoothGrad {
    pub(super) fn start(self, probe: Probe, input: &Input) -> Averaging {
        let pixels = input.pixels.clone();
        let samples = (0..self.samples as u64).map(move |number| {
            let mut rng = noise_rng(self.seed, number);
            let noisy = pixels.iter().map(|value| {
                let noise: f32 = StandardNormal.sample(&mut rng);
                value + self.sigma * noise
            });
            Sample {
                point: noisy.collect(),
                factor: None,
                weight: 1.0,
                ends_group: true,
            }
        });
        Averaging::new(probe, self.samples, samples, None)
    }
}
