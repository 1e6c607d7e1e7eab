//! The strip of opened pictures.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use egui::{
    Align2, Color32, FontId, Rect, ScrollArea, Sense, Stroke, StrokeKind, TextureHandle, Ui, vec2,
};
use image::RgbImage;

use super::Action;
use crate::app::commands::Command;
use crate::app::theme;
use crate::data::{Crop, Picture};
use crate::session::State;

/// Side of a thumbnail, in points.
const THUMBNAIL: f32 = 64.0;
/// Height of an entry, in points.
const ENTRY: f32 = THUMBNAIL + 8.0;

/// Small textures of the pictures, by where their pixels are. The weak reference keeps that place
/// from being given to another picture.
#[derive(Default)]
pub struct Thumbnails(HashMap<usize, (Weak<RgbImage>, TextureHandle)>);

impl Thumbnails {
    /// The small texture of a picture.
    pub(super) fn get(&mut self, ui: &Ui, picture: &Picture) -> &TextureHandle {
        let key = Arc::as_ptr(&picture.pixels) as usize;
        let entry = self.0.entry(key).or_insert_with(|| {
            let small = picture.cropped(Crop::default(), [2 * THUMBNAIL as usize; 2]);
            let size = [small.width() as usize, small.height() as usize];
            let image = egui::ColorImage::from_rgb(size, small.as_raw());
            let name = format!("thumbnail {key}");
            let texture = ui.load_texture(name, image, egui::TextureOptions::LINEAR);
            (Arc::downgrade(&picture.pixels), texture)
        });
        &entry.1
    }

    /// Drops the thumbnails of pictures that are gone.
    fn keep_living(&mut self) {
        self.0.retain(|_, (pixels, _)| pixels.strong_count() > 0);
    }
}

/// Draws the strip.
pub fn show(
    ui: &mut Ui,
    state: &mut State,
    thumbnails: &mut Thumbnails,
    actions: &mut Vec<Action>,
) {
    ui.horizontal(|ui| {
        ui.strong("Library");
        ui.label(theme::weak(format!(
            "{} pictures",
            state.document.library.len()
        )));
    });
    ui.horizontal(|ui| {
        if ui
            .button("Open…")
            .on_hover_text(Command::OpenPictures.tooltip(ui.ctx(), "Open picture files"))
            .clicked()
        {
            actions.push(Action::OpenFiles);
        }
        if ui
            .button("Folder…")
            .on_hover_text("Open all pictures of a folder")
            .clicked()
        {
            actions.push(Action::OpenFolder);
        }
    });
    ui.separator();
    if state.document.library.is_empty() {
        ui.label("Open a picture, drop one here, or paste one.");
    }
    thumbnails.keep_living();
    let count = state.document.library.len();
    let mut scroll = ScrollArea::vertical().auto_shrink(false);
    let moved = ui
        .memory(|memory| memory.data.get_temp::<Option<usize>>(ui.scope_id()))
        .flatten()
        != state.navigation.selected;
    if moved && let Some(selected) = state.navigation.selected {
        let target = (selected as f32 * ENTRY - ui.available_height() / 2.0).max(0.0);
        scroll = scroll.vertical_scroll_offset(target);
        ui.memory_mut(|memory| {
            memory
                .data
                .insert_temp(ui.scope_id(), state.navigation.selected)
        });
    }
    scroll.show_rows(
        ui,
        ENTRY - ui.spacing().item_spacing.y,
        count,
        |ui, rows| {
            for index in rows {
                entry(ui, state, index, thumbnails);
            }
        },
    );
}

fn entry(ui: &mut Ui, state: &mut State, index: usize, thumbnails: &mut Thumbnails) {
    let width = ui.available_width();
    let (area, response) = ui.allocate_exact_size(
        vec2(width, ENTRY - ui.spacing().item_spacing.y),
        Sense::click(),
    );
    let picture = &state.document.library[index].picture;
    let visuals = ui.visuals().clone();
    if state.navigation.selected == Some(index) {
        ui.painter()
            .rect_filled(area, 4.0, visuals.selection.bg_fill.gamma_multiply(0.6));
    } else if response.hovered() || response.has_focus() {
        ui.painter()
            .rect_filled(area, 4.0, visuals.widgets.hovered.weak_bg_fill);
    }
    let texture = thumbnails.get(ui, picture).id();
    let image = Rect::from_min_size(
        area.min + vec2(2.0, 2.0),
        vec2(THUMBNAIL - 4.0, THUMBNAIL - 4.0),
    );
    let whole = Rect::from_min_max(egui::pos2(0.0, 0.0), egui::pos2(1.0, 1.0));
    ui.painter().image(texture, image, whole, Color32::WHITE);
    if response.has_focus() {
        ui.painter().rect_stroke(
            area,
            4.0,
            Stroke::new(1.0, visuals.selection.stroke.color),
            StrokeKind::Inside,
        );
    }
    let text_area = Rect::from_min_max(image.right_top(), area.max);
    let painter = ui.painter_at(text_area);
    let name = theme::file_name(&picture.path);
    let at = image.right_top() + vec2(6.0, 6.0);
    painter.text(
        at,
        Align2::LEFT_TOP,
        &name,
        FontId::proportional(12.0),
        visuals.text_color(),
    );
    let [w, h] = picture.original;
    let truth = state.document.library[index]
        .truth
        .clone()
        .unwrap_or_else(|| "class not given".into());
    let detail = format!("{truth}\n{w}×{h}");
    painter.text(
        at + vec2(0.0, 18.0),
        Align2::LEFT_TOP,
        detail,
        FontId::proportional(10.5),
        visuals.weak_text_color(),
    );
    let clicked = response.clicked();
    response.on_hover_text(picture.path.display().to_string());
    if clicked {
        state.navigation.selected = Some(index);
    }
}
