//! What was left behind by a crash, and pictures that a session misses.

use egui::{Align2, Context, ScrollArea, Window};

use super::Action;
use crate::app::theme;
use crate::session::{Missing, Rescue};

/// Shows both, if there are any.
pub fn show(ctx: &Context, rescues: &[Rescue], missing: &[Missing], actions: &mut Vec<Action>) {
    if let Some(rescue) = rescues.first() {
        recovery(ctx, rescue, actions);
    }
    if !missing.is_empty() {
        relinking(ctx, missing, actions);
    }
}

fn recovery(ctx: &Context, rescue: &Rescue, actions: &mut Vec<Action>) {
    Window::new("The program ended unexpectedly")
        .anchor(Align2::CENTER_TOP, [0.0, 48.0])
        .collapsible(false)
        .resizable(false)
        .show(ctx, |ui| {
            ui.label("The session of then was saved and can be recovered.");
            ui.horizontal(|ui| {
                if ui.button("Recover").clicked() {
                    actions.push(Action::Recover(rescue.clone()));
                }
                if ui.button("Discard").clicked() {
                    actions.push(Action::Discard(rescue.clone()));
                }
            });
        });
}

fn relinking(ctx: &Context, missing: &[Missing], actions: &mut Vec<Action>) {
    Window::new("Missing pictures")
        .anchor(Align2::LEFT_BOTTOM, [12.0, -12.0])
        .default_width(420.0)
        .collapsible(true)
        .show(ctx, |ui| {
            ui.label("These pictures of the session are not where they were. They stay in the session when it is saved.");
            ScrollArea::vertical().max_height(160.0).show(ui, |ui| {
                for missing in missing {
                    let path = missing.record.file.path.display().to_string();
                    ui.add(egui::Label::new(theme::weak(path)).truncate());
                }
            });
            ui.horizontal(|ui| {
                if ui.button("Look in a folder…").clicked() {
                    actions.push(Action::FindMissing { folder: true });
                }
                if ui
                    .button("Locate the first…")
                    .on_hover_text("Choose the file of the first missing picture")
                    .clicked()
                {
                    actions.push(Action::FindMissing { folder: false });
                }
                if ui.button("Continue without them").clicked() {
                    actions.push(Action::ForgetMissing);
                }
            });
        });
}
