//! The cells of counterfactuals.

use std::sync::Arc;

use egui::{Ui, vec2};

use super::{masked, score};
use crate::app::panels::tile::{self, Content, Hover};
use crate::app::panels::top_classes;
use crate::app::renderer::Mode;
use crate::app::theme;
use crate::compute::{CounterfactualMethod, CounterfactualResult, GpuImage, SURE};
use crate::counterfactual::GeneratorRef;
use crate::data::Picture;
use crate::session::{ChangeView, Column, MASK, Row, State, counterfactual_request, mask_values};

/// Frames that are or were just on the screen, by the result they belong to and what decides them.
#[derive(Default)]
pub struct Frames(Vec<(Key, GpuImage)>);

/// A result, the true mask it is compared with, and numbers.
type Key = (Arc<CounterfactualResult>, Option<Picture>, Vec<u32>);

/// A few for each of a handful of rows.
const FRAMES: usize = 16;

impl Frames {
    fn get(&mut self, key: Key, make: impl FnOnce() -> GpuImage) -> GpuImage {
        if let Some((_, frame)) = self.0.iter().find(|(known, _)| *known == key) {
            return frame.clone();
        }
        let frame = make();
        self.0.truncate(FRAMES - 1);
        self.0.insert(0, (key, frame.clone()));
        frame
    }

    /// The picture at the share `along` of the way.
    fn on_the_way(&mut self, result: &Arc<CounterfactualResult>, along: f32) -> GpuImage {
        let key = (result.clone(), None, vec![along.to_bits()]);
        self.get(key, || result.on_the_way(along))
    }

    /// The mask, as [`mask_values`] has it.
    fn mask(&mut self, state: &State, result: &Arc<CounterfactualResult>) -> GpuImage {
        let entry = state.entry();
        let known = entry.and_then(|entry| entry.mask.clone());
        let crop = entry.map(|entry| entry.crop).unwrap_or_default();
        let threshold = state.settings.counterfactual.threshold_of(result);
        let numbers = [crop.at[0], crop.at[1], crop.scale, threshold].map(f32::to_bits);
        let key = (result.clone(), known, numbers.to_vec());
        self.get(key, || {
            let values = mask_values(state, result);
            GpuImage::from_planes(values, result.request.picture.size())
        })
    }
}

/// What the title says besides the kind of picture.
pub fn note(state: &State, rows: &[Row], index: usize, column: Column) -> String {
    let row = &rows[index];
    let (Some(result), Some(prediction)) = (&row.counterfactual, &row.prediction) else {
        return String::new();
    };
    let asked = counterfactual_request(state, rows, index);
    let old = if asked.as_ref() != Some(&result.request) {
        " (old)".into()
    } else if !result.finished() {
        format!(" · {:.0} %", result.progress * 100.0)
    } else {
        String::new()
    };
    let name = |class: usize| {
        prediction
            .manifest
            .labels
            .get(class)
            .map_or("?", String::as_str)
    };
    let of = match result.request.epsilon {
        0.0 => String::new(),
        epsilon => format!(" at ε {}", state.settings.attack.norm.format(epsilon)),
    };
    match column {
        Column::Return => format!("to {}{of}{old}", name(result.source)),
        Column::Change => format!(
            "{} to {}{of}{old}",
            name(result.source),
            name(result.target)
        ),
        _ => format!("{}{of}{old}", name(result.target)),
    }
}

/// Draws a cell; `id` tells its tile apart.
pub fn cell(
    ui: &mut Ui,
    state: &mut State,
    row: &Row,
    (index, column, id): (usize, Column, u64),
    side: f32,
    hover: Hover,
    frames: &mut Frames,
) -> Hover {
    let prediction = row.prediction.as_ref()?;
    let back = row
        .counterfactual
        .as_ref()
        .and_then(|result| result.back.as_ref());
    let result = row.counterfactual.as_ref();
    let Some(result) = result.filter(|_| column != Column::Return || back.is_some()) else {
        ui.allocate_space(vec2(side, side));
        let text = match row.counterfactual_error() {
            Some(error) => theme::error(ui, error),
            None => theme::weak("generating…"),
        };
        ui.label(text);
        return None;
    };
    if column == Column::Change {
        return change(ui, state, result, id, side, hover, frames);
    }
    let along = state.settings.counterfactual.along;
    let (frame, seen, class) = match (column, back) {
        (Column::Return, Some(back)) => (
            back.picture.clone(),
            back.probabilities.clone(),
            result.source,
        ),
        _ => (
            frames.on_the_way(result, along),
            result.seen(along),
            result.target,
        ),
    };
    let content = Content {
        id,
        first: &frame,
        second: &result.request.picture,
        mode: Mode::Picture {
            split: state.settings.display.divider.unwrap_or(0.0),
        },
        divider: true,
        draws: false,
    };
    let over = tile::tile(ui, side, &content, &mut state.settings.display, hover);
    top_classes::top5(ui, side, index, &prediction.manifest.labels, &seen, class);
    over
}

