//! The session on the screen: opening, saving, autosave, undo.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use egui::ViewportCommand;

use super::App;
use crate::error::{Error, Result};
use crate::model::ModelRef;
use crate::session::{
    self, DataFolder, Missing, OpenedSession, Rescue, Row, Session, Snapshot, State, UndoHistory,
};
use crate::tasks::{Inbox, Service};

/// Seconds between two autosaves.
const AUTOSAVE_EVERY: f64 = 3.0;

/// What the window knows of the session on the screen.
pub(super) struct SessionManager {
    /// Where the program keeps its own files, if anywhere.
    pub(super) home: Option<DataFolder>,
    /// Undo and redo.
    pub(super) history: UndoHistory,
    /// The file that the session was opened from or saved to.
    pub(super) file: Option<PathBuf>,
    /// Pictures of the session that are not there.
    pub(super) missing: Vec<Missing>,
    /// The same of sessions that undoing may bring back, by [`State::document`].
    documents: HashMap<u64, (Option<PathBuf>, Vec<Missing>)>,
    /// Sessions opened so far.
    opened: u64,
    /// Autosaves of processes that crashed.
    pub(super) rescues: Vec<Rescue>,
    /// Recent sessions, newest first.
    pub(super) recent: Vec<PathBuf>,
    /// The hash that each row's model had when the session was saved, until the model is there.
    expected: Vec<Option<String>>,
    /// The state as last written to the session's file.
    saved: State,
    /// The state as last written to the autosave, and the time in seconds.
    kept: (State, f64),
    writer: Option<AutosaveWriter>,
    title: String,
}

impl SessionManager {
    pub(super) fn new(state: &State) -> Self {
        Self {
            home: None,
            history: UndoHistory::new(state),
            file: None,
            missing: Vec::new(),
            documents: HashMap::new(),
            opened: 0,
            rescues: Vec::new(),
            recent: Vec::new(),
            expected: Vec::new(),
            saved: state.clone(),
            kept: (state.clone(), 0.0),
            writer: None,
            title: String::new(),
        }
    }

    /// Keeps autosaves and the list of recent sessions in `home`.
    pub(super) fn use_folder(&mut self, home: DataFolder) {
        self.rescues = home.rescues();
        self.recent = home.recent();
        self.home = Some(home);
    }
}

/// Writes autosaves in a background thread.
struct AutosaveWriter {
    /// Panics; that a file cannot be written is only logged, as it is tried again.
    failures: Inbox<Error>,
    service: Service<Snapshot>,
}

impl AutosaveWriter {
    fn new(path: PathBuf) -> Self {
        // A failure is shown in the next frame that is drawn for another reason.
        let failures = Inbox::new(|| ());
        let work = move |snapshots: &Receiver<Snapshot>, _: &_| {
            for snapshot in snapshots {
                if let Err(error) = session::write(&Session::of(&snapshot), &path) {
                    tracing::warn!("{error}");
                }
            }
        };
        Self {
            service: failures.serve("autosave", |error| error, work),
            failures,
        }
    }
}

impl App {
    /// Records changes: for undo, for the autosave, for the title.
    pub(super) fn record_changes(&mut self, context: &egui::Context) {
        if self.presentation.is_some() {
            // Changes during a presentation are dropped at its end.
            return;
        }
        let now = context.input(|input| input.time);
        let busy = self.state.transient.playing
            || context.input(|input| input.pointer.any_down())
            || context.egui_wants_keyboard_input();
        self.sessions.history.observe(&self.state, now, busy);
        self.check_models();
        let (kept, when) = &self.sessions.kept;
        let rescued = when.is_infinite();
        if rescued || (now - when >= AUTOSAVE_EVERY && !kept.saves_same(&self.state)) {
            self.autosave(now);
        }
        self.update_title(context);
    }

    fn autosave(&mut self, now: f64) {
        self.sessions.kept = (self.state.clone(), now);
        let snapshot = self.snapshot();
        let Some(home) = &mut self.sessions.home else {
            return;
        };
        let path = match home.autosave() {
            Ok(path) => path,
            Err(error) => {
                self.messages.push(format!("No autosave: {error}"));
                self.sessions.home = None;
                return;
            }
        };
        let writer = &mut self.sessions.writer;
        let writer = writer.get_or_insert_with(|| AutosaveWriter::new(path));
        writer.service.send(snapshot);
    }

    /// Shows why an autosave failed unexpectedly; the next one starts a new thread.
    pub(super) fn receive_autosave(&mut self) {
        let writer = self.sessions.writer.as_ref();
        let failures = writer.map_or_else(Vec::new, |writer| writer.failures.receive());
        if !failures.is_empty() {
            self.sessions.writer = None;
        }
        self.messages
            .extend(failures.iter().map(ToString::to_string));
    }

    /// Writes a last autosave, waits for it, and marks the end of the program as a regular one.
    pub(super) fn leave(&mut self) {
        self.autosave(f64::MAX);
        if let Some(writer) = self.sessions.writer.take() {
            writer.service.finish();
        }
        if let Some(home) = &mut self.sessions.home {
            home.close();
        }
    }

    /// The state to be saved. For models that are not open yet it has the hashes of the session file.
    fn snapshot(&self) -> Snapshot {
        // The state during a presentation is not saved.
        let before = self
            .presentation
            .as_ref()
            .map(|presentation| &presentation.before);
        let state = before.unwrap_or(&self.state);
        let hash = |(index, model): (usize, &ModelRef)| {
            let row = self.rows.get(index);
            let row = row.filter(|_| self.state.document.models.get(index) == Some(model));
            let known = row.and_then(|row| row.prediction.as_ref()?.hash.clone());
            known.or_else(|| self.sessions.expected.get(index).cloned().flatten())
        };
        Snapshot {
            hashes: state.document.models.iter().enumerate().map(hash).collect(),
            state: state.clone(),
            missing: self.sessions.missing.clone(),
        }
    }

