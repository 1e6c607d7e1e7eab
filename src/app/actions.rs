//! What the panels ask for.

use egui::ViewportCommand;

use super::App;
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
            Action::AddWalls => self.add_walls(),
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

    /// Adds the photographs that come with the program.
    pub(super) fn add_samples(&mut self) {
        for (picture, truth) in samples::all() {
            self.state.add(picture, truth);
        }
        self.state.selected = Some(0);
    }

    /// Adds the made-up walls, unless they are there, selects the first and shows what is changed on
    /// them.
    fn add_walls(&mut self) {
        let walls = samples::walls();
        let first = walls.first().map(|(picture, ..)| picture.path.clone());
        let place = |app: &Self| {
            let mut entries = app.state.library.iter();
            entries.position(|entry| Some(&entry.picture.path) == first.as_ref())
        };
        if place(self).is_none() {
            for (picture, mask, truth) in walls {
                self.state.add_with_mask(picture, truth, mask);
            }
        }
        self.state.selected = place(self);
        self.state.show_counterfactuals();
    }
}
