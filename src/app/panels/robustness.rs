//! The check of the open picture by AutoAttack: what held, and what did not.

use egui::{Context, Grid, ProgressBar, Ui, Window};

use crate::app::theme;
use crate::compute::{AdversarialExample, PartStatus, RobustnessResult};
use crate::session::{Row, State};

/// Shows the check while it is asked for; closing the window ends it.
pub fn show(context: &Context, state: &mut State, rows: &[Row]) {
    let Some(check) = &state.progress.robustness else {
        return;
    };
    let title = check.attack.to_string();
    let (mut open, mut begins_anew) = (true, false);
    Window::new("Check this picture")
        .open(&mut open)
        .default_width(420.0)
        .show(context, |ui| {
            ui.strong(title).on_hover_text(
                "Four attacks without settings, each on what withstood those before: APGD on cross-entropy, APGD toward \
                 each other class, FAB, and Square without gradients (Croce and Hein 2020)",
            );
            if state.robustness_check().is_none() {
                ui.label(
                    "The check is of another picture, or of this one with another crop, class, mask or corruption; it \
                     goes on when that is back.",
                );
                begins_anew = ui.button("Check the open picture instead").clicked();
                return;
            }
            for (index, row) in rows.iter().enumerate() {
                if state.settings.display.shows_row(index) {
                    ui.separator();
                    model(ui, index, row);
                }
            }
        });
    if begins_anew {
        state.check_robustness();
    } else if !open {
        state.progress.robustness = None;
    }
}

/// What is known of one model.
fn model(ui: &mut Ui, index: usize, row: &Row) {
    let Some(prediction) = &row.prediction else {
        return;
    };
    let name = egui::RichText::new(&prediction.manifest.name).strong();
    ui.label(name.color(theme::row_text(ui, index)));
    if let Some(error) = row.robustness_error() {
        ui.label(theme::error(ui, error));
        return;
    }
    let Some(result) = &row.robustness else {
        ui.label(theme::weak("waiting…"));
        return;
    };
    if result.is_wrong_already {
        ui.label(format!(
            "Without any attack the model predicts {}, so there is nothing to check.",
            prediction.sure(&prediction.probabilities)
        ));
        return;
    }
    parts(ui, index, result);
    if !result.finished() {
        ui.add(ProgressBar::new(result.progress).desired_width(240.0));
    }
    match &result.adversarial {
        Some(adversarial) => fooled(ui, prediction.name(adversarial.class), adversarial, result),
        None if result.finished() => {
            let label = prediction.name(result.label);
            let input = &result.request.input;
            let inside = match input.attack_mask.is_some() {
                true => " inside the mask",
                false => "",
            };
            let corrupted = match input.corruption.is_active() {
                true => format!(" of the picture with {}", input.corruption),
                false => String::new(),
            };
            ui.label(format!(
                "All attacks failed: within ε {}{inside}{corrupted} no picture was found that is not predicted as {label}.",
                result.request.attack.norm.format(result.request.attack.epsilon)
            ));
        }
        None => {}
    }
    for warning in &result.warnings {
        ui.label(theme::error(ui, format!("Not to be trusted: {warning}")));
    }
}

fn parts(ui: &mut Ui, index: usize, result: &RobustnessResult) {
    Grid::new(("parts", index)).num_columns(2).show(ui, |ui| {
        for &(part, status) in &result.parts {
            ui.label(part.to_string()).on_hover_text(part.about());
            match status {
                // Once a picture is misclassified no other attack is needed.
                PartStatus::Waiting if result.finished() => ui.label(theme::weak("not needed")),
                PartStatus::Waiting => ui.label(theme::weak("waiting")),
                PartStatus::Running => ui.label("running…"),
                PartStatus::Held => ui.label("the model holds"),
                PartStatus::Fooled => ui.label(theme::error(ui, "the attack succeeds")),
            };
            ui.end_row();
        }
    });
}

fn fooled(ui: &mut Ui, class: &str, adversarial: &AdversarialExample, result: &RobustnessResult) {
    let norm = result.request.attack.norm;
    ui.label(format!(
        "Predicted as {class} ({:.0} %) after a change of {norm} {}.",
        adversarial.confidence * 100.0,
        norm.format(adversarial.length)
    ))
    .on_hover_text("Prediction for the finished adversarial picture, evaluated again");
}
