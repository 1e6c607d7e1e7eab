//! What the panels ask for.

use egui::ViewportCommand;

use super::App;
use crate::model::zoo;
use crate::results::Row;
use crate::samples;
use crate::ui::Action;

impl App {
    pub(super) fn act(&mut self, context: &egui::Context, action: Action) {
        match action {
            Action::OpenFiles => self.loader.open_dialog(false),
            Action::OpenFolder => self.loader.open_dialog(true),
            Action::Paste => context.send_viewport_cmd(ViewportCommand::RequestPaste),
            Action::Remove => self.remove(),
            Action::Save(row) => self.save(row),
            Action::SaveMade(row) => self.save_made(row),
            Action::ChooseBackground => self.dialogs.choose_background(),
            Action::ChooseMask => self.choose_mask(),
            Action::UseSet(set) => self.use_set(set),
            Action::Help => self.help = !self.help,
            Action::Quit => context.send_viewport_cmd(ViewportCommand::Close),
        }
    }

    fn remove(&mut self) {
        if let Some(selected) = self.state.selected {
            self.state.library.remove(selected);
            let last = self.state.library.len().checked_sub(1);
            self.state.selected = last.map(|last| selected.min(last));
        }
    }

    /// Writes the attacked picture as it is on the screen.
    fn save(&self, row: usize) {
        let row = self.rows.get(row);
        if let Some(shown) = row.and_then(|row| row.nearest(self.state.attack.epsilon)) {
            self.dialogs.save(shown.attacked.picture.clone());
        }
    }

    /// Writes the picture that a row made.
    fn save_made(&self, row: usize) {
        if let Some(made) = self.rows.get(row).and_then(|row| row.made.as_ref()) {
            self.dialogs.save(made.picture.clone());
        }
    }

    fn choose_mask(&self) {
        if let Some(entry) = self.state.entry() {
            self.dialogs.choose_mask(entry.picture.clone());
        }
    }

    /// Adds the pictures that belong to the models, and selects the first of them.
    pub(super) fn add_samples(&mut self) {
        let set = zoo::SETS
            .iter()
            .find(|set| set.models[..] == self.state.models[..]);
        let known = |name: &std::path::Path, app: &Self| {
            let mut entries = app.state.library.iter();
            entries.position(|entry| entry.picture.path == name)
        };
        let samples = if set.is_some_and(|set| set.walls) {
            samples::walls()
        } else {
            let photographs = samples::all().into_iter();
            photographs
                .map(|(picture, truth)| (picture, None, truth))
                .collect()
        };
        let first = samples.first().map(|(picture, ..)| picture.path.clone());
        for (picture, mask, truth) in samples {
            if known(&picture.path, self).is_none() {
                self.state.add_with_mask(picture, truth, mask);
            }
        }
        self.state.selected = first.and_then(|first| known(&first, self));
    }

    /// Puts the models of a set into the rows, with what there is to see of them.
    fn use_set(&mut self, number: usize) {
        let Some(set) = zoo::SETS.get(number) else {
            return;
        };
        if self.state.models[..] != set.models[..] {
            self.state.use_models(set.models.map(str::to_owned).into());
            self.rows = vec![Row::default(); self.state.models.len()];
            self.manifest = None;
        }
        self.add_samples();
        self.state.show_set(set.walls);
    }
}
