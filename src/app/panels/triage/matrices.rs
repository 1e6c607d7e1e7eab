//! Counts in two directions; a click selects what a cell counts.

use egui::{Color32, ComboBox, Grid, ScrollArea, Ui};

use super::TriageState;
use crate::app::theme;
use crate::session::{Triage, TriageTab};
use crate::triage::ConfusionMatrix;

/// Draws the chosen matrix.
pub(super) fn show(ui: &mut Ui, triage: &mut Triage, memory: &TriageState) {
    let Some(matrix) = memory
        .matrices
        .get(triage.matrix.min(memory.matrices.len().saturating_sub(1)))
    else {
        ui.label(theme::weak("No results yet"));
        return;
    };
    ComboBox::from_id_salt("matrix")
        .width(320.0)
        .selected_text(title(matrix))
        .show_ui(ui, |ui| {
            for (index, other) in memory.matrices.iter().enumerate() {
                ui.selectable_value(&mut triage.matrix, index, title(other));
            }
        });
    ui.label(theme::weak(format!(
        "{} pictures; rows: {}, columns: {}. Click a number to see its pictures.",
        matrix.total(),
        matrix.rows.title,
        matrix.columns.title
    )));
    ui.add_space(6.0);
    ScrollArea::both()
        .auto_shrink(false)
        .show(ui, |ui| cells(ui, triage, matrix));
}

/// Several have one title and differ in their axes.
fn title(matrix: &ConfusionMatrix) -> String {
    format!(
        "{}: {} × {}",
        matrix.title, matrix.rows.title, matrix.columns.title
    )
}

fn cells(ui: &mut Ui, triage: &mut Triage, matrix: &ConfusionMatrix) {
    let most = matrix.counts.iter().flatten().max().copied().unwrap_or(0);
    let base = ui.visuals().selection.bg_fill;
    Grid::new("matrix").spacing([14.0, 4.0]).show(ui, |ui| {
        ui.label("");
        for (name, _) in &matrix.columns.parts {
            ui.label(theme::weak(name));
        }
        ui.end_row();
        for (row, (name, _)) in matrix.rows.parts.iter().enumerate() {
            ui.label(name);
            for (column, (other, _)) in matrix.columns.parts.iter().enumerate() {
                let count = matrix.counts[row][column];
                let share = (count as f32 / most.max(1) as f32).sqrt();
                let fill = if count == 0 {
                    Color32::TRANSPARENT
                } else {
                    base.gamma_multiply(0.15 + 0.85 * share)
                };
                let button = egui::Button::new(count.to_string())
                    .fill(fill)
                    .min_size(egui::vec2(56.0, 24.0));
                let cell = ui.add_enabled(count > 0, button).on_hover_text(format!(
                    "{}: {name}\n{}: {other}",
                    matrix.rows.title, matrix.columns.title
                ));
                if cell.clicked() {
                    triage.query = matrix.query(row, column).to_string();
                    triage.tab = TriageTab::Grid;
                }
            }
            ui.end_row();
        }
    });
}
