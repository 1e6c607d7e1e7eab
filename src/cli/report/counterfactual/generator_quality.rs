//! Quality of the generator: flip rates, distances and cycle consistency of counterfactuals, faithfulness
//! of the mask.

use super::table::ReportTable;
use super::test_set::TestSet;
use crate::counterfactual::otsu;
use crate::evaluate::classes::Confusion;
use crate::evaluate::top;
use crate::model::tensor_values;
use crate::synthesis::distances;

/// Clean accuracy of all classifiers.
pub fn classification(test_set: &TestSet) -> ReportTable {
    let columns = ["balanced accuracy", "accuracy", "macro F1"];
    let mut table = ReportTable::new("Classification of clean test pictures", "", &columns);
    let pictures = test_set.pictures();
    for (name, model) in test_set.classifiers() {
        let found = test_set.probabilities(model, &pictures);
        let found: Vec<usize> = found.iter().map(|seen| top(seen)).collect();
        let confusion = Confusion::of(&test_set.data.labels, &found, test_set.model.classes());
        table.push(
            name,
            [
                confusion.balanced_accuracy(),
                confusion.accuracy(),
                confusion.macro_f1(),
            ]
            .map(Some),
        );
    }
    table
}

/// Flip rate, distances, fakeness and cycle consistency, by the true class.
pub fn counterfactuals(test_set: &TestSet) -> ReportTable {
    let classes = test_set.data.classes.clone();
    let columns: Vec<&str> = classes.iter().map(String::as_str).chain(["all"]).collect();
    let note = "Counterfactuals of every test picture for the next class. A counterfactual flips the discriminator if the target class, and not “fake”, is predicted. Perceptual: distance in the features of the discriminator.";
    let mut table = ReportTable::new("Counterfactuals, by true class", note, &columns);
    let pictures = test_set.pictures();
    let before = test_set.probabilities(&test_set.model.discriminator, &pictures);
    let after = test_set.probabilities(&test_set.model.discriminator, &test_set.made);
    let fake = test_set.model.classes();
    let size = test_set.data.size;
    let back = returns(test_set);
    let mut measures: Vec<(String, Vec<Option<f64>>)> = Vec::new();
    let some = |measure: &dyn Fn(usize) -> Option<f32>| -> Vec<Option<f64>> {
        let indices = 0..test_set.data.len();
        indices.map(|index| measure(index).map(f64::from)).collect()
    };
    let each = |measure: &dyn Fn(usize) -> f32| some(&|index| Some(measure(index)));
    let is_target =
        |seen: &[f32], index: usize| f32::from(u8::from(top(seen) == test_set.target(index)));
    let recognised = |index: usize| top(&before[index]) == test_set.data.labels[index];
    let flipped = |index: usize| is_target(&after[index], index);
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    let masked = |index: usize| {
        let threshold = otsu(&test_set.changes[index]);
        let inside = test_set.changes[index]
            .iter()
            .filter(|&&value| value > threshold);
        inside.count() as f32 / test_set.changes[index].len() as f32
    };
    let touched = |index: usize| {
        let changed = test_set.changes[index]
            .iter()
            .filter(|&&value| value > 4.0 / 255.0);
        changed.count() as f32 / test_set.changes[index].len() as f32
    };
    let prediction = |index: usize| {
        distances(
            &test_set.model.discriminator,
            &pictures[index],
            &test_set.made[index],
            size,
        )
        .perceptual
    };
    measures.push(("flip rate".into(), each(&flipped)));
    let known = some(&|index| recognised(index).then(|| flipped(index)));
    measures.push((
        "flip rate, of pictures that the discriminator recognised".into(),
        known,
    ));
    // Transfer: the generator was not trained against these classifiers.
    for (name, other) in test_set.classifiers() {
        if let ("ordinary classifier" | "adversarially trained", seen) =
            (name, test_set.probabilities(other, &test_set.made))
        {
            let flips = each(&|index| is_target(&seen[index], index));
            measures.push((format!("flip rate, as the {name} sees it"), flips));
        }
    }
    measures.push((
        "mean change (L1)".into(),
        each(&|index| mean(&test_set.changes[index])),
    ));
    measures.push(("perceptual distance".into(), each(&prediction)));
    measures.push(("share of pixels in the mask (Otsu)".into(), each(&masked)));
    measures.push((
        "share of pixels changed by more than 4/255".into(),
        each(&touched),
    ));
    measures.push((
        "way back: mean distance to the picture".into(),
        each(&|index| back[index]),
    ));
    measures.push((
        "fakeness of the picture".into(),
        each(&|index| before[index][fake]),
    ));
    measures.push((
        "fakeness of the counterfactual".into(),
        each(&|index| after[index][fake]),
    ));
    for (name, values) in measures {
        let of_class = |class: Option<usize>| {
            let chosen = test_set.data.labels.iter().zip(&values);
            let chosen = chosen.filter(|(label, _)| class.is_none_or(|class| **label == class));
            let chosen: Vec<f64> = chosen.filter_map(|(_, value)| *value).collect();
            (!chosen.is_empty()).then(|| chosen.iter().sum::<f64>() / chosen.len() as f64)
        };
        let columns = (0..classes.len()).map(Some).chain([None]);
        table.push(name, columns.map(of_class));
    }
    table
}

