//! Masks from class labels alone: the change of the counterfactual against attributions, and a network
//! trained on masks.

use std::sync::Arc;

use super::table::ReportTable;
use super::test_set::Scene;
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

/// Training pictures that expected gradients compare with.
const BACKGROUND: usize = 64;

const COLUMNS: [&str; 6] = [
    "IoU",
    "Dice",
    "precision",
    "recall",
    "IoU, standard error",
    "pictures",
];

/// Test pictures with a true mask that is not empty, at most `limit`, spread evenly.
pub fn masked(scene: &Scene, limit: usize) -> Vec<(usize, GroundTruthMask)> {
    let masks = scene.masks.iter().cloned().enumerate();
    let masks = masks.filter_map(|(index, mask)| Some((index, mask?)));
    let all: Vec<_> = masks
        .filter(|(_, mask)| mask.inside.contains(&true))
        .collect();
    let count = limit.min(all.len());
    (0..count)
        .map(|index| all[index * all.len() / count].clone())
        .collect()
}

/// The table; `ceiling` holds the maps of a network trained on masks, as [`masked`] orders pictures.
pub fn segmentation(
    scene: &Scene,
    data: &std::path::Path,
    limit: usize,
    ceiling: Option<&[Vec<f32>]>,
) -> Result<ReportTable> {
    let note = "Masks at the true masks' own resolution; every threshold by Otsu's method on the map itself, none chosen on true masks. Attributions: what speaks for the true class and against the next one (difference of the logits), positive part, sum of the channels.";
    let mut table = ReportTable::new("Segmentation of damaged test pictures", note, &COLUMNS);
    let pictures = masked(scene, limit);
    let changes = pictures
        .iter()
        .map(|(index, _)| scene.changes[*index].clone());
    add(
        &mut table,
        "|x − G(x)|",
        scene,
        &pictures,
        &changes.collect::<Vec<_>>(),
    );
    let background = background(scene, data)?;
    for (owner, model) in scene.classifiers() {
        if owner == "generator's head" {
            continue;
        }
        for (name, method) in methods(scene.data.size[0]) {
            let maps = maps(scene, model, &method, &pictures, &background)?;
            add(
                &mut table,
                &format!("{name} of the {owner}"),
                scene,
                &pictures,
                &maps,
            );
        }
    }
    if let Some(maps) = ceiling {
        add(&mut table, "U-Net trained on masks", scene, &pictures, maps);
    }
    Ok(table)
}

fn add(
    table: &mut ReportTable,
    name: &str,
    scene: &Scene,
    pictures: &[(usize, GroundTruthMask)],
    maps: &[Vec<f32>],
) {
    let pairs = maps.iter().zip(pictures);
    let scores: Vec<Overlap> = pairs
        .map(|(map, (_, truth))| mask_overlap(map, scene.data.size, truth))
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

fn background(scene: &Scene, data: &std::path::Path) -> Result<Arc<Vec<Vec<f32>>>> {
    let mut training = Dataset::open(data, Split::Train, scene.data.size)?;
    training.subsample(BACKGROUND);
    Ok(Arc::new(
        (0..training.len())
            .map(|index| training.unit_planes(index))
            .collect(),
    ))
}

fn maps(
    scene: &Scene,
    model: &Classifier,
    method: &Method,
    pictures: &[(usize, GroundTruthMask)],
    background: &Arc<Vec<Vec<f32>>>,
) -> Result<Vec<Vec<f32>>> {
    let map = |(index, _): &(usize, GroundTruthMask)| {
        let input = Input {
            pixels: scene.data.unit_planes(*index),
            size: scene.data.size,
            reference: None,
            background: background.clone(),
        };
        let target = Target {
            score: Score::Logit,
            class: scene.data.labels[*index],
            against: Some(scene.target(*index)),
        };
        Ok(explain(model, method, target, &input)?.pixels())
    };
    pictures.iter().map(map).collect()
}
