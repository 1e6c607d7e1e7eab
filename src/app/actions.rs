//! What the panels ask for.

use std::path::PathBuf;

use egui::ViewportCommand;

use super::App;
use super::panels::Action;
use crate::compute::Request;
use crate::data::samples;
use crate::export::figure::Figure;
use crate::export::job::ExportJob;
use crate::model::import::DescriptionEdit;
use crate::model::{ModelRef, zoo};
use crate::session::{Rescue, Row, has_session_name};
use crate::triage::has_database_name;

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
            Action::UseModels(models) => self.use_models(models),
            Action::UseModel(row, model) => self.use_model(row, model),
            Action::OpenModel(row) => self.dialogs.choose_model(row),
            Action::RefuseModel => self.state.arriving = None,
            Action::Describe(row, saying) => self.describe(row, saying),
            Action::ChooseLabels(row) => self.dialogs.choose_labels(row),
            Action::SaveDescription(row) => self.save_description(row),
            Action::OpenDatabase => self.dialogs.choose_database(),
            Action::ChooseSource { folder } => self.dialogs.choose_source(folder),
            Action::StartScan => self.start_scan(),
            Action::DrawMap(side, layout) => {
                let table = self.triage.contents.table.clone();
                self.ask(|archive| archive.map(table, side, layout));
            }
            Action::Explore(index) => self.explore(index),
            Action::Walk(step) => self.walk(step),
            Action::Tag(pictures, tag, on) => self.ask(|archive| archive.tag(pictures, &tag, on)),
            Action::SaveQuery(name, query) => {
                self.ask(|archive| archive.save_view(&name, query.as_deref()));
            }
            Action::TakeAway(kind) => self.take_away(kind),
            Action::Views => self.views = !self.views,
            Action::ShowView(index) => self.show_view(index),
            Action::Present => self.present(context),
            Action::StepView(step) => self.step_view(step),
            Action::LeaveStage => self.leave_stage(context),
            Action::Undo => self.go_back(false),
            Action::Redo => self.go_back(true),
            Action::OpenSession => self.dialogs.choose_session(),
            Action::ReopenSession(path) => self.dialogs.open_session(path),
            Action::SaveSession { elsewhere } => self.save_session(elsewhere),
            Action::Recover(rescue) => self.dialogs.open_session(rescue.path),
            Action::Discard(rescue) => self.discard(&rescue),
            Action::FindMissing { folder } => {
                self.dialogs
                    .find_missing(self.sessions.missing.clone(), folder);
            }
            Action::ForgetMissing => self.sessions.missing.clear(),
            Action::OpenExport(kind) => self.export.open(kind),
            Action::Export(work) => self.exporter.begin(*work, &self.state, &self.rows),
            Action::CopyFigure => {
                let work = ExportJob::Copy(Figure::default());
                self.exporter.begin(work, &self.state, &self.rows);
            }
            Action::CancelExport => self.exporter.cancel(),
            Action::Help => self.help = !self.help,
            Action::Quit => context.send_viewport_cmd(ViewportCommand::Close),
        }
    }

    /// Opens pictures, folders, a database, and a session.
    pub(super) fn open_all(&mut self, paths: Vec<PathBuf>) {
        let (sessions, others): (Vec<_>, Vec<_>) =
            paths.into_iter().partition(|path| has_session_name(path));
        let (databases, pictures): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|path| has_database_name(path));
        if let Some(database) = databases.into_iter().next_back() {
            self.use_database(database);
        }
        if let Some(session) = sessions.into_iter().next_back() {
            self.dialogs.open_session(session);
        }
        if !pictures.is_empty() {
            self.loader.open(pictures);
        }
    }

    fn discard(&mut self, rescue: &Rescue) {
        if let Some(home) = &self.sessions.home {
            home.discard(rescue);
        }
        self.sessions.rescues.retain(|other| other != rescue);
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

    /// Puts a model into a row. What the row showed goes with the model that said it.
    pub(super) fn use_model(&mut self, row: usize, model: ModelRef) {
        self.state.arriving = None;
        let Some(known) = self.state.models.get(row) else {
            return;
        };
        if *known != model {
            self.state.use_model(row, model);
        } else if model.path().is_some() {
            // The file may have been written since.
            self.engine.restart(|request| {
                !matches!(request, Request::Scan(_)) && request.model() == Some(&model)
            });
        } else {
            return;
        }
        self.rows[row] = Row::default();
        self.manifest = None;
    }

    /// Puts a model into each row, and shows what such models are for.
    fn use_models(&mut self, models: Vec<ModelRef>) {
        let turns = |models: &[ModelRef]| {
            let turning = zoo::SETS.iter().filter(|set| set.turns);
            let mut ids = turning.flat_map(|set| set.models);
            ids.any(|id| models.contains(&ModelRef::from(*id)))
        };
        let (before, now) = (turns(&self.state.models), turns(&models));
        for (row, model) in models.into_iter().enumerate() {
            self.use_model(row, model);
        }
        if now && !before {
            self.add_walls();
        } else if before && !now {
            self.state.show_attacks();
            self.state.selected = self.state.selected.map(|_| 0);
        }
    }

    /// Opens a row's model anew with this said of it.
    pub(super) fn describe(&mut self, row: usize, saying: DescriptionEdit) {
        let model = self.state.models.get(row);
        if let Some(model) = model.and_then(|model| model.edited(saying)) {
            self.use_model(row, model);
        }
    }

    /// Writes what was said of a row's model.
    fn save_description(&self, row: usize) {
        let model = self.state.models.get(row);
        if let Some(description) = model.and_then(ModelRef::description) {
            self.dialogs.save_description(description);
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
