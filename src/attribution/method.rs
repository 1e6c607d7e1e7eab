//! The list of attribution methods with their settings, names and limits, as plain data.

use serde::{Deserialize, Serialize};

use super::{
    AttentionHead, Baseline, ExpectedGradients, Fill, IntegratedGradients, Masker, Occlusion,
    PartitionShap, Question, SmoothGrad,
};
use crate::error::{Error, Result};

/// An attribution method with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Plain gradient of the score.
    Gradient,
    /// Gradient × input.
    GradientTimesInput,
    /// SmoothGrad: the mean gradient of noisy copies.
    SmoothGrad(SmoothGrad),
    /// Integrated gradients along the path from a baseline.
    IntegratedGradients(IntegratedGradients),
    /// Expected gradients: SHAP values estimated with gradients and a background set.
    ExpectedGradients(ExpectedGradients),
    /// Partition SHAP: Owen values of a hierarchy of rectangles.
    PartitionShap(PartitionShap),
    /// Grad-CAM: the last feature map, weighted by its mean gradients.
    GradCam,
    /// Occlusion: the drop of the score when a window is covered.
    Occlusion(Occlusion),
    /// Attention rollout: what reaches a transformer's answer through all its layers; of no class.
    AttentionRollout,
    /// The attention of one layer of a transformer; of no class.
    Attention(AttentionHead),
}

/// Most gradients or evaluations of one map: minutes, not days, on two CPU cores.
const MOST_WORK: usize = 100_000;

/// Most baselines of one map, as all are kept in memory.
const MOST_BASELINES: usize = 1000;

impl Method {
    /// Each method with its default settings for a model input of `side` pixels.
    pub fn all(side: usize) -> [Self; 10] {
        [
            Self::Gradient,
            Self::GradientTimesInput,
            Self::SmoothGrad(SmoothGrad::default()),
            Self::IntegratedGradients(IntegratedGradients::default()),
            Self::ExpectedGradients(ExpectedGradients::default()),
            Self::PartitionShap(PartitionShap::for_side(side)),
            Self::GradCam,
            Self::Occlusion(Occlusion::for_side(side)),
            Self::AttentionRollout,
            Self::Attention(AttentionHead::default()),
        ]
    }

    /// The fill of its baseline or of its covered pixels, if it uses a single one.
    pub fn fill(&self) -> Option<Fill> {
        match self {
            Self::Occlusion(config) => Some(config.fill),
            Self::IntegratedGradients(config) => match config.baseline {
                Baseline::Fill(fill) => Some(fill),
                Baseline::Uniform(_) | Baseline::Gaussian { .. } => None,
            },
            _ => None,
        }
    }

    /// Whether the map is of a class; attention is the same for all.
    pub fn is_of_class(&self) -> bool {
        !matches!(self, Self::AttentionRollout | Self::Attention(_))
    }

