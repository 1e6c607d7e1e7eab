//! The last lines of the log.

use egui::{Context, ScrollArea, TextStyle, Window};

use crate::app::{diagnostics, theme};

/// Shows the log until it is closed.
pub fn show(ctx: &Context, open: &mut bool) {
    if !*open {
        return;
    }
    Window::new("Log")
        .open(open)
        .default_size([640.0, 320.0])
        .show(ctx, |ui| {
            let text = diagnostics::lines().join("\n");
            ui.horizontal(|ui| {
                if ui.button("Copy").clicked() {
                    ctx.copy_text(text.clone());
                }
                if let Some(folder) = diagnostics::folder() {
                    ui.label(theme::weak(format!(
                        "with reports of panics in {}",
                        folder.display()
                    )));
                }
            });
            ScrollArea::both()
                .auto_shrink(false)
                .stick_to_bottom(true)
                .show(ui, |ui| {
                    let text = if text.is_empty() {
                        "Nothing was logged."
                    } else {
                        &text
                    };
                    ui.label(egui::RichText::new(text).text_style(TextStyle::Monospace));
                });
        });
}
