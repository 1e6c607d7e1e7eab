//! Targeted FAB (Croce and Hein 2020, “Minimally distorted adversarial examples with a fast adaptive boundary
//! attack”): the smallest perturbation that makes a picture's label lose to a target class.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::hyperplane::projection;
use super::losses::picked;
use crate::attack::Norm;
use crate::model::{Classifier, predicted_classes, tensor_values};

/// Overshooting beyond the hyperplane.
const ETA: f32 = 1.05;
/// Step back toward the picture after a success.
const BETA: f32 = 0.9;
/// Largest weight of the picture's own projection.
const MOST_ALPHA: f32 = 0.1;
/// Shortest projection.
const SHORTEST: f32 = 1e-8;

/// What FAB attacks and how.
pub struct Fab<'a> {
    /// The classifier.
    pub model: &'a Classifier,
    /// L∞ or L2.
    pub norm: Norm,
    /// Gradient steps.
    pub steps: usize,
}

impl Fab<'_> {
    /// The nearest misclassified picture found for each of `x` (`[n, 3, h, w]`, classes `labels`) on the way to
    /// `targets`, with its distance; `x` itself and an infinite distance where none was.
    pub fn run(&self, x: &Tensor<4>, labels: &[usize], targets: &[usize]) -> (Tensor<4>, Vec<f32>) {
        let shape = x.dims();
        let length = shape[1] * shape[2] * shape[3];
        let original = tensor_values(x.clone());
        let (mut current, mut nearest) = (original.clone(), original.clone());
        let mut distances = vec![f32::INFINITY; labels.len()];
        let tensor = |values: &[f32]| {
            Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), self.model.device())
        };
        for _ in 0..self.steps {
            let (gaps, gradients) = self.model.gradient(&tensor(&current), &|features| {
                let logits = self.model.logits_of(features);
                picked(&logits, targets) - picked(&logits, labels)
            });
            let (gaps, gradients) = (tensor_values(gaps), tensor_values(gradients));
            let planes = current
                .par_chunks_exact_mut(length)
                .zip(original.par_chunks_exact(length))
                .zip(gradients.par_chunks_exact(length))
                .zip(gaps);
            planes.for_each(|(((current, original), w), gap)| {
                self.step(current, original, w, gap);
            });
            let found = predicted_classes(self.model.logits(tensor(&current)));
            for (picture, class) in found.into_iter().enumerate() {
                if class == labels[picture] {
                    continue;
                }
                let at = picture * length..(picture + 1) * length;
                let (current, original) = (&mut current[at.clone()], &original[at.clone()]);
                let change = current.iter().zip(original).map(|(x, o)| x - o);
                let distance = self.norm.length_of(change);
                if distance < distances[picture] {
                    distances[picture] = distance;
                    nearest[at].copy_from_slice(current);
                }
                for (x, o) in current.iter_mut().zip(original) {
                    *x = o + (*x - o) * BETA;
                }
            }
        }
        (tensor(&nearest), distances)
    }

    /// One step of one picture toward the hyperplane on which, to first order, label and target are equally likely.
    fn step(&self, current: &mut [f32], original: &[f32], w: &[f32], gap: f32) {
        let apart = current.iter().zip(original).zip(w);
        let apart: f64 = apart.map(|((x, o), w)| f64::from((o - x) * w)).sum();
        let near = projection(self.norm, current, w, gap);
        let from_original = projection(self.norm, original, w, gap + apart as f32);
        let [a, b] = [&near, &from_original]
            .map(|change| self.norm.length_of(change.iter().copied()).max(SHORTEST));
        let alpha = (a / (a + b)).min(MOST_ALPHA);
        for (at, x) in current.iter_mut().enumerate() {
            let ours = *x + ETA * near[at];
            let pulled = original[at] + ETA * from_original[at];
            *x = (ours * (1.0 - alpha) + pulled * alpha).clamp(0.0, 1.0);
        }
    }
}
