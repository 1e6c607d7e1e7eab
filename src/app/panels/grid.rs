//! Models × views: the middle of the window.

use std::sync::Arc;

use egui::{Align, Layout, Ui, UiBuilder, vec2};

use super::tile::{self, Content, Hover};
use super::{
    Action, counterfactual, map_quality, read_out, row_header, synthesis_cell, top_classes,
};
use crate::app::commands::Command;
use crate::app::renderer::Mode;
use crate::app::theme;
use crate::attack::Norm;
use crate::compute::{AttributionResult, GpuImage, PictureSource, PredictionResult};
use crate::session::{Column, Likenesses, Row, Shown, State, attribution_request, shared_scale};

/// Height of the column titles, in points.
const TITLE: f32 = 20.0;

/// Height of what stands below a tile in a presentation, in points.
const ON_STAGE: f32 = 2.0 * top_classes::BAR + 4.0;

/// What all cells share while a frame is drawn.
struct Sheet<'a> {
    rows: &'a [Row],
    memory: &'a mut GridState,
    /// Side of a tile, in points.
    side: f32,
    /// Points left over below a tile and its strip.
    room: f32,
    hover: Hover,
    /// Where the colours of all maps end, if they share a scale.
    scale: Option<f32>,
}

/// What the grid keeps from frame to frame.
#[derive(Default)]
pub struct GridState {
    /// How alike maps are.
    likenesses: Likenesses,
    /// Iterates on the screen.
    iterates: synthesis_cell::IterateCache,
    /// Counterfactuals on the screen.
    frames: counterfactual::Frames,
}

/// Draws a row for each model. `hover` is the pixel under the pointer, from frame to frame.
pub fn show(
    ui: &mut Ui,
    state: &mut State,
    rows: &[Row],
    memory: &mut GridState,
    hover: &mut Hover,
    actions: &mut Vec<Action>,
) {
    if state.entry().is_none() {
        ui.centered_and_justified(|ui| {
            let [open, paste] =
                [Command::OpenPictures, Command::Paste].map(|command| command.shortcut(ui.ctx()));
            ui.label(format!(
                "Open a picture ({open}), drop one here, or paste one ({paste})."
            ));
        });
        return;
    }
    let columns = state.settings.display.columns();
    let space = ui.available_size();
    let shown: Vec<usize> = (0..rows.len())
        .filter(|&row| state.settings.display.shows_row(row))
        .collect();
    let height = (space.y / shown.len().max(1) as f32).floor();
    let gap = ui.spacing().item_spacing;
    let width = (space.x / columns.len().max(1) as f32 - gap.x).floor();
    let strip = if columns.iter().any(|column| column.map().is_some()) {
        map_quality::height(state.settings.checks)
    } else {
        0.0
    };
    let facts = if columns.contains(&Column::Synthesis) {
        synthesis_cell::HEIGHT
    } else {
        0.0
    };
    let below = if state.transient.presenting.is_some() {
        // From a distance only the first lines can be read; the rest is cut off.
        ON_STAGE
    } else {
        strip.max(top_classes::HEIGHT + 18.0).max(facts) + 3.0 * gap.y
    };
    let tallest = height - row_header::HEIGHT - TITLE - below;
    let side = width.min(tallest).max(48.0);
    let mut sheet = Sheet {
        rows,
        memory,
        side,
        room: tallest - side,
        hover: *hover,
        scale: shared_scale(state, rows),
    };
    let mut found = None;
    for index in shown {
        let row = &rows[index];
        let area = egui::Rect::from_min_size(ui.cursor().min, vec2(space.x, height));
        ui.scope_builder(UiBuilder::new().max_rect(area), |ui| {
            ui.set_clip_rect(area.intersect(ui.clip_rect()));
            row_header::show(ui, state, index, row, actions);
            let top = ui.cursor().top();
            for (place, &column) in columns.iter().enumerate() {
                let left = area.left() + place as f32 * (width + gap.x);
                let cell_area = egui::Rect::from_min_max(
                    egui::pos2(left, top),
                    egui::pos2(left + width, area.bottom()),
                );
                ui.scope_builder(UiBuilder::new().max_rect(cell_area), |ui| {
                    ui.set_clip_rect(
                        cell_area
                            .expand2(vec2(gap.x, 0.0))
                            .intersect(ui.clip_rect()),
                    );
                    let over = cell(ui, state, index, column, &mut sheet);
                    found = found.or(over);
                });
            }
        });
        ui.advance_cursor_after_rect(area);
    }
    *hover = found;
    if let Some(pixel) = found {
        read_out::show(ui, state, rows, pixel);
    }
}

