//! DeepFool (Moosavi-Dezfooli et al. 2016, algorithm 2 and section 3.3): the smallest perturbation to the nearest of the
//! boundaries of a network that is taken to be linear, again and again.

use burn::tensor::{Device, Tensor, TensorData};

use super::losses::{picked, ranked};
use crate::attack::{AttackMask, Norm};
use crate::model::{Classifier, predicted_classes, tensor_values};

/// The perturbation is longer by this share than to the boundary, so that the class does change.
const OVERSHOOT: f32 = 0.02;
/// Classes that are compared, the predicted one with them.
const CLASSES: usize = 10;
/// Steps, each of one gradient for every other class.
const STEPS: usize = 50;

/// What DeepFool attacks and how.
pub struct DeepFool<'a> {
    /// The classifier.
    pub model: &'a Classifier,
    /// L∞ or L2.
    pub norm: Norm,
    /// The pixels that may change, if not all.
    pub mask: Option<AttackMask>,
}

/// DeepFool on a batch, a gradient at a time.
pub struct DeepFoolRun {
    norm: Norm,
    mask: Option<AttackMask>,
    shape: [usize; 4],
    labels: Vec<usize>,
    /// The likeliest classes of each picture, its label first.
    classes: Vec<Vec<usize>>,
    original: Vec<f32>,
    current: Vec<f32>,
    /// The sum of all steps, without overshoot.
    change: Vec<f32>,
    /// The shortest step of each picture to one of the boundaries compared so far, with its length.
    nearest: Vec<(f32, Vec<f32>)>,
    /// Place of the class that is compared next.
    rank: usize,
    done: usize,
    fooled: Vec<bool>,
}

impl DeepFool<'_> {
    /// Prepares the search around `x` (`[n, 3, h, w]`, classes `labels`).
    pub fn begin(&self, x: &Tensor<4>, labels: &[usize]) -> DeepFoolRun {
        let original = tensor_values(x.clone());
        let likeliest = |(order, &label): (Vec<usize>, &usize)| {
            let others = order.into_iter().filter(|&class| class != label);
            std::iter::once(label).chain(others).take(CLASSES).collect()
        };
        let ranked = ranked(&self.model.logits(x.clone()));
        let mut run = DeepFoolRun {
            norm: self.norm,
            mask: self.mask.clone(),
            shape: x.dims(),
            classes: ranked.into_iter().zip(labels).map(likeliest).collect(),
            labels: labels.to_vec(),
            current: original.clone(),
            change: vec![0.0; original.len()],
            original,
            nearest: Vec::new(),
            rank: 1,
            done: 0,
            fooled: vec![false; labels.len()],
        };
        run.forget_nearest();
        run
    }
}

impl DeepFoolRun {
    /// Compares one more class of each picture; `false`, and no step, once all pictures are misclassified or all steps
    /// are done.
    pub fn step(&mut self, model: &Classifier) -> bool {
        if self.done == STEPS || !self.fooled.contains(&false) {
            return false;
        }
        let compared = self.classes.first().map_or(0, Vec::len);
        if self.rank < compared {
            self.compare(model);
            self.rank += 1;
        }
        if self.rank >= compared {
            self.take_step(model);
            self.rank = 1;
            self.done += 1;
        }
        true
    }

    /// Share of the work that is done, in [0, 1]; it may end early.
    pub fn progress(&self) -> f32 {
        self.done as f32 / STEPS as f32
    }

    /// The misclassified pictures with their distances; where there is none, the last iterate and an infinite distance.
    pub fn finish(self, device: &Device) -> (Tensor<4>, Vec<f32>) {
        let length = self.length();
        let pairs = self
            .current
            .chunks_exact(length)
            .zip(self.original.chunks_exact(length));
        let distances = pairs
            .zip(&self.fooled)
            .map(|((x, o), fooled)| match fooled {
                true => self.norm.length_of(x.iter().zip(o).map(|(x, o)| x - o)),
                false => f32::INFINITY,
            });
        let distances = distances.collect();
        (self.tensor(device), distances)
    }

    /// Values of a picture.
    fn length(&self) -> usize {
        self.shape[1..].iter().product()
    }

    fn tensor(&self, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.current.clone(), self.shape), device)
    }

    fn forget_nearest(&mut self) {
        self.nearest = vec![(f32::INFINITY, Vec::new()); self.labels.len()];
    }

    /// The step of each picture to the boundary with its class of the rank, where that is the nearest so far.
    fn compare(&mut self, model: &Classifier) {
        let others: Vec<usize> = self.classes.iter().map(|order| order[self.rank]).collect();
        let (gaps, gradients) = model.gradient(&self.tensor(model.device()), &|features| {
            let logits = model.logits_of(features);
            picked(&logits, &others) - picked(&logits, &self.labels)
        });
        let (gaps, mut gradients) = (tensor_values(gaps), tensor_values(gradients));
        if let Some(mask) = &self.mask {
            mask.constrain(&mut gradients);
        }
        let each = gradients.chunks_exact(self.length()).zip(gaps);
        for ((gradient, gap), nearest) in each.zip(&mut self.nearest) {
            let (distance, step) = to_boundary(self.norm, gradient, gap);
            if distance < nearest.0 {
                *nearest = (distance, step);
            }
        }
    }

    /// Moves the pictures that are not misclassified yet.
    fn take_step(&mut self, model: &Classifier) {
        let length = self.length();
        for (picture, (_, step)) in self.nearest.iter().enumerate() {
            if self.fooled[picture] || step.is_empty() {
                continue;
            }
            let at = picture * length..(picture + 1) * length;
            let change = &mut self.change[at.clone()];
            change
                .iter_mut()
                .zip(step)
                .for_each(|(sum, step)| *sum += step);
            let values = self.original[at.clone()].iter().zip(change);
            for (x, (original, change)) in self.current[at].iter_mut().zip(values) {
                *x = (original + (1.0 + OVERSHOOT) * *change).clamp(0.0, 1.0);
            }
        }
        self.forget_nearest();
        let found = predicted_classes(model.logits(self.tensor(model.device())));
        for ((fooled, class), label) in self.fooled.iter_mut().zip(found).zip(&self.labels) {
            *fooled |= class != *label;
        }
    }
}

/// The distance to the hyperplane on which, to first order, a gap of logits vanishes, and the shortest step there; an
/// infinite distance where the gradient is zero or not finite.
fn to_boundary(norm: Norm, gradient: &[f32], gap: f32) -> (f32, Vec<f32>) {
    // Beyond the boundary already, which cannot be while the label is predicted, the step is the least one.
    let gap = (-gap).max(0.0) + 1e-4;
    let (distance, scale): (f32, f32) = match norm {
        Norm::Linf => {
            let sum: f32 = gradient.iter().map(|value| value.abs()).sum();
            (gap / sum, gap / sum)
        }
        _ => {
            let squares: f32 = gradient.iter().map(|value| value * value).sum();
            (gap / squares.sqrt(), gap / squares)
        }
    };
    if !(distance.is_finite() && scale.is_finite()) {
        return (f32::INFINITY, Vec::new());
    }
    let step = gradient.iter().map(|&value| match norm {
        Norm::Linf if value == 0.0 => 0.0,
        Norm::Linf => scale * value.signum(),
        _ => scale * value,
    });
    (distance, step.collect())
}
