//! Models × views: the middle of the window.

mod maps;
mod titles;

use egui::{Ui, UiBuilder, vec2};

use super::tile::{self, Content, Hover};
use super::{
    Action, counterfactual, edit, map_quality, read_out, row_header, synthesis_cell, top_classes,
};
use crate::app::commands::Command;
use crate::app::renderer::Mode;
use crate::app::theme;
use crate::compute::{GpuImage, PredictionResult};
use crate::session::{Column, Display, Likenesses, Row, Shown, State, shared_scale};

/// Height of the column titles, in points.
const TITLE: f32 = 20.0;

/// Share of the size that the height allows below which columns are not shrunk any more.
const SMALLEST_SHARE: f32 = 0.75;

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

impl Sheet<'_> {
    /// Draws a tile; returns the pixel under the pointer, if it is over this one.
    fn tile(&self, ui: &mut Ui, content: &Content, display: &mut Display) -> Hover {
        tile::tile(ui, self.side, content, display, self.hover)
    }

    /// Draws a tile that tools can draw on.
    fn drawn_tile(
        &self,
        ui: &mut Ui,
        content: &Content,
        display: &mut Display,
    ) -> Option<tile::DrawnTile> {
        tile::drawn_tile(ui, self.side, content, display, self.hover)
    }
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
    /// The last input of each row.
    inputs: Vec<Option<GpuImage>>,
    /// The mask of attacks over the pictures.
    overlays: edit::MaskOverlays,
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
    let visible = ui.available_rect_before_wrap();
    let shown: Vec<usize> = (0..rows.len())
        .filter(|&row| state.settings.display.shows_row(row))
        .collect();
    let height = (visible.height() / shown.len().max(1) as f32).floor();
    let gap = ui.spacing().item_spacing;
    let tallest = height - row_header::HEIGHT - TITLE - below(ui, state, &columns);
    let share = (visible.width() / columns.len().max(1) as f32 - gap.x).floor();
    // Where many columns would leave the height empty, they keep their size and scroll.
    let width = if share < SMALLEST_SHARE * tallest {
        tallest.floor()
    } else {
        share
    };
    let side = width.min(tallest).max(48.0);
    let mut sheet = Sheet {
        rows,
        memory,
        side,
        room: tallest - side,
        hover: *hover,
        scale: shared_scale(state, rows),
    };
    let all = columns.len() as f32 * (width + gap.x) - gap.x;
    let mut found = None;
    // Who does not know that there is more does not look for the bar.
    ui.spacing_mut().scroll.dormant_handle_opacity = 0.6;
    egui::ScrollArea::horizontal()
        .id_salt("columns")
        .auto_shrink(false)
        // Dragging pans the pictures.
        .scroll_source(egui::scroll_area::ScrollSource {
            drag: egui::scroll_area::DragScroll::Never,
            ..egui::scroll_area::ScrollSource::ALL
        })
        .show(ui, |ui| {
            let left = ui.max_rect().left();
            ui.set_width(all.max(visible.width()));
            for (line, index) in shown.into_iter().enumerate() {
                let top = visible.top() + line as f32 * height;
                let header = egui::Rect::from_min_size(
                    egui::pos2(visible.left(), top),
                    vec2(visible.width(), row_header::HEIGHT),
                );
                ui.scope_builder(UiBuilder::new().max_rect(header), |ui| {
                    row_header::show(ui, state, index, &rows[index], actions);
                });
                let top = header.bottom() + gap.y;
                for (place, &column) in columns.iter().enumerate() {
                    let cell_area = egui::Rect::from_min_size(
                        egui::pos2(left + place as f32 * (width + gap.x), top),
                        vec2(width, height - row_header::HEIGHT - gap.y),
                    );
                    ui.scope_builder(UiBuilder::new().max_rect(cell_area), |ui| {
                        let own = cell_area.expand2(vec2(gap.x, 0.0));
                        ui.set_clip_rect(own.intersect(ui.clip_rect()));
                        let over = cell(ui, state, index, column, &mut sheet);
                        found = found.or(over);
                    });
                }
            }
        });
    *hover = found;
    if let Some(pixel) = found {
        read_out::show(ui, state, rows, pixel);
    }
}

/// What stands below the tiles of a row, in points.
fn below(ui: &Ui, state: &State, columns: &[Column]) -> f32 {
    if state.transient.presenting.is_some() {
        // From a distance only the first lines can be read; the rest is cut off.
        return ON_STAGE;
    }
    let has_map = columns.iter().any(|column| column.map().is_some());
    let strip = match has_map {
        true => map_quality::height(state.settings.checks),
        false => 0.0,
    };
    let facts = match columns.contains(&Column::Synthesis) {
        true => synthesis_cell::HEIGHT,
        false => 0.0,
    };
    let bars = top_classes::HEIGHT + 18.0;
    strip.max(bars).max(facts) + 3.0 * ui.spacing().item_spacing.y
}

fn cell(ui: &mut Ui, state: &mut State, index: usize, column: Column, sheet: &mut Sheet) -> Hover {
    let row = &sheet.rows[index];
    let shown = row.nearest(state.settings.attack.epsilon);
    titles::title(ui, state, sheet.rows, index, column);
    let Some(prediction) = row.prediction.as_ref() else {
        return last_input(ui, state, (index, column), sheet);
    };
    let inputs = &mut sheet.memory.inputs;
    inputs.resize_with(inputs.len().max(index + 1), || None);
    inputs[index] = Some(prediction.input.clone());
    if let Some(which) = column.map() {
        return maps::map_cell(ui, state, index, which, sheet);
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
    let drawn = sheet.drawn_tile(ui, &content, &mut state.settings.display);
    if let (Some(drawn), Column::Input | Column::Attacked) = (&drawn, column) {
        let memory = &mut sheet.memory.overlays;
        edit::on_tile(
            ui,
            state,
            drawn,
            (column, prediction.manifest.input),
            memory,
        );
    }
    let over = drawn.and_then(|drawn| drawn.hover);
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

/// While a prediction is awaited, the last input of the row stays on the screen: a tool that draws on it keeps its tile.
fn last_input(
    ui: &mut Ui,
    state: &mut State,
    (index, column): (usize, Column),
    sheet: &mut Sheet,
) -> Hover {
    let is_drawn_on = matches!(column, Column::Input | Column::Attacked);
    let awaited = is_drawn_on && sheet.rows[index].error.is_none();
    let last = sheet.memory.inputs.get(index).cloned().flatten();
    let last = last.filter(|_| awaited)?;
    let content = content(index, column, state, &last, &last);
    let drawn = sheet.drawn_tile(ui, &content, &mut state.settings.display)?;
    edit::on_tile(
        ui,
        state,
        &drawn,
        (column, last.size()),
        &mut sheet.memory.overlays,
    );
    drawn.hover
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
        draws: state.transient.editing.tool.is_some() && column != Column::Perturbation,
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
    let attack = &state.settings.attack;
    let steps = match attack.method.is_pgd() {
        true => format!("{} steps × {}", attack.steps, attack.restarts),
        false => attack.method.to_string(),
    };
    ui.label(theme::weak(format!("{inside} · {steps}")));
    ui.label(theme::weak(format!(
        "re-evaluated: {}",
        prediction.sure(&attacked.probabilities)
    )))
    .on_hover_text("Prediction of the model for the finished adversarial picture, evaluated again");
}
