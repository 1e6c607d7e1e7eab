//! Command-line options of attribution methods and of the explained score.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use crate::attribution::{
    AttentionHead, Background, Baseline, ClassChoice, ExpectedGradients, Explanation, Fill, Input,
    IntegratedGradients, Masker, Method, Occlusion, PartitionShap, Question, Rule, Score,
    SmoothGrad,
};
use crate::compute::background;
use crate::data::Picture;
use crate::data::picture::unit_planes;
use crate::error::{Error, Result};
use crate::model::Manifest;

/// Names of the methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MethodName {
    Gradient,
    GradientTimesInput,
    Smoothgrad,
    /// Integrated gradients.
    Ig,
    /// SHAP's gradient explainer.
    ExpectedGradients,
    /// SHAP's partition explainer.
    Partition,
    Gradcam,
    Occlusion,
    /// What a vision transformer's answer reads of each patch through all layers.
    AttentionRollout,
    /// What it reads in one layer.
    Attention,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MaskerName {
    Blur,
    Inpaint,
}

/// The attribution method and the explained score.
#[derive(Debug, Args)]
pub(super) struct MethodOptions {
    /// Attribution method.
    #[arg(long, value_enum, default_value = "ig")]
    method: MethodName,
    /// Class to explain: predicted, second, true, or a name.
    #[arg(long, default_value = "predicted")]
    class: String,
    /// Explain the difference of the class's score to this class's.
    #[arg(long)]
    minus: Option<String>,
    /// Score to explain: the logit or the probability.
    #[arg(long, value_enum, default_value_t)]
    score: Score,
    /// Samples of SmoothGrad and expected gradients; by default 32 and 200.
    #[arg(long)]
    samples: Option<usize>,
    /// Number of quadrature nodes on each path of integrated gradients.
    #[arg(long, default_value_t = 50)]
    path_steps: usize,
    /// Quadrature rule of integrated gradients.
    #[arg(long, value_enum, default_value_t)]
    rule: Rule,
    /// Baseline of integrated gradients, or fill of occlusion: black, white, grey, mean, blurred, uniform,
    /// gaussian, or a picture's file.
    #[arg(long)]
    baseline: Option<String>,
    /// Number of random baselines to average over.
    #[arg(long, default_value_t = 10)]
    baselines: usize,
    /// Standard deviation of SmoothGrad's noise (by default 0.15) or of gaussian baselines (0.4).
    #[arg(long)]
    sigma: Option<f32>,
    /// Background set of expected gradients: a folder of pictures; by default the bundled ones.
    #[arg(long)]
    background: Option<PathBuf>,
    /// Number of model evaluations of partition SHAP.
    #[arg(long, default_value_t = 500)]
    evaluations: usize,
    /// How partition SHAP fills masked pixels.
    #[arg(long, value_enum, default_value = "blur")]
    masker: MaskerName,
    /// Side of the box blur, in pixels; by default half the picture's.
    #[arg(long)]
    blur: Option<usize>,
    /// Side of the occluding window, in pixels; by default 3/16 of the picture's.
    #[arg(long)]
    window: Option<usize>,
    /// Stride of the occluding window, in pixels; by default 1/16 of the picture's side.
    #[arg(long)]
    stride: Option<usize>,
    /// Layer of attention, counted from the last one.
    #[arg(long, default_value_t = 0)]
    attention_layer: usize,
    /// Head of that layer, from 0 on; by default the mean of all.
    #[arg(long)]
    attention_head: Option<usize>,
    /// Seed of the method's random numbers.
    #[arg(long, default_value_t = 0)]
    map_seed: u64,
}

impl MethodOptions {
    /// The method and the score to explain, for a model.
    pub(super) fn explanation(&self, manifest: &Manifest) -> Result<Explanation> {
        let labels = &manifest.labels;
        let class = |name: &String| match name.as_str() {
            "predicted" => Ok(ClassChoice::Predicted),
            "true" => Ok(ClassChoice::True),
            "second" => Ok(ClassChoice::Second),
            name => match labels.iter().position(|label| label == name) {
                Some(class) => Ok(ClassChoice::Class(class)),
                None => Err(Error::Config(format!(
                    "{name} is neither predicted nor second nor true nor one of {}",
                    labels.join(", ")
                ))),
            },
        };
        Ok(Explanation {
            method: self.method(manifest.input)?,
            question: Question {
                score: self.score,
                class: class(&self.class)?,
                against: self.minus.as_ref().map(class).transpose()?,
            },
        })
    }

