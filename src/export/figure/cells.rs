//! The cells of a sheet: what a column shows of a row, as pixels and words.

use image::{RgbImage, imageops};

use super::contour::outline;
use crate::attack::{Attack, short_number};
use crate::compute::{
    CounterfactualResult, GpuImage, HeatMap, HeatStyle, PictureSource, PredictionResult,
};
use crate::data::picture::{montage, to_rgb};
use crate::evaluate::top;
use crate::session::{ChangeView, Column, MASK, Row, State, TaskKind, mask_values};
use crate::synthesis::{Iterate, lock};

/// A place of the sheet.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A picture.
    Filled(Filled),
    /// Nothing, and why.
    Empty(String),
}

/// A picture with what stands under it.
#[derive(Clone, Debug, PartialEq)]
pub struct Filled {
    /// The pixels, each one of the model's.
    pub picture: RgbImage,
    /// Lines around parts of it: their ends, in pixels of the picture.
    pub outline: Vec<[[f32; 2]; 2]>,
    /// Up to two lines of text.
    pub notes: Vec<String>,
    /// Whether the model sees another class than the true one in it (or, where that is not known,
    /// than it saw before the attack).
    pub wrong: bool,
    /// Where the colours of a map end, in its own unit.
    pub scale: Option<f32>,
}

impl Filled {
    fn new(frame: &GpuImage, notes: Vec<String>) -> Self {
        Self {
            picture: to_rgb(frame.planes(), frame.size()),
            outline: Vec::new(),
            notes,
            wrong: false,
            scale: None,
        }
    }

    /// A picture that a model sees with these probabilities.
    fn seen(frame: &GpuImage, prediction: &PredictionResult, probabilities: &[f32]) -> Self {
        Self {
            wrong: top(probabilities) != prediction.label,
            ..Self::new(frame, vec![prediction.sure(probabilities)])
        }
    }

    /// Keeps the pixels in this part: left, top, right, bottom, in shares of the picture.
    pub(super) fn zoom(&mut self, [left, top, right, bottom]: [f32; 4]) {
        let (w, h) = self.picture.dimensions();
        let part = |low: f32, high: f32, side: u32| {
            let first = ((low * side as f32).floor() as u32).min(side.saturating_sub(1));
            let last = ((high * side as f32).ceil() as u32).clamp(first + 1, side.max(first + 1));
            (first, last - first)
        };
        let ((x, wide), (y, high)) = (part(left, right, w), part(top, bottom, h));
        if (wide, high) == (w, h) {
            return;
        }
        self.picture = imageops::crop_imm(&self.picture, x, y, wide, high).to_image();
        let ends = self
            .outline
            .iter()
            .map(|line| line.map(|[px, py]| [px - x as f32, py - y as f32]));
        let inside = |&[px, py]: &[f32; 2]| {
            (0.0..=wide as f32).contains(&px) && (0.0..=high as f32).contains(&py)
        };
        self.outline = ends.filter(|line| line.iter().all(inside)).collect();
    }
}

/// ε as figures write it.
pub fn epsilon_text(attack: &Attack, epsilon: f32) -> String {
    format!("ε {}", attack.norm.format(epsilon))
}

/// What `column` shows of a row; the colours of maps end at `scale`, or where each map's own end.
pub fn cell(state: &State, row: &Row, column: Column, scale: Option<f32>) -> Cell {
    let Some(prediction) = &row.prediction else {
        let error = row.error.clone();
        return Cell::Empty(error.unwrap_or_else(|| "no result".into()));
    };
    let filled = match column {
        Column::Input => Some(Filled::seen(
            &prediction.input,
            prediction,
            &prediction.probabilities,
        )),
        Column::Attacked => attacked(state, row, prediction),
        Column::Perturbation => perturbation(state, row, prediction),
        Column::Attribution => map(state, row, prediction, PictureSource::Input, scale),
        Column::AttackedAttribution => map(state, row, prediction, PictureSource::Attacked, scale),
        Column::Synthesis => synthesis(state, row, prediction),
        Column::Counterfactual | Column::Change | Column::Return => {
            counterfactual(state, row, prediction, column)
        }
    };
    filled.map_or_else(|| Cell::Empty(missing(row, column)), Cell::Filled)
}

/// Why there is nothing.
fn missing(row: &Row, column: Column) -> String {
    let error = match column {
        Column::Attribution => row.map_error(PictureSource::Input),
        Column::AttackedAttribution => row.map_error(PictureSource::Attacked),
        Column::Synthesis => row.synthesis_error(),
        Column::Counterfactual | Column::Change | Column::Return => row.counterfactual_error(),
        _ => row.error.as_ref(),
    };
    error.cloned().unwrap_or_else(|| "no result".into())
}

/// The attack at the very ε; no other one stands in for it.
fn attacked(state: &State, row: &Row, prediction: &PredictionResult) -> Option<Filled> {
    let shown = row
        .nearest(state.settings.attack.epsilon)
        .filter(|shown| shown.exact)?;
    let attacked = shown.attacked;
    Some(Filled::seen(
        &attacked.picture,
        prediction,
        &attacked.probabilities,
    ))
}

