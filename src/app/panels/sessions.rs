//! What was left behind by a crash, pictures that a session misses, and models that a newer version replaced.

use egui::{Align2, Context, ScrollArea, Window};

use super::Action;
use crate::app::theme;
use crate::model::{ModelRef, zoo};
use crate::session::{Missing, Rescue, State};

/// Shows all of them that there are.
pub fn show(
    ctx: &Context,
    state: &State,
    rescues: &[Rescue],
    missing: &[Missing],
    actions: &mut Vec<Action>,
) {
    if let Some(rescue) = rescues.first() {
        recovery(ctx, rescue, actions);
    }
    if !missing.is_empty() {
        relinking(ctx, missing, actions);
    }
    if !state.transient.keeps_replaced {
        replaced(ctx, &state.document.models, actions);
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

fn replaced(ctx: &Context, models: &[ModelRef], actions: &mut Vec<Action>) {
    let successors = models.iter().enumerate();
    let successors =
        successors.filter_map(|(row, model)| Some((row, model, zoo::successor(model)?)));
    let successors: Vec<(usize, &ModelRef, ModelRef)> = successors.collect();
    if successors.is_empty() {
        return;
    }
    Window::new("Replaced models")
        .anchor(Align2::CENTER_TOP, [0.0, 48.0])
        .collapsible(false)
        .resizable(false)
        .show(ctx, |ui| {
            ui.label("These models came with an earlier version of the program. Others took their place: they see larger pictures and know more classes, so results differ.");
            for (row, model, successor) in &successors {
                ui.label(format!("Row {}: {model}, now {successor}", row + 1));
            }
            ui.horizontal(|ui| {
                if ui.button("Use the new models").clicked() {
                    actions.push(Action::UseSuccessors);
                }
                let (row, ..) = successors[0];
                if ui
                    .button("Open a file…")
                    .on_hover_text(format!("Choose the weights of row {}", row + 1))
                    .clicked()
                {
                    actions.push(Action::OpenModel(row));
                }
                if ui
                    .button("Leave them")
                    .on_hover_text("The session keeps their names; the rows stay empty")
                    .clicked()
                {
                    actions.push(Action::KeepReplaced);
                }
            });
        });
}