    /// Shows a message where a model differs from the one that the session was saved with.
    fn check_models(&mut self) {
        for (row, expected) in self.rows.iter().zip(&mut self.sessions.expected) {
            let Some(prediction) = &row.prediction else {
                continue;
            };
            if let Some(expected) = expected.take()
                && prediction.hash.as_ref() != Some(&expected)
            {
                self.messages.push(format!(
                    "{}: the model has changed since the session was saved",
                    prediction.manifest.name
                ));
            }
        }
    }

    /// Sets the title of the window when it changed.
    fn update_title(&mut self, context: &egui::Context) {
        let name = self.sessions.file.as_deref().and_then(Path::file_stem);
        let changed = !self.sessions.saved.saves_same(&self.state);
        let title = match (name, changed) {
            (None, _) => "Epsiloscope".into(),
            (Some(name), false) => format!("{} · Epsiloscope", name.display()),
            (Some(name), true) => format!("{} (changed) · Epsiloscope", name.display()),
        };
        if title != self.sessions.title {
            self.sessions.title.clone_from(&title);
            context.send_viewport_cmd(ViewportCommand::Title(title));
        }
    }

    /// Undoes the last change, or redoes it.
    pub(super) fn undo(&mut self, redo: bool) {
        let models = self.state.document.models.clone();
        let number = self.state.transient.session_number;
        if redo {
            self.sessions.history.redo(&mut self.state);
        } else {
            self.sessions.history.undo(&mut self.state);
        }
        self.switch_session(number);
        self.forget_rows(&models);
    }

    /// Where the state no longer is of the session of this number, swaps in the file and the missing pictures
    /// of the session that it is of.
    fn switch_session(&mut self, number: u64) {
        if number == self.state.transient.session_number {
            return;
        }
        let sessions = &mut self.sessions;
        let left = (sessions.file.take(), std::mem::take(&mut sessions.missing));
        sessions.documents.insert(number, left);
        let found = sessions
            .documents
            .remove(&self.state.transient.session_number);
        (sessions.file, sessions.missing) = found.unwrap_or_default();
    }

    /// Drops the results of rows whose model differs from that of `before`.
    pub(super) fn forget_rows(&mut self, before: &[ModelRef]) {
        self.rows
            .resize(self.state.document.models.len(), Row::default());
        for (index, row) in self.rows.iter_mut().enumerate() {
            if before.get(index) != self.state.document.models.get(index) {
                *row = Row::default();
                self.manifest = None;
            }
        }
    }

    /// Saves to the session's own file, or asks for one.
    pub(super) fn save_session(&self, elsewhere: bool) {
        let known = self.sessions.file.clone().filter(|_| !elsewhere);
        self.dialogs.save_session(known, self.snapshot());
    }

    /// The session was written to `path`, as `state` shows it.
    pub(super) fn session_saved(&mut self, path: PathBuf, state: State) {
        self.remember(&path);
        self.sessions.file = Some(path);
        self.sessions.saved = state;
    }

    fn remember(&mut self, path: &Path) {
        if let Some(home) = &self.sessions.home {
            home.remember(path);
            self.sessions.recent = home.recent();
        }
    }

    /// Shows a session; undo restores the one before.
    pub(super) fn show_session(&mut self, path: PathBuf, opened: Result<OpenedSession>) {
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => return self.messages.push(error.to_string()),
        };
        let problems = opened.problems.iter().map(ToString::to_string);
        self.messages.extend(problems);
        let home = self.sessions.home.as_ref();
        let own = home.is_some_and(|home| path == home.last())
            || self
                .sessions
                .rescues
                .iter()
                .any(|rescue| rescue.path == path);
        let number = self.state.transient.session_number;
        self.state = opened.state;
        self.sessions.opened += 1;
        self.state.transient.session_number = self.sessions.opened;
        self.switch_session(number);
        self.sessions.missing = opened.missing;
        self.sessions.expected = opened.hashes;
        self.sessions.saved = self.state.clone();
        // Autosave at once: a rescued session is deleted after it was opened.
        self.sessions.kept.1 = f64::NEG_INFINITY;
        // Syntheses are replayed to the step that the session has.
        self.rows.fill(Row::default());
        self.forget_rows(&[]);
        self.sessions.file = None;
        if !own {
            self.remember(&path);
            self.sessions.file = Some(path);
        }
    }

    /// The crashed process's autosave at this path.
    pub(super) fn rescue_at(&self, path: &Path) -> Option<Rescue> {
        let mut rescues = self.sessions.rescues.iter();
        rescues.find(|rescue| rescue.path == path).cloned()
    }

    /// Puts missing pictures that were found back to their places in the library.
    pub(super) fn found_again(&mut self, found: Vec<(Missing, crate::session::LibraryEntry)>) {
        for (missing, entry) in found {
            let before = self.sessions.missing.iter();
            let before = before.filter(|other| other.place < missing.place).count();
            let place = missing.place.saturating_sub(before);
            let place = place.min(self.state.document.library.len());
            self.state.document.library.insert(place, entry);
            self.sessions
                .missing
                .retain(|other| other.place != missing.place);
            self.state.navigation.selected =
                self.state.navigation.selected.map(|at| {
                    at + usize::from(at >= place && self.state.document.library.len() > 1)
                });
        }
    }
}
