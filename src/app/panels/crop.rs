//! The whole picture with the part that models see, to be moved.

use egui::{
    Color32, CursorIcon, DragValue, Rect, Sense, Slider, Stroke, StrokeKind, TextureHandle, Ui,
    vec2,
};

use crate::app::theme;
use crate::data::{Crop, Picture};
use crate::session::LibraryEntry;

/// Longest side of the texture of the whole picture, in pixels.
const TEXTURE: u32 = 512;

/// The texture of the selected picture.
#[derive(Default)]
pub struct Original(Option<(Picture, TextureHandle)>);

impl Original {
    fn texture(&mut self, ui: &Ui, picture: &Picture) -> &TextureHandle {
        if self.0.as_ref().is_none_or(|(shown, _)| shown != picture) {
            let (w, h) = picture.pixels.dimensions();
            let scale = (TEXTURE as f32 / w.max(h) as f32).min(1.0);
            let side = |side: u32| ((side as f32 * scale) as u32).max(1);
            let small = image::imageops::thumbnail(&*picture.pixels, side(w), side(h));
            let size = [small.width() as usize, small.height() as usize];
            let image = egui::ColorImage::from_rgb(size, small.as_raw());
            let texture = ui.load_texture("original", image, egui::TextureOptions::LINEAR);
            self.0 = Some((picture.clone(), texture));
        }
        &self.0.as_ref().expect("just set").1
    }
}

/// Edits the crop of `entry` for models whose input has height and width `input`.
pub fn show(ui: &mut Ui, entry: &mut LibraryEntry, input: [usize; 2], original: &mut Original) {
    let [w, h] = [
        entry.picture.pixels.width() as f32,
        entry.picture.pixels.height() as f32,
    ];
    let most = vec2(ui.available_width(), 140.0);
    let scale = (most.x / w).min(most.y / h);
    let texture = original.texture(ui, &entry.picture).id();
    let (area, response) = ui.allocate_exact_size(vec2(w * scale, h * scale), Sense::drag());
    let whole = Rect::from_min_max(egui::pos2(0.0, 0.0), egui::pos2(1.0, 1.0));
    ui.painter().image(texture, area, whole, Color32::WHITE);
    let [left, top, width, height] = entry
        .picture
        .crop_rectangle(entry.crop, input)
        .map(|at| at as f32 * scale);
    let part = Rect::from_min_size(area.min + vec2(left, top), vec2(width, height));
    ui.painter().rect_stroke(
        part,
        0.0,
        Stroke::new(3.0, Color32::BLACK),
        StrokeKind::Inside,
    );
    ui.painter().rect_stroke(
        part,
        0.0,
        Stroke::new(1.5, Color32::WHITE),
        StrokeKind::Inside,
    );
    if response.hovered() {
        ui.set_cursor_icon(CursorIcon::Grab);
    }
    if response.dragged() {
        let free = area.size() - part.size();
        let moved = response.drag_delta();
        let shift = |moved: f32, free: f32| if free > 0.5 { moved / free } else { 0.0 };
        entry.crop.at[0] = (entry.crop.at[0] + shift(moved.x, free.x)).clamp(0.0, 1.0);
        entry.crop.at[1] = (entry.crop.at[1] + shift(moved.y, free.y)).clamp(0.0, 1.0);
    }
    response.on_hover_text("Drag to choose the part that the models see");
    ui.horizontal_wrapped(|ui| {
        let slider = Slider::new(&mut entry.crop.scale, 0.05..=1.0).text("crop size");
        ui.add(slider).on_hover_text(
            "Side of the part that the models see, as a share of the largest that fits",
        );
        for (at, prefix, about) in [
            (0, "x ", "From the left end (0 %) to the right (100 %)"),
            (1, "y ", "From the upper end (0 %) to the lower (100 %)"),
        ] {
            let mut percent = 100.0 * entry.crop.at[at];
            let field = DragValue::new(&mut percent)
                .range(0.0..=100.0)
                .max_decimals(0)
                .prefix(prefix);
            if ui.add(field).on_hover_text(about).changed() {
                entry.crop.at[at] = percent / 100.0;
            }
        }
        if ui
            .add_enabled(entry.crop != Crop::default(), egui::Button::new("Reset"))
            .clicked()
        {
            entry.crop = Crop::default();
        }
    });
    ui.label(theme::weak(format!(
        "{}×{} pixels shrunk to {}×{}",
        part.width() / scale,
        part.height() / scale,
        input[1],
        input[0]
    )));
}