fn cell(ui: &mut Ui, state: &mut State, index: usize, column: Column, sheet: &mut Sheet) -> Hover {
    let row = &sheet.rows[index];
    let shown = row.nearest(state.settings.attack.epsilon);
    title(ui, state, sheet.rows, index, column);
    let prediction = row.prediction.as_ref()?;
    if let Some(which) = column.map() {
        return map_cell(ui, state, index, which, sheet);
    }
    if column == Column::Synthesis {
        let place = (index, tile_id(index, column as usize));
        let iterates = &mut sheet.memory.iterates;
        return synthesis_cell::cell(ui, state, row, place, sheet.side, sheet.hover, iterates);
    }
    if matches!(
        column,
        Column::Counterfactual | Column::Change | Column::Return
    ) {
        let place = (index, column, tile_id(index, column as usize));
        let frames = &mut sheet.memory.frames;
        return counterfactual::cell(ui, state, row, place, sheet.side, sheet.hover, frames);
    }
    let attacked = shown
        .as_ref()
        .map_or(&prediction.input, |shown| &shown.attacked.picture);
    let content = content(index, column, state, &prediction.input, attacked);
    let over = tile::tile(
        ui,
        sheet.side,
        &content,
        &mut state.settings.display,
        sheet.hover,
    );
    let bars = |ui: &mut Ui, probabilities: &[f32]| {
        let labels = &prediction.manifest.labels;
        top_classes::top5(
            ui,
            sheet.side,
            index,
            labels,
            probabilities,
            prediction.label,
        );
    };
    match (column, &shown) {
        (Column::Input, _) => bars(ui, &prediction.probabilities),
        (Column::Attacked, Some(shown)) => bars(ui, &shown.attacked.probabilities),
        (Column::Perturbation, Some(shown)) => facts(ui, state, prediction, shown),
        _ => {
            ui.label(theme::weak("attacking…"));
        }
    }
    over
}

fn title(ui: &mut Ui, state: &State, rows: &[Row], index: usize, column: Column) {
    let row = &rows[index];
    let layout = Layout::left_to_right(Align::Center);
    let norm = state.settings.attack.norm;
    let shown = row.nearest(state.settings.attack.epsilon);
    let (title, note) = match column {
        Column::Input => ("Input".into(), String::new()),
        Column::Attacked => (
            "Attacked".into(),
            shown
                .as_ref()
                .map_or_else(String::new, |shown| which(shown, norm)),
        ),
        Column::Perturbation => (
            "Perturbation".into(),
            format!("×{:.1}", state.settings.display.gain),
        ),
        Column::Attribution => map_title(state, index, row, PictureSource::Input),
        Column::AttackedAttribution => map_title(state, index, row, PictureSource::Attacked),
        Column::Synthesis => (
            state.settings.synthesis.kind().name().into(),
            synthesis_cell::note(state, row.prediction.as_ref(), index),
        ),
        Column::Counterfactual | Column::Change | Column::Return => (
            column.name().into(),
            counterfactual::note(state, rows, index, column),
        ),
    };
    ui.allocate_ui_with_layout(vec2(ui.available_width(), TITLE), layout, |ui| {
        ui.add(egui::Label::new(egui::RichText::new(title).strong()).truncate());
        ui.add(egui::Label::new(theme::weak(&note)).truncate());
    });
}

/// Which class a map is about, of which picture, and whether it is what is wanted.
fn map_title(state: &State, index: usize, row: &Row, which: PictureSource) -> (String, String) {
    let map = row.attributions[which as usize].as_ref();
    let (Some(map), Some(prediction)) = (map, &row.prediction) else {
        return ("Attribution".into(), String::new());
    };
    let title = map.request.asks(prediction);
    let mut note = match which {
        PictureSource::Input => String::new(),
        PictureSource::Attacked => {
            let norm = state.settings.attack.norm;
            format!("at ε {}", norm.format(map.request.epsilon))
        }
    };
    if attribution_request(state, index, row, which).as_ref() != Some(&map.request) {
        note += " (old)";
    }
    (title, note)
}

