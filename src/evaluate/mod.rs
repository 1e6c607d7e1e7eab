//! Evaluation: predictions, clean and robust accuracy on a data set, calibration, mask overlap.

mod auto;
pub mod classes;
pub mod masks;
mod strength;
pub mod uncertainty;

pub use auto::{evaluate_auto, warnings_of_logits, warnings_of_outcomes};
pub use strength::warning_of_strength;

use std::time::Instant;

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use serde::Serialize;

use crate::attack::{Attack, AutoPart, Goal, Norm};
use crate::data::{Corruption, Dataset};
use crate::model::{Classifier, predicted_classes, tensor_values};

/// Batch size of attacks.
pub const BATCH: usize = 64;

/// Accuracy of a model on a data set, clean or under one attack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AccuracyReport {
    /// Display name of the model.
    pub model: String,
    /// The attack in words, or `clean`.
    pub attack: String,
    /// What was done to the pictures before the attack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corruption: Option<Corruption>,
    /// Number of pictures.
    pub pictures: usize,
    /// Share of pictures predicted as their label after the attack, in [0, 1].
    pub accuracy: f64,
    /// Of a sequence of attacks, the accuracy after each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<(AutoPart, f64)>,
    /// What speaks against trusting the accuracy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Attack success rate in [0, 1], by a new forward pass on the final pictures: among the pictures that
    /// did not satisfy the attack's goal before, the share that does afterwards.
    pub success: f64,
    /// Mean and largest L∞ norm of the perturbations.
    pub linf: [f32; 2],
    /// Mean and largest L2 norm of the perturbations.
    pub l2: [f32; 2],
    /// Whether every adversarial picture is inside [0, 1].
    pub inside_box: bool,
    /// Pictures per second.
    pub throughput: f64,
    /// Whether each picture was classified right under the attack; empty for clean accuracy.
    #[serde(skip)]
    pub held: Vec<bool>,
}

/// Counts and lengths over all batches.
struct Totals {
    started: Instant,
    pictures: usize,
    right: usize,
    moved: usize,
    candidates: usize,
    linf: Vec<f32>,
    l2: Vec<f32>,
    inside_box: bool,
    held: Vec<bool>,
}

impl Totals {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            pictures: 0,
            right: 0,
            moved: 0,
            candidates: 0,
            linf: Vec::new(),
            l2: Vec::new(),
            inside_box: true,
            held: Vec::new(),
        }
    }

    /// Counts a batch without an attack: the predicted classes of pictures of the classes `labels`.
    fn add_clean(&mut self, predicted: &[usize], labels: &[usize]) {
        let right = predicted.iter().zip(labels);
        self.right += right.filter(|(class, label)| class == label).count();
        self.pictures += labels.len();
    }

    /// Counts a batch: the `adversarial` pictures of `x`, whose predicted classes were `before` and whose attack has
    /// this `goal`.
    fn add_attacked(
        &mut self,
        model: &Classifier,
        (x, adversarial): (&Tensor<4>, &Tensor<4>),
        before: &[usize],
        labels: &[usize],
        goal: Goal,
    ) {
        let after = evaluate_attack(model, x, adversarial);
        for ((&before, after), &label) in before.iter().zip(&after.predictions).zip(labels) {
            let reached_before = goal.is_reached(label, before);
            self.right += usize::from(after.class == label);
            self.held.push(after.class == label);
            self.candidates += usize::from(!reached_before);
            self.moved += usize::from(!reached_before && goal.is_reached(label, after.class));
        }
        self.inside_box &= inside_box(adversarial);
        self.linf.extend(after.linf);
        self.l2.extend(after.l2);
        self.pictures += labels.len();
    }

    /// The report on the batches so far.
    fn report(&self, model: &Classifier, attack: String) -> AccuracyReport {
        AccuracyReport {
            model: model.manifest().name.clone(),
            attack,
            corruption: None,
            pictures: self.pictures,
            accuracy: share(self.right, self.pictures),
            parts: Vec::new(),
            warnings: Vec::new(),
            success: share(self.moved, self.candidates),
            linf: mean_and_max(&self.linf),
            l2: mean_and_max(&self.l2),
            inside_box: self.inside_box,
            throughput: self.pictures as f64 / self.started.elapsed().as_secs_f64(),
            held: self.held.clone(),
        }
    }
}

/// A part of a whole; 0 of nothing.
fn share(part: usize, of: usize) -> f64 {
    if of == 0 {
        0.0
    } else {
        part as f64 / of as f64
    }
}

/// A batch of a data set: its pictures, their labels and the ids of their random numbers.
fn batch(data: &Dataset, chunk: &[usize], model: &Classifier) -> (Tensor<4>, Vec<usize>, Vec<u64>) {
    (
        data.tensor(chunk, model.device()),
        chunk.iter().map(|&index| data.labels[index]).collect(),
        chunk.iter().map(|&index| data.noise_ids[index]).collect(),
    )
}

