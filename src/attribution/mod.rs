//! Attribution methods (feature attributions, saliency maps): how much each pixel contributes to a
//! class score.
//!
//! An [`Explanation`] combines a [`Method`] with a [`Question`], the score to explain; [`start`] returns
//! an [`Explainer`] that computes in short chunks, so that a map can be shown while it is refined. Each
//! method has its own file; averaging of gradients and occlusion of pixels are shared.

mod attention;
mod averaging;
mod expected;
mod faithfulness;
mod gradcam;
mod gradient;
mod inpaint;
mod integrated;
mod method;
mod occlusion;
mod partition;

mod fill;
mod quadrature;
mod sanity;
mod similarity;
mod target;
mod target_score;

pub use attention::AttentionHead;
pub use expected::{Background, ExpectedGradients};
pub use faithfulness::{Curves, CurvesRun, gini};
pub use fill::{Fill, box_blur};
pub use gradient::SmoothGrad;
pub use integrated::{Baseline, IntegratedGradients, Rule};
pub use method::{Explanation, Method};
pub use occlusion::Occlusion;
pub use partition::{Masker, PartitionShap};
pub use quadrature::{gauss_legendre, trapezoid};
pub use sanity::{RANDOMISED, randomised};
pub use similarity::{spearman, ssim, structural_similarity};
pub use target::{ClassChoice, Question, Score, Target};

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::model::Classifier;
use target_score::TargetScore;

/// Input of an attribution method: the picture and its references, all `[3, h, w]` in [0, 1].
#[derive(Clone, Debug)]
pub struct Input {
    /// Values of the picture to explain, `[3, h, w]` in [0, 1].
    pub pixels: Vec<f32>,
    /// Height and width of all pictures, in pixels.
    pub size: [usize; 2],
    /// The reference picture of [`Fill::Picture`].
    pub reference: Option<Vec<f32>>,
    /// Background set of expected gradients.
    pub background: Arc<Vec<Vec<f32>>>,
}

/// Completeness gap: how far the attributions are from adding up to the score difference.
///
/// Completeness is proposition 1 of Sundararajan et al. 2017; SHAP calls it local accuracy (Lundberg
/// and Lee 2017, property 1).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Gap {
    /// Sum of the attributions, in units of the score.
    pub sum: f64,
    /// Score of the picture minus the (mean) score of its baselines.
    pub expected: f64,
}

impl Gap {
    /// |sum − expected|, in units of the score.
    pub fn absolute(self) -> f64 {
        (self.sum - self.expected).abs()
    }

    /// |sum − expected| / |expected|.
    pub fn relative(self) -> f64 {
        self.absolute() / self.expected.abs().max(1e-12)
    }
}

/// An attribution map: one value for each pixel, or for each channel of each pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// Attributions `[channels, h, w]`, positive in favour of the class, in units of the explained score;
    /// for plain gradients, the score's change for a change of 1 of the pixel value.
    pub values: Vec<f32>,
    /// 3, or 1 for methods that attribute to whole pixels.
    pub channels: usize,
    /// Height and width in pixels.
    pub size: [usize; 2],
    /// Completeness gap of methods that satisfy completeness, once they are finished.
    pub gap: Option<Gap>,
    /// Monte-Carlo standard error of each value, for sampling methods.
    pub standard_errors: Option<Vec<f32>>,
    /// Pictures evaluated by the model so far; a forward pass with its backward pass counts once.
    pub evaluations: usize,
}

impl Attribution {
    /// The sum over the channels of each pixel, `[h, w]`.
    pub fn pixels(&self) -> Vec<f32> {
        let area = self.size[0] * self.size[1];
        let sum = |at: usize| self.values.iter().skip(at).step_by(area).sum();
        (0..area).map(sum).collect()
    }

    /// L2 norm of the standard errors divided by the L2 norm of the map.
    pub fn relative_error(&self) -> Option<f32> {
        let length = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>().sqrt();
        let errors = length(self.standard_errors.as_ref()?);
        Some(errors / length(&self.values).max(f32::MIN_POSITIVE))
    }

    /// Refuses a map with values that are not finite.
    ///
    /// # Errors
    /// [`Error::Config`] with their count.
    pub fn checked(self) -> Result<Self> {
        let wrong = self.values.iter().filter(|v| !v.is_finite()).count();
        if wrong == 0 {
            return Ok(self);
        }
        Err(Error::Config(format!(
            "{wrong} of {} attributions are not finite numbers, so there is no map to show",
            self.values.len()
        )))
    }
}

/// A running attribution method on one picture.
pub trait Explainer: Send {
    /// Computes one short chunk.
    fn step(&mut self, model: &Classifier);
    /// Share of the work done, in [0, 1]; exactly 1 when finished.
    fn progress(&self) -> f32;
    /// The current estimate of the map.
    fn map(&self) -> Attribution;
}

/// Prepares `method` to explain `target` on `input`.
///
/// # Errors
/// [`Error::Config`] for settings out of range ([`Method::validate`]), for a class against itself, when a
/// reference picture or background set that the method needs is missing, and for attention of a model
/// without.
pub fn start(
    model: &Classifier,
    method: &Method,
    target: Target,
    input: &Input,
) -> Result<Box<dyn Explainer>> {
    method.validate(input.size)?;
    target.validate()?;
    let target_score = TargetScore {
        target,
        size: input.size,
    };
    Ok(match method {
        Method::Gradient => Box::new(gradient::plain(target_score, input)),
        Method::GradientTimesInput => Box::new(gradient::times_input(target_score, input)),
        Method::SmoothGrad(config) => Box::new(config.start(target_score, input)),
        Method::IntegratedGradients(config) => {
            Box::new(config.start(model, target_score, input)?)
        }
        Method::ExpectedGradients(config) => Box::new(config.start(target_score, input)?),
        Method::PartitionShap(config) => Box::new(config.start(target_score, input)),
        Method::GradCam => Box::new(gradcam::GradCam::new(target_score, input)),
        Method::AttentionRollout => Box::new(attention::AttentionMap::rollout(model, input)?),
        Method::Attention(head) => Box::new(attention::AttentionMap::of_head(model, input, *head)?),
        Method::Occlusion(config) => Box::new(config.start(model, target_score, input)?),
    })
}

/// Runs `method` until it is finished.
///
/// # Errors
/// As [`start`], and when the map is not finite.
///
/// ```
/// use std::sync::Arc;
///
/// use burn::tensor::Device;
/// use epsiloscope::attribution::{Input, Method, Score, Target, explain};
/// use epsiloscope::model::zoo;
///
/// let model = zoo::open(&"cifar10-robust".into(), &Device::flex())?;
/// let input = Input {
///     pixels: vec![0.5; 3 * 32 * 32],
///     size: [32, 32],
///     reference: None,
///     background: Arc::default(),
/// };
/// let target = Target {
///     score: Score::Logit,
///     class: 3,
///     against: None,
/// };
/// let map = explain(&model, &Method::GradientTimesInput, target, &input)?;
/// assert_eq!(map.values.len(), 3 * 32 * 32);
/// # Ok::<(), epsiloscope::error::Error>(())
/// ```
pub fn explain(
    model: &Classifier,
    method: &Method,
    target: Target,
    input: &Input,
) -> Result<Attribution> {
    let mut explainer = start(model, method, target, input)?;
    while explainer.progress() < 1.0 {
        explainer.step(model);
    }
    explainer.map().checked()
}
