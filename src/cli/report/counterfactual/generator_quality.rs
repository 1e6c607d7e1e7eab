//! How the counterfactuals are: do they flip the discriminator, how near are they, does the discriminator look where
//! they changed something.

use super::table::ReportTable;
use super::test_set::Scene;
use crate::counterfactual::otsu;
use crate::evaluate::classes::Confusion;
use crate::evaluate::top;
use crate::model::tensor_values;
use crate::synthesis::distances;

/// Accuracy of all classifiers on the pictures as they are.
pub fn classification(scene: &Scene) -> ReportTable {
    let columns = ["balanced accuracy", "accuracy", "macro F1"];
    let mut table = ReportTable::new("Classification of clean test pictures", "", &columns);
    let pictures = scene.pictures();
    for (name, model) in scene.classifiers() {
        let found = scene.probabilities(model, &pictures);
        let found: Vec<usize> = found.iter().map(|seen| top(seen)).collect();
        let confusion = Confusion::of(&scene.data.labels, &found, scene.model.classes());
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

/// Flips, distances, doubt and the way back, by the class of the picture.
pub fn counterfactuals(scene: &Scene) -> ReportTable {
    let classes = scene.data.classes.clone();
    let columns: Vec<&str> = classes.iter().map(String::as_str).chain(["all"]).collect();
    let note = "Every test picture turned into the next class. It flips the discriminator when that sees the class, and not “fake”. Perceptual: distance in the features of the discriminator.";
    let mut table = ReportTable::new("Counterfactuals, by true class", note, &columns);
    let pictures = scene.pictures();
    let before = scene.probabilities(&scene.model.discriminator, &pictures);
    let after = scene.probabilities(&scene.model.discriminator, &scene.made);
    let fake = scene.model.classes();
    let size = scene.data.size;
    let back = returns(scene);
    let mut measures: Vec<(String, Vec<Option<f64>>)> = Vec::new();
    let some = |measure: &dyn Fn(usize) -> Option<f32>| -> Vec<Option<f64>> {
        let indices = 0..scene.data.len();
        indices.map(|index| measure(index).map(f64::from)).collect()
    };
    let each = |measure: &dyn Fn(usize) -> f32| some(&|index| Some(measure(index)));
    let is_target =
        |seen: &[f32], index: usize| f32::from(u8::from(top(seen) == scene.target(index)));
    let recognised = |index: usize| top(&before[index]) == scene.data.labels[index];
    let flipped = |index: usize| is_target(&after[index], index);
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    let masked = |index: usize| {
        let threshold = otsu(&scene.changes[index]);
        let inside = scene.changes[index]
            .iter()
            .filter(|&&value| value > threshold);
        inside.count() as f32 / scene.changes[index].len() as f32
    };
    let touched = |index: usize| {
        let changed = scene.changes[index]
            .iter()
            .filter(|&&value| value > 4.0 / 255.0);
        changed.count() as f32 / scene.changes[index].len() as f32
    };
    let prediction = |index: usize| {
        distances(
            &scene.model.discriminator,
            &pictures[index],
            &scene.made[index],
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
    // The generator never met these: what flips them, too, is no trick on one discriminator.
    for (name, other) in scene.classifiers() {
        if let ("ordinary classifier" | "adversarially trained", seen) =
            (name, scene.probabilities(other, &scene.made))
        {
            let flips = each(&|index| is_target(&seen[index], index));
            measures.push((format!("flip rate, as the {name} sees it"), flips));
        }
    }
    measures.push((
        "mean change (L1)".into(),
        each(&|index| mean(&scene.changes[index])),
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
            let chosen = scene.data.labels.iter().zip(&values);
            let chosen = chosen.filter(|(label, _)| class.is_none_or(|class| **label == class));
            let chosen: Vec<f64> = chosen.filter_map(|(_, value)| *value).collect();
            (!chosen.is_empty()).then(|| chosen.iter().sum::<f64>() / chosen.len() as f64)
        };
        let columns = (0..classes.len()).map(Some).chain([None]);
        table.push(name, columns.map(of_class));
    }
    table
}

/// Mean |G(G(x)) − x| of every picture.
fn returns(scene: &Scene) -> Vec<f32> {
    let mut distances = Vec::new();
    for chunk in scene.chunks() {
        let made: Vec<Vec<f32>> = chunk
            .iter()
            .map(|&index| scene.made[index].clone())
            .collect();
        let labels: Vec<usize> = chunk
            .iter()
            .map(|&index| scene.data.labels[index])
            .collect();
        let back = scene
            .model
            .generator
            .translate(scene.tensor(&made), &labels)
            .picture;
        let x = scene
            .data
            .tensor(&chunk, scene.model.discriminator.device());
        let apart = tensor_values((back - x).abs());
        let each = apart.chunks_exact(apart.len() / chunk.len());
        distances.extend(each.map(|values| values.iter().sum::<f32>() / values.len() as f32));
    }
    distances
}

/// Whether the mask is what the discriminator looks at: G(x) pasted inside it alone, and outside it alone.
pub fn faithfulness(scene: &Scene) -> ReportTable {
    let note = "The discriminator without its “fake” output. Of the pictures that it recognises and whose counterfactual flips it: how often it still flips when only the masked (or only the other) pixels are taken from G(x).";
    let mut table = ReportTable::new("Faithfulness of the mask", note, &["flips", "pictures"]);
    let pictures = scene.pictures();
    let before = scene.probabilities(&scene.discriminator, &pictures);
    let after = scene.probabilities(&scene.discriminator, &scene.made);
    let chosen: Vec<usize> = (0..pictures.len())
        .filter(|&index| {
            let known = top(&before[index]) == scene.data.labels[index];
            known && top(&after[index]) == scene.target(index)
        })
        .collect();
    for (name, inside) in [
        ("G(x) inside the mask", true),
        ("G(x) outside the mask", false),
    ] {
        let pasted = chosen
            .iter()
            .map(|&index| paste(scene, &pictures[index], index, inside));
        let pasted: Vec<Vec<f32>> = pasted.collect();
        let seen = scene.probabilities(&scene.discriminator, &pasted);
        let flips = seen.iter().zip(&chosen);
        let flips = flips
            .filter(|(seen, index)| top(seen) == scene.target(**index))
            .count();
        let share = (!chosen.is_empty()).then(|| flips as f64 / chosen.len() as f64);
        table.push(name, [share, Some(chosen.len() as f64)]);
    }
    table
}

/// The picture with its counterfactual inside (or outside) the mask.
fn paste(scene: &Scene, picture: &[f32], index: usize, inside: bool) -> Vec<f32> {
    let change = &scene.changes[index];
    let threshold = otsu(change);
    let values = picture.iter().zip(&scene.made[index]).enumerate();
    let value = |(at, (x, g)): (usize, (&f32, &f32))| {
        let taken = (change[at % change.len()] > threshold) == inside;
        if taken { *g } else { *x }
    };
    values.map(value).collect()
}