    fn method(&self, size: [usize; 2]) -> Result<Method> {
        let seed = self.map_seed;
        let side = size[0].min(size[1]);
        let blur = self.blur.unwrap_or((side / 2).max(1));
        Ok(match self.method {
            MethodName::Gradient => Method::Gradient,
            MethodName::GradientTimesInput => Method::GradientTimesInput,
            MethodName::Gradcam => Method::GradCam,
            MethodName::AttentionRollout => Method::AttentionRollout,
            MethodName::Attention => Method::Attention(AttentionHead {
                layer: self.attention_layer,
                head: self.attention_head,
            }),
            MethodName::Smoothgrad => {
                let usual = SmoothGrad::default();
                Method::SmoothGrad(SmoothGrad {
                    samples: self.samples.unwrap_or(usual.samples),
                    sigma: self.sigma.unwrap_or(usual.sigma),
                    seed,
                })
            }
            MethodName::Ig => Method::IntegratedGradients(IntegratedGradients {
                steps: self.path_steps,
                rule: self.rule,
                baseline: self.path_start(blur)?,
                seed,
            }),
            MethodName::ExpectedGradients => {
                let usual = ExpectedGradients::default();
                Method::ExpectedGradients(ExpectedGradients {
                    samples: self.samples.unwrap_or(usual.samples),
                    background: self
                        .background
                        .clone()
                        .map_or(Background::Bundled, Background::Folder),
                    seed,
                })
            }
            MethodName::Partition => Method::PartitionShap(PartitionShap {
                evaluations: self.evaluations,
                masker: match self.masker {
                    MaskerName::Blur => Masker::Blur(blur),
                    MaskerName::Inpaint => Masker::Inpaint,
                },
            }),
            MethodName::Occlusion => {
                let usual = Occlusion::for_side(side);
                Method::Occlusion(Occlusion {
                    window: self.window.unwrap_or(usual.window),
                    stride: self.stride.unwrap_or(usual.stride),
                    fill: self.fill("grey", blur)?,
                })
            }
        })
    }

    fn path_start(&self, blur: usize) -> Result<Baseline> {
        Ok(match self.baseline.as_deref().unwrap_or("uniform") {
            "uniform" => Baseline::Uniform(self.baselines),
            "gaussian" => Baseline::Gaussian {
                count: self.baselines,
                sigma: self.sigma.unwrap_or(0.4),
            },
            _ => Baseline::Fill(self.fill("black", blur)?),
        })
    }

    fn fill(&self, usual: &str, blur: usize) -> Result<Fill> {
        Ok(match self.baseline.as_deref().unwrap_or(usual) {
            "black" => Fill::Black,
            "white" => Fill::White,
            "grey" => Fill::Grey,
            "mean" => Fill::DatasetMean,
            "blurred" => Fill::Blurred(blur),
            name @ ("uniform" | "gaussian") => {
                return Err(Error::Config(format!(
                    "occlusion covers with one picture, not with {name} noise"
                )));
            }
            _ => Fill::Picture,
        })
    }

    /// The picture in a file that the method compares with, if it does.
    ///
    /// # Errors
    /// As [`Picture::open`].
    pub(super) fn reference(&self, method: &Method) -> Result<Option<Picture>> {
        match (&self.baseline, method.fill()) {
            (Some(path), Some(Fill::Picture)) => Picture::open(Path::new(path)).map(Some),
            _ => Ok(None),
        }
    }

    /// The input `[3, h, w]` of a method with its reference and background pictures.
    ///
    /// # Errors
    /// When a file or folder that was named cannot be opened.
    pub(super) fn input(&self, method: &Method, pixels: &[f32], size: [usize; 2]) -> Result<Input> {
        let reference = self.reference(method)?;
        let reference = reference.map(|picture| unit_planes(&picture.cropped_whole(size)));
        let background = match method {
            Method::ExpectedGradients(config) => background(&config.background, &[], size)?,
            _ => Arc::default(),
        };
        Ok(Input {
            pixels: pixels.to_vec(),
            size,
            reference,
            background,
        })
    }
}
