//! The menu bar, with what computes and how busy it is.

use std::path::PathBuf;

use egui::{Align, Layout, MenuBar, ThemePreference, Ui};

use super::Action;
use super::export::ExportKind;
use crate::app::theme;
use crate::model::zoo::SETS;
use crate::session::{Column, Page, State};

/// What the bar says of the engine.
pub struct Status<'a> {
    /// Name of the device.
    pub device: &'a str,
    /// Lanes at work.
    pub busy: usize,
    /// Whether there is something to undo.
    pub can_undo: bool,
    /// Whether there is something to redo.
    pub can_redo: bool,
    /// Recent sessions, newest first.
    pub recent: &'a [PathBuf],
    /// The session that was on the screen when the program last ended.
    pub last: Option<PathBuf>,
}

/// Draws the bar.
pub fn show(ui: &mut Ui, state: &mut State, status: &Status, actions: &mut Vec<Action>) {
    MenuBar::new().ui(ui, |ui| {
        ui.menu_button("File", |ui| file(ui, state, status, actions));
        ui.menu_button("Edit", |ui| edit(ui, status, actions));
        ui.menu_button("Models", |ui| models(ui, state, actions));
        ui.menu_button("View", |ui| view(ui, state, actions));
        ui.menu_button("Run", |ui| run(ui, state));
        ui.menu_button("Help", |ui| {
            if ui.button("Keys   ?").clicked() {
                actions.push(Action::Help);
                ui.close();
            }
        });
        ui.separator();
        ui.selectable_value(&mut state.page, Page::Explorer, "Explorer")
            .on_hover_text("One picture before all models (F6)");
        ui.selectable_value(&mut state.page, Page::Triage, "Triage")
            .on_hover_text("A scanned set of pictures, to be searched for what goes wrong (F6)");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if status.busy > 0 {
                ui.spinner();
                ui.label(theme::weak(format!("{} at work", status.busy)));
            } else {
                ui.label(theme::weak("idle"));
            }
            ui.separator();
            ui.label(theme::weak(format!("models on {}", status.device)));
        });
    });
}

fn file(ui: &mut Ui, state: &State, status: &Status, actions: &mut Vec<Action>) {
    let selected = state.selected.is_some();
    for (text, action, enabled) in [
        ("Open pictures…   Ctrl+O", Action::OpenFiles, true),
        ("Open folder…", Action::OpenFolder, true),
        ("Paste picture   Ctrl+V", Action::Paste, true),
        ("Add made-up walls", Action::AddWalls, true),
        ("Save attacked picture…   S", Action::Save(0), selected),
        ("Remove from library   Del", Action::Remove, selected),
        ("Open session…   Ctrl+Shift+O", Action::OpenSession, true),
        (
            "Save session   Ctrl+S",
            Action::SaveSession { elsewhere: false },
            true,
        ),
        (
            "Save session as…   Ctrl+Shift+S",
            Action::SaveSession { elsewhere: true },
            true,
        ),
    ] {
        if matches!(action, Action::OpenSession) {
            ui.separator();
        }
        if ui.add_enabled(enabled, egui::Button::new(text)).clicked() {
            actions.push(action);
            ui.close();
        }
    }
    ui.menu_button("Export", |ui| export(ui, selected, actions));
    ui.menu_button("Recent sessions", |ui| recent(ui, status, actions));
    ui.separator();
    if ui.button("Quit   Ctrl+Q").clicked() {
        actions.push(Action::Quit);
    }
}

fn export(ui: &mut Ui, enabled: bool, actions: &mut Vec<Action>) {
    for (text, action) in [
        ("Figure…   Ctrl+E", Action::OpenExport(ExportKind::Figure)),
        ("Film…   Ctrl+Shift+E", Action::OpenExport(ExportKind::Film)),
        ("Copy figure   C", Action::CopyFigure),
    ] {
        if ui.add_enabled(enabled, egui::Button::new(text)).clicked() {
            actions.push(action);
            ui.close();
        }
    }
}

fn recent(ui: &mut Ui, status: &Status, actions: &mut Vec<Action>) {
    let last = status.last.iter().filter(|path| path.is_file());
    let last = last.map(|path| ("When the program last ended".to_owned(), path));
    let named = status.recent.iter().map(|path| {
        let name = path.file_stem().unwrap_or_default();
        (name.to_string_lossy().into_owned(), path)
    });
    let mut empty = true;
    for (name, path) in last.chain(named) {
        empty = false;
        let button = ui.button(name).on_hover_text(path.display().to_string());
        if button.clicked() {
            actions.push(Action::ReopenSession(path.clone()));
            ui.close();
        }
    }
    if empty {
        ui.label(theme::weak("none yet"));
    }
}

fn edit(ui: &mut Ui, status: &Status, actions: &mut Vec<Action>) {
    for (text, action, enabled) in [
        ("Undo   Ctrl+Z", Action::Undo, status.can_undo),
        ("Redo   Ctrl+Shift+Z", Action::Redo, status.can_redo),
    ] {
        if ui.add_enabled(enabled, egui::Button::new(text)).clicked() {
            actions.push(action);
            ui.close();
        }
    }
}

fn models(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    for set in &SETS {
        let chosen = state.models == set.references();
        let button = ui.radio(chosen, set.name).on_hover_text(set.about);
        if button.clicked() {
            actions.push(Action::UseModels(set.references()));
            ui.close();
        }
    }
    ui.separator();
    for row in 0..state.models.len() {
        if ui
            .button(format!("Open a file in row {}…", row + 1))
            .clicked()
        {
            actions.push(Action::OpenModel(row));
            ui.close();
        }
    }
    for row in 0..state.models.len() {
        if ui
            .button(format!("About the model of row {}", row + 1))
            .clicked()
        {
            state.about = Some(row);
            ui.close();
        }
    }
}

fn view(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    for (text, action) in [
        ("Prepared views   V", Action::Views),
        ("Present   F5", Action::Present),
    ] {
        if ui.button(text).clicked() {
            actions.push(action);
            ui.close();
        }
    }
    ui.separator();
    let display = &mut state.display;
    ui.checkbox(&mut display.library, "Library");
    ui.checkbox(&mut display.controls, "Controls");
    ui.separator();
    for (index, column) in Column::ALL.into_iter().enumerate() {
        ui.checkbox(
            &mut display.shown[index],
            format!("{}   {}", column.name(), index + 1),
        );
    }
    ui.separator();
    ui.label("Theme");
    let mut theme = ui.ctx().options(|options| options.theme_preference);
    // egui's own buttons show symbols that the font here lacks.
    for (choice, name) in [
        (ThemePreference::System, "As the system"),
        (ThemePreference::Light, "Light"),
        (ThemePreference::Dark, "Dark"),
    ] {
        ui.radio_value(&mut theme, choice, name);
    }
    ui.ctx().set_theme(theme);
}

fn run(ui: &mut Ui, state: &mut State) {
    let text = if state.playing {
        "Stop ε   Space"
    } else {
        "Let ε run   Space"
    };
    if ui.button(text).clicked() {
        state.playing = !state.playing;
        ui.close();
    }
    let active = state.synthesis.running || state.synthesis.working;
    let text = if active {
        "Pause synthesis   P"
    } else {
        "Make pictures   P"
    };
    if ui.button(text).clicked() {
        state.toggle_synthesis();
        ui.close();
    }
}
