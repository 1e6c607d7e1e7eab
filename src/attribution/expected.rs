//! Expected gradients (Erion et al. 2021), SHAP's gradient explainer: integrated gradients averaged
//! over a set of background pictures, one random point of one random path at a time.

use std::sync::Arc;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::Input;
use super::averaging::{Averaging, BaselineComparison, Sample};
use super::integrated::{between, difference};
use super::probe::Probe;
use crate::data::random::noise_rng;
use crate::error::{Error, Result};

/// Where the background pictures come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Background {
    /// Crops of the bundled photographs ([`crate::data::samples::background`]).
    #[default]
    Bundled,
    /// The open library.
    Library,
    /// The pictures of a folder.
    Folder(std::path::PathBuf),
}

/// Settings of expected gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpectedGradients {
    /// Gradients.
    pub samples: usize,
    /// Where the background pictures come from.
    pub background: Background,
    /// Seed of the draws.
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
    pub(super) fn start(&self, probe: Probe, input: &Input) -> Result<Averaging> {
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
            let way = difference(&pixels, reference);
            Sample {
                point: between(reference, &way, rng.random()),
                factor: Some(Arc::new(way)),
                weight: 1.0,
                ends_group: true,
            }
        });
        Ok(Averaging::new(
            probe,
            self.samples,
            samples,
            Some(comparison),
        ))
    }
}
