//! Expected gradients (Erion et al. 2021), SHAP's gradient explainer: integrated gradients averaged
//! over a set of background pictures, one random point of one random path at a time.

use std::sync::Arc;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::Input;
use super::averaging::{BaselineComparison, GradientAverage, GradientSample};
use super::integrated::{difference, interpolate};
use super::target_score::TargetScore;
use crate::data::random::noise_rng;
use crate::error::{Error, Result};

/// Source of the background set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Background {
    /// Crops of the bundled photographs ([`crate::data::samples::background`]).
    #[default]
    Bundled,
    /// The pictures opened in the window.
    Library,
    /// All pictures of this folder.
    Folder(std::path::PathBuf),
}

/// Settings of expected gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpectedGradients {
    /// Number of gradients to average, each at a random point of the path from a random background picture.
    pub samples: usize,
    /// Source of the background set.
    pub background: Background,
    /// Seed of the random background pictures and path points.
    pub seed: u64,
}

impl Default for ExpectedGradients {
    /// 200 samples, as in arXiv 2307.02500.
    fn default() -> Self {
        Self {
            samples: 200,
            background: Background::default(),
            seed: 0,
        }
    }
}

impl ExpectedGradients {
    pub(super) fn start(
        &self,
        target_score: TargetScore,
        input: &Input,
    ) -> Result<GradientAverage> {
        let references = input.background.clone();
        if references.is_empty() {
            return Err(Error::Config(
                "expected gradients need at least one background picture".into(),
            ));
        }
        let comparison = BaselineComparison::new(&input.pixels, references.clone());
        let (seed, pixels) = (self.seed, input.pixels.clone());
        let samples = (0..self.samples as u64).map(move |number| {
            let mut rng = noise_rng(seed, number);
            let reference = &references[rng.random_range(0..references.len())];
            let direction = difference(&pixels, reference);
            GradientSample {
                point: interpolate(reference, &direction, rng.random()),
                factor: Some(Arc::new(direction)),
                weight: 1.0,
                ends_group: true,
            }
        });
        Ok(GradientAverage::new(
            target_score,
            self.samples,
            samples,
            Some(comparison),
        ))
    }
}
