//! Weakly supervised segmentation: change maps of counterfactuals against attributions and a supervised
//! U-Net.

use std::sync::Arc;

use super::table::ReportTable;
use super::test_set::TestSet;
use crate::attribution::{
    Baseline, ExpectedGradients, Fill, Input, IntegratedGradients, Method, Occlusion, Score,
    Target, explain,
};
use crate::counterfactual::Overlap;
use crate::data::mask::GroundTruthMask;
use crate::data::{Dataset, Split};
use crate::error::Result;
use crate::evaluate::masks::mask_overlap;
use crate::model::Classifier;

/// Size of the background set of expected gradients, from the training pictures.
const BACKGROUND: usize = 64;

const COLUMNS: [&str; 6] = [
    "IoU",
    "Dice",
    "precision",
    "recall",
    "IoU, standard error",
    "pictures",
];

/// Test pictures with a non-empty ground-truth mask, at most `limit`, evenly spaced.
pub fn masked(test_set: &TestSet, limit: usize) -> Vec<(usize, GroundTruthMask)> {
    let masks = test_set.masks.iter().cloned().enumerate();
    let masks = masks.filter_map(|(index, mask)| Some((index, mask?)));
    let all: Vec<_> = masks
        .filter(|(_, mask)| mask.inside.contains(&true))
        .collect();
    let count = limit.min(all.len());
    (0..count)
        .map(|index| all[index * all.len() / count].clone())
        .collect()
}

/// The table; `ceiling` has the maps of a supervised U-Net, in the order of [`masked`].
pub fn segmentation(
    test_set: &TestSet,
    data: &std::path::Path,
    limit: usize,
    ceiling: Option<&[Vec<f32>]>,
) -> Result<ReportTable> {
    let note = "Masks at the true masks' own resolution; every threshold by Otsu's method on the map itself, none chosen on true masks. Attributions: what speaks for the true class and against the next one (difference of the logits), positive part, sum of the channels.";
    let mut table = ReportTable::new("Segmentation of damaged test pictures", note, &COLUMNS);
    let pictures = masked(test_set, limit);
    let changes = pictures
        .iter()
        .map(|(index, _)| test_set.changes[*index].clone());
    add(
        &mut table,
        "|x − G(x)|",
        test_set,
        &pictures,
        &changes.collect::<Vec<_>>(),
    );
    let background = background(test_set, data)?;
    for (owner, model) in test_set.classifiers() {
        if owner == "generator's head" {
            continue;
        }
        for (name, method) in methods(test_set.data.size[0]) {
            let maps = maps(test_set, model, &method, &pictures, &background)?;
            add(
                &mut table,
                &format!("{name} of the {owner}"),
                test_set,
                &pictures,
                &maps,
            );
        }
    }
    if let Some(maps) = ceiling {
        add(
            &mut table,
            "U-Net trained on masks",
            test_set,
            &pictures,
            maps,
        );
    }
    Ok(table)
}

fn add(
    table: &mut ReportTable,
    name: &str,
    test_set: &TestSet,
    pictures: &[(usize, GroundTruthMask)],
    maps: &[Vec<f32>],
) {
    let pairs = maps.iter().zip(pictures);
    let scores: Vec<Overlap> = pairs
        .map(|(map, (_, truth))| mask_overlap(map, test_set.data.size, truth))
        .collect();
    let count = scores.len() as f64;
    let mean = |value: &dyn Fn(&Overlap) -> f32| {
        scores
            .iter()
            .map(|score| f64::from(value(score)))
            .sum::<f64>()
            / count
    };
    let iou = mean(&|score| score.iou);
    let spread = mean(&|score| (score.iou - iou as f32).powi(2));
    let values = [
        iou,
        mean(&|score| score.dice),
        mean(&|score| score.precision),
        mean(&|score| score.recall),
        (spread / count).sqrt(),
        count,
    ];
    table.push(name, values.map(|value| value.is_finite().then_some(value)));
}

fn methods(side: usize) -> [(&'static str, Method); 4] {
    let integrated = IntegratedGradients {
        baseline: Baseline::Fill(Fill::Blurred(side / 8)),
        ..IntegratedGradients::default()
    };
    [
        ("Grad-CAM", Method::GradCam),
        (
            "integrated gradients",
            Method::IntegratedGradients(integrated),
        ),
        (
            "SHAP (expected gradients)",
            Method::ExpectedGradients(ExpectedGradients::default()),
        ),
        ("occlusion", Method::Occlusion(Occlusion::for_side(side))),
    ]
}

fn background(test_set: &TestSet, data: &std::path::Path) -> Result<Arc<Vec<Vec<f32>>>> {
    let mut training = Dataset::open(data, Split::Train, test_set.data.size)?;
    training.subsample(BACKGROUND);
    Ok(Arc::new(
        (0..training.len())
            .map(|index| training.unit_planes(index))
            .collect(),
    ))
}

fn maps(
    test_set: &TestSet,
    model: &Classifier,
    method: &Method,
    pictures: &[(usize, GroundTruthMask)],
    background: &Arc<Vec<Vec<f32>>>,
) -> Result<Vec<Vec<f32>>> {
    let map = |(index, _): &(usize, GroundTruthMask)| {
        let input = Input {
            pixels: test_set.data.unit_planes(*index),
            size: test_set.data.size,
            reference: None,
            background: background.clone(),
        };
        let target = Target {
            score: Score::Logit,
            class: test_set.data.labels[*index],
            against: Some(test_set.target(*index)),
        };
        Ok(explain(model, method, target, &input)?.pixels())
    };
    pictures.iter().map(map).collect()
}
