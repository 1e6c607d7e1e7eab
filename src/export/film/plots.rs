//! The curves of films.

use crate::compute::{CounterfactualResult, PredictionResult, row_color};
use crate::export::figure::{Curve, Plot, Shot};
use crate::session::Row;

/// What is brought down or up against iterations.
pub(super) fn synthesis_plot(shot: &Shot, models: &[usize], steps: usize) -> Plot {
    let curves = known(shot, models).filter_map(|(model, row, prediction)| {
        let synthesis = row.synthesis.as_ref()?;
        Some(Curve {
            name: prediction.manifest.name.clone(),
            color: row_color(model),
            dashed: false,
            points: synthesis.curve(),
            mark: None,
        })
    });
    let curves: Vec<Curve> = curves.collect();
    let heights = curves.iter().flat_map(|curve| &curve.points);
    let heights = heights
        .map(|point| point[1])
        .filter(|height| height.is_finite());
    let (low, high) = heights.fold((f64::MAX, f64::MIN), |(low, high), height| {
        (low.min(height), high.max(height))
    });
    let (low, high) = if low < high { (low, high) } else { (0.0, 1.0) };
    Plot {
        across: "step".into(),
        up: match shot.state.settings.synthesis.kind() {
            crate::session::TaskKind::Inversion => "distance",
            crate::session::TaskKind::Generation => "score",
            crate::session::TaskKind::Unit => "activation",
        }
        .into(),
        x: [0.0, steps.max(1) as f64],
        y: [low.min(0.0), high],
        percent: false,
        curves,
        until: None,
    }
}

/// Confidence in the class that each model sees in the first shot, against the severities of the shots.
pub(super) fn severity_plot(shots: &[Shot], models: &[usize], [from, to]: [f32; 2]) -> Plot {
    let first = shots.first();
    let known = first.into_iter().flat_map(|first| known(first, models));
    let curves = known.map(|(model, _, prediction)| {
        let confidence = |shot: &Shot| {
            let seen = shot.rows.get(model)?.prediction.as_ref()?;
            let confidence = seen.probabilities.get(prediction.label)?;
            let severity = shot.state.settings.corruption.severity;
            Some([f64::from(severity), f64::from(*confidence)])
        };
        Curve {
            name: prediction.manifest.name.clone(),
            color: row_color(model),
            dashed: false,
            points: shots.iter().filter_map(confidence).collect(),
            mark: None,
        }
    });
    let kind = first.map_or("", |shot| shot.state.settings.corruption.kind.name());
    Plot {
        across: format!("severity of {kind}"),
        up: "confidence".into(),
        x: [from, to].map(f64::from),
        y: [0.0, 1.0],
        percent: true,
        curves: curves.collect(),
        until: None,
    }
}

/// What discriminators say on the way to counterfactuals: the class aimed for, and dashed the one left.
pub(super) fn way_plot(shot: &Shot, models: &[usize]) -> Plot {
    let mut curves = Vec::new();
    for (model, row, prediction) in known(shot, models) {
        let Some(result) = row.counterfactual.as_ref() else {
            continue;
        };
        for (class, dashed) in [(result.target, false), (result.source, true)] {
            curves.push(Curve {
                name: format!("{}: {}", prediction.manifest.name, prediction.name(class)),
                color: row_color(model),
                dashed,
                points: along(result, class),
                mark: None,
            });
        }
    }
    Plot {
        across: "share of the path to the counterfactual".into(),
        up: "confidence".into(),
        x: [0.0, 1.0],
        y: [0.0, 1.0],
        percent: true,
        curves,
        until: None,
    }
}

fn along(result: &CounterfactualResult, class: usize) -> Vec<[f64; 2]> {
    let place = |(at, seen): (usize, &Vec<f32>)| {
        let value = seen.get(class).copied().unwrap_or(0.0);
        [f64::from(result.share(at as f32)), f64::from(value)]
    };
    result.way.iter().enumerate().map(place).collect()
}

/// The rows that have looked.
fn known<'a>(
    shot: &'a Shot,
    models: &'a [usize],
) -> impl Iterator<Item = (usize, &'a Row, &'a PredictionResult)> {
    models.iter().filter_map(|&model| {
        let row = shot.rows.get(model)?;
        Some((model, row, row.prediction.as_ref()?))
    })
}
