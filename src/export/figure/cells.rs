//! The cells of a sheet: what a column shows of a row, as pixels and words.

use image::{RgbImage, imageops};

use super::contour::outline;
use crate::attack::{Attack, Norm};
use crate::compute::{
    CounterfactualResult, GpuImage, HeatMap, HeatStyle, PictureSource, PredictionResult,
};
use crate::data::picture::{montage, to_rgb};
use crate::evaluate::top;
use crate::session::{Column, MASK, Row, Showing, State, TaskKind, mask_values};
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
    fn seen(frame: &GpuImage, look: &PredictionResult, probabilities: &[f32]) -> Self {
        Self {
            wrong: top(probabilities) != look.label,
            ..Self::new(frame, vec![look.sure(probabilities)])
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

/// ε as people write it: L∞ in 255ths, L2 as it is.
pub fn epsilon_text(attack: &Attack, epsilon: f32) -> String {
    format!("ε {}", bare_epsilon(attack, epsilon))
}

/// The same without the letter.
pub fn bare_epsilon(attack: &Attack, epsilon: f32) -> String {
    match attack.norm {
        Norm::Linf => format!("{}/255", number(epsilon * 255.0)),
        Norm::L2 => number(epsilon),
    }
}

/// Up to three decimals, no more than are needed.
pub fn number(value: f32) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What `column` shows of a row; the colours of maps end at `scale`, or where each map's own end.
pub fn cell(state: &State, row: &Row, column: Column, scale: Option<f32>) -> Cell {
    let Some(look) = &row.look else {
        let error = row.error.clone();
        return Cell::Empty(error.unwrap_or_else(|| "no result".into()));
    };
    let filled = match column {
        Column::Input => Some(Filled::seen(&look.input, look, &look.probabilities)),
        Column::Attacked => attacked(state, row, look),
        Column::Perturbation => perturbation(state, row, look),
        Column::Attribution => map(state, row, look, PictureSource::Input, scale),
        Column::AttackedAttribution => map(state, row, look, PictureSource::Attacked, scale),
        Column::Synthesis => made(state, row, look),
        Column::Counterfactual | Column::Change | Column::Return => {
            turned(state, row, look, column)
        }
    };
    filled.map_or_else(|| Cell::Empty(missing(row, look, column)), Cell::Filled)
}

/// Why there is nothing.
fn missing(row: &Row, look: &PredictionResult, column: Column) -> String {
    let error = match column {
        Column::Attribution => row.map_error(PictureSource::Input),
        Column::AttackedAttribution => row.map_error(PictureSource::Attacked),
        Column::Synthesis => row.synthesis_error(),
        Column::Counterfactual | Column::Change | Column::Return => {
            if !look.has_generator {
                return "no generator".into();
            }
            row.counterfactual_error()
        }
        _ => row.error.as_ref(),
    };
    error.cloned().unwrap_or_else(|| "no result".into())
}

/// The attack at the very ε; no other one stands in for it.
fn attacked(state: &State, row: &Row, look: &PredictionResult) -> Option<Filled> {
    let shown = row
        .nearest(state.attack.epsilon)
        .filter(|shown| shown.exact)?;
    let attacked = shown.attacked;
    Some(Filled::seen(
        &attacked.picture,
        look,
        &attacked.probabilities,
    ))
}

fn perturbation(state: &State, row: &Row, look: &PredictionResult) -> Option<Filled> {
    let shown = row
        .nearest(state.attack.epsilon)
        .filter(|shown| shown.exact)?;
    let attacked = shown.attacked;
    let gain = state.display.gain;
    let pair = attacked.picture.planes().iter().zip(look.input.planes());
    let planes = pair.map(|(after, before)| 0.5 + gain * (after - before));
    let frame = GpuImage::from_planes(planes.collect(), look.input.size());
    let notes = vec![
        format!(
            "L∞ {:.2}/255 · L2 {:.3}",
            attacked.linf * 255.0,
            attacked.l2
        ),
        format!("amplified ×{}", number(gain)),
    ];
    Some(Filled::new(&frame, notes))
}

fn map(
    state: &State,
    row: &Row,
    look: &PredictionResult,
    which: PictureSource,
    scale: Option<f32>,
) -> Option<Filled> {
    let explained = row.explained[which as usize].as_ref()?;
    let current = match which {
        PictureSource::Input => true,
        PictureSource::Attacked => row.maps_attack_at(state.attack.epsilon),
    };
    if !current || !explained.finished() {
        return None;
    }
    let style = &state.display.heat;
    let same = explained.case.explanation == state.explanation;
    let scale = scale
        .filter(|_| same)
        .unwrap_or_else(|| explained.heat.scale(style));
    let line = (style.contour > 0.0).then(|| {
        let share = 100.0 - style.contour;
        explained.heat.magnitude_at(style.sign, share)
    });
    let channels = explained.attribution.channels;
    Some(Filled {
        scale: Some(style.number(scale, channels)),
        notes: vec![explained.case.asks(look)],
        ..painted(&explained.case.picture, &explained.heat, style, scale, line)
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
    let area = size[0] * size[1];
    let mut planes = vec![0.0; 3 * area];
    for (at, &value) in heat.values().iter().enumerate() {
        let rgb = picture.pixel(at % size[1], at / size[1]);
        let color = style.color(rgb, value, scale);
        for (channel, part) in color.into_iter().enumerate() {
            planes[channel * area + at] = part;
        }
    }
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

/// The picture being made, or its iterate under the cursor.
fn made(state: &State, row: &Row, look: &PredictionResult) -> Option<Filled> {
    let made = row.made.as_ref()?;
    let history = lock(&made.history);
    let cursor = state.synthesis.cursor.filter(|&at| at < made.steps);
    let still = cursor.and_then(|at| history.at(at));
    let kind = TaskKind::of(&made.brief.config.task);
    let loss = |kept: Option<&Iterate>| kind.value(kept.map_or(f32::NAN, Iterate::mean_loss));
    let Some(kept) = still else {
        let step = format!("step {} · {}", made.steps, loss(history.at(made.steps)));
        let sees = format!("seen as {}", look.sure(&made.probabilities));
        return Some(Filled::new(&made.picture, vec![step, sees]));
    };
    let (planes, size) = montage(&kept.unit_planes(), made.brief.config.count, made.size);
    let step = format!("step {} · {}", kept.iteration, loss(still));
    Some(Filled::new(
        &GpuImage::from_planes(planes, size),
        vec![step],
    ))
}

fn turned(state: &State, row: &Row, look: &PredictionResult, column: Column) -> Option<Filled> {
    let answer = row.counterfactual.as_ref().filter(|_| look.has_generator)?;
    Some(match column {
        Column::Change => change(state, look, answer),
        Column::Return => seen_as(look, &answer.back, &answer.seen_back),
        _ => {
            let along = state.counterfactual.along;
            seen_as(look, &answer.on_the_way(along), &answer.seen(along))
        }
    })
}

/// A picture of a class that it is meant to have.
fn seen_as(look: &PredictionResult, frame: &GpuImage, probabilities: &[f32]) -> Filled {
    Filled::new(frame, vec![look.sure(probabilities)])
}

fn change(state: &State, look: &PredictionResult, answer: &CounterfactualResult) -> Filled {
    let threshold = state.counterfactual.threshold_of(answer);
    let picture = &answer.request.picture;
    let way = format!(
        "{} to {}",
        look.name(answer.source),
        look.name(answer.target)
    );
    let number = format!("mean change {:.4}", answer.change());
    let filled = match state.counterfactual.showing {
        Showing::Heat => {
            let style = &state.display.heat;
            let scale = answer.heat.scale(style);
            let line = Some(threshold).filter(|threshold| *threshold > 0.0);
            painted(picture, &answer.heat, style, scale, line)
        }
        Showing::Mask => {
            let mask = HeatMap::new(mask_values(state, answer), picture.size());
            painted(picture, &mask, &MASK, 1.0, None)
        }
    };
    Filled {
        notes: vec![way, number],
        ..filled
    }
}