fn perturbation(state: &State, row: &Row, prediction: &PredictionResult) -> Option<Filled> {
    let shown = row
        .nearest(state.settings.attack.epsilon)
        .filter(|shown| shown.exact)?;
    let attacked = shown.attacked;
    let gain = state.settings.display.gain;
    let pair = attacked
        .picture
        .planes()
        .iter()
        .zip(prediction.input.planes());
    let planes = pair.map(|(after, before)| 0.5 + gain * (after - before));
    let frame = GpuImage::from_planes(planes.collect(), prediction.input.size());
    let notes = vec![
        attacked.lengths(),
        format!("amplified ×{}", short_number(gain)),
    ];
    Some(Filled::new(&frame, notes))
}

fn map(
    state: &State,
    row: &Row,
    prediction: &PredictionResult,
    which: PictureSource,
    scale: Option<f32>,
) -> Option<Filled> {
    let map = row.attributions[which as usize].as_ref()?;
    let current = match which {
        PictureSource::Input => true,
        PictureSource::Attacked => row.maps_attack_at(state.settings.attack.epsilon),
    };
    if !current || !map.finished() {
        return None;
    }
    let style = &state.settings.display.heat;
    let same = map.request.explanation == state.settings.explanation;
    let scale = scale
        .filter(|_| same)
        .unwrap_or_else(|| map.heat.scale(style));
    let line = (style.contour > 0.0).then(|| {
        let share = 100.0 - style.contour;
        map.heat.magnitude_at(style.sign, share)
    });
    let channels = map.attribution.channels;
    Some(Filled {
        scale: Some(style.number(scale, channels)),
        notes: vec![map.request.asks(prediction)],
        ..painted(&map.request.picture, &map.heat, style, scale, line)
    })
}

/// A map in its colours over a picture: what the shader draws.
fn painted(
    picture: &GpuImage,
    heat: &HeatMap,
    style: &HeatStyle,
    scale: f32,
    line: Option<f32>,
) -> Filled {
    let size = picture.size();
    let planes = style.paint(picture.planes(), heat, scale);
    let inside = |line: f32| {
        let values = heat.values().iter();
        let inside: Vec<bool> = values
            .map(|&value| style.sign.magnitude(value) >= line)
            .collect();
        outline(&inside, size)
    };
    Filled {
        outline: line.map(inside).unwrap_or_default(),
        ..Filled::new(&GpuImage::from_planes(planes, size), Vec::new())
    }
}

/// The synthesis, or its iterate under the cursor.
fn synthesis(state: &State, row: &Row, prediction: &PredictionResult) -> Option<Filled> {
    let synthesis = row.synthesis.as_ref()?;
    let history = lock(&synthesis.history);
    let cursor = state
        .navigation
        .playhead
        .cursor
        .filter(|&at| at < synthesis.steps);
    let iterate = cursor.and_then(|at| history.at(at));
    let kind = TaskKind::of(&synthesis.request.config.task);
    let loss = |kept: Option<&Iterate>| kind.value(kept.map_or(f32::NAN, Iterate::mean_loss));
    let Some(kept) = iterate else {
        let step = format!(
            "step {} · {}",
            synthesis.steps,
            loss(history.at(synthesis.steps))
        );
        let predicted = format!("predicted {}", prediction.sure(&synthesis.probabilities));
        return Some(Filled::new(&synthesis.picture, vec![step, predicted]));
    };
    let (planes, size) = montage(
        &kept.unit_planes(),
        synthesis.request.config.count,
        synthesis.size,
    );
    let step = format!("step {} · {}", kept.iteration, loss(iterate));
    Some(Filled::new(
        &GpuImage::from_planes(planes, size),
        vec![step],
    ))
}

fn counterfactual(
    state: &State,
    row: &Row,
    prediction: &PredictionResult,
    column: Column,
) -> Option<Filled> {
    let result = row.counterfactual.as_ref()?;
    Some(match column {
        Column::Change => change(state, prediction, result),
        Column::Return => {
            let back = result.back.as_ref()?;
            seen_as(prediction, &back.picture, &back.probabilities)
        }
        _ => {
            let along = state.settings.counterfactual.along;
            seen_as(prediction, &result.on_the_way(along), &result.seen(along))
        }
    })
}

/// A picture of a class that it is meant to have.
fn seen_as(prediction: &PredictionResult, frame: &GpuImage, probabilities: &[f32]) -> Filled {
    Filled::new(frame, vec![prediction.sure(probabilities)])
}

fn change(state: &State, prediction: &PredictionResult, result: &CounterfactualResult) -> Filled {
    let threshold = state.settings.counterfactual.threshold_of(result);
    let picture = &result.request.picture;
    let way = format!(
        "{} to {}",
        prediction.name(result.source),
        prediction.name(result.target)
    );
    let number = format!("mean change {:.4}", result.change());
    let filled = match state.settings.counterfactual.showing {
        ChangeView::Heat => {
            let style = &state.settings.display.heat;
            let scale = result.heat.scale(style);
            let line = Some(threshold).filter(|threshold| *threshold > 0.0 && result.is_mask());
            painted(picture, &result.heat, style, scale, line)
        }
        ChangeView::Mask => {
            let mask = HeatMap::new(mask_values(state, result), picture.size());
            painted(picture, &mask, &MASK, 1.0, None)
        }
    };
    Filled {
        notes: vec![way, number],
        ..filled
    }
}
