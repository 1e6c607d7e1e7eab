//! Accuracy on a data set, clean and under attack; what masks and doubts are worth.

pub mod classes;
pub mod masks;
pub mod uncertainty;

use std::time::Instant;

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use serde::Serialize;

use crate::attack::{Attack, Norm};
use crate::data::Dataset;
use crate::model::{Classifier, tensor_values};

/// Pictures attacked at a time.
pub const BATCH: usize = 64;

/// What one attack did to one model over a data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Name of the model.
    pub model: String,
    /// The attack in words, or `clean`.
    pub attack: String,
    /// Picture count.
    pub pictures: usize,
    /// Share of pictures whose label is predicted after the attack.
    pub accuracy: f64,
    /// Share of pictures that the attack moved as it wanted, judged by a fresh look at the final
    /// picture: out of a class that was predicted right, or into the target.
    pub success: f64,
    /// Mean and largest L∞ norm of the perturbations.
    pub linf: [f32; 2],
    /// Mean and largest L2 norm of the perturbations.
    pub l2: [f32; 2],
    /// Whether every adversarial picture is inside [0, 1].
    pub inside_box: bool,
    /// Pictures a second.
    pub throughput: f64,
}

#[derive(Default)]
struct Sums {
    right: usize,
    moved: usize,
    candidates: usize,
    linf: Vec<f32>,
    l2: Vec<f32>,
    inside_box: bool,
}

/// Attacks every picture of `data` (or none, for the clean accuracy) and looks again.
///
/// `progress` is called with the number of finished pictures; returning `false` stops early, and
/// the report then covers the pictures so far.
pub fn evaluate(
    model: &Classifier,
    data: &Dataset,
    attack: Option<&Attack>,
    mut progress: impl FnMut(usize) -> bool,
) -> Report {
    let started = Instant::now();
    let mut sums = Sums {
        inside_box: true,
        ..Sums::default()
    };
    let mut pictures = 0;
    let indices: Vec<usize> = (0..data.len()).collect();
    for chunk in indices.chunks(BATCH) {
        batch(model, data, attack, chunk, &mut sums);
        pictures += chunk.len();
        if !progress(pictures) {
            break;
        }
    }
    let share = |part: usize, of: usize| {
        if of == 0 {
            0.0
        } else {
            part as f64 / of as f64
        }
    };
    Report {
        model: model.manifest().name.clone(),
        attack: attack.map_or_else(|| "clean".into(), Attack::to_string),
        pictures,
        accuracy: share(sums.right, pictures),
        success: share(sums.moved, sums.candidates),
        linf: mean_and_max(&sums.linf),
        l2: mean_and_max(&sums.l2),
        inside_box: sums.inside_box,
        throughput: pictures as f64 / started.elapsed().as_secs_f64(),
    }
}

/// The accuracy of [`evaluate`] alone.
pub fn accuracy(model: &Classifier, data: &Dataset, attack: Option<&Attack>) -> f64 {
    evaluate(model, data, attack, |_| true).accuracy
}

/// Softmax over the outputs for each picture `[n, 3, h, w]`.
pub fn probabilities(model: &Classifier, x: Tensor<4>) -> Vec<Vec<f32>> {
    let seen = see(model, x).into_iter();
    seen.map(|seen| seen.probabilities).collect()
}

/// What a model says of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The class with the largest logit.
    pub class: usize,
    /// Softmax over the outputs.
    pub probabilities: Vec<f32>,
}

/// What a model says of each picture `[n, 3, h, w]`.
pub fn see(model: &Classifier, x: Tensor<4>) -> Vec<Prediction> {
    seen_in(model.logits(x))
}

/// What logits `[n, k]` say.
pub fn seen_in(logits: Tensor<2>) -> Vec<Prediction> {
    let outputs = logits.dims()[1];
    let classes = largest(logits.clone());
    let values = tensor_values(softmax(logits, 1));
    let rows = values.chunks_exact(outputs);
    let seen = classes
        .into_iter()
        .zip(rows)
        .map(|(class, row)| Prediction {
            class,
            probabilities: row.to_vec(),
        });
    seen.collect()
}

/// What attacks did to pictures, by a fresh look at the final ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// What the model says of each.
    pub seen: Vec<Prediction>,
    /// L∞ norms of the perturbations.
    pub linf: Vec<f32>,
    /// L2 norms of the perturbations.
    pub l2: Vec<f32>,
}

/// Judges the `adversarial` pictures made of `x`, both `[n, 3, h, w]`.
pub fn judge(model: &Classifier, x: &Tensor<4>, adversarial: &Tensor<4>) -> Judged {
    let delta = adversarial.clone() - x.clone();
    Judged {
        seen: see(model, adversarial.clone()),
        linf: tensor_values(Norm::Linf.length(delta.clone())),
        l2: tensor_values(Norm::L2.length(delta)),
    }
}

/// The class with the largest logit of each picture `[n, 3, h, w]`.
pub fn predict(model: &Classifier, x: Tensor<4>) -> Vec<usize> {
    largest(model.logits(x))
}

fn largest(logits: Tensor<2>) -> Vec<usize> {
    let classes = logits.argmax(1).into_data().convert::<i32>();
    let classes = classes.try_into_vec::<i32>().expect("class numbers");
    classes.into_iter().map(|class| class as usize).collect()
}

/// The class with the highest probability.
pub fn top(probabilities: &[f32]) -> usize {
    let best = probabilities
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(class, _)| class)
}

/// The two classes with the highest probabilities; the same twice if there is but one.
pub fn top_two(probabilities: &[f32]) -> [usize; 2] {
    let first = top(probabilities);
    let others = probabilities.iter().enumerate();
    let others = others.filter(|(class, _)| *class != first);
    let second = others.max_by(|a, b| a.1.total_cmp(b.1));
    [first, second.map_or(first, |(class, _)| class)]
}

fn batch(
    model: &Classifier,
    data: &Dataset,
    attack: Option<&Attack>,
    chunk: &[usize],
    sums: &mut Sums,
) {
    let x = data.tensor(chunk, model.device());
    let labels: Vec<usize> = chunk.iter().map(|&index| data.labels[index]).collect();
    let clean = see(model, x.clone());
    let Some(attack) = attack else {
        let right = clean.iter().zip(&labels);
        sums.right += right.filter(|(seen, label)| seen.class == **label).count();
        return;
    };
    let numbers: Vec<u64> = chunk.iter().map(|&index| index as u64).collect();
    let adversarial = attack.run(model, &x, &labels, &numbers);
    let after = judge(model, &x, &adversarial);
    for ((before, after), &label) in clean.iter().zip(&after.seen).zip(&labels) {
        let reached = |seen: &Prediction| attack.goal.is_reached(label, seen.class);
        sums.right += usize::from(after.class == label);
        sums.candidates += usize::from(!reached(before));
        sums.moved += usize::from(!reached(before) && reached(after));
    }
    sums.inside_box &= inside_box(&adversarial);
    sums.linf.extend(after.linf);
    sums.l2.extend(after.l2);
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
