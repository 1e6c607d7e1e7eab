//! Tools on the tiles of input and attacked picture: pointer, keyboard, and the mask over the pictures.

use egui::{
    Color32, CursorIcon, EventFilter, Key, PointerButton, Rect, Stroke, TextureHandle, Ui, pos2,
};

use crate::app::panels::tile::DrawnTile;
use crate::data::drawing::PicturePoint;
use crate::data::mask::binary_mask;
use crate::data::{Crop, Picture};
use crate::session::{Column, DrawEvent, LibraryEntry, State, Tool};

/// What lies over the pixels that attacks may not change while a mask is drawn.
const OUTSIDE: Color32 = Color32::from_rgba_premultiplied(20, 20, 60, 110);
/// The outermost pixels inside the mask.
const EDGE: Color32 = Color32::from_rgba_premultiplied(200, 200, 60, 200);
/// Presses of an arrow key from one side of a picture to the other.
const STEPS: f32 = 64.0;

/// How the mask of attacks lies over a picture.
#[derive(Clone, Copy, PartialEq)]
enum OverlayKind {
    /// Dimmed outside.
    Dimmed,
    /// Its edge.
    Edge,
}

/// What an overlay is of: the mask, the part of it that is seen, and the height and width at which.
type OverlayKey = (Picture, Crop, [usize; 2]);

/// Textures of the mask of attacks as models see it, one for each kind and size of input.
#[derive(Default)]
pub struct MaskOverlays(Vec<(OverlayKind, OverlayKey, TextureHandle)>);

impl MaskOverlays {
    fn texture(&mut self, ui: &Ui, key: OverlayKey, kind: OverlayKind) -> &TextureHandle {
        let is_of = |(of, (_, _, size), _): &&(OverlayKind, OverlayKey, TextureHandle)| {
            *of == kind && *size == key.2
        };
        let known = self.0.iter().position(|known| is_of(&known));
        let place = known
            .filter(|&place| self.0[place].1 == key)
            .unwrap_or_else(|| {
                let (mask, crop, input) = &key;
                let image = overlay(&binary_mask(mask, *crop, *input), *input, kind);
                let texture =
                    ui.load_texture("mask of attacks", image, egui::TextureOptions::NEAREST);
                if let Some(place) = known {
                    drop(self.0.remove(place));
                }
                self.0.push((kind, key, texture));
                self.0.len() - 1
            });
        &self.0[place].2
    }
}

/// The picture of a mask `[h, w]` that lies over others.
fn overlay(inside: &[bool], [h, w]: [usize; 2], kind: OverlayKind) -> egui::ColorImage {
    let is_inside = |row: Option<usize>, column: Option<usize>| match (row, column) {
        (Some(row), Some(column)) if row < h && column < w => inside[row * w + column],
        _ => false,
    };
    let color = |at: usize| {
        let (row, column) = (at / w, at % w);
        match kind {
            OverlayKind::Dimmed if inside[at] => Color32::TRANSPARENT,
            OverlayKind::Dimmed => OUTSIDE,
            OverlayKind::Edge => {
                let around = is_inside(row.checked_sub(1), Some(column))
                    && is_inside(Some(row + 1), Some(column))
                    && is_inside(Some(row), column.checked_sub(1))
                    && is_inside(Some(row), Some(column + 1));
                if inside[at] && !around {
                    EDGE
                } else {
                    Color32::TRANSPARENT
                }
            }
        }
    };
    egui::ColorImage::new([w, h], (0..h * w).map(color).collect())
}

/// Draws the mask over a tile of a column, of a model whose input has height and width `input`, and lets the active
/// tool draw.
pub fn on_tile(
    ui: &Ui,
    state: &mut State,
    tile: &DrawnTile,
    (column, input): (Column, [usize; 2]),
    overlays: &mut MaskOverlays,
) {
    let Some(entry) = state.entry() else { return };
    let tool = state.transient.editing.tool;
    if let Some(mask) = &entry.attack_mask {
        let draws_mask = tool.is_some_and(|tool| Tool::MASK.contains(&tool));
        let kind = match draws_mask && column == Column::Input {
            true => OverlayKind::Dimmed,
            false => OverlayKind::Edge,
        };
        let key = (mask.clone(), entry.crop, input);
        let texture = overlays.texture(ui, key, kind).id();
        let [left, top, right, bottom] = tile.window;
        let part = Rect::from_min_max(pos2(left, top), pos2(right, bottom));
        ui.painter_at(tile.area)
            .image(texture, tile.area, part, Color32::WHITE);
    }
    let Some(tool) = tool.filter(|_| !tile.holds_divider) else {
        return;
    };
    state.transient.editing.input = input;
    let Some(entry) = state.entry() else { return };
    let place = CanvasPlace::of(entry, input);
    let events = pointer_events(ui, state, tile, tool, &place);
    if let (Some(pointer), false) = (tile.response.interact_pointer_pos(), events.is_empty()) {
        tile.response.request_focus();
        let editing = &mut state.transient.editing;
        (editing.cursor, editing.uses_keyboard) = (tile.share_at(pointer), false);
    }
    for event in events {
        state.draw(event);
    }
    keyboard_events(ui, state, tile, &place);
    draw_brush(ui, state, tile, tool, &place);
}

/// Where a tile's shares are in the picture.
struct CanvasPlace {
    /// Left, top, width, height of the part that the model sees, in kept pixels.
    part: [f32; 4],
}