/// Cycle distance: mean |G(G(x)) − x| of every picture.
fn returns(test_set: &TestSet) -> Vec<f32> {
    let mut distances = Vec::new();
    for chunk in test_set.chunks() {
        let made: Vec<Vec<f32>> = chunk
            .iter()
            .map(|&index| test_set.made[index].clone())
            .collect();
        let labels: Vec<usize> = chunk
            .iter()
            .map(|&index| test_set.data.labels[index])
            .collect();
        let back = test_set
            .model
            .generator
            .translate(test_set.tensor(&made), &labels)
            .picture;
        let x = test_set
            .data
            .tensor(&chunk, test_set.model.discriminator.device());
        let apart = tensor_values((back - x).abs());
        let each = apart.chunks_exact(apart.len() / chunk.len());
        distances.extend(each.map(|values| values.iter().sum::<f32>() / values.len() as f32));
    }
    distances
}

/// Faithfulness of the mask to the discriminator: how often it flips when only the pixels inside, or only
/// those outside, of the mask are replaced by G(x).
pub fn faithfulness(test_set: &TestSet) -> ReportTable {
    let note = "The discriminator without its “fake” output. Among the pictures that it predicts correctly and whose counterfactual flips it: how often it still flips when only the masked (or only the other) pixels are taken from G(x).";
    let mut table = ReportTable::new("Faithfulness of the mask", note, &["flips", "pictures"]);
    let pictures = test_set.pictures();
    let before = test_set.probabilities(&test_set.discriminator, &pictures);
    let after = test_set.probabilities(&test_set.discriminator, &test_set.made);
    let chosen: Vec<usize> = (0..pictures.len())
        .filter(|&index| {
            let known = top(&before[index]) == test_set.data.labels[index];
            known && top(&after[index]) == test_set.target(index)
        })
        .collect();
    for (name, inside) in [
        ("G(x) inside the mask", true),
        ("G(x) outside the mask", false),
    ] {
        let pasted = chosen
            .iter()
            .map(|&index| paste(test_set, &pictures[index], index, inside));
        let pasted: Vec<Vec<f32>> = pasted.collect();
        let seen = test_set.probabilities(&test_set.discriminator, &pasted);
        let flips = seen.iter().zip(&chosen);
        let flips = flips
            .filter(|(seen, index)| top(seen) == test_set.target(**index))
            .count();
        let share = (!chosen.is_empty()).then(|| flips as f64 / chosen.len() as f64);
        table.push(name, [share, Some(chosen.len() as f64)]);
    }
    table
}

/// The picture with its counterfactual inside (or outside) the mask.
fn paste(test_set: &TestSet, picture: &[f32], index: usize, inside: bool) -> Vec<f32> {
    let change = &test_set.changes[index];
    let threshold = otsu(change);
    let values = picture.iter().zip(&test_set.made[index]).enumerate();
    let value = |(at, (x, g)): (usize, (&f32, &f32))| {
        let taken = (change[at % change.len()] > threshold) == inside;
        if taken { *g } else { *x }
    };
    values.map(value).collect()
}
