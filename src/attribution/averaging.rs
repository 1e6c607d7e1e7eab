//! Averaging of input gradients at sampled points, shared by the gradient-based attribution methods.

use std::sync::Arc;

use super::target_score::TargetScore;
use super::{Attribution, Explainer, Gap};
use crate::model::Classifier;

/// A point at which the input gradient is evaluated.
pub(super) struct GradientSample {
    /// Values `[3, h, w]`.
    pub(super) point: Vec<f32>,
    /// Multiplies the gradient, value by value.
    pub(super) factor: Option<Arc<Vec<f32>>>,
    /// Weight within its group.
    pub(super) weight: f64,
    /// Whether it is the last of its group. Groups have equal weight; the Monte-Carlo error is estimated
    /// from their variance.
    pub(super) ends_group: bool,
}

/// An explainer that averages, over groups, each group's weighted sum of gradients.
pub(super) struct GradientAverage {
    target_score: TargetScore,
    samples: Box<dyn Iterator<Item = GradientSample> + Send>,
    count: usize,
    evaluated: usize,
    /// Weighted sum and weight of the current, unfinished group.
    group: (Vec<f64>, f64),
    groups: usize,
    sum: Vec<f64>,
    squares: Vec<f64>,
    comparison: Option<BaselineComparison>,
    gap: Option<f64>,
    evaluations: usize,
}

/// Computes the score difference to the baselines, which the attributions should add up to, in chunks.
pub(super) struct BaselineComparison {
    picture: Vec<f32>,
    references: Arc<Vec<Vec<f32>>>,
    /// Number of references whose scores are in `sum`.
    done: usize,
    sum: f64,
}

impl BaselineComparison {
    /// Compares the explained picture with its baselines.
    pub(super) fn new(picture: &[f32], references: Arc<Vec<Vec<f32>>>) -> Self {
        Self {
            picture: picture.to_vec(),
            references,
            done: 0,
            sum: 0.0,
        }
    }

    /// Scores one chunk; once finished, returns the picture's score minus the baselines' mean score.
    fn step(&mut self, target_score: &TargetScore, model: &Classifier) -> Option<f64> {
        let last = (self.done + 2 * model.budget().at_once()).min(self.references.len());
        let chunk = &self.references[self.done..last];
        let scores = target_score.scores(model, chunk.concat());
        self.sum += scores.into_iter().map(f64::from).sum::<f64>();
        self.done = last;
        (self.done == self.references.len()).then(|| {
            let own = target_score.scores(model, self.picture.clone())[0];
            f64::from(own) - self.sum / self.done as f64
        })
    }
}

impl GradientAverage {
    /// `count` is the number of `samples`; with a `comparison` the completeness gap is computed.
    pub(super) fn new(
        target_score: TargetScore,
        count: usize,
        samples: impl Iterator<Item = GradientSample> + Send + 'static,
        comparison: Option<BaselineComparison>,
    ) -> Self {
        let zeros = vec![0.0; target_score.length()];
        Self {
            target_score,
            samples: Box::new(samples),
            count,
            evaluated: 0,
            group: (zeros.clone(), 0.0),
            groups: 0,
            sum: zeros.clone(),
            squares: zeros,
            comparison,
            gap: None,
            evaluations: 0,
        }
    }

    fn add(&mut self, sample: &GradientSample, gradient: &[f32]) {
        let values = gradient.iter().zip(&mut self.group.0).enumerate();
        for (at, (&gradient, sum)) in values {
            let factor = sample.factor.as_ref().map_or(1.0, |factor| factor[at]);
            *sum += sample.weight * f64::from(gradient) * f64::from(factor);
        }
        self.group.1 += sample.weight;
        if sample.ends_group {
            let parts = self.sum.iter_mut().zip(&mut self.squares);
            for ((sum, squares), value) in parts.zip(&mut self.group.0) {
                *sum += *value;
                *squares += *value * *value;
                *value = 0.0;
            }
            self.group.1 = 0.0;
            self.groups += 1;
        }
    }

    /// Scores one chunk of the baselines.
    fn compare(&mut self, model: &Classifier) {
        let Some(comparison) = &mut self.comparison else {
            return;
        };
        self.gap = comparison.step(&self.target_score, model);
        if self.gap.is_some() {
            self.evaluations += 1 + comparison.done;
            self.comparison = None;
        }
    }

    fn mean(&self) -> Vec<f32> {
        // An unfinished group is weighted by the share of it that is done.
        let groups = self.groups as f64 + self.group.1;
        let scale = if groups > 0.0 { 1.0 / groups } else { 0.0 };
        let values = self.sum.iter().zip(&self.group.0);
        values
            .map(|(sum, part)| ((sum + part) * scale) as f32)
            .collect()
    }

    /// Standard error of the mean over groups, √(variance / count); `None` for fewer than two groups.
    fn standard_errors(&self) -> Option<Vec<f32>> {
        let count = self.groups as f64;
        if self.groups < 2 {
            return None;
        }
        let error = |(sum, squares): (&f64, &f64)| {
            let mean = sum / count;
            let variance = (squares / count - mean * mean).max(0.0) * count / (count - 1.0);
            (variance / count).sqrt() as f32
        };
        Some(self.sum.iter().zip(&self.squares).map(error).collect())
    }
}

impl Explainer for GradientAverage {
    fn step(&mut self, model: &Classifier) {
        // A short first chunk lets a first estimate appear soon.
        let most = model.budget().at_once();
        let most = if self.evaluated == 0 {
            most.div_ceil(2)
        } else {
            most
        };
        let chunk: Vec<GradientSample> = self.samples.by_ref().take(most).collect();
        if chunk.is_empty() {
            self.compare(model);
            return;
        }
        let points = chunk.iter().flat_map(|sample| sample.point.iter().copied());
        let gradients = self.target_score.gradients(model, points.collect());
        for (sample, gradient) in chunk
            .iter()
            .zip(gradients.chunks_exact(self.target_score.length()))
        {
            self.add(sample, gradient);
        }
        self.evaluated += chunk.len();
        self.evaluations += chunk.len();
    }

    fn progress(&self) -> f32 {
        let last = usize::from(self.comparison.is_some());
        self.evaluated as f32 / (self.count + last) as f32
    }

    fn map(&self) -> Attribution {
        let values = self.mean();
        let sum = values.iter().copied().map(f64::from).sum();
        Attribution {
            gap: self.gap.map(|expected| Gap { sum, expected }),
            values,
            channels: 3,
            size: self.target_score.size,
            standard_errors: self.standard_errors(),
            evaluations: self.evaluations,
        }
    }
}
