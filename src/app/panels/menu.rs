//! The menu bar, with what computes and how busy it is.

use std::path::PathBuf;

use egui::{Align, Layout, MenuBar, ThemePreference, Ui};

use super::Action;
use super::tour_targets::{self, TourTarget};
use crate::app::commands::Command;
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
        let files = ui.menu_button("File", |ui| file(ui, state, status, actions));
        tour_targets::mark(ui.ctx(), TourTarget::Files, files.response.rect);
        ui.menu_button("Edit", |ui| edit(ui, state, status, actions));
        ui.menu_button("Models", |ui| models(ui, state, actions));
        ui.menu_button("View", |ui| view(ui, state, actions));
        ui.menu_button("Run", |ui| run(ui, state, actions));
        ui.menu_button("Help", |ui| {
            for command in [
                Command::Tour,
                Command::Search,
                Command::Keys,
                Command::Graphics,
            ] {
                item(ui, command, true, state, actions);
            }
            if ui.button("Show log").clicked() {
                actions.push(Action::ShowLog);
                ui.close();
            }
        });
        ui.separator();
        ui.selectable_value(&mut state.navigation.page, Page::Explorer, "Explorer")
            .on_hover_text(
                Command::SwitchPage.tooltip(ui.ctx(), "One picture, seen by every model"),
            );
        ui.selectable_value(&mut state.navigation.page, Page::Triage, "Triage")
            .on_hover_text(
                Command::SwitchPage.tooltip(ui.ctx(), "A scanned data set, searched for failures"),
            );
        if state.navigation.page == Page::Explorer {
            ui.separator();
            layouts(ui, state);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if status.busy > 0 {
                ui.spinner();
                ui.label(theme::weak(format!("{} computing", status.busy)));
            } else {
                ui.label(theme::weak("idle"));
            }
            ui.separator();
            ui.label(theme::weak(format!("models on {}", status.device)));
        });
    });
}

/// What the columns show: two usual choices.
fn layouts(ui: &mut Ui, state: &mut State) {
    let columns = &state.settings.display;
    let counterfactual = columns.draws(Column::Counterfactual);
    let attacks = !counterfactual && columns.draws(Column::Attacked);
    if ui
        .selectable_label(attacks, "Attacks")
        .on_hover_text("The attacked picture, the perturbation and what the maps say of both")
        .clicked()
    {
        state.show_attacks();
    }
    let response = ui.selectable_label(counterfactual, "Counterfactuals");
    tour_targets::mark(ui.ctx(), TourTarget::Counterfactuals, response.rect);
    if response
        .on_hover_text(
            "What the picture would have to look like for each model to predict another class",
        )
        .clicked()
    {
        state.show_counterfactuals();
    }
}

/// A button for a command.
fn item(
    ui: &mut Ui,
    command: Command,
    enabled: bool,
    state: &mut State,
    actions: &mut Vec<Action>,
) {
    let button = command.button(ui.ctx());
    if ui.add_enabled(enabled, button).clicked() {
        command.run(state, actions);
        ui.close();
    }
}

fn file(ui: &mut Ui, state: &mut State, status: &Status, actions: &mut Vec<Action>) {
    let selected = state.navigation.selected.is_some();
    for (command, enabled) in [
        (Command::OpenPictures, true),
        (Command::OpenFolder, true),
        (Command::Paste, true),
        (Command::AddSyntheticCracks, true),
        (Command::SaveAttacked, selected),
        (Command::Remove, selected),
    ] {
        item(ui, command, enabled, state, actions);
    }
    ui.separator();
    for command in [
        Command::OpenSession,
        Command::SaveSession,
        Command::SaveSessionAs,
    ] {
        item(ui, command, true, state, actions);
    }
    ui.menu_button("Export", |ui| {
        for command in [
            Command::ExportFigure,
            Command::ExportFilm,
            Command::CopyFigure,
        ] {
            item(ui, command, selected, state, actions);
        }
    });
    ui.menu_button("Recent sessions", |ui| recent(ui, status, actions));
    ui.separator();
    item(ui, Command::Quit, true, state, actions);
}

fn recent(ui: &mut Ui, status: &Status, actions: &mut Vec<Action>) {
    let last = status.last.iter().filter(|path| path.is_file());
    let last = last.map(|path| ("Last session, when the program ended".to_owned(), path));
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

fn edit(ui: &mut Ui, state: &mut State, status: &Status, actions: &mut Vec<Action>) {
    item(ui, Command::Undo, status.can_undo, state, actions);
    item(ui, Command::Redo, status.can_redo, state, actions);
}

fn models(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    for set in &SETS {
        let chosen = state.document.models == set.references();
        let button = ui.radio(chosen, set.name).on_hover_text(set.about);
        if button.clicked() {
            actions.push(Action::UseModels(set.references()));
            ui.close();
        }
    }
    ui.separator();
    for row in 0..state.document.models.len() {
        if ui
            .button(format!("Open a file in row {}…", row + 1))
            .clicked()
        {
            actions.push(Action::OpenModel(row));
            ui.close();
        }
    }
    for row in 0..state.document.models.len() {
        if ui
            .button(format!("About the model of row {}", row + 1))
            .clicked()
        {
            state.transient.about = Some(row);
            ui.close();
        }
    }
    ui.separator();
    let twin = ui.button("Train a robust twin…");
    if twin
        .on_hover_text("Fine-tune a model on attacked pictures, in a process of its own")
        .clicked()
    {
        actions.push(Action::Twins);
        ui.close();
    }
}

fn view(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    item(ui, Command::Bookmarks, true, state, actions);
    item(ui, Command::Present, true, state, actions);
    ui.separator();
    let display = &mut state.settings.display;
    ui.checkbox(&mut display.library, "Library");
    ui.checkbox(&mut display.controls, "Controls");
    ui.separator();
    for (index, column) in Column::ALL.into_iter().enumerate() {
        let key = Command::Column(index).shortcut(ui.ctx());
        ui.checkbox(
            &mut display.shown[index],
            format!("{}   {key}", column.name()),
        );
    }
    ui.separator();
    ui.label("Theme");
    let mut theme = ui.ctx().options(|options| options.theme_preference);
    // egui's own buttons show symbols that the font here lacks.
    for (choice, name) in [
        (ThemePreference::System, "System"),
        (ThemePreference::Light, "Light"),
        (ThemePreference::Dark, "Dark"),
    ] {
        ui.radio_value(&mut theme, choice, name);
    }
    ui.ctx().set_theme(theme);
}

fn run(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    let progress = &state.progress.synthesis;
    let synthesis = match progress.running || progress.working {
        true => "Pause synthesis".into(),
        false => Command::PlaySynthesis.name(),
    };
    let epsilon = match state.transient.playing {
        true => "Pause ε".into(),
        false => Command::PlayEpsilon.name(),
    };
    let selected = state.navigation.selected.is_some();
    item(ui, Command::CheckRobustness, selected, state, actions);
    for (command, name) in [
        (Command::PlayEpsilon, epsilon),
        (Command::PlaySynthesis, synthesis),
    ] {
        let button = egui::Button::new(name).shortcut_text(command.shortcut(ui.ctx()));
        if ui.add(button).clicked() {
            command.run(state, actions);
            ui.close();
        }
    }
}
