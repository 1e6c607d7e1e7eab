//! Targeted FAB (Croce and Hein 2020, “Minimally distorted adversarial examples with a fast adaptive boundary
//! attack”): the smallest perturbation that makes a picture's label lose to a target class.

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::hyperplane::projection;
use super::losses::picked;
use crate::attack::{AttackMask, Norm};
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
    /// The pixels that may change, if not all.
    pub mask: Option<AttackMask>,
}

/// FAB on a batch, a gradient at a time.
pub struct FabRun {
    norm: Norm,
    steps: usize,
    mask: Option<AttackMask>,
    done: usize,
    shape: [usize; 4],
    labels: Vec<usize>,
    targets: Vec<usize>,
    original: Vec<f32>,
    current: Vec<f32>,
    nearest: Vec<f32>,
    distances: Vec<f32>,
}

impl Fab<'_> {
    /// The nearest misclassified picture found for each of `x` (`[n, 3, h, w]`, classes `labels`) on the way to
    /// `targets`, with its distance; `x` itself and an infinite distance where none was.
    pub fn run(&self, x: &Tensor<4>, labels: &[usize], targets: &[usize]) -> (Tensor<4>, Vec<f32>) {
        let mut run = self.begin(x, labels, targets);
        while run.step(self.model) {}
        run.finish(self.model.device())
    }

    /// The same, to be stepped.
    pub fn begin(&self, x: &Tensor<4>, labels: &[usize], targets: &[usize]) -> FabRun {
        let original = tensor_values(x.clone());
        FabRun {
            norm: self.norm,
            steps: self.steps,
            mask: self.mask.clone(),
            done: 0,
            shape: x.dims(),
            labels: labels.to_vec(),
            targets: targets.to_vec(),
            current: original.clone(),
            nearest: original.clone(),
            distances: vec![f32::INFINITY; labels.len()],
            original,
        }
    }
}

impl FabRun {
    /// Takes a step of one gradient and one prediction; `false`, and none, once all are done.
    pub fn step(&mut self, model: &Classifier) -> bool {
        if self.done == self.steps {
            return false;
        }
        self.done += 1;
        let length = self.length();
        let (gaps, gradients) =
            model.gradient(&self.tensor(&self.current, model.device()), &|features| {
                let logits = model.logits_of(features);
                picked(&logits, &self.targets) - picked(&logits, &self.labels)
            });
        let (gaps, mut gradients) = (tensor_values(gaps), tensor_values(gradients));
        // Where the gradient is 0, no projection changes a pixel.
        if let Some(mask) = &self.mask {
            mask.constrain(&mut gradients);
        }
        let (norm, mask) = (self.norm, self.mask.as_ref());
        let planes = self
            .current
            .par_chunks_exact_mut(length)
            .zip(self.original.par_chunks_exact(length))
            .zip(gradients.par_chunks_exact(length))
            .zip(gaps);
        planes.for_each(|(((current, original), w), gap)| {
            step_to_boundary(norm, current, original, w, gap);
            // The mean of two equal values may be rounded.
            if let Some(mask) = mask {
                mask.restore_outside(current, original);
            }
        });
        let logits = model.logits(self.tensor(&self.current, model.device()));
        for (picture, class) in predicted_classes(logits).into_iter().enumerate() {
            if class != self.labels[picture] {
                self.keep_nearest(picture);
            }
        }
        true
    }

    /// Share of the steps that are done, in [0, 1].
    pub fn progress(&self) -> f32 {
        self.done as f32 / self.steps.max(1) as f32
    }

    /// The nearest pictures so far, with their distances.
    pub fn finish(self, device: &Device) -> (Tensor<4>, Vec<f32>) {
        (self.tensor(&self.nearest, device), self.distances)
    }

    /// Values of a picture.
    fn length(&self) -> usize {
        self.shape[1..].iter().product()
    }

    fn tensor(&self, values: &[f32], device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values.to_vec(), self.shape), device)
    }

    /// Keeps a misclassified iterate if it is nearer than those before, and steps back toward the picture.
    fn keep_nearest(&mut self, picture: usize) {
        let at = picture * self.length()..(picture + 1) * self.length();
        let (current, original) = (&mut self.current[at.clone()], &self.original[at.clone()]);
        let change = current.iter().zip(original).map(|(x, o)| x - o);
        let distance = self.norm.length_of(change);
        if distance < self.distances[picture] {
            self.distances[picture] = distance;
            self.nearest[at].copy_from_slice(current);
        }
        for (x, o) in current.iter_mut().zip(original) {
            *x = o + (*x - o) * BETA;
        }
    }
}

/// One step of one picture toward the hyperplane on which, to first order, label and target are equally likely.
fn step_to_boundary(norm: Norm, current: &mut [f32], original: &[f32], w: &[f32], gap: f32) {
    let apart = current.iter().zip(original).zip(w);
    let apart: f64 = apart.map(|((x, o), w)| f64::from((o - x) * w)).sum();
    let near = projection(norm, current, w, gap);
    let from_original = projection(norm, original, w, gap + apart as f32);
    let [a, b] =
        [&near, &from_original].map(|change| norm.length_of(change.iter().copied()).max(SHORTEST));
    let alpha = (a / (a + b)).min(MOST_ALPHA);
    for (at, x) in current.iter_mut().enumerate() {
        let ours = *x + ETA * near[at];
        let pulled = original[at] + ETA * from_original[at];
        *x = (ours * (1.0 - alpha) + pulled * alpha).clamp(0.0, 1.0);
    }
}
