//! What gradient methods share: a weighted mean of gradients at sampled points.

use std::sync::Arc;

use super::probe::Probe;
use super::{Attribution, Explainer, Gap};
use crate::model::Classifier;

/// A point at which the gradient counts.
pub(super) struct Sample {
    /// `[3, h, w]`.
    pub(super) point: Vec<f32>,
    /// Multiplies the gradient, value by value.
    pub(super) factor: Option<Arc<Vec<f32>>>,
    /// Its share of the group's mean.
    pub(super) weight: f64,
    /// Whether the group ends with it. Groups weigh the same, and their spread is the Monte-Carlo
    /// error.
    pub(super) ends_group: bool,
}

/// The mean over groups of each group's weighted sum of gradients.
pub(super) struct Averaging {
    probe: Probe,
    samples: Box<dyn Iterator<Item = Sample> + Send>,
    count: usize,
    taken: usize,
    /// The group under way: weighted sum and weight.
    group: (Vec<f64>, f64),
    groups: usize,
    sum: Vec<f64>,
    squares: Vec<f64>,
    comparison: Option<BaselineComparison>,
    gap: Option<f64>,
    evaluations: usize,
}

/// What the values should add up to, found out chunk by chunk.
pub(super) struct BaselineComparison {
    picture: Vec<f32>,
    references: Arc<Vec<Vec<f32>>>,
    /// References whose score is part of `sum`.
    done: usize,
    sum: f64,
}

impl BaselineComparison {
    /// Of the explained picture with all that it is compared with.
    pub(super) fn new(picture: &[f32], references: Arc<Vec<Vec<f32>>>) -> Self {
        Self {
            picture: picture.to_vec(),
            references,
            done: 0,
            sum: 0.0,
        }
    }

    /// One chunk; once all are done, the score of the picture minus the mean of the others.
    fn step(&mut self, probe: &Probe, model: &Classifier) -> Option<f64> {
        let last = (self.done + 2 * model.budget().at_once()).min(self.references.len());
        let chunk = &self.references[self.done..last];
        let scores = probe.scores(model, chunk.concat());
        self.sum += scores.into_iter().map(f64::from).sum::<f64>();
        self.done = last;
        (self.done == self.references.len()).then(|| {
            let own = probe.scores(model, self.picture.clone())[0];
            f64::from(own) - self.sum / self.done as f64
        })
    }
}

impl Averaging {
    /// `count` is the number of `samples`; with a `comparison` the completeness gap is reported.
    pub(super) fn new(
        probe: Probe,
        count: usize,
        samples: impl Iterator<Item = Sample> + Send + 'static,
        comparison: Option<BaselineComparison>,
    ) -> Self {
        let zeros = vec![0.0; probe.length()];
        Self {
            probe,
            samples: Box::new(samples),
            count,
            taken: 0,
            group: (zeros.clone(), 0.0),
            groups: 0,
            sum: zeros.clone(),
            squares: zeros,
            comparison,
            gap: None,
            evaluations: 0,
        }
    }

    fn add(&mut self, sample: &Sample, gradient: &[f32]) {
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

    /// One chunk of the comparison.
    fn compare(&mut self, model: &Classifier) {
        let Some(comparison) = &mut self.comparison else {
            return;
        };
        self.gap = comparison.step(&self.probe, model);
        if self.gap.is_some() {
            self.evaluations += 1 + comparison.done;
            self.comparison = None;
        }
    }

    fn mean(&self) -> Vec<f32> {
        // A group under way counts by the share of it that is done.
        let groups = self.groups as f64 + self.group.1;
        let scale = if groups > 0.0 { 1.0 / groups } else { 0.0 };
        let values = self.sum.iter().zip(&self.group.0);
        values
            .map(|(sum, part)| ((sum + part) * scale) as f32)
            .collect()
    }

    /// √(variance / count) of the groups; unknown for fewer than two.
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

impl Explainer for Averaging {
    fn step(&mut self, model: &Classifier) {
        // The first chunk is short: something to see soon.
        let most = model.budget().at_once();
        let most = if self.taken == 0 {
            most.div_ceil(2)
        } else {
            most
        };
        let chunk: Vec<Sample> = self.samples.by_ref().take(most).collect();
        if chunk.is_empty() {
            self.compare(model);
            return;
        }
        let points = chunk.iter().flat_map(|sample| sample.point.iter().copied());
        let gradients = self.probe.gradients(model, points.collect());
        for (sample, gradient) in chunk
            .iter()
            .zip(gradients.chunks_exact(self.probe.length()))
        {
            self.add(sample, gradient);
        }
        self.taken += chunk.len();
        self.evaluations += chunk.len();
    }

    fn progress(&self) -> f32 {
        let last = usize::from(self.comparison.is_some());
        self.taken as f32 / (self.count + last) as f32
    }

    fn map(&self) -> Attribution {
        let values = self.mean();
        let sum = values.iter().copied().map(f64::from).sum();
        Attribution {
            gap: self.gap.map(|expected| Gap { sum, expected }),
            values,
            channels: 3,
            size: self.probe.size,
            standard_errors: self.standard_errors(),
            evaluations: self.evaluations,
        }
    }
}
