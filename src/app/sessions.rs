//! Sessions: opened, saved, kept safe, gone back in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use egui::ViewportCommand;

use super::App;
use crate::error::Result;
use crate::model::ModelRef;
use crate::session::{
    self, DataFolder, Missing, OpenedSession, Rescue, Row, Session, Snapshot, State, UndoHistory,
};

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
    /// What other processes left behind.
    pub(super) rescues: Vec<Rescue>,
    /// Recent sessions, newest first.
    pub(super) recent: Vec<PathBuf>,
    /// The hash that each row's model had when the session was saved, until the model is there.
    expected: Vec<Option<String>>,
    /// As last written to the session's file.
    saved: State,
    /// As last written to the autosave, and when.
    kept: (State, f64),
    writer: Option<Writer>,
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

    /// Keeps autosaves and recent sessions in `home`.
    pub(super) fn settle_in(&mut self, home: DataFolder) {
        self.rescues = home.rescues();
        self.recent = home.recent();
        self.home = Some(home);
    }
}

/// Writes autosaves in a thread of its own.
struct Writer {
    outbox: Option<Sender<Snapshot>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn new(path: PathBuf) -> Self {
        let (outbox, inbox) = channel::<Snapshot>();
        let write = move || {
            while let Ok(snapshot) = inbox.recv() {
                if let Err(error) = session::write(&Session::of(&snapshot), &path) {
                    tracing::warn!("{error}");
                }
            }
        };
        Self {
            outbox: Some(outbox),
            thread: Some(std::thread::spawn(write)),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.outbox = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl App {
    /// Notes what changed: for undo, for the autosave, for the title.
    pub(super) fn keep(&mut self, context: &egui::Context) {
        if self.stage.is_some() {
            // What was on the screen before comes back.
            return;
        }
        let now = context.input(|input| input.time);
        let busy = self.state.playing
            || context.input(|input| input.pointer.any_down())
            || context.egui_wants_keyboard_input();
        self.sessions.history.observe(&self.state, now, busy);
        self.check_models();
        let (kept, when) = &self.sessions.kept;
        let rescued = when.is_infinite();
        if rescued || (now - when >= AUTOSAVE_EVERY && !kept.shows_same(&self.state)) {
            self.autosave(now);
        }
        self.entitle(context);
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
                self.messages
                    .push(format!("Nothing is saved by itself: {error}"));
                self.sessions.home = None;
                return;
            }
        };
        let writer = self
            .sessions
            .writer
            .get_or_insert_with(|| Writer::new(path));
        if let Some(outbox) = &writer.outbox {
            // A thread that is gone has said why.
            let _ = outbox.send(snapshot);
        }
    }

    /// As the program ends by itself.
    pub(super) fn leave(&mut self) {
        self.autosave(f64::MAX);
        self.sessions.writer = None;
        if let Some(home) = &mut self.sessions.home {
            home.close();
        }
    }

    /// What is on the screen, to be saved. Of models that were not opened yet it has the hashes that the
    /// session named.
    fn snapshot(&self) -> Snapshot {
        // A presentation is not what is to be kept.
        let before = self.stage.as_ref().map(|stage| &stage.before);
        let state = before.unwrap_or(&self.state);
        let hash = |(index, model): (usize, &ModelRef)| {
            let row = self.rows.get(index);
            let row = row.filter(|_| self.state.models.get(index) == Some(model));
            let known = row.and_then(|row| row.look.as_ref()?.hash.clone());
            known.or_else(|| self.sessions.expected.get(index).cloned().flatten())
        };
        Snapshot {
            hashes: state.models.iter().enumerate().map(hash).collect(),
            state: state.clone(),
            missing: self.sessions.missing.clone(),
        }
    }

    /// Says so when a model is another one than when the session was saved.
    fn check_models(&mut self) {
        for (row, expected) in self.rows.iter().zip(&mut self.sessions.expected) {
            let Some(look) = &row.look else { continue };
            if let Some(expected) = expected.take()
                && look.hash.as_ref() != Some(&expected)
            {
                self.messages.push(format!(
                    "{}: the model has changed since the session was saved",
                    look.manifest.name
                ));
            }
        }
    }

    fn entitle(&mut self, context: &egui::Context) {
        let name = self.sessions.file.as_deref().and_then(Path::file_stem);
        let changed = !self.sessions.saved.shows_same(&self.state);
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

    /// Goes one change back, or forth again.
    pub(super) fn go_back(&mut self, forth: bool) {
        let models = self.state.models.clone();
        let document = self.state.document;
        if forth {
            self.sessions.history.redo(&mut self.state);
        } else {
            self.sessions.history.undo(&mut self.state);
        }
        self.turn_from(document);
        self.forget_rows(&models);
    }

    /// Where the state is now of another session than `document`, so are its file and what it misses.
    fn turn_from(&mut self, document: u64) {
        if document == self.state.document {
            return;
        }
        let sessions = &mut self.sessions;
        let left = (sessions.file.take(), std::mem::take(&mut sessions.missing));
        sessions.documents.insert(document, left);
        let found = sessions.documents.remove(&self.state.document);
        (sessions.file, sessions.missing) = found.unwrap_or_default();
    }

    /// Rows whose model is no longer that of `before` forget what it said.
    pub(super) fn forget_rows(&mut self, before: &[ModelRef]) {
        self.rows.resize(self.state.models.len(), Row::default());
        for (index, row) in self.rows.iter_mut().enumerate() {
            if before.get(index) != self.state.models.get(index) {
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

    /// Puts a session on the screen; what was there can be had back by undoing.
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
        let document = self.state.document;
        self.state = opened.state;
        self.sessions.opened += 1;
        self.state.document = self.sessions.opened;
        self.turn_from(document);
        self.sessions.missing = opened.missing;
        self.sessions.expected = opened.hashes;
        self.sessions.saved = self.state.clone();
        // What was rescued is kept again at once.
        self.sessions.kept.1 = f64::NEG_INFINITY;
        // Pictures that were being made are taken as far as they were.
        self.rows.fill(Row::default());
        self.forget_rows(&[]);
        self.sessions.file = None;
        if !own {
            self.remember(&path);
            self.sessions.file = Some(path);
        }
    }

    /// The rescue that this file is.
    pub(super) fn rescue_at(&self, path: &Path) -> Option<Rescue> {
        let mut rescues = self.sessions.rescues.iter();
        rescues.find(|rescue| rescue.path == path).cloned()
    }

    /// Pictures that were missing and are found again go back to their places.
    pub(super) fn found_again(&mut self, found: Vec<(Missing, crate::session::LibraryEntry)>) {
        for (missing, entry) in found {
            let before = self.sessions.missing.iter();
            let before = before.filter(|other| other.place < missing.place).count();
            let place = missing.place.saturating_sub(before);
            let place = place.min(self.state.library.len());
            self.state.library.insert(place, entry);
            self.sessions
                .missing
                .retain(|other| other.place != missing.place);
            self.state.selected = self
                .state
                .selected
                .map(|at| at + usize::from(at >= place && self.state.library.len() > 1));
        }
    }
}
