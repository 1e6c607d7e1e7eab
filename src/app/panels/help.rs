//! The list of keys, and messages.

use egui::os::OperatingSystem;
use egui::{Context, Grid, Modal, Window};

use crate::app::{commands, theme};

/// Shows the list of keys until it is closed.
pub fn show(ctx: &Context, open: &mut bool) {
    if !*open {
        return;
    }
    let is_mac = matches!(ctx.os(), OperatingSystem::Mac | OperatingSystem::IOS);
    let modal = Modal::new(egui::Id::unique("keys")).show(ctx, |ui| {
        ui.heading("Keys");
        Grid::new("keys")
            .num_columns(2)
            .spacing([24.0, 4.0])
            .show(ui, |ui| {
                for (key, meaning) in commands::key_list(is_mac) {
                    ui.strong(key);
                    ui.label(meaning);
                    ui.end_row();
                }
            });
        ui.button("Close").clicked()
    });
    if modal.should_close() || modal.inner {
        *open = false;
    }
}

/// Shows messages until they are dismissed; nothing else on the screen changes.
pub fn messages(ctx: &Context, messages: &mut Vec<String>) {
    if messages.is_empty() {
        return;
    }
    let mut open = true;
    Window::new("Messages")
        .open(&mut open)
        .anchor(egui::Align2::RIGHT_BOTTOM, [-12.0, -12.0])
        .default_width(420.0)
        .collapsible(false)
        .show(ctx, |ui| {
            egui::ScrollArea::vertical()
                .max_height(220.0)
                .show(ui, |ui| {
                    for message in messages.iter() {
                        ui.label(theme::error(ui, message));
                    }
                });
            ui.horizontal(|ui| {
                if ui.button("Dismiss").clicked() {
                    messages.clear();
                }
            });
        });
    if !open {
        messages.clear();
    }
}
