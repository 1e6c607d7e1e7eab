//! The panel at the bottom: its tabs.

use egui::Ui;

use crate::state::Bottom;

/// Draws the tabs at the beginning of the panel's first line.
pub fn tabs(ui: &mut Ui, bottom: &mut Bottom) {
    for tab in Bottom::ALL {
        let hint = match tab {
            Bottom::Epsilon => "Confidence of every model against ε",
            Bottom::Synthesis => "Progress of the pictures that the models make (column Synthesis)",
            Bottom::Units => "What of each model's representation the open picture excites",
        };
        ui.selectable_value(bottom, tab, tab.name())
            .on_hover_text(hint);
    }
    ui.separator();
}
