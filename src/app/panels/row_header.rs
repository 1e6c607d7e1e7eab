//! The line above a row: the model and what it says.

use egui::{Align, Layout, RichText, Ui};

use super::Action;
use crate::app::theme;
use crate::compute::{PredictionResult, flipped_before, flips};
use crate::model::ModelRef;
use crate::session::{Row, State};

/// Height of the line, in points.
pub const HEIGHT: f32 = 22.0;

/// Draws the line of a row: what the model says from the left, what can be done from the right.
pub fn show(ui: &mut Ui, state: &mut State, index: usize, row: &Row, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        ui.set_height(HEIGHT);
        let Some(look) = &row.look else {
            waiting(ui, &state.models[index], row);
            return;
        };
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if state.presenting.is_none() {
                tools(ui, index, row, actions);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                // What there is no room for ends before the tools.
                ui.set_clip_rect(ui.max_rect().intersect(ui.clip_rect()));
                said(ui, state, index, (row, look));
            });
        });
    });
}

/// Saves the attacked picture; how far the attack is.
fn tools(ui: &mut Ui, index: usize, row: &Row, actions: &mut Vec<Action>) {
    let save = ui.add_enabled(row.attacked.is_some(), egui::Button::new("Save…").small());
    if save
        .on_hover_text("Write the attacked picture as a PNG file (S)")
        .clicked()
    {
        actions.push(Action::Save(index));
    }
    if let Some(progress) = row.progress {
        ui.add(
            egui::ProgressBar::new(progress)
                .desired_width(60.0)
                .desired_height(6.0),
        );
    }
}

/// The model's name and what it says.
fn said(ui: &mut Ui, state: &mut State, index: usize, (row, look): (&Row, &PredictionResult)) {
    let name = RichText::new(&look.manifest.name)
        .strong()
        .color(theme::row_text(ui, index));
    let facts = format!(
        "{}\n{}\nClick for more",
        look.manifest.architecture, look.manifest.training
    );
    let name = ui.add(egui::Button::new(name).frame(false));
    if name.on_hover_text(facts).clicked() {
        state.about = if state.about == Some(index) {
            None
        } else {
            Some(index)
        };
    }
    let mut notes = look.manifest.notes.iter();
    if notes.any(|note| note.contains("assumed")) {
        ui.label(theme::weak("(assumed …)")).on_hover_text(
            "The file does not say its normaliser or labels; a click on the name shows what was assumed",
        );
    }
    ui.label(format!("sees {}", look.sure(&look.probabilities)));
    if let Some(shown) = row.nearest(state.attack.epsilon) {
        let attacked = look.sure(&shown.attacked.probabilities);
        ui.label(format!("· attacked {attacked}"));
        ui.label(verdict(ui, state, look, &shown.attacked.probabilities));
    }
    flip(ui, state, row);
    let maps = state.display.maps().into_iter();
    let maps = maps.filter_map(|which| row.map_error(which));
    for error in row.error.iter().chain(maps) {
        let label = egui::Label::new(theme::error(ui, error)).truncate();
        ui.add(label).on_hover_text(error);
    }
}

/// What stands there before the model has looked.
fn waiting(ui: &mut Ui, model: &ModelRef, row: &Row) {
    ui.label(model.title());
    match &row.error {
        Some(error) => {
            ui.label(theme::error(ui, error));
        }
        None => {
            ui.spinner();
            ui.label(theme::weak("warming up…"));
        }
    }
}

fn verdict(ui: &Ui, state: &State, look: &PredictionResult, attacked: &[f32]) -> RichText {
    if flipped_before(&state.attack, look) {
        RichText::new("(wrong without any attack)").weak()
    } else if flips(&state.attack, look.label, attacked) {
        theme::error(ui, "the attack succeeds")
    } else {
        RichText::new("the attack fails").weak()
    }
}

fn flip(ui: &mut Ui, state: &State, row: &Row) {
    let text = match row.flip(&state.attack) {
        Some(0.0) => return,
        Some(epsilon) => format!("· flips at ε ≤ {epsilon:.3}"),
        None => match row.sweep.last() {
            // What is not attacked yet may flip all the same.
            Some(furthest) if furthest.epsilon > 0.0 => {
                format!("· no flip up to ε {:.3}", furthest.epsilon)
            }
            _ => return,
        },
    };
    ui.label(text)
        .on_hover_text("The smallest ε tried at which the attack succeeds");
}
