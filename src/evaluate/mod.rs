//! Accuracy on a data set, clean and under attack; what masks and doubts are worth.

pub mod classes;
pub mod masks;
pub mod uncertainty;

use std::time::Instant;

use burn::tensor::{Tensor, activation::softmax};
use serde::Serialize;

use crate::attack::{Attack, Goal};
use crate::data::Dataset;
use crate::descent::Norm;
use crate::model::{Classifier, tensor_values};

/// Pictures attacked at a time.
const BATCH: usize = 64;

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
    let values = tensor_values(softmax(model.logits(x), 1));
    let rows = values.chunks_exact(model.classes());
    rows.map(<[f32]>::to_vec).collect()
}

/// The class with the largest logit of each picture `[n, 3, h, w]`.
pub fn predict(model: &Classifier, x: Tensor<4>) -> Vec<usize> {
    let classes = model.logits(x).argmax(1).into_data().convert::<i32>();
    let classes = classes.try_into_vec::<i32>().expect("class numbers");
    classes.into_iter().map(|class| class as usize).collect()
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
    let clean = predict(model, x.clone());
    let Some(attack) = attack else {
        sums.right += clean
            .iter()
            .zip(&labels)
            .filter(|(found, label)| found == label)
            .count();
        return;
    };
    let numbers: Vec<u64> = chunk.iter().map(|&index| index as u64).collect();
    let adversarial = attack.run(model, &x, &labels, &numbers);
    let after = predict(model, adversarial.clone());
    for ((&before, &after), &label) in clean.iter().zip(&after).zip(&labels) {
        sums.right += usize::from(after == label);
        let (candidate, moved) = match attack.goal {
            Goal::Untargeted => (before == label, after != label),
            Goal::Targeted(class) => (before != class, after == class),
        };
        sums.candidates += usize::from(candidate);
        sums.moved += usize::from(candidate && moved);
    }
    sums.inside_box &= inside_box(&adversarial);
    let delta = adversarial - x;
    sums.linf
        .extend(tensor_values(Norm::Linf.length(delta.clone())));
    sums.l2.extend(tensor_values(Norm::L2.length(delta)));
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
