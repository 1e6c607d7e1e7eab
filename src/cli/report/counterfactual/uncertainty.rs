//! Robust accuracy of all classifiers, and the discriminator's “fake” output as uncertainty score: AUROC,
//! rejection, calibration.

use super::table::ReportTable;
use super::test_set::{BATCH, TestSet};
use crate::attack::{Attack, Norm};
use crate::evaluate::classes::Confusion;
use crate::evaluate::top;
use crate::evaluate::uncertainty::{
    accuracy_after_rejection, auroc, calibration_error, reliability,
};
use crate::model::{Classifier, tensor_values};

/// Gradient steps of every attack; step 2.5·ε/steps, random start.
const STEPS: usize = 20;

fn attacks() -> Vec<(String, Attack)> {
    let linf = [1, 2, 4, 8].map(|level| {
        let attack = Attack::pgd(Norm::Linf, level as f32 / 255.0, STEPS);
        (format!("L∞ {level}/255"), attack)
    });
    let l2 = [0.25, 0.5, 1.0].map(|epsilon| {
        let attack = Attack::pgd(Norm::L2, epsilon, STEPS);
        (format!("L2 {epsilon}"), attack)
    });
    linf.into_iter().chain(l2).collect()
}

/// Robust accuracy and macro F1 of all classifiers under PGD, on `limit` pictures.
pub fn resilience(test_set: &TestSet, limit: usize) -> [ReportTable; 2] {
    let attacks = attacks();
    let names: Vec<&str> = ["clean"]
        .into_iter()
        .chain(attacks.iter().map(|(name, _)| name.as_str()))
        .collect();
    let note = "PGD, 20 steps of 2.5·ε/20, random start, per-picture best; every classifier is attacked itself. The discriminator is attacked and evaluated without its “fake” output.";
    let mut accuracy = ReportTable::new("Accuracy under attack", note, &names);
    let mut f1 = ReportTable::new("Macro F1 under attack", note, &names);
    let chosen = some(test_set, limit);
    let labels: Vec<usize> = chosen
        .iter()
        .map(|&index| test_set.data.labels[index])
        .collect();
    let pictures: Vec<Vec<f32>> = chosen
        .iter()
        .map(|&at| test_set.data.unit_planes(at))
        .collect();
    for (name, model) in test_set.classifiers() {
        let judge = |pictures: &[Vec<f32>]| {
            let seen = test_set.probabilities(model, pictures);
            let found: Vec<usize> = seen.iter().map(|seen| top(seen)).collect();
            Confusion::of(&labels, &found, test_set.model.classes())
        };
        let mut results = vec![judge(&pictures)];
        for (_, attack) in &attacks {
            results.push(judge(&attacked(test_set, model, attack, &chosen)));
        }
        accuracy.push(name, results.iter().map(|result| Some(result.accuracy())));
        f1.push(name, results.iter().map(|result| Some(result.macro_f1())));
    }
    [accuracy, f1]
}

