//! What the panels ask for.

use std::path::{Path, PathBuf};

use egui::ViewportCommand;

use super::App;
use super::opening::Opening;
use super::panels::Action;
use super::panels::tour::Tour;
use crate::compute::Place;
use crate::counterfactual::GeneratorEntry;
use crate::data::samples;
use crate::error::Result;
use crate::export::job::ExportJob;
use crate::model::ModelRef;
use crate::model::import::DescriptionEdit;
use crate::model::zoo::{self, Set};
use crate::session::{Figure, Rescue, Row};

/// Time between two looks at the twins in training.
const TWIN_PERIOD: std::time::Duration = std::time::Duration::from_secs(1);

impl App {
    pub(super) fn act(&mut self, context: &egui::Context, action: Action) {
        match action {
            Action::OpenFiles => self.dialogs.choose_pictures(false),
            Action::OpenFolder => self.dialogs.choose_pictures(true),
            Action::Paste => context.send_viewport_cmd(ViewportCommand::RequestPaste),
            Action::Remove => self.remove(),
            Action::Save(row) => self.save(row),
            Action::SaveSynthesis(row) => self.save_synthesis(row),
            Action::ChooseBackground => self.dialogs.choose_background(),
            Action::ChooseMask => self.choose_mask(),
            Action::LoadAttackMask => self.choose_attack_mask(),
            Action::SaveAttackMask => self.save_attack_mask(),
            Action::Tell(message) => self.messages.push(message),
            Action::AddSyntheticCracks => self.add_synthetic_cracks(),
            Action::UseModels(models) => self.use_models(models),
            Action::UseModel(row, model) => self.use_arriving_model(row, model),
            Action::OpenModel(row) => self.dialogs.choose_model(row),
            Action::RefuseModel => {
                self.arriving.pop_front();
            }
            Action::OpenGenerator => self.dialogs.choose_generator(),
            Action::Describe(row, saying) => self.describe(row, saying),
            Action::ChooseLabels(row) => self.dialogs.choose_labels(row),
            Action::SaveDescription(row) => self.save_description(row),
            Action::Twins => self.twin_form.open = !self.twin_form.open,
            Action::ChooseTwinData => self.dialogs.choose_twin_data(),
            Action::StartTwin(settings) => {
                let started = self.twins.start(&settings);
                self.told(started);
            }
            Action::Twin(index, action) => {
                let done = self.twins.act(index, action);
                if let Some(Some(model)) = self.told(done) {
                    self.open_twin(&model);
                }
            }
            Action::OpenDatabase => self.dialogs.choose_database(),
            Action::ChooseSource { folder } => self.dialogs.choose_source(folder),
            Action::StartScan => self.start_scan(),
            Action::DrawMap(side, layout) => {
                let table = self.triage.contents.table.clone();
                self.with_database(|database| database.map(table, side, layout));
            }
            Action::Explore(index) => self.explore(index),
            Action::Walk(step) => self.walk(step),
            Action::Tag(pictures, tag, on) => {
                self.with_database(|database| database.tag(pictures, &tag, on));
            }
            Action::SaveQuery(name, query) => {
                self.with_database(|database| database.save_view(&name, query.as_deref()));
            }
            Action::TakeAway(kind) => self.take_away(kind),
            Action::Views => self.views = !self.views,
            Action::ShowView(index) => self.show_view(index),
            Action::Present => self.present(context),
            Action::StepView(step) => self.step_view(step),
            Action::EndPresentation => self.end_presentation(context),
            Action::Undo => self.undo(false),
            Action::Redo => self.undo(true),
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
            Action::UseSuccessors => self.use_successors(),
            Action::KeepReplaced => self.state.transient.keeps_replaced = true,
            Action::OpenExport(kind) => self.export.open(kind),
            Action::Export(work) => self.exporter.begin(*work, &self.state, &self.rows),
            Action::CopyFigure => {
                let work = ExportJob::Copy(Figure::default());
                self.exporter.begin(work, &self.state, &self.rows);
            }
            Action::CancelExport => self.exporter.cancel(),
            Action::Search => self.search.toggle(),
            Action::Tour => self.tour = Some(Tour::default()),
            Action::Help => self.help = !self.help,
            Action::Graphics => self.graphics.toggle(),
            Action::ShowLog => self.log = !self.log,
            Action::Quit => context.send_viewport_cmd(ViewportCommand::Close),
        }
    }

