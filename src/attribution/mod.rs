//! Attributions: how much each pixel speaks for a class.
//!
//! A [`Explanation`] says which method answers which [`Question`]; [`start`] turns it into an
//! [`Explainer`] that works in short chunks, so that a map can be shown while it is refined. One
//! file a method; the two ways to work, averaging gradients and hiding pixels, are shared.

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
mod probe;
mod quadrature;
mod reference;
mod sanity;
mod similarity;
mod target;

pub use expected::{Background, ExpectedGradients};
pub use faithfulness::{Curves, CurvesRun, gini};
pub use gradient::SmoothGrad;
pub use integrated::{Baseline, IntegratedGradients, Rule};
pub use method::{Explanation, Method};
pub use occlusion::Occlusion;
pub use partition::{Masker, PartitionShap};
pub use quadrature::{gauss_legendre, trapezoid};
pub use reference::{Fill, box_blur};
pub use sanity::{RANDOMISED, randomised};
pub use similarity::{spearman, ssim, structural_similarity};
pub use target::{ClassChoice, Question, Score, Target};

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::model::Classifier;
use probe::Probe;

/// The picture to explain and the pictures that methods compare it with, all `[3, h, w]` in [0, 1].
#[derive(Clone, Debug)]
pub struct Input {
    /// The picture.
    pub pixels: Vec<f32>,
    /// Height and width of all pictures.
    pub size: [usize; 2],
    /// What [`Fill::Picture`] puts in place of hidden pixels.
    pub reference: Option<Vec<f32>>,
    /// What expected gradients compare with.
    pub background: Arc<Vec<Vec<f32>>>,
}

/// How far the values are from adding up to what they explain.
///
/// Completeness (Sundararajan et al. 2017, proposition 1), which SHAP calls local accuracy
/// (Lundberg and Lee 2017, property 1).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Gap {
    /// What the values add up to.
    pub sum: f64,
    /// Score of the picture minus the (mean) score of what it is compared with.
    pub expected: f64,
}

impl Gap {
    /// Size of the difference.
    pub fn absolute(self) -> f64 {
        (self.sum - self.expected).abs()
    }

    /// The same as a share of what should be explained.
    pub fn relative(self) -> f64 {
        self.absolute() / self.expected.abs().max(1e-12)
    }
}

/// A map of values, one for each pixel or for each of its channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// `[channels, h, w]`; positive speaks for the class. In units of the explained score, but for
    /// gradients, which are the score's change for a change of 1 of the value.
    pub values: Vec<f32>,
    /// 3, or 1 for methods that see whole pixels.
    pub channels: usize,
    /// Height and width.
    pub size: [usize; 2],
    /// For methods that promise completeness, once they are done.
    pub gap: Option<Gap>,
    /// Monte-Carlo standard error of each value, for methods that sample.
    pub standard_errors: Option<Vec<f32>>,
    /// Pictures shown to the model so far, backward passes included once.
    pub evaluations: usize,
}

impl Attribution {
    /// The sum over the channels of each pixel, `[h, w]`.
    pub fn pixels(&self) -> Vec<f32> {
        let area = self.size[0] * self.size[1];
        let sum = |at: usize| self.values.iter().skip(at).step_by(area).sum();
        (0..area).map(sum).collect()
    }

    /// Length of all standard errors as a share of the map's own length.
    pub fn relative_error(&self) -> Option<f32> {
        let length = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>().sqrt();
        let errors = length(self.standard_errors.as_ref()?);
        Some(errors / length(&self.values).max(f32::MIN_POSITIVE))
    }

    /// Refuses values that are no numbers: such a map means nothing and is not to be drawn.
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

/// A method at work on one picture.
pub trait Explainer: Send {
    /// Does one short chunk.
    fn step(&mut self, model: &Classifier);
    /// Share of the work done, in [0, 1]; 1 exactly when nothing is left.
    fn progress(&self) -> f32;
    /// The map as far as it is known.
    fn map(&self) -> Attribution;
}

/// Prepares `method` to explain `target` on `input`.
///
/// # Errors
/// [`Error::Config`] for numbers that make no method ([`Explanation::validate`]), for a class
/// against itself, and when a picture or a background that the method needs is missing.
pub fn start(
    model: &Classifier,
    method: &Method,
    target: Target,
    input: &Input,
) -> Result<Box<dyn Explainer>> {
    method.validate(input.size)?;
    target.validate()?;
    let probe = Probe {
        target,
        size: input.size,
    };
    Ok(match method {
        Method::Gradient => Box::new(gradient::plain(probe, input)),
        Method::GradientTimesInput => Box::new(gradient::times_input(probe, input)),
        Method::SmoothGrad(config) => Box::new(config.start(probe, input)),
        Method::IntegratedGradients(config) => Box::new(config.start(model, probe, input)?),
        Method::ExpectedGradients(config) => Box::new(config.start(probe, input)?),
        Method::PartitionShap(config) => Box::new(config.start(probe, input)),
        Method::GradCam => Box::new(gradcam::GradCam::new(probe, input)),
        Method::Occlusion(config) => Box::new(config.start(model, probe, input)?),
    })
}

/// Runs `method` to its end.
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
