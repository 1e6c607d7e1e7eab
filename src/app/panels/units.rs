//! The representation of the open picture, unit by unit, and what else excites a unit.

use egui::{Align2, Color32, FontId, Rect, Sense, Ui, pos2, vec2};

use super::bottom_panel;
use super::library::Thumbnails;
use crate::app::theme;
use crate::compute::UnitActivations;
use crate::session::{Row, State, TaskKind};

/// Pictures shown of those that excite a unit most, and least.
const SHOWN: usize = 3;
/// Side of such a picture, in points.
const SIDE: f32 = 44.0;
/// Space between two of them.
const GAP: f32 = 3.0;

/// Draws a strip for each row; a click on a bar chooses its unit.
pub fn show(ui: &mut Ui, state: &mut State, rows: &[Row], thumbnails: &mut Thumbnails) {
    ui.horizontal(|ui| {
        bottom_panel::tabs(ui, &mut state.settings.display.bottom);
        ui.label(theme::weak(
            "activation of each unit by the open picture · click one to visualise it · right: pictures of the library with highest and lowest activation",
        ));
    });
    let shown: Vec<usize> = (0..rows.len())
        .filter(|&row| state.settings.display.shows_row(row))
        .collect();
    let space = ui.available_height();
    // The panel is as high as what is in it.
    ui.set_min_height(space);
    let gap = ui.spacing().item_spacing.y;
    let height = space / shown.len().max(1) as f32 - gap;
    for row in shown {
        strip(ui, state, row, &rows[row], height.max(24.0), thumbnails);
    }
}

fn strip(
    ui: &mut Ui,
    state: &mut State,
    index: usize,
    row: &Row,
    height: f32,
    thumbnails: &mut Thumbnails,
) {
    let Some(values) = values(state, row) else {
        ui.label(theme::weak("evaluating…"));
        return;
    };
    let extremes = (SIDE + GAP) * (2 * SHOWN) as f32 + 12.0;
    let width = (ui.available_width() - extremes).max(80.0);
    ui.horizontal(|ui| {
        let (area, response) = ui.allocate_exact_size(vec2(width, height), Sense::click());
        let chosen = (state.settings.synthesis.kind() == TaskKind::Unit)
            .then(|| state.settings.synthesis.unit(index));
        bars(ui, area, &values, index, chosen);
        let under = response.hover_pos().map(|at| {
            let share = ((at.x - area.left()) / area.width()).clamp(0.0, 0.999_9);
            (share * values.len() as f32) as usize
        });
        if let Some(unit) = under {
            if response.clicked() {
                state.choose_unit(index, unit);
            }
            response.on_hover_text(format!("unit {unit}: {:.3}", values[unit]));
        }
        let unit = under.or(chosen);
        if let (Some(unit), Some(unit_activations)) = (unit, &row.unit_activations) {
            gallery(ui, unit_activations, unit, height.min(SIDE), thumbnails);
        }
    });
}

/// The activations of the units by the open picture.
fn values(state: &State, row: &Row) -> Option<Vec<f32>> {
    let unit_activations = row.unit_activations.as_ref();
    match unit_activations
        .filter(|unit_activations| unit_activations.unit_activations.stage.is_some())
    {
        None => row
            .prediction
            .as_ref()
            .map(|prediction| prediction.representation.clone()),
        Some(unit_activations) => {
            let entry = state.entry()?;
            let pictures = unit_activations.unit_activations.pictures.iter();
            let at = pictures
                .zip(&unit_activations.activations)
                .find(|((picture, _), _)| *picture == entry.picture);
            at.map(|(_, values)| values.clone())
        }
    }
}

fn bars(ui: &Ui, area: Rect, values: &[f32], row: usize, chosen: Option<usize>) {
    let painter = ui.painter_at(area);
    let visuals = ui.visuals();
    painter.rect_filled(area, 2.0, visuals.extreme_bg_color);
    let most = values
        .iter()
        .fold(1e-6f32, |most, value| most.max(value.abs()));
    let width = area.width() / values.len().max(1) as f32;
    for (unit, value) in values.iter().enumerate() {
        let left = area.left() + unit as f32 * width;
        let tall = (value.abs() / most * (area.height() - 2.0)).max(0.5);
        let bar = Rect::from_min_max(
            pos2(left, area.bottom() - tall),
            pos2(left + (width - 0.5).max(0.5), area.bottom()),
        );
        let color = if chosen == Some(unit) {
            visuals.strong_text_color()
        } else {
            theme::row_color(row)
        };
        painter.rect_filled(bar, 0.0, color);
    }
    painter.text(
        area.left_top() + vec2(4.0, 2.0),
        Align2::LEFT_TOP,
        format!("{} units, up to {most:.2}", values.len()),
        FontId::proportional(10.5),
        visuals.weak_text_color(),
    );
}

/// The pictures that excite `unit` most, then those that do least.
fn gallery(
    ui: &mut Ui,
    unit_activations: &UnitActivations,
    unit: usize,
    side: f32,
    thumbnails: &mut Thumbnails,
) {
    let activation = |index: &usize| unit_activations.activations[*index].get(unit).copied();
    let mut order: Vec<usize> = (0..unit_activations.activations.len())
        .filter(|index| activation(index).is_some())
        .collect();
    order.sort_by(|a, b| {
        let value = |index| activation(index).unwrap_or(0.0);
        value(b).total_cmp(&value(a))
    });
    let least = order
        .len()
        .saturating_sub(SHOWN)
        .max(SHOWN.min(order.len()));
    let ends = order.iter().take(SHOWN).chain(&order[least..]);
    for (place, &index) in ends.enumerate() {
        if place == SHOWN {
            ui.add_space(6.0);
        }
        ui.spacing_mut().item_spacing.x = GAP;
        let (area, response) = ui.allocate_exact_size(vec2(side, side), Sense::hover());
        let picture = &unit_activations.unit_activations.pictures[index].0;
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        let texture = thumbnails.get(ui, picture).id();
        ui.painter().image(texture, area, whole, Color32::WHITE);
        let value = activation(&index).unwrap_or(0.0);
        response.on_hover_text(format!("{}: {value:.3}", theme::file_name(&picture.path)));
    }
}
