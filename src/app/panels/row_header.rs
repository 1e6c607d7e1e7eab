//! The line above a row: the model and what it says.

use egui::{Align, Layout, RichText, Ui};

use super::Action;
use crate::app::commands::Command;
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
        let Some(prediction) = &row.prediction else {
            waiting(ui, &state.document.models[index], row);
            return;
        };
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if state.transient.presenting.is_none() {
                tools(ui, index, row, actions);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                // What there is no room for ends before the tools.
                ui.set_clip_rect(ui.max_rect().intersect(ui.clip_rect()));
                prediction_line(ui, state, index, (row, prediction));
            });
        });
    });
}

/// Saves the attacked picture; how far the attack is.
fn tools(ui: &mut Ui, index: usize, row: &Row, actions: &mut Vec<Action>) {
    let save = ui.add_enabled(row.attacked.is_some(), egui::Button::new("Save…").small());
    if save
        .on_hover_text(
            Command::SaveAttacked.tooltip(ui.ctx(), "Write the attacked picture as a PNG file"),
        )
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
fn prediction_line(
    ui: &mut Ui,
    state: &mut State,
    index: usize,
    (row, prediction): (&Row, &PredictionResult),
) {
    let name = RichText::new(&prediction.manifest.name)
        .strong()
        .color(theme::row_text(ui, index));
    let facts = format!(
        "{}\n{}\nClick for more",
        prediction.manifest.architecture, prediction.manifest.training
    );
    let name = ui.add(egui::Button::new(name).frame(false));
    if name.on_hover_text(facts).clicked() {
        state.transient.about = if state.transient.about == Some(index) {
            None
        } else {
            Some(index)
        };
    }
    let assumptions = &prediction.manifest.assumptions;
    if !assumptions.is_empty() {
        ui.label(theme::weak("(assumed …)")).on_hover_text(format!(
            "{}\nA click on the name offers others",
            assumptions.join("\n")
        ));
    }
    ui.label(format!(
        "predicts {}",
        prediction.sure(&prediction.probabilities)
    ));
    if let Some(shown) = row.nearest(state.settings.attack.epsilon) {
        let attacked = prediction.sure(&shown.attacked.probabilities);
        ui.label(format!("· attacked {attacked}"));
        ui.label(verdict(
            ui,
            state,
            prediction,
            &shown.attacked.probabilities,
        ));
    }
    flip(ui, state, row);
    let maps = state.settings.display.maps().into_iter();
    let maps = maps.filter_map(|which| row.map_error(which));
    let mut shown: Vec<&str> = Vec::new();
    for error in row.error.iter().chain(maps) {
        // Both maps of a model fail for the same reason.
        if shown.contains(&&**error) {
            continue;
        }
        shown.push(error);
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
            ui.label(theme::weak("loading…"));
        }
    }
}

fn verdict(ui: &Ui, state: &State, prediction: &PredictionResult, attacked: &[f32]) -> RichText {
    if flipped_before(&state.settings.attack, prediction) {
        RichText::new("(misclassified without attack)").weak()
    } else if flips(&state.settings.attack, prediction.label, attacked) {
        theme::error(ui, "attack succeeds")
    } else {
        RichText::new("attack fails").weak()
    }
}

fn flip(ui: &mut Ui, state: &State, row: &Row) {
    let norm = state.settings.attack.norm;
    let text = match row.flip(&state.settings.attack) {
        Some(0.0) => return,
        Some(epsilon) => format!("· flips at ε ≤ {}", norm.format(epsilon)),
        None => match row.sweep.last() {
            // What is not attacked yet may flip all the same.
            Some(furthest) if furthest.epsilon > 0.0 => {
                format!("· no flip up to ε {}", norm.format(furthest.epsilon))
            }
            _ => return,
        },
    };
    ui.label(text)
        .on_hover_text("The smallest ε tried at which attack succeeds");
}
