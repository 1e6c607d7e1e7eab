//! Integrated gradients (Sundararajan et al. 2017, equation 1), from one baseline or averaged over
//! random ones, as arXiv 2307.02500 does.

use std::sync::Arc;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::averaging::{Averaging, BaselineComparison, Sample};
use super::probe::Probe;
use super::{Fill, Input, gauss_legendre, trapezoid};
use crate::data::random::noise_rng;
use crate::error::Result;
use crate::model::Classifier;

/// How the path is sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Equal steps, half weight at the ends.
    #[default]
    Trapezoid,
    /// Gauss–Legendre: more exact for the same number of steps on a smooth path.
    GaussLegendre,
}

/// Where the path begins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// At one picture.
    Fill(Fill),
    /// At this many pictures of noise uniform in [0, 1]; their maps are averaged.
    Uniform(usize),
    /// At `count` pictures of N(0, `sigma`²) noise, not clamped; their maps are averaged.
    Gaussian {
        /// Baselines.
        count: usize,
        /// Standard deviation, in units of pixels in [0, 1].
        sigma: f32,
    },
}

impl Baseline {
    /// How many pictures the path begins at.
    pub fn count(self) -> usize {
        match self {
            Self::Fill(_) => 1,
            Self::Uniform(count) | Self::Gaussian { count, .. } => count,
        }
    }
}

/// Settings of integrated gradients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntegratedGradients {
    /// Gradients on each path.
    pub steps: usize,
    /// How the path is sampled.
    pub rule: Rule,
    /// Where the paths begin.
    pub baseline: Baseline,
    /// Seed of random baselines.
    pub seed: u64,
}

impl Default for IntegratedGradients {
    /// As in arXiv 2307.02500: 50 trapezoid steps from each of 10 uniform baselines.
    fn default() -> Self {
        Self {
            steps: 50,
            rule: Rule::Trapezoid,
            baseline: Baseline::Uniform(10),
            seed: 0,
        }
    }
}

impl IntegratedGradients {
    /// One path from black with few, well placed steps: for scrubbing.
    pub fn fast() -> Self {
        Self {
            steps: 16,
            rule: Rule::GaussLegendre,
            baseline: Baseline::Fill(Fill::Black),
            seed: 0,
        }
    }

    pub(super) fn start(
        &self,
        model: &Classifier,
        probe: Probe,
        input: &Input,
    ) -> Result<Averaging> {
        let baselines = Arc::new(self.baselines(model, input)?);
        let nodes = scattered(match self.rule {
            Rule::Trapezoid => trapezoid(self.steps),
            Rule::GaussLegendre => gauss_legendre(self.steps),
        });
        let comparison = BaselineComparison::new(&input.pixels, baselines.clone());
        let count = baselines.len() * nodes.len();
        let samples = PathSamples {
            picture: input.pixels.clone(),
            baselines,
            nodes,
            next: 0,
            factor: Arc::default(),
        };
        Ok(Averaging::new(probe, count, samples, Some(comparison)))
    }

    fn baselines(&self, model: &Classifier, input: &Input) -> Result<Vec<Vec<f32>>> {
        let numbers = 0..self.baseline.count() as u64;
        let length = input.pixels.len();
        Ok(match self.baseline {
            Baseline::Fill(fill) => vec![fill.of(input, model)?],
            Baseline::Uniform(_) => numbers
                .map(|number| {
                    let mut rng = noise_rng(self.seed, number);
                    (0..length).map(|_| rng.random()).collect()
                })
                .collect(),
            Baseline::Gaussian { sigma, .. } => numbers
                .map(|number| {
                    let mut rng = noise_rng(self.seed, number);
                    let mut noise = || -> f32 { StandardNormal.sample(&mut rng) };
                    (0..length).map(|_| sigma * noise()).collect()
                })
                .collect(),
        })
    }
}

/// The nodes in an order in which every beginning is spread over the whole path (van der Corput's
/// sequence), so that an unfinished sum already looks like the map.
fn scattered(mut nodes: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let bits = nodes.len().next_power_of_two().trailing_zeros();
    let key = |index: usize| match bits {
        0 => 0,
        bits => index.reverse_bits() >> (usize::BITS - bits),
    };
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by_key(|&index| key(index));
    nodes = order.into_iter().map(|index| nodes[index]).collect();
    nodes
}

/// All points of all paths, one path after the other.
struct PathSamples {
    picture: Vec<f32>,
    baselines: Arc<Vec<Vec<f32>>>,
    nodes: Vec<(f64, f64)>,
    next: usize,
    /// Picture minus the present baseline.
    factor: Arc<Vec<f32>>,
}

impl Iterator for PathSamples {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        let (path, node) = (self.next / self.nodes.len(), self.next % self.nodes.len());
        let baseline = self.baselines.get(path)?;
        if node == 0 {
            self.factor = Arc::new(difference(&self.picture, baseline));
        }
        self.next += 1;
        let (at, weight) = self.nodes[node];
        Some(Sample {
            point: between(baseline, &self.factor, at as f32),
            factor: Some(self.factor.clone()),
            weight,
            ends_group: node + 1 == self.nodes.len(),
        })
    }
}

/// `a` − `b`.
pub(super) fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// `from` + `share` · `way`.
pub(super) fn between(from: &[f32], way: &[f32], share: f32) -> Vec<f32> {
    let point = from.iter().zip(way);
    point.map(|(from, way)| from + share * way).collect()
}