fn map_cell(
    ui: &mut Ui,
    state: &mut State,
    index: usize,
    which: PictureSource,
    sheet: &mut Sheet,
) -> Hover {
    let row = &sheet.rows[index];
    let Some(map) = &row.attributions[which as usize] else {
        ui.allocate_space(vec2(sheet.side, sheet.side));
        let text = match row.map_error(which) {
            Some(error) => theme::error(ui, error),
            None => theme::weak("computing attribution…"),
        };
        ui.label(text);
        return None;
    };
    let style = state.settings.display.heat;
    let current = map.request.explanation == state.settings.explanation;
    let shared = sheet.scale.filter(|_| current);
    let scale = shared.unwrap_or_else(|| map.heat.scale(&style));
    let contour =
        (style.contour > 0.0).then(|| map.heat.magnitude_at(style.sign, 100.0 - style.contour));
    let content = Content {
        id: tile_id(index, 3 + which as usize),
        first: &map.request.picture,
        second: map.heat.frame(),
        mode: Mode::Heat {
            style,
            scale,
            contour,
        },
        divider: false,
    };
    let over = tile::tile(
        ui,
        sheet.side,
        &content,
        &mut state.settings.display,
        sheet.hover,
    );
    let strip = map_quality::Strip {
        map,
        scale,
        likenesses: likenesses(sheet, index, which),
        room: sheet.room,
    };
    map_quality::show(ui, sheet.side, &style, &strip);
    over
}

/// How alike a map is to the row's other one, and to the other model's.
fn likenesses(
    sheet: &mut Sheet,
    index: usize,
    which: PictureSource,
) -> Vec<(String, crate::session::Likeness)> {
    let rows = sheet.rows;
    let map =
        |row: usize, which: PictureSource| rows.get(row)?.attributions[which as usize].as_ref();
    let Some(own) = map(index, which) else {
        return Vec::new();
    };
    let (other, name) = match which {
        PictureSource::Input => (PictureSource::Attacked, "attacked"),
        PictureSource::Attacked => (PictureSource::Input, "input"),
    };
    // The first row is compared with the second, every other one with the first.
    let reference = usize::from(index == 0);
    let model = rows.get(reference).and_then(|row| row.prediction.as_ref());
    let model = model.map_or_else(String::new, |prediction| {
        short_name(&prediction.manifest.name)
    });
    let same_epsilon = |map: &&Arc<AttributionResult>| map.request.epsilon == own.request.epsilon;
    let neighbour = map(reference, which).filter(same_epsilon);
    let pairs = [(map(index, other), name.into()), (neighbour, model)];
    pairs
        .into_iter()
        .filter_map(|(map, name)| Some((name, sheet.memory.likenesses.of(own, map?)?)))
        .collect()
}

/// The last word of a model's name, which tells it from its neighbour.
fn short_name(name: &str) -> String {
    name.split_whitespace().last().unwrap_or(name).to_owned()
}

fn which(shown: &Shown, norm: Norm) -> String {
    let epsilon = norm.format(shown.attacked.epsilon);
    if shown.exact {
        format!("at ε {epsilon}")
    } else {
        format!("nearest finished, ε {epsilon}")
    }
}

fn tile_id(index: usize, column: usize) -> u64 {
    (index * Column::ALL.len() + column) as u64
}

fn content<'a>(
    index: usize,
    column: Column,
    state: &State,
    input: &'a GpuImage,
    attacked: &'a GpuImage,
) -> Content<'a> {
    let divided = column == Column::Attacked;
    let split = state
        .settings
        .display
        .divider
        .filter(|_| divided)
        .unwrap_or(0.0);
    let (first, mode) = match column {
        Column::Perturbation => {
            let gain = state.settings.display.gain;
            (attacked, Mode::Difference { gain })
        }
        Column::Attacked => (attacked, Mode::Picture { split }),
        _ => (input, Mode::Picture { split }),
    };
    Content {
        id: tile_id(index, column as usize),
        first,
        second: input,
        mode,
        divider: divided,
    }
}

/// What is true of the attack on the screen, whatever was asked for.
fn facts(ui: &mut Ui, state: &State, prediction: &PredictionResult, shown: &Shown) {
    let attacked = shown.attacked;
    ui.spacing_mut().item_spacing.y = 1.0;
    ui.label(theme::weak(attacked.lengths()))
        .on_hover_text("True norms of the perturbation; L2 in units of pixels in [0, 1]");
    let inside = if attacked.inside_box {
        "inside [0, 1]"
    } else {
        "leaves [0, 1]"
    };
    let steps = format!(
        "{} steps × {}",
        state.settings.attack.steps, state.settings.attack.restarts
    );
    ui.label(theme::weak(format!("{inside} · {steps}")));
    ui.label(theme::weak(format!(
        "re-evaluated: {}",
        prediction.sure(&attacked.probabilities)
    )))
    .on_hover_text("Prediction of the model for the finished adversarial picture, evaluated again");
}
