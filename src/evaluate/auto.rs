//! Accuracy under AutoAttack, and what speaks against trusting it.

use burn::tensor::Tensor;

use super::{AccuracyReport, BATCH, Totals, batch, share};
use crate::attack::auto::PartOutcome;
use crate::attack::{AutoAttack, AutoPart, Goal};
use crate::data::Dataset;
use crate::model::{Classifier, tensor_values};

/// Largest difference of logits between two calls that still counts as the same.
const SAME_LOGITS: f32 = 1e-4;
/// Largest distance of probabilities' sum from 1.
const SUMS_TO_ONE: f32 = 1e-5;

/// Counts of one attack of the sequence.
#[derive(Clone, Copy, Default)]
struct Counts {
    fooled: usize,
    attacked: usize,
    without_gradient: usize,
}

/// Evaluates a model on every picture of `data` under a sequence of attacks; see [`super::evaluate`].
pub fn evaluate_auto(
    model: &Classifier,
    data: &Dataset,
    attack: &AutoAttack,
    mut progress: impl FnMut(usize) -> bool,
) -> AccuracyReport {
    let parts = attack.parts_for(model.classes());
    let mut counts = vec![Counts::default(); parts.len()];
    let mut totals = Totals::new();
    let mut clean = 0;
    let mut warnings = Vec::new();
    let indices: Vec<usize> = (0..data.len()).collect();
    for chunk in indices.chunks(BATCH) {
        let (x, labels, noise_ids) = batch(data, chunk, model);
        if totals.pictures == 0 {
            warnings.extend(warnings_of_logits(model, &x));
        }
        let outcome = attack.run(model, &x, &labels, &noise_ids);
        // The parts that ran are the first of all.
        for (counts, part) in counts.iter_mut().zip(&outcome.parts) {
            counts.fooled += part.fooled.len();
            counts.attacked += part.attacked.len();
            counts.without_gradient += part.without_gradient.len();
        }
        let before = outcome.clean.iter().zip(&labels);
        clean += before.filter(|(class, label)| class == label).count();
        let pictures = (&x, &outcome.pictures);
        totals.add_attacked(model, pictures, &outcome.clean, &labels, Goal::Untargeted);
        if !progress(totals.pictures) {
            break;
        }
    }
    warnings.extend(warnings_of_parts(&parts, &counts));
    let mut left = clean;
    let after = parts.iter().zip(&counts).map(|(part, counts)| {
        left -= counts.fooled;
        (*part, share(left, totals.pictures))
    });
    AccuracyReport {
        parts: after.collect(),
        warnings,
        ..totals.report(model, attack.to_string())
    }
}

/// What a model's answers themselves say against gradient attacks on it, as in the authors' checks: that they change
/// from call to call, or are probabilities already.
pub fn warnings_of_logits(model: &Classifier, x: &Tensor<4>) -> Vec<String> {
    let [first, second] = [(); 2].map(|()| tensor_values(model.logits(x.clone())));
    let mut warnings = Vec::new();
    let same = |(a, b): (&f32, &f32)| (a - b).abs() <= SAME_LOGITS;
    if !first.iter().zip(&second).all(same) {
        warnings.push(
            "the model answers differently when asked again, or not with numbers: an attack has to average over many answers, which this one does not".into(),
        );
    }
    let is_distribution = |row: &[f32]| {
        let within = row.iter().all(|value| (0.0..=1.0).contains(value));
        within && (row.iter().sum::<f32>() - 1.0).abs() < SUMS_TO_ONE
    };
    if first.chunks_exact(model.classes()).all(is_distribution) {
        warnings.push(
            "the model's outputs are probabilities, not logits: gradients vanish where it is sure, and figures under attack are too good".into(),
        );
    }
    warnings
}

/// What the outcomes of attacks on one batch say; see the authors' checks.
pub fn warnings_of_outcomes(outcomes: &[PartOutcome]) -> Vec<String> {
    let parts: Vec<AutoPart> = outcomes.iter().map(|outcome| outcome.part).collect();
    let counts = outcomes.iter().map(|outcome| Counts {
        fooled: outcome.fooled.len(),
        attacked: outcome.attacked.len(),
        without_gradient: outcome.without_gradient.len(),
    });
    warnings_of_parts(&parts, &counts.collect::<Vec<_>>())
}

/// What the attacks' outcomes say: pictures without a gradient, and the search without gradients beating those with.
fn warnings_of_parts(parts: &[AutoPart], counts: &[Counts]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (part, counts) in parts.iter().zip(counts) {
        if counts.without_gradient > 0 {
            warnings.push(format!(
                "{part} found no gradient, zero or not finite, at {} of {} pictures: the model may mask its gradients",
                counts.without_gradient, counts.attacked
            ));
        }
    }
    let square = parts.iter().position(|part| *part == AutoPart::Square);
    if let Some(square) = square.filter(|&square| square > 0 && counts[square].fooled > 0) {
        warnings.push(format!(
            "Square, which uses no gradient, fooled {} of {} pictures that withstood the attacks by gradients: the model may mask its gradients",
            counts[square].fooled, counts[square].attacked
        ));
    }
    warnings
}
