//! Integrated gradients (Sundararajan et al. 2017, equation 1), from one baseline or averaged over
//! random ones, as arXiv 2307.02500 does.

use std::sync::Arc;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::averaging::{BaselineComparison, GradientAverage, GradientSample};
use super::target_score::TargetScore;
use super::{Fill, Input, gauss_legendre, trapezoid};
use crate::data::random::noise_rng;
use crate::error::Result;
use crate::model::Classifier;

/// Quadrature rule of the path integral.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Trapezoid rule: equal steps, half weight at the ends.
    #[default]
    Trapezoid,
    /// Gauss–Legendre: more accurate for the same number of steps on a smooth path.
    GaussLegendre,
}

/// Baseline of the path integral.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// A fixed picture.
    Fill(Fill),
    /// This many pictures of noise uniform in [0, 1]; their maps are averaged.
    Uniform(usize),
    /// `count` pictures of N(0, `sigma`²) noise, not clamped; their maps are averaged.
    Gaussian {
        /// Number of baselines.
        count: usize,
        /// Standard deviation, in units of pixels in [0, 1].
        sigma: f32,
    },
}

impl Baseline {
    /// Number of baselines.
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
    /// Quadrature nodes, hence gradients, on the path from each baseline.
    pub steps: usize,
    /// Quadrature rule of the path integral.
    pub rule: Rule,
    /// Baseline or baselines of the path integral.
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
    /// A cheap variant for interactive use: 16 Gauss–Legendre nodes from the blurred picture, whose smaller
    /// side has `side` pixels. (From black, dark pixels get nothing and a bright background gets most.)
    pub fn fast(side: usize) -> Self {
        Self {
            steps: 16,
            rule: Rule::GaussLegendre,
            baseline: Baseline::Fill(Fill::Blurred((side / 4).max(1))),
            seed: 0,
        }
    }

    pub(super) fn start(
        &self,
        model: &Classifier,
        target_score: TargetScore,
        input: &Input,
    ) -> Result<GradientAverage> {
        let baselines = Arc::new(self.baselines(model, input)?);
        let nodes = van_der_corput_order(match self.rule {
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
        Ok(GradientAverage::new(
            target_score,
            count,
            samples,
            Some(comparison),
        ))
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

/// Reorders quadrature nodes by the van der Corput sequence: every prefix is spread over the whole path,
/// so that a partial sum already approximates the map.
fn van_der_corput_order(mut nodes: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
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

/// Iterates over the nodes of the path of each baseline in turn.
struct PathSamples {
    picture: Vec<f32>,
    baselines: Arc<Vec<Vec<f32>>>,
    nodes: Vec<(f64, f64)>,
    next: usize,
    /// Picture minus the current baseline.
    factor: Arc<Vec<f32>>,
}

impl Iterator for PathSamples {
    type Item = GradientSample;

    fn next(&mut self) -> Option<GradientSample> {
        let (path, node) = (self.next / self.nodes.len(), self.next % self.nodes.len());
        let baseline = self.baselines.get(path)?;
        if node == 0 {
            self.factor = Arc::new(difference(&self.picture, baseline));
        }
        self.next += 1;
        let (at, weight) = self.nodes[node];
        Some(GradientSample {
            point: interpolate(baseline, &self.factor, at as f32),
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

/// Linear interpolation: `from` + `share` · `direction`.
pub(super) fn interpolate(from: &[f32], direction: &[f32], share: f32) -> Vec<f32> {
    let point = from.iter().zip(direction);
    point
        .map(|(from, direction)| from + share * direction)
        .collect()
}
