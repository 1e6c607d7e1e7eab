//! The panel at the bottom: its tabs, and what its plots have in common.

use egui::{Sense, Ui};
use egui_plot::{Corner, Legend, Plot};

use crate::session::Bottom;

/// Draws the tabs at the beginning of the panel's first line.
pub fn tabs(ui: &mut Ui, bottom: &mut Bottom) {
    for tab in Bottom::ALL {
        let hint = match tab {
            Bottom::Epsilon => "Confidence of every model against ε",
            Bottom::Synthesis => "Loss or score of the syntheses by iteration (column Synthesis)",
            Bottom::Counterfactual => {
                "Discriminator confidence from the picture to its counterfactual (columns Counterfactual, Change, Cycle)"
            }
            Bottom::Units => "Activation of each unit by the open picture",
        };
        ui.selectable_value(bottom, tab, tab.name())
            .on_hover_text(hint);
    }
    ui.separator();
}

/// A plot over all the room that is left, on which a press or drag chooses a place instead of moving
/// the plot.
pub fn plot<'a>(ui: &Ui, name: &str) -> Plot<'a> {
    Plot::new(name)
        .height(ui.available_height())
        .allow_zoom(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .set_margin_fraction(egui::vec2(0.0, 0.06))
        .sense(Sense::click_and_drag())
        .legend(Legend::default().position(Corner::RightTop))
        .label_formatter(|_| None)
}