    /// Opens files and folders of any kind, whether named as arguments, dropped, or chosen in a dialog:
    /// for each model a person is asked for its row. A message names what is left out.
    pub(super) fn open_all(&mut self, paths: Vec<PathBuf>) {
        let Opening {
            session,
            database,
            models,
            generators,
            pictures,
            left_out,
        } = Opening::of(paths);
        self.arriving.extend(models);
        for generator in generators {
            self.use_generator(generator);
        }
        if let Some(database) = database {
            self.use_database(database);
        }
        if let Some(session) = session {
            self.dialogs.open_session(session);
        }
        for path in left_out {
            let message = format!("{}: left closed, as another was opened", path.display());
            self.messages.push(message);
        }
        if !pictures.is_empty() {
            self.loader.open(pictures);
        }
    }

    /// What was done; an error becomes a message.
    fn told<T>(&mut self, done: Result<T>) -> Option<T> {
        done.map_err(|error| self.messages.push(error.to_string()))
            .ok()
    }

    /// Opens a twin's model in the second row.
    fn open_twin(&mut self, model: &Path) {
        let row = self.state.document.models.len().saturating_sub(1).min(1);
        self.use_model(row, ModelRef::file(model));
    }

    /// Looks at the twins in training, and opens those that have finished.
    pub(super) fn receive_twins(&mut self, context: &egui::Context) {
        for model in self.twins.poll(self.twin_form.open) {
            self.open_twin(&model);
        }
        if self.twins.are_busy() {
            context.request_repaint_after(TWIN_PERIOD);
        }
    }

    fn discard(&mut self, rescue: &Rescue) {
        if let Some(home) = &self.sessions.home {
            home.discard(rescue);
        }
        self.sessions.rescues.retain(|other| other != rescue);
    }

    fn remove(&mut self) {
        if let Some(selected) = self.state.navigation.selected {
            self.state.document.library.remove(selected);
            let last = self.state.document.library.len().checked_sub(1);
            self.state.navigation.selected = last.map(|last| selected.min(last));
        }
    }

    /// Writes the attacked picture as it is on the screen.
    fn save(&self, row: usize) {
        let row = self.rows.get(row);
        if let Some(shown) = row.and_then(|row| row.nearest(self.state.settings.attack.epsilon)) {
            self.dialogs.save(shown.attacked.picture.clone());
        }
    }

    /// Writes the synthesized picture of a row.
    fn save_synthesis(&self, row: usize) {
        if let Some(synthesis) = self.rows.get(row).and_then(|row| row.synthesis.as_ref()) {
            self.dialogs.save(synthesis.picture.clone());
        }
    }

    fn choose_mask(&self) {
        if let Some(entry) = self.state.entry() {
            self.dialogs.choose_mask(entry.picture.clone());
        }
    }

    fn choose_attack_mask(&self) {
        if let Some(entry) = self.state.entry() {
            self.dialogs.choose_attack_mask(entry.picture.clone());
        }
    }

    fn save_attack_mask(&self) {
        let mask = self
            .state
            .entry()
            .and_then(|entry| entry.attack_mask.as_ref());
        if let Some(mask) = mask {
            self.dialogs.save_mask(mask.clone());
        }
    }

    /// Puts a model into a row. What the row showed goes with the model before; the same file is opened
    /// again if it has changed.
    pub(super) fn use_model(&mut self, row: usize, model: ModelRef) {
        if row >= self.state.document.models.len() {
            return;
        }
        self.state.use_model(row, model);
        self.rows[row] = Row::default();
        self.manifest = None;
        // Requests equal to those before would not be started again: without this row's for a moment,
        // they are new. Other rows and a scan go on.
        let mut others = self.all_requests();
        others.retain(|lane, _| lane.place() != Some(Place::on_screen(row)));
        self.submit(others);
    }

