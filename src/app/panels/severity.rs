//! One scrubber for the severity of a corruption, over the confidence of every model against it.

use egui::{ComboBox, DragValue, Slider, Ui};

use super::bottom_panel;
use crate::app::theme;
use crate::attack::short_number;
use crate::data::{CorruptionKind, MAX_SEVERITY};
use crate::session::{Row, State};

/// Draws the timeline; a press or drag sets the severity.
pub fn show(ui: &mut Ui, state: &mut State, rows: &[Row]) {
    ui.horizontal(|ui| {
        bottom_panel::tabs(ui, &mut state.settings.display.bottom);
        let playing = &mut state.transient.playing;
        bottom_panel::play_button(ui, playing, "Play the severity along the timeline");
        kind(ui, state, "kind on the timeline");
        let severity = short_number(state.settings.corruption.severity);
        ui.strong(format!("severity {severity}"));
        let what = "confidence in the original class against severity · dotted: where the prediction flips";
        ui.add(egui::Label::new(theme::weak(what)).truncate());
    });
    let plot = bottom_panel::plot(ui, "severity timeline");
    let severity = state.settings.corruption.severity;
    let range = f64::from(MAX_SEVERITY);
    let chosen = bottom_panel::scrub(ui, plot, range, ("severity", severity), |plot| {
        for (index, row) in rows.iter().enumerate() {
            // While the picture of another severity is predicted, the curve stays.
            let name = match (&row.prediction, state.document.models.get(index)) {
                (Some(prediction), _) => prediction.manifest.name.clone(),
                (None, Some(model)) => model.title(),
                (None, None) => continue,
            };
            bottom_panel::curve(
                plot,
                index,
                &name,
                row.severity_curve(),
                row.flip_severity(),
            );
        }
    });
    if let Some(severity) = chosen {
        state.transient.playing = false;
        state.set_severity(severity);
    }
}

fn kind(ui: &mut Ui, state: &mut State, id: &str) {
    let kind = &mut state.settings.corruption.kind;
    ComboBox::from_id_salt(id)
        .selected_text(kind.name())
        .height(400.0)
        .show_ui(ui, |ui| {
            for each in CorruptionKind::ALL {
                ui.selectable_value(kind, each, each.name());
            }
        })
        .response
        .on_hover_text("Kind of corruption, as in ImageNet-C (Hendrycks and Dietterich 2019)");
}

/// Draws the settings in the panel on the right.
pub fn settings(ui: &mut Ui, state: &mut State) {
    ui.horizontal(|ui| {
        kind(ui, state, "kind of corruption");
        let corruption = &mut state.settings.corruption;
        ui.label("Seed");
        ui.add(DragValue::new(&mut corruption.seed))
            .on_hover_text("Seed of everything random in the corruption");
    });
    ui.horizontal(|ui| {
        let corruption = &mut state.settings.corruption;
        ui.label("Severity");
        ui.add(Slider::new(&mut corruption.severity, 0.0..=MAX_SEVERITY).max_decimals(2))
            .on_hover_text("0 leaves every bit; whole numbers are ImageNet-C's severities. Attacks follow the corruption");
        let none = egui::Button::new("None").small();
        if ui.add_enabled(corruption.is_active(), none).clicked() {
            corruption.severity = 0.0;
        }
    });
}
