//! Models × views: the middle of the window.

use egui::{Align, Layout, RichText, Ui, UiBuilder, vec2};

use super::tile::{self, Content, Hover};
use super::{Action, bars, theme};
use crate::jobs::{Look, flipped_before, flips, top};
use crate::results::{Row, Shown};
use crate::state::{Column, State};
use crate::view::{Frame, Mode};

/// Width of the column of names, in points.
const NAMES: f32 = 150.0;
/// Height of the column titles, in points.
const TITLE: f32 = 20.0;

/// Draws a row for each model. `hover` is the pixel under the pointer, from frame to frame.
pub fn show(
    ui: &mut Ui,
    state: &mut State,
    rows: &[Row],
    hover: &mut Hover,
    actions: &mut Vec<Action>,
) {
    if state.entry().is_none() {
        ui.centered_and_justified(|ui| {
            ui.label("Open a picture (Ctrl+O), drop one here, or paste one (Ctrl+V).");
        });
        return;
    }
    let columns = state.display.columns();
    let space = ui.available_size();
    let height = (space.y / rows.len() as f32).floor();
    let gap = ui.spacing().item_spacing;
    let width = ((space.x - NAMES) / columns.len().max(1) as f32 - 2.0 * gap.x).floor();
    let below = bars::HEIGHT + 3.0 * gap.y + 18.0;
    let side = width.min(height - TITLE - below).max(48.0);
    let mut found = None;
    for (index, row) in rows.iter().enumerate() {
        let area = egui::Rect::from_min_size(ui.cursor().min, vec2(space.x, height));
        ui.scope_builder(UiBuilder::new().max_rect(area), |ui| {
            ui.set_clip_rect(area.intersect(ui.clip_rect()));
            ui.horizontal_top(|ui| {
                names(ui, state, index, row, actions);
                for &column in &columns {
                    let layout = Layout::top_down(Align::Min);
                    ui.allocate_ui_with_layout(vec2(width, height), layout, |ui| {
                        let over = cell(ui, state, index, row, column, side, *hover);
                        found = found.or(over);
                    });
                }
            });
        });
        ui.advance_cursor_after_rect(area);
    }
    *hover = found;
    if let Some(pixel) = found {
        read_out(ui, state, rows, pixel);
    }
}

fn names(ui: &mut Ui, state: &State, index: usize, row: &Row, actions: &mut Vec<Action>) {
    let layout = Layout::top_down(Align::Min);
    ui.allocate_ui_with_layout(vec2(NAMES, ui.available_height()), layout, |ui| {
        ui.set_width(NAMES);
        ui.add_space(TITLE);
        let Some(look) = &row.look else {
            ui.label(&state.models[index]);
            match &row.error {
                Some(error) => ui.label(theme::error(ui, error)),
                None => {
                    ui.horizontal(|ui| {
                        ui.spinner();
                        ui.label(theme::weak("warming up…"));
                    })
                    .response
                }
            };
            return;
        };
        let name = RichText::new(&look.manifest.name)
            .strong()
            .color(theme::row_color(index));
        ui.label(name).on_hover_text(format!(
            "{}\n{}",
            look.manifest.architecture, look.manifest.training
        ));
        let says = format!("sees {}", sure(look, &look.probabilities));
        ui.label(says);
        if let Some(shown) = row.nearest(state.attack.epsilon) {
            ui.label(format!(
                "attacked: {}",
                sure(look, &shown.attacked.probabilities)
            ));
            ui.label(verdict(ui, state, look, &shown.attacked.probabilities));
        }
        flip(ui, state, row);
        if let Some(error) = &row.error {
            ui.label(theme::error(ui, error));
        }
        if let Some(progress) = row.progress {
            ui.add(
                egui::ProgressBar::new(progress)
                    .desired_width(NAMES - 20.0)
                    .desired_height(6.0),
            );
        }
        ui.add_space(4.0);
        let save = ui.add_enabled(row.attacked.is_some(), egui::Button::new("Save…").small());
        if save
            .on_hover_text("Write the attacked picture as a PNG file (S)")
            .clicked()
        {
            actions.push(Action::Save(index));
        }
    });
}

fn verdict(ui: &Ui, state: &State, look: &Look, attacked: &[f32]) -> RichText {
    if flipped_before(&state.attack, look) {
        RichText::new("wrong without any attack").weak()
    } else if flips(&state.attack, look.label, attacked) {
        theme::error(ui, "the attack succeeds")
    } else {
        RichText::new("the attack fails").weak()
    }
}

fn flip(ui: &mut Ui, state: &State, row: &Row) {
    let text = match row.flip(&state.attack) {
        Some(0.0) => return,
        Some(epsilon) => format!("flips at ε ≤ {epsilon:.3}"),
        None if row.sweep.is_empty() => return,
        None => format!("no flip up to ε {:.3}", state.range()),
    };
    ui.label(text)
        .on_hover_text("The smallest ε tried at which the attack succeeds");
}

fn sure(look: &Look, probabilities: &[f32]) -> String {
    let class = top(probabilities);
    let name = look.manifest.labels.get(class).map_or("?", String::as_str);
    format!("{name} {:.0} %", probabilities[class] * 100.0)
}

