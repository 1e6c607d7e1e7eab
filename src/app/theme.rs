//! Colours and type that the panels share.

use egui::{Color32, RichText, Ui};

/// Deletion and insertion curves (Okabe and Ito 2008).
pub const CURVES: [Color32; 2] = [
    Color32::from_rgb(0xD5, 0x5E, 0x00),
    Color32::from_rgb(0x00, 0x9E, 0x73),
];

/// The colour of a model row in plots and bars.
pub fn row_color(row: usize) -> Color32 {
    let [r, g, b] = crate::compute::row_color(row);
    Color32::from_rgb(r, g, b)
}

/// The same for text, dark enough to be read on a light ground.
pub fn row_text(ui: &Ui, row: usize) -> Color32 {
    let color = row_color(row);
    if ui.visuals().dark_mode {
        return color;
    }
    let [r, g, b, _] = color.to_array().map(|part| (f32::from(part) * 0.65) as u8);
    Color32::from_rgb(r, g, b)
}

/// Secondary text.
pub fn weak(text: impl Into<String>) -> RichText {
    RichText::new(text).weak().size(11.0)
}

/// An error message in the colour for errors.
pub fn error(ui: &Ui, text: impl Into<String>) -> RichText {
    RichText::new(text).color(ui.visuals().error_fg_color)
}

/// A path without its folders, or all of it if there is nothing else.
pub fn file_name(path: &std::path::Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
