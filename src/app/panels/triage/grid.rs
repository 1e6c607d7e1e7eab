//! The selected pictures: only those on the screen are drawn, and only their thumbnails are asked for.

use egui::{Color32, Key, Rect, ScrollArea, Sense, Stroke, StrokeKind, Ui, pos2, vec2};

use super::TriageState;
use crate::app::panels::Action;
use crate::app::theme;
use crate::attack::Norm;
use crate::session::Triage;
use crate::triage::{Record, Table};

/// Points between two pictures.
const GAP: f32 = 4.0;
/// Height of the strip that says how the models did, in points.
const STRIP: f32 = 5.0;

/// Draws the grid.
pub(super) fn show(
    ui: &mut Ui,
    triage: &mut Triage,
    memory: &mut TriageState,
    actions: &mut Vec<Action>,
) {
    let step = triage.side + GAP;
    let columns = ((ui.available_width() - 16.0) / step).floor().max(1.0) as usize;
    keys(ui, triage, memory, columns, actions);
    let lines = memory.selection.len().div_ceil(columns);
    ui.spacing_mut().item_spacing = vec2(GAP, GAP);
    let mut scroll = ScrollArea::vertical().auto_shrink(false);
    if let Some(place) = memory.place(triage).filter(|_| memory.follow) {
        let top = (place / columns) as f32 * (step + STRIP);
        scroll = scroll.vertical_scroll_offset((top - ui.available_height() / 2.0).max(0.0));
        memory.follow = false;
    }
    let mut requested = Vec::new();
    scroll.show_rows(ui, triage.side + STRIP, lines, |ui, visible| {
        for line in visible {
            let first = line * columns;
            let last = (first + columns).min(memory.selection.len());
            ui.horizontal(|ui| {
                for place in first..last {
                    let index = memory.selection[place];
                    cell(ui, triage, memory, index, &mut requested, actions);
                }
            });
        }
    });
    memory.thumbnailer.submit(requested);
}

fn keys(
    ui: &Ui,
    triage: &mut Triage,
    memory: &mut TriageState,
    columns: usize,
    actions: &mut Vec<Action>,
) {
    if ui.ctx().egui_wants_keyboard_input() || memory.selection.is_empty() {
        return;
    }
    let pressed = |key: Key| ui.input(|input| input.key_pressed(key));
    let by = |forth: Key, back: Key, step: usize| match (pressed(forth), pressed(back)) {
        (true, _) => step as isize,
        (_, true) => -(step as isize),
        _ => 0,
    };
    let step = by(Key::ArrowRight, Key::ArrowLeft, 1)
        + by(Key::ArrowDown, Key::ArrowUp, columns)
        + by(Key::PageDown, Key::PageUp, 8 * columns);
    if step != 0 {
        let place = match memory.place(triage) {
            Some(place) => place.saturating_add_signed(step),
            None => 0,
        };
        let place = place.min(memory.selection.len() - 1);
        triage.chosen = Some(memory.selection[place]);
        memory.follow = true;
    }
    if pressed(Key::Enter)
        && let Some(chosen) = triage.chosen
    {
        actions.push(Action::Explore(chosen));
    }
}

fn cell(
    ui: &mut Ui,
    triage: &mut Triage,
    memory: &mut TriageState,
    index: usize,
    requested: &mut Vec<String>,
    actions: &mut Vec<Action>,
) {
    let table = memory.contents.table.clone();
    let record = &table.records[index];
    let size = vec2(triage.side, triage.side + STRIP);
    let (area, response) = ui.allocate_exact_size(size, Sense::click());
    let picture = Rect::from_min_size(area.min, vec2(triage.side, triage.side));
    let frame = memory.frame;
    match memory.textures.get_mut(&record.path) {
        Some((texture, seen)) => {
            *seen = frame;
            let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            match texture {
                Some(texture) => {
                    ui.painter()
                        .image(texture.id(), picture, whole, Color32::WHITE);
                }
                None => {
                    ui.painter()
                        .rect_filled(picture, 2.0, ui.visuals().extreme_bg_color);
                }
            }
        }
        None => {
            requested.push(record.path.clone());
            ui.painter()
                .rect_filled(picture, 2.0, ui.visuals().faint_bg_color);
        }
    }
    strip(ui, area, record);
    if triage.chosen == Some(index) {
        let stroke = Stroke::new(2.0, ui.visuals().selection.stroke.color);
        ui.painter()
            .rect_stroke(area, 2.0, stroke, StrokeKind::Inside);
    }
    if response.clicked() {
        triage.chosen = Some(index);
    }
    if response.double_clicked() {
        actions.push(Action::Explore(index));
    }
    response.on_hover_ui(|ui| {
        for line in description(&table, record) {
            ui.label(line);
        }
    });
}

/// How each model did, in its colour: a full bar for right under attack too, a thin one for right on the
/// clean picture alone.
fn strip(ui: &Ui, area: Rect, record: &Record) {
    let width = area.width() / record.sides.len().max(1) as f32;
    for (side, found) in record.sides.iter().enumerate() {
        let Some(found) = found else { continue };
        let attacked = found.attacked.and_then(|attacked| attacked.right);
        let height = match (found.right, attacked) {
            (Some(true), Some(true) | None) => STRIP - 1.0,
            (Some(true), Some(false)) => 1.5,
            _ => continue,
        };
        let left = area.left() + side as f32 * width;
        let bar = Rect::from_min_max(
            pos2(left, area.bottom() - height),
            pos2(left + width - 1.0, area.bottom()),
        );
        ui.painter().rect_filled(bar, 0.0, theme::row_color(side));
    }
}

/// What the scan found of a picture, line by line.
pub(super) fn description(table: &Table, record: &Record) -> Vec<String> {
    let attack = table.plan.as_ref().and_then(|plan| plan.attack.as_ref());
    let norm = attack.map_or(Norm::L2, |attack| attack.norm);
    let mut lines = vec![record.path.clone()];
    if record.truth.is_some() {
        lines.push(format!("true class: {}", table.class(record.truth)));
    }
    for (subject, side) in table.subjects.iter().zip(&record.sides) {
        let Some(side) = side else {
            lines.push(format!("{}: not yet", subject.name));
            continue;
        };
        let percent = |share: f32| format!("{:.0} %", 100.0 * share);
        let mut line = format!(
            "{}: {} {}",
            subject.name,
            table.class(Some(side.class)),
            percent(side.confidence)
        );
        if let Some(attacked) = side.attacked {
            line += &format!(
                ", attacked {} {}",
                table.class(Some(attacked.class)),
                percent(attacked.confidence)
            );
        }
        if let Some(high) = side.flip.and_then(|flip| flip.high) {
            line += &format!(", flips at ε ≤ {}", norm.format(high));
        }
        if let Some(fakeness) = side.fakeness {
            line += &format!(", fakeness {}", percent(fakeness));
        }
        lines.push(line);
    }
    lines
}