/// Evaluates a model on every picture of `data`, attacked, or clean without an `attack`.
///
/// `progress` is called with the number of finished pictures; returning `false` stops early, and
/// the report then covers the pictures so far.
pub fn evaluate(
    model: &Classifier,
    data: &Dataset,
    attack: Option<&Attack>,
    mut progress: impl FnMut(usize) -> bool,
) -> AccuracyReport {
    let mut totals = Totals::new();
    let indices: Vec<usize> = (0..data.len()).collect();
    for chunk in indices.chunks(BATCH) {
        let (x, labels, noise_ids) = batch(data, chunk, model);
        let clean = predictions(model, x.clone()).into_iter();
        let clean: Vec<usize> = clean.map(|prediction| prediction.class).collect();
        match attack {
            None => totals.add_clean(&clean, &labels),
            Some(attack) => {
                let adversarial = attack.run(model, &x, &labels, &noise_ids);
                let pictures = (&x, &adversarial);
                totals.add_attacked(model, pictures, &clean, &labels, attack.goal);
            }
        }
        if !progress(totals.pictures) {
            break;
        }
    }
    let attack = attack.map_or_else(|| "clean".into(), Attack::to_string);
    totals.report(model, attack)
}

/// Only the accuracy of [`evaluate`].
pub fn accuracy(model: &Classifier, data: &Dataset, attack: Option<&Attack>) -> f64 {
    evaluate(model, data, attack, |_| true).accuracy
}

/// Softmax probabilities for pictures `[n, 3, h, w]`.
pub fn probabilities(model: &Classifier, x: Tensor<4>) -> Vec<Vec<f32>> {
    let predicted = predictions(model, x).into_iter();
    predicted
        .map(|prediction| prediction.probabilities)
        .collect()
}

/// Predicted class and probabilities of one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Index of the class with the largest logit.
    pub class: usize,
    /// Softmax over all outputs.
    pub probabilities: Vec<f32>,
}

/// Predictions for pictures `[n, 3, h, w]`.
pub fn predictions(model: &Classifier, x: Tensor<4>) -> Vec<Prediction> {
    predictions_from_logits(model.logits(x))
}

/// Predictions from logits `[n, k]`.
pub fn predictions_from_logits(logits: Tensor<2>) -> Vec<Prediction> {
    let outputs = logits.dims()[1];
    let classes = predicted_classes(logits.clone());
    let values = tensor_values(softmax(logits, 1));
    let rows = values.chunks_exact(outputs);
    let predictions = classes
        .into_iter()
        .zip(rows)
        .map(|(class, row)| Prediction {
            class,
            probabilities: row.to_vec(),
        });
    predictions.collect()
}

/// Result of attacks on a batch, from a new forward pass on the adversarial pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct AttackEvaluation {
    /// Prediction for each adversarial picture.
    pub predictions: Vec<Prediction>,
    /// L∞ norms of the perturbations.
    pub linf: Vec<f32>,
    /// L2 norms of the perturbations.
    pub l2: Vec<f32>,
}

/// Evaluates the `adversarial` pictures made from `x`, both `[n, 3, h, w]`.
pub fn evaluate_attack(
    model: &Classifier,
    x: &Tensor<4>,
    adversarial: &Tensor<4>,
) -> AttackEvaluation {
    let delta = adversarial.clone() - x.clone();
    AttackEvaluation {
        predictions: predictions(model, adversarial.clone()),
        linf: tensor_values(Norm::Linf.length(delta.clone())),
        l2: tensor_values(Norm::L2.length(delta) / Norm::L2.channel_scale(model.manifest())),
    }
}

/// Predicted classes of pictures `[n, 3, h, w]`.
pub fn predict(model: &Classifier, x: Tensor<4>) -> Vec<usize> {
    predicted_classes(model.logits(x))
}

/// Index of the most probable class.
pub fn top(probabilities: &[f32]) -> usize {
    let best = probabilities
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(class, _)| class)
}

/// Indices of the two most probable classes; the same twice if there is only one class.
pub fn top_two(probabilities: &[f32]) -> [usize; 2] {
    let first = top(probabilities);
    let others = probabilities.iter().enumerate();
    let others = others.filter(|(class, _)| *class != first);
    let second = others.max_by(|a, b| a.1.total_cmp(b.1));
    [first, second.map_or(first, |(class, _)| class)]
}

/// Whether every value lies in [0, 1].
pub fn inside_box(x: &Tensor<4>) -> bool {
    let lowest: f32 = x.clone().min().into_scalar();
    let highest: f32 = x.clone().max().into_scalar();
    lowest >= 0.0 && highest <= 1.0
}

fn mean_and_max(values: &[f32]) -> [f32; 2] {
    let sum: f32 = values.iter().sum();
    let most = values.iter().copied().fold(0.0, f32::max);
    [sum / values.len().max(1) as f32, most]
}