fn change(
    ui: &mut Ui,
    state: &mut State,
    result: &Arc<CounterfactualResult>,
    id: u64,
    side: f32,
    hover: Hover,
    frames: &mut Frames,
) -> Hover {
    let threshold = state.settings.counterfactual.threshold_of(result);
    let (frame, mode) = match state.settings.counterfactual.showing {
        ChangeView::Heat => {
            let style = state.settings.display.heat;
            let scale = result.heat.scale(&style);
            let contour = Some(threshold).filter(|threshold| *threshold > 0.0 && result.is_mask());
            let mode = Mode::Heat {
                style,
                scale,
                contour,
            };
            (result.heat.frame().clone(), mode)
        }
        ChangeView::Mask => {
            let mode = Mode::Heat {
                style: MASK,
                scale: 1.0,
                contour: None,
            };
            (frames.mask(state, result), mode)
        }
    };
    let content = Content {
        id,
        first: &result.request.picture,
        second: &frame,
        mode,
        divider: false,
        draws: false,
    };
    let over = tile::tile(ui, side, &content, &mut state.settings.display, hover);
    facts(ui, state, result, threshold);
    over
}

fn facts(ui: &mut Ui, state: &State, result: &Arc<CounterfactualResult>, threshold: f32) {
    ui.spacing_mut().item_spacing.y = 1.0;
    // First, as a narrow window cuts the rest off.
    if let Some(score) = score(state, result) {
        ui.label(format!("IoU {:.2} · Dice {:.2}", score.iou, score.dice))
            .on_hover_text(format!(
                "precision {:.2} · recall {:.2}",
                score.precision, score.recall
            ));
    }
    if result.is_mask() {
        mask_facts(ui, state, result, threshold);
    }
    let (by, whole) = made_by(state, result);
    line(ui, by).on_hover_text(whole);
    let norm = result.norm();
    let length = result.length();
    line(ui, format!("{norm} {}", norm.format(length))).on_hover_text("Length of the whole change");
    let lengths = [("flips at", result.flip()), ("sure at", result.sure())];
    let lengths = lengths
        .into_iter()
        .filter_map(|(what, share)| Some(format!("{what} {}", norm.format(share? * length))));
    let lengths: Vec<String> = lengths.collect();
    if !lengths.is_empty() {
        line(ui, lengths.join(" · ")).on_hover_text(format!(
            "{}: length of the change where the model first predicts the target class, and first with {:.0} %, on the straight way to the counterfactual",
            lengths.join(" · "),
            SURE * 100.0
        ));
    }
    line(ui, format!("change {:.4}", result.change()))
        .on_hover_text("Mean |x − G(x)| in units of pixels in [0, 1]");
    if let Some(distances) = &result.distances {
        line(ui, format!("perceptual {:.2}", distances.perceptual)).on_hover_text(
            "Distance in the model's own features (Zhang et al. 2018, with equal weights)",
        );
    }
}

/// How a counterfactual was made, in brief and in full.
fn made_by(state: &State, result: &CounterfactualResult) -> (String, String) {
    match &result.request.method {
        CounterfactualMethod::Descent(settings) => (
            "by descent".into(),
            format!(
                "{} gradient steps within a ball around the picture",
                settings.steps
            ),
        ),
        CounterfactualMethod::Generator(GeneratorRef::WithModel) => (
            "by its generator".into(),
            "By the generator that was trained with the model".into(),
        ),
        CounterfactualMethod::Generator(GeneratorRef::File(path)) => {
            let mut known = state.document.generators.iter();
            let name = known.find(|entry| entry.path == *path);
            let name = name.map_or("a generator", |entry| &entry.name);
            (
                format!("by {name}"),
                format!("By the generator {name}, {}", path.display()),
            )
        }
    }
}

fn mask_facts(ui: &mut Ui, state: &State, result: &CounterfactualResult, threshold: f32) {
    let inside = masked(&state.settings.counterfactual, result)
        .filter(|inside| *inside)
        .count();
    let share = inside as f32 / result.heat.values().len().max(1) as f32;
    let by = match state.settings.counterfactual.threshold {
        None => "Otsu",
        Some(_) => "chosen",
    };
    let share = share * 100.0;
    line(
        ui,
        format!("mask {share:.1} %, above {threshold:.3} ({by})"),
    )
    .on_hover_text("Share of the pixels that changed more than the threshold");
}

/// A fact on one line.
fn line(ui: &mut Ui, text: String) -> egui::Response {
    ui.add(egui::Label::new(theme::weak(text)).truncate())
}
