//! The titles of the columns, cell by cell.

use egui::{Align, Layout, Ui, vec2};

use super::TITLE;
use crate::app::panels::{counterfactual, synthesis_cell};
use crate::app::theme;
use crate::attack::Norm;
use crate::compute::PictureSource;
use crate::session::{Column, Row, Shown, State, attribution_request};

/// Draws the title of a cell, with a note where there is room.
pub(super) fn title(ui: &mut Ui, state: &State, rows: &[Row], index: usize, column: Column) {
    let row = &rows[index];
    let layout = Layout::left_to_right(Align::Center);
    let norm = state.settings.attack.norm;
    let shown = row.nearest(state.settings.attack.epsilon);
    let (title, note) = match column {
        Column::Input => ("Input".into(), corruption(state)),
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

/// What was done to the input, if anything was.
fn corruption(state: &State) -> String {
    let corruption = &state.settings.corruption;
    if corruption.is_active() {
        corruption.to_string()
    } else {
        String::new()
    }
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

fn which(shown: &Shown, norm: Norm) -> String {
    let epsilon = norm.format(shown.attacked.epsilon);
    if shown.exact {
        format!("at ε {epsilon}")
    } else {
        format!("nearest finished, ε {epsilon}")
    }
}