    /// Display name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Gradient => "Gradient",
            Self::GradientTimesInput => "Gradient × input",
            Self::SmoothGrad(_) => "SmoothGrad",
            Self::IntegratedGradients(_) => "Integrated gradients",
            Self::ExpectedGradients(_) => "Expected gradients (SHAP)",
            Self::PartitionShap(_) => "Partition SHAP",
            Self::GradCam => "Grad-CAM",
            Self::Occlusion(_) => "Occlusion",
            Self::AttentionRollout => "Attention rollout",
            Self::Attention(_) => "Attention",
        }
    }

    /// One line about the method, with its reference, for tooltips.
    pub fn about(&self) -> &'static str {
        match self {
            Self::Gradient => {
                "How much the score changes with each value (Simonyan, Vedaldi, Zisserman 2014)"
            }
            Self::GradientTimesInput => {
                "The gradient times the value itself (Shrikumar et al. 2016)"
            }
            Self::SmoothGrad(_) => {
                "The mean gradient of noisy copies of the picture (Smilkov et al. 2017)"
            }
            Self::IntegratedGradients(_) => {
                "Gradients summed along the straight way from a baseline; the values add up to the score's rise (Sundararajan, Taly, Yan 2017)"
            }
            Self::ExpectedGradients(_) => {
                "Integrated gradients averaged over background pictures: SHAP's gradient explainer (Lundberg and Lee 2017; Erion et al. 2021)"
            }
            Self::PartitionShap(_) => {
                "Owen values: rectangles are hidden and shown, and credit is halved between siblings (SHAP's partition explainer)"
            }
            Self::GradCam => {
                "The last feature map's channels, weighed by their mean gradient (Selvaraju et al. 2017)"
            }
            Self::Occlusion(_) => {
                "How much the score falls when a window is covered (Zeiler and Fergus 2014)"
            }
            Self::AttentionRollout => {
                "Vision transformers: what the answer reads of each patch through all layers, the same for every class (Abnar and Zuidema 2020)"
            }
            Self::Attention(_) => {
                "Vision transformers: what the class token reads of each patch in one layer, by head or their mean, the same for every class (Dosovitskiy et al. 2021)"
            }
        }
    }

    /// Checks the settings for pictures of height and width `size`.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting that is out of range.
    pub fn validate(&self, size: [usize; 2]) -> Result<()> {
        let side = size[0].min(size[1]);
        match self {
            Self::Gradient
            | Self::GradientTimesInput
            | Self::GradCam
            | Self::AttentionRollout
            | Self::Attention(_) => Ok(()),
            Self::SmoothGrad(config) => {
                check_work("samples", config.samples, 1)?;
                check_deviation(config.sigma)
            }
            Self::IntegratedGradients(config) => {
                check_work("steps", config.steps, 1)?;
                let count = config.baseline.count();
                if count > MOST_BASELINES {
                    return Err(Error::Config(format!(
                        "{count} baselines are more than the {MOST_BASELINES} that are kept"
                    )));
                }
                check_work("baselines", count, 1)?;
                let work = config.steps.saturating_mul(config.baseline.count());
                check_work("steps times baselines", work, 1)?;
                match config.baseline {
                    Baseline::Fill(fill) => check_fill(fill, side),
                    Baseline::Uniform(_) => Ok(()),
                    Baseline::Gaussian { sigma, .. } => check_deviation(sigma),
                }
            }
            Self::ExpectedGradients(config) => check_work("samples", config.samples, 1),
            Self::PartitionShap(config) => {
                check_work("evaluations", config.evaluations, 4)?;
                match config.masker {
                    Masker::Blur(blur) => check_side("blur", blur, side),
                    Masker::Inpaint => Ok(()),
                }
            }
            Self::Occlusion(config) => {
                check_side("window", config.window, side)?;
                check_side("stride", config.stride, side)?;
                let places = config
                    .places(size[0])
                    .saturating_mul(config.places(size[1]));
                check_work("places of the window", places, 1)?;
                check_fill(config.fill, side)
            }
        }
    }
}

fn check_work(what: &str, number: usize, least: usize) -> Result<()> {
    if (least..=MOST_WORK).contains(&number) {
        return Ok(());
    }
    Err(Error::Config(format!(
        "{number} {what} make no map: there must be {least} to {MOST_WORK}"
    )))
}

fn check_side(what: &str, number: usize, side: usize) -> Result<()> {
    if (1..=side).contains(&number) {
        return Ok(());
    }
    Err(Error::Config(format!(
        "a {what} of {number} pixels does not fit a picture of {side}: it must have 1 to {side}"
    )))
}

fn check_fill(fill: Fill, side: usize) -> Result<()> {
    match fill {
        Fill::Blurred(blur) => check_side("blur", blur, side),
        _ => Ok(()),
    }
}

fn check_deviation(sigma: f32) -> Result<()> {
    if sigma.is_finite() && (0.0..=10.0).contains(&sigma) {
        return Ok(());
    }
    Err(Error::Config(format!(
        "a standard deviation of {sigma} makes no noise: it must be from 0 to 10"
    )))
}

/// An attribution request: a method and the score that it explains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Attribution method with its settings.
    pub method: Method,
    /// The score to explain.
    pub question: Question,
}

impl Default for Explanation {
    /// Integrated gradients of the predicted class's probability, as in arXiv 2307.02500.
    fn default() -> Self {
        Self {
            method: Method::IntegratedGradients(IntegratedGradients::default()),
            question: Question::default(),
        }
    }
}

impl Explanation {
    /// Checks method and score for a model of `classes` classes and input height and width `size`.
    ///
    /// # Errors
    /// As [`Method::validate`] and [`Question::validate`].
    pub fn validate(&self, classes: usize, size: [usize; 2]) -> Result<()> {
        self.question.validate(classes)?;
        self.method.validate(size)
    }
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.method.name())?;
        match &self.method {
            Method::SmoothGrad(config) => write!(f, ", {} samples", config.samples),
            Method::IntegratedGradients(config) => {
                write!(f, ", {} × {} steps", config.baseline.count(), config.steps)
            }
            Method::ExpectedGradients(config) => write!(f, ", {} samples", config.samples),
            Method::PartitionShap(config) => write!(f, ", {} evaluations", config.evaluations),
            Method::Occlusion(config) => {
                write!(f, ", window {}, stride {}", config.window, config.stride)
            }
            Method::Attention(AttentionHead { layer, head }) => {
                write!(f, ", {layer} before the last layer")?;
                match head {
                    Some(head) => write!(f, ", head {head}"),
                    None => f.write_str(", mean of heads"),
                }
            }
            Method::Gradient
            | Method::GradientTimesInput
            | Method::GradCam
            | Method::AttentionRollout => Ok(()),
        }
    }
}
