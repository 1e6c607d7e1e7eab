//! The panel on the right: attack, attribution, display, picture.

use egui::{ComboBox, Slider, Ui};

use super::crop::{self, Original};
use super::sections::{Reveal, Section};
use super::{Action, attack, colors, counterfactual, edit, explain, severity, synthesis};
use crate::app::commands::Command;
use crate::app::theme;
use crate::model::ModelRef;
use crate::session::{Column, Display, Row, State};

/// Draws the panel; `labels` are the classes, `input` the size and `stages` the
/// number of stages of the first row's model; `labels_differ` if other rows have other classes; `reveal` is the
/// section to point out.
pub fn show(
    ui: &mut Ui,
    state: &mut State,
    rows: &[Row],
    (labels, input, stages): (&[String], [usize; 2], usize),
    labels_differ: bool,
    (original, reveal): (&mut Original, &mut Option<Reveal>),
    actions: &mut Vec<Action>,
) {
    if labels_differ {
        ui.label(theme::weak(
            "The models have different labels: classes are chosen by number, and named here as the \
             first row's model names them.",
        ));
    }
    for (section, is_of_visible) in Section::ordered(&state.settings.display) {
        if section == Section::Picture && state.entry().is_none() {
            continue;
        }
        section.show(ui, is_of_visible, reveal, |ui| match section {
            Section::Attack => attack::show(ui, state, labels),
            Section::Corruption => severity::settings(ui, state),
            Section::Edit => edit::settings(ui, state, input, actions),
            Section::Attribution => {
                explain::show(ui, state, labels, input[0].min(input[1]), actions);
            }
            Section::MapColours => colors::show(ui, &mut state.settings.display.heat),
            Section::Synthesis => synthesis::show(ui, state, labels, stages),
            Section::Counterfactual => {
                counterfactual::settings(ui, state, rows, (labels, input), actions);
            }
            Section::Display => display(ui, &mut state.settings.display, &state.document.models),
            Section::Picture => picture(ui, state, (labels, input), original),
        });
    }
}

/// Crop and true class of the open picture.
fn picture(
    ui: &mut Ui,
    state: &mut State,
    (labels, input): (&[String], [usize; 2]),
    original: &mut Original,
) {
    let Some(mut entry) = state.entry().cloned() else {
        return;
    };
    crop::show(ui, &mut entry, input, original);
    truth(ui, &mut entry.truth, labels);
    if state.entry() != Some(&entry)
        && let Some(place) = state.entry_mut()
    {
        *place = entry;
    }
}

fn truth(ui: &mut Ui, truth: &mut Option<String>, labels: &[String]) {
    ui.horizontal(|ui| {
        ui.label("True class");
        let text = truth.clone().unwrap_or_else(|| "not given".into());
        ComboBox::from_id_salt("truth")
            .selected_text(text)
            .show_ui(ui, |ui| {
                ui.selectable_value(truth, None, "not given");
                for label in labels {
                    ui.selectable_value(truth, Some(label.clone()), label);
                }
            })
            .response
            .on_hover_text("Ground truth of the open picture");
    })
    .response
    .on_hover_text(
        "Ground truth of the open picture. An untargeted attack moves away from this class or, if none is given, from the predicted one.",
    );
}

fn display(ui: &mut Ui, display: &mut Display, models: &[ModelRef]) {
    ui.horizontal(|ui| {
        ui.label("Gain");
        let slider = Slider::new(&mut display.gain, 1.0..=100.0)
            .logarithmic(true)
            .prefix("×")
            .max_decimals(1);
        ui.add(slider)
            .on_hover_text("Amplification of the perturbation around grey; its sign is kept");
    });
    ui.horizontal_wrapped(|ui| {
        for (column, shown) in Column::ALL.into_iter().zip(&mut display.shown) {
            ui.toggle_value(shown, column.name())
                .on_hover_text(column.about());
        }
    });
    if models.len() > 1 {
        ui.horizontal_wrapped(|ui| {
            ui.label("Rows");
            for (row, model) in models.iter().enumerate() {
                let mut shown = display.shows_row(row);
                // One row at least stays.
                let last = shown && display.hidden.len() + 1 == models.len();
                let toggle = egui::Button::selectable(shown, model.title());
                let response = ui.add_enabled(!last, toggle);
                if response
                    .on_hover_text("Nothing is computed for hidden rows")
                    .clicked()
                {
                    shown = !shown;
                    display.hidden.retain(|&hidden| hidden != row);
                    if !shown {
                        display.hidden.push(row);
                    }
                }
            }
        });
    }
    ui.horizontal(|ui| {
        let mut divided = display.divider.is_some();
        if ui
            .checkbox(&mut divided, "Divider")
            .on_hover_text(
                Command::Divider
                    .tooltip(ui.ctx(), "Left of it the attacked picture shows the input"),
            )
            .changed()
        {
            display.divider = divided.then_some(0.5);
        }
        ui.label(theme::weak(format!("zoom ×{:.1}", display.zoom)));
        if ui
            .add_enabled(display.zoom > 1.0, egui::Button::new("Fit").small())
            .on_hover_text("Show the whole picture (double click)")
            .clicked()
        {
            (display.zoom, display.centre) = (1.0, [0.5; 2]);
        }
    });
}
