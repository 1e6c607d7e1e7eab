//! The list of prepared views.

use egui::{Context, ScrollArea, TextEdit, Ui, Window};

use super::Action;
use crate::app::commands::Command;
use crate::app::theme;
use crate::session::State;

/// Height of a text field, in points.
const FIELD: f32 = 20.0;

/// Shows the list while `open`.
pub fn show(ctx: &Context, open: &mut bool, state: &mut State, actions: &mut Vec<Action>) {
    Window::new("Views")
        .open(open)
        .default_pos([420.0, 330.0])
        .default_width(540.0)
        .collapsible(false)
        .show(ctx, |ui| {
            ui.horizontal(|ui| {
                if ui
                    .button("Add current view")
                    .on_hover_text("The whole screen as a bookmark")
                    .clicked()
                {
                    state.add_bookmark();
                }
                if ui
                    .add_enabled(state.entry().is_some(), Command::Present.button(ui.ctx()))
                    .on_hover_text("Full screen; arrow keys or a presenter step through the views")
                    .clicked()
                {
                    actions.push(Action::Present);
                }
            });
            if state.document.bookmarks.is_empty() {
                ui.label(theme::weak(
                    "Set up the window as it should be presented, then add it here.",
                ));
                return;
            }
            ScrollArea::vertical()
                .max_height(360.0)
                .show(ui, |ui| list(ui, state, actions));
        });
}

fn list(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    let last = state.document.bookmarks.len() - 1;
    let mut change = None;
    for index in 0..=last {
        let view = &mut state.document.bookmarks[index];
        ui.horizontal(|ui| {
            let name = TextEdit::singleline(&mut view.name);
            ui.add_sized([150.0, FIELD], name)
                .on_hover_text("Name, shown above the view");
            let note = TextEdit::singleline(&mut view.note).hint_text("note");
            ui.add_sized([170.0, FIELD], note)
                .on_hover_text("Shown beside the name");
            if ui.button("Show").clicked() {
                actions.push(Action::ShowView(index));
            }
            let up = ui.add_enabled(index > 0, egui::Button::new("Up").small());
            if up.clicked() {
                change = Some(Change::Swap(index - 1, index));
            }
            let down = ui.add_enabled(index < last, egui::Button::new("Down").small());
            if down.clicked() {
                change = Some(Change::Swap(index, index + 1));
            }
            if ui.button("Remove").clicked() {
                change = Some(Change::Remove(index));
            }
        });
    }
    match change {
        Some(Change::Swap(a, b)) => state.document.bookmarks.swap(a, b),
        Some(Change::Remove(index)) => {
            state.document.bookmarks.remove(index);
        }
        None => {}
    }
}

/// What a button did to the list; done once all of it is drawn.
enum Change {
    Swap(usize, usize),
    Remove(usize),
}