/// A sentence on whether the discriminator is more robust than the ordinary classifier.
pub fn verdict(accuracy: &[ReportTable]) -> String {
    let mean = |name: &str, column: usize| {
        let value = |table: &ReportTable| {
            let row = table.rows.iter().find(|(of, _)| of == name)?;
            row.1.get(column).copied().flatten()
        };
        let values: Vec<f64> = accuracy.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let attacks = 1..accuracy.first().map_or(1, |table| table.columns.len());
    let pair = |at: usize| {
        Some((
            mean("discriminator D", at)?,
            mean("ordinary classifier", at)?,
        ))
    };
    let pairs: Vec<(f64, f64)> = attacks.filter_map(pair).collect();
    let better = pairs
        .iter()
        .filter(|(discriminator, ordinary)| discriminator > ordinary);
    match (better.count(), pairs.len()) {
        (_, 0) => {
            "There is no ordinary classifier to compare the discriminator's robustness with.".into()
        }
        (better, all) => format!(
            "Under {better} of {all} attacks the discriminator is right more often than an ordinary classifier{}",
            if 2 * better > all {
                "."
            } else {
                ": it is not more robust."
            }
        ),
    }
}

/// Evenly spaced indices of the set.
fn some(test_set: &TestSet, limit: usize) -> Vec<usize> {
    let (all, count) = (test_set.data.len(), limit.min(test_set.data.len()));
    (0..count).map(|index| index * all / count).collect()
}

fn attacked(
    test_set: &TestSet,
    model: &Classifier,
    attack: &Attack,
    chosen: &[usize],
) -> Vec<Vec<f32>> {
    let mut pictures = Vec::new();
    for chunk in chosen.chunks(BATCH) {
        let x = test_set.data.tensor(chunk, model.device());
        let labels: Vec<usize> = chunk
            .iter()
            .map(|&index| test_set.data.labels[index])
            .collect();
        let numbers: Vec<u64> = chunk.iter().map(|&index| index as u64).collect();
        let values = tensor_values(attack.run(model, &x, &labels, &numbers));
        let each = values.chunks_exact(values.len() / chunk.len());
        pictures.extend(each.map(<[f32]>::to_vec));
    }
    pictures
}

/// Predictions of a classifier with two uncertainty scores.
struct Answers {
    right: Vec<bool>,
    fakeness: Vec<f32>,
    /// 1 − max-softmax, computed as the sum of the other probabilities.
    unsure: Vec<f32>,
}

fn answers(test_set: &TestSet, pictures: &[Vec<f32>], labels: &[usize]) -> Answers {
    let fake = test_set.model.classes();
    let seen = test_set.probabilities(&test_set.model.discriminator, pictures);
    let classes = test_set.probabilities(&test_set.discriminator, pictures);
    // 1 − p would lose small values to cancellation in single precision.
    let others = |seen: &Vec<f32>| {
        let largest = top(seen);
        let others = seen
            .iter()
            .enumerate()
            .filter(|(class, _)| *class != largest);
        others.map(|(_, value)| value).sum::<f32>()
    };
    Answers {
        right: classes
            .iter()
            .zip(labels)
            .map(|(seen, &label)| top(seen) == label)
            .collect(),
        fakeness: seen.iter().map(|seen| seen[fake]).collect(),
        unsure: classes.iter().map(others).collect(),
    }
}

/// Share of rejected pictures in each column of the rejection table.
const REJECTED: [f64; 6] = [0.0, 0.05, 0.1, 0.2, 0.3, 0.5];

/// Tables of fakeness as uncertainty score, compared with 1 − max-softmax.
pub fn uncertainty(test_set: &TestSet, limit: usize) -> Vec<ReportTable> {
    let clean = answers(test_set, &test_set.pictures(), &test_set.data.labels);
    let fewer = some(test_set, limit);
    let labels: Vec<usize> = fewer
        .iter()
        .map(|&index| test_set.data.labels[index])
        .collect();
    let threats = [
        (
            "attacked, L∞ 2/255",
            Attack::pgd(Norm::Linf, 2.0 / 255.0, STEPS),
        ),
        (
            "attacked, L∞ 8/255",
            Attack::pgd(Norm::Linf, 8.0 / 255.0, STEPS),
        ),
        ("attacked, L2 0.5", Attack::pgd(Norm::L2, 0.5, STEPS)),
    ];
    let attacked = threats.map(|(name, attack)| {
        let pictures = attacked(test_set, &test_set.discriminator, &attack, &fewer);
        (name, answers(test_set, &pictures, &labels))
    });
    let errors = clean.right.iter().filter(|right| !**right).count();
    tracing::info!("{errors} errors on clean pictures");
    let columns: Vec<&str> = ["errors on clean pictures"]
        .into_iter()
        .chain(attacked.iter().map(|(name, _)| *name))
        .collect();
    let note = "AUROC: how often an error (an attacked picture) gets a higher score than a correct prediction (a clean picture). The attack does not take the score into account.";
    let mut detection = ReportTable::new("Detecting errors and attacks", note, &columns);
    let note = "Accuracy of the discriminator on clean test pictures after the share with the highest score is rejected.";
    let shares: Vec<String> = REJECTED
        .iter()
        .map(|share| format!("{:.0} %", share * 100.0))
        .collect();
    let shares: Vec<&str> = shares.iter().map(String::as_str).collect();
    let mut rejection = ReportTable::new("Accuracy against rejection", note, &shares);
    type Score = fn(&Answers) -> &Vec<f32>;
    let scores: [(&str, Score); 2] = [
        ("fakeness", |answers| &answers.fakeness),
        ("1 − max-softmax", |answers| &answers.unsure),
    ];
    for (name, score) in scores {
        let part = |wanted: bool| -> Vec<f32> {
            let pairs = score(&clean).iter().zip(&clean.right);
            pairs
                .filter(|(_, right)| **right == wanted)
                .map(|(score, _)| *score)
                .collect()
        };
        let of_errors = auroc(&part(false), &part(true));
        let of_attacks = attacked
            .iter()
            .map(|(_, answers)| auroc(score(answers), score(&clean)));
        detection.push(name, [of_errors].into_iter().chain(of_attacks));
        let accuracies = REJECTED
            .map(|share| Some(accuracy_after_rejection(score(&clean), &clean.right, share)));
        rejection.push(name, accuracies);
    }
    vec![detection, rejection, calibration(test_set)]
}

/// A reliability diagram as a table.
fn calibration(test_set: &TestSet) -> ReportTable {
    const BINS: usize = 10;
    let bins: Vec<String> = (0..BINS)
        .map(|bin| {
            format!(
                "confidence {:.1}–{:.1}",
                bin as f64 / BINS as f64,
                (bin + 1) as f64 / BINS as f64
            )
        })
        .collect();
    let columns: Vec<&str> = ["expected calibration error"]
        .into_iter()
        .chain(bins.iter().map(String::as_str))
        .collect();
    let note =
        "Accuracy by confidence (the largest probability): a reliability diagram in numbers.";
    let mut table = ReportTable::new("Reliability", note, &columns);
    let pictures = test_set.pictures();
    for (name, model) in test_set.classifiers() {
        let seen = test_set.probabilities(model, &pictures);
        let confidences: Vec<f32> = seen
            .iter()
            .map(|seen| seen.iter().copied().fold(0.0, f32::max))
            .collect();
        let right = seen.iter().zip(&test_set.data.labels);
        let right: Vec<bool> = right.map(|(seen, &label)| top(seen) == label).collect();
        let bins = reliability(&confidences, &right, BINS);
        let accuracies = bins
            .iter()
            .map(|bin| (bin.count > 0).then_some(bin.accuracy));
        let row = [Some(calibration_error(&bins))]
            .into_iter()
            .chain(accuracies);
        table.push(name, row.collect::<Vec<_>>());
    }
    table
}