impl CanvasPlace {
    fn of(entry: &LibraryEntry, input: [usize; 2]) -> Self {
        let part = entry.picture.crop_rectangle(entry.crop, input);
        Self {
            part: part.map(|at| at as f32),
        }
    }

    fn point(&self, share: [f32; 2]) -> PicturePoint {
        let [left, top, width, height] = self.part;
        [left + share[0] * width, top + share[1] * height]
    }
}

fn pointer_events(
    ui: &Ui,
    state: &State,
    tile: &DrawnTile,
    tool: Tool,
    place: &CanvasPlace,
) -> Vec<DrawEvent> {
    let response = &tile.response;
    let at = |pointer| place.point(tile.share_at(pointer));
    if response.hovered() {
        ui.set_cursor_icon(CursorIcon::Crosshair);
    }
    let (primary, released, alt) = ui.input(|input| {
        let pointer = &input.pointer;
        (
            pointer.primary_down(),
            pointer.primary_released(),
            input.modifiers.alt,
        )
    });
    let chooses = response.clicked_by(PointerButton::Secondary)
        || (alt && response.clicked_by(PointerButton::Primary));
    if tool == Tool::Clone && (chooses || alt) {
        let chosen = response.interact_pointer_pos().filter(|_| chooses);
        return chosen
            .map(|pointer| DrawEvent::Source(at(pointer)))
            .into_iter()
            .collect();
    }
    let mut events = Vec::new();
    let is_drawing = state.transient.editing.is_drawing();
    if primary
        && response.is_pointer_button_down_on()
        && let Some(pointer) = response.interact_pointer_pos()
    {
        events.push(match is_drawing {
            true => DrawEvent::Move(at(pointer)),
            false => DrawEvent::Press(at(pointer)),
        });
    }
    // The last movement and the release may come in one frame.
    // The space bar counts as a click, too, but moves no pointer.
    let clicked = response.clicked_by(PointerButton::Primary);
    let ended = response.drag_stopped() || clicked;
    if ended && (is_drawing || !events.is_empty()) {
        let last = response.interact_pointer_pos();
        events.extend(last.map(|pointer| DrawEvent::Move(at(pointer))));
        events.push(DrawEvent::Release);
    } else if is_drawing && !primary && !released && !state.transient.editing.uses_keyboard {
        // It was released outside of the window.
        events.push(DrawEvent::Release);
    }
    if events.is_empty()
        && clicked
        && let Some(pointer) = response.interact_pointer_pos()
    {
        events.extend([DrawEvent::Press(at(pointer)), DrawEvent::Release]);
    }
    events
}

/// The arrow keys move a pointer, the space bar presses and releases the tool.
fn keyboard_events(ui: &Ui, state: &mut State, tile: &DrawnTile, place: &CanvasPlace) {
    let id = tile.response.id;
    if !ui.memory(|memory| memory.has_focus(id)) {
        return;
    }
    let filter = EventFilter {
        horizontal_arrows: true,
        vertical_arrows: true,
        ..EventFilter::default()
    };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
    let (moved, pressed) = ui.input(|input| {
        let count = |key| input.num_presses(key) as f32;
        let fast = if input.modifiers.shift { 4.0 } else { 1.0 };
        let moved = [
            count(Key::ArrowRight) - count(Key::ArrowLeft),
            count(Key::ArrowDown) - count(Key::ArrowUp),
        ];
        (
            moved.map(|by| fast * by / STEPS),
            input.key_pressed(Key::Space),
        )
    });
    let editing = &mut state.transient.editing;
    editing.uses_keyboard |= pressed || moved != [0.0; 2];
    if !editing.uses_keyboard {
        return;
    }
    for (at, by) in editing.cursor.iter_mut().zip(moved) {
        *at = (*at + by).clamp(0.0, 1.0);
    }
    let (at, is_drawing) = (place.point(editing.cursor), editing.is_drawing());
    if pressed {
        state.draw(if is_drawing {
            DrawEvent::Release
        } else {
            DrawEvent::Press(at)
        });
    } else if is_drawing && moved != [0.0; 2] {
        state.draw(DrawEvent::Move(at));
    }
    let cursor = tile.point_at(state.transient.editing.cursor);
    for (width, color) in [(3.0, Color32::BLACK), (1.5, Color32::WHITE)] {
        let painter = ui.painter_at(tile.area);
        let stroke = Stroke::new(width, color);
        painter.hline(cursor.x - 6.0..=cursor.x + 6.0, cursor.y, stroke);
        painter.vline(cursor.x, cursor.y - 6.0..=cursor.y + 6.0, stroke);
    }
}

/// The brush around the pointer, and the place from which a clone is copied.
fn draw_brush(ui: &Ui, state: &State, tile: &DrawnTile, tool: Tool, place: &CanvasPlace) {
    let Some(entry) = state.entry() else { return };
    let editing = &state.transient.editing;
    let [_, _, width, _] = place.part;
    let scale = tile.area.width() / (width * (tile.window[2] - tile.window[0]));
    let radius = editing.radius_in(&entry.picture) * scale;
    let painter = ui.painter_at(tile.area);
    let circle = |at| {
        painter.circle_stroke(at, radius, Stroke::new(2.5, Color32::BLACK));
        painter.circle_stroke(at, radius, Stroke::new(1.0, Color32::WHITE));
    };
    if tool.has_radius()
        && let Some(pointer) = tile.response.hover_pos()
    {
        circle(pointer);
    }
    if tool == Tool::Clone
        && let Some(source) = editing.source
    {
        let [left, top, width, height] = place.part;
        circle(tile.point_at([(source[0] - left) / width, (source[1] - top) / height]));
    }
}