    /// Puts a model that a person chose into a row and shows what was recognised; a generator becomes that of its
    /// classifier, wherever it is.
    pub(super) fn open_model(&mut self, row: usize, path: PathBuf) {
        match GeneratorEntry::of_file(&path) {
            Some(generator) => self.use_generator(generator),
            None => {
                self.use_model(row, ModelRef::file(path));
                self.state.transient.about = Some(row);
            }
        }
    }

    /// Makes a generator that of its classifier; says so if that is in no row. An error becomes a message.
    fn use_generator(&mut self, generator: Result<GeneratorEntry>) {
        let Some(generator) = self.told(generator) else {
            return;
        };
        let is_for = |row: &Row| {
            let hash = row
                .prediction
                .as_ref()
                .and_then(|known| known.hash.as_ref());
            hash == Some(&generator.classifier.fingerprint)
        };
        // A row that is computed yet may turn out to be of that classifier; its cells say whose work they show.
        let waits = self.rows.iter().any(|row| row.prediction.is_none());
        if !waits && !self.rows.iter().any(is_for) {
            self.messages.push(format!(
                "{}: made for {}, which is in no row; it is used once that model is opened",
                generator.name, generator.classifier.name
            ));
        }
        self.state.prefer_generator(generator);
    }

    /// Puts the first model file that waits into a row, and shows what was recognised.
    fn use_arriving_model(&mut self, row: usize, model: ModelRef) {
        self.arriving.pop_front();
        self.use_model(row, model);
        self.state.transient.about = Some(row);
    }

    /// Puts a model into each row, and shows what such models are for.
    fn use_models(&mut self, models: Vec<ModelRef>) {
        let had_generator =
            Set::of(&self.state.document.models).is_some_and(|set| set.has_generator);
        for (row, model) in models.into_iter().enumerate() {
            self.use_model(row, model);
        }
        let Some(set) = Set::of(&self.state.document.models) else {
            return;
        };
        self.state.begin_with(set);
        self.add_samples(set.pictures);
        if set.has_generator {
            self.add_synthetic_cracks();
        } else if had_generator {
            self.state.show_attacks();
        }
    }

    /// Puts the successors of models that came with earlier versions into their rows and views.
    fn use_successors(&mut self) {
        let models = self.state.document.models.clone();
        for (row, model) in models.iter().enumerate() {
            if let Some(successor) = zoo::successor(model) {
                self.use_model(row, successor);
            }
        }
        for bookmark in &mut self.state.document.bookmarks {
            for model in &mut bookmark.models {
                if let Some(successor) = zoo::successor(model) {
                    *model = successor;
                }
            }
        }
    }

    /// Opens a row's model anew with this said of it.
    pub(super) fn describe(&mut self, row: usize, saying: DescriptionEdit) {
        let model = self.state.document.models.get(row);
        if let Some(model) = model.and_then(|model| model.edited(saying)) {
            self.use_model(row, model);
        }
    }

    /// Writes what was said of a row's model.
    fn save_description(&self, row: usize) {
        let model = self.state.document.models.get(row);
        if let Some(description) = model.and_then(ModelRef::description) {
            self.dialogs.save_description(description);
        }
    }

    /// Adds bundled photographs by their names, unless they are there, and selects the first.
    pub(super) fn add_samples(&mut self, names: &[&str]) {
        let place = |app: &Self, path: &Path| {
            let mut entries = app.state.document.library.iter();
            entries.position(|entry| entry.picture.path == path)
        };
        for (picture, truth) in samples::of(names) {
            if place(self, &picture.path).is_none() {
                self.state.add(picture, truth);
            }
        }
        if let Some(first) = names.first() {
            self.state.navigation.selected = place(self, Path::new(first));
        }
    }

    /// Adds the synthetic cracks, unless they are there, selects the first and shows what is changed on
    /// them.
    fn add_synthetic_cracks(&mut self) {
        let cracks = samples::synthetic_walls();
        let first = cracks.first().map(|(picture, ..)| picture.path.clone());
        let place = |app: &Self| {
            let mut entries = app.state.document.library.iter();
            entries.position(|entry| Some(&entry.picture.path) == first.as_ref())
        };
        if place(self).is_none() {
            for (picture, mask, truth) in cracks {
                self.state.add_with_mask(picture, truth, mask);
            }
        }
        self.state.navigation.selected = place(self);
        self.state.show_counterfactuals();
    }
}