fn cell(
    ui: &mut Ui,
    state: &mut State,
    index: usize,
    row: &Row,
    column: Column,
    side: f32,
    hover: Hover,
) -> Hover {
    let title = match column {
        Column::Input => "Input".to_owned(),
        Column::Attacked => "Attacked".to_owned(),
        Column::Perturbation => format!("Perturbation ×{:.1}", state.display.gain),
    };
    ui.allocate_ui_with_layout(
        vec2(side, TITLE),
        Layout::left_to_right(Align::Center),
        |ui| {
            ui.strong(title);
            if column == Column::Attacked
                && let Some(shown) = row.nearest(state.attack.epsilon)
            {
                ui.label(theme::weak(which(&shown)));
            }
        },
    );
    let look = row.look.as_ref()?;
    let shown = row.nearest(state.attack.epsilon);
    let attacked = shown
        .as_ref()
        .map_or(&look.input, |shown| &shown.attacked.picture);
    let content = content(index, column, state, &look.input, attacked);
    let over = tile::tile(ui, side, &content, &mut state.display, hover);
    match (column, &shown) {
        (Column::Input, _) => bars::top5(
            ui,
            side,
            index,
            &look.manifest.labels,
            &look.probabilities,
            look.label,
        ),
        (Column::Attacked, Some(shown)) => {
            bars::top5(
                ui,
                side,
                index,
                &look.manifest.labels,
                &shown.attacked.probabilities,
                look.label,
            );
        }
        (Column::Perturbation, Some(shown)) => facts(ui, state, look, shown),
        (_, None) => {
            ui.label(theme::weak("attacking…"));
        }
    }
    over
}

fn which(shown: &Shown) -> String {
    let epsilon = shown.attacked.epsilon;
    if shown.exact {
        format!("at ε {epsilon:.3}")
    } else {
        format!("nearest finished, ε {epsilon:.3}")
    }
}

fn content<'a>(
    index: usize,
    column: Column,
    state: &State,
    input: &'a Frame,
    attacked: &'a Frame,
) -> Content<'a> {
    let id = (index * Column::ALL.len() + column as usize) as u64;
    let picture = |split: f32| Mode::Picture { split };
    let divider = column == Column::Attacked;
    let split = if divider {
        state.display.divider.unwrap_or(0.0)
    } else {
        0.0
    };
    match column {
        Column::Input => Content {
            id,
            first: input,
            second: input,
            mode: picture(0.0),
            divider,
        },
        Column::Attacked => Content {
            id,
            first: attacked,
            second: input,
            mode: picture(split),
            divider,
        },
        Column::Perturbation => {
            let mode = Mode::Difference {
                gain: state.display.gain,
            };
            Content {
                id,
                first: attacked,
                second: input,
                mode,
                divider,
            }
        }
    }
}

/// What is true of the attack on the screen, whatever was asked for.
fn facts(ui: &mut Ui, state: &State, look: &Look, shown: &Shown) {
    let attacked = shown.attacked;
    ui.spacing_mut().item_spacing.y = 1.0;
    ui.label(theme::weak(format!(
        "L∞ {} · L2 {:.3}",
        theme::epsilon_text(attacked.linf),
        attacked.l2
    )))
    .on_hover_text("True norms of the perturbation, in units of pixels in [0, 1]");
    let inside = if attacked.inside_box {
        "inside [0, 1]"
    } else {
        "leaves [0, 1]"
    };
    let steps = format!("{} steps × {}", state.attack.steps, state.attack.restarts);
    ui.label(theme::weak(format!("{inside} · {steps}")));
    ui.label(theme::weak(format!(
        "re-evaluated: {}",
        sure(look, &attacked.probabilities)
    )))
    .on_hover_text("What the model says when it looks at the finished picture afresh");
}

/// The values of a pixel in every panel.
fn read_out(ui: &Ui, state: &State, rows: &[Row], [x, y]: [usize; 2]) {
    let levels = |rgb: [f32; 3]| rgb.map(|value| format!("{:3.0}", value * 255.0)).join(" ");
    let mut text = format!("pixel {x}, {y} · values in n/255");
    for (index, row) in rows.iter().enumerate() {
        let Some(look) = &row.look else { continue };
        let [h, w] = look.input.size();
        if x >= w || y >= h {
            continue;
        }
        let input = look.input.pixel(x, y);
        if index == 0 {
            text += &format!("\ninput {}", levels(input));
        }
        if let Some(shown) = row.nearest(state.attack.epsilon) {
            let attacked = shown.attacked.picture.pixel(x, y);
            let delta: [f32; 3] = std::array::from_fn(|channel| attacked[channel] - input[channel]);
            let signed = delta
                .map(|value| format!("{:+.1}", value * 255.0))
                .join(" ");
            text += &format!("\n{}: {} ({signed})", look.manifest.name, levels(attacked));
        }
    }
    egui::Tooltip::always_open(
        ui.ctx().clone(),
        ui.layer_id(),
        ui.scope_id().with("read-out"),
        egui::PopupAnchor::Pointer,
    )
    .gap(16.0)
    .show(|ui| {
        ui.style_mut().wrap_mode = Some(egui::TextWrapMode::Extend);
        ui.monospace(text)
    });
}
