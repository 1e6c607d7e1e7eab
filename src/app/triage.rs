//! The triage page within the window: its database, scans, and the way to the explorer and back.

use std::path::PathBuf;

use super::loader::LoadRequest;
use super::panels::{self, SelectionExport};
use super::{App, waker};
use crate::error::{Error, Result};
use crate::session::{Page, Triage};
use crate::triage::ScanCounts;
use crate::triage::reader::{DatabaseReader, Mapped, ReaderMessage};

impl App {
    /// Opens the database that the state names, unless it is open, and receives its messages.
    pub(super) fn receive_database(&mut self, context: &egui::Context) {
        self.open_database(context);
        if let Some(database) = &mut self.database {
            database.choose(self.state.navigation.triage.chosen_scans());
        }
        let messages = self.database.as_ref().map(DatabaseReader::receive);
        for message in messages.unwrap_or_default() {
            match message {
                ReaderMessage::Contents(contents) => {
                    let shown = self.triage.contents.scan;
                    if shown.is_some() && shown != contents.scan {
                        self.triage.forget();
                        self.state.navigation.triage.chosen = None;
                    }
                    self.triage.contents = contents;
                }
                ReaderMessage::Map(mapped) => self.receive_map(mapped),
                ReaderMessage::Failed(error) => self.messages.push(error.to_string()),
                ReaderMessage::Closed(error) => {
                    self.messages.push(error.to_string());
                    self.database = None;
                    self.state.navigation.triage.database = None;
                }
            }
        }
        self.triage.refresh(&self.state.navigation.triage);
    }

    /// Opens the database that the state names once the triage page is shown.
    fn open_database(&mut self, context: &egui::Context) {
        let named = &self.state.navigation.triage.database;
        let open = self.database.as_ref().map(DatabaseReader::path);
        if self.state.navigation.page != Page::Triage || named.as_deref() == open {
            return;
        }
        if let Some(path) = named.as_ref().filter(|path| !path.is_file()) {
            // A scan under way creates the file when it begins.
            if self.state.progress.scan.request.is_none() {
                let error = Error::io(path, "read", "there is no such file");
                self.messages.push(error.to_string());
                self.state.navigation.triage.database = None;
            }
            return;
        }
        let chosen = self.state.navigation.triage.chosen_scans();
        self.database = named
            .as_deref()
            .map(|path| DatabaseReader::open(path, chosen, waker(context)));
        self.triage.forget();
    }

    fn receive_map(&mut self, mapped: Result<Mapped>) {
        self.triage.mapping = false;
        match mapped {
            // It may be of a scan that is no longer shown.
            Ok(mapped) if self.triage.contents.scan != Some(mapped.scan) => {}
            Ok(mapped) => self.triage.take_map(mapped),
            Err(error) => self.messages.push(error.to_string()),
        }
    }

    /// Calls `request` with the open database, if there is one.
    pub(super) fn with_database(&self, request: impl FnOnce(&DatabaseReader)) {
        if let Some(database) = &self.database {
            request(database);
        }
    }

    /// Starts the scan that is set up; asks for a database for its results if none is named.
    pub(super) fn start_scan(&mut self) {
        match panels::triage::order(&self.state) {
            Some(order) => {
                self.state.progress.scan.request = Some(order);
                self.state.progress.scan.paused = false;
                self.triage.progress = None;
            }
            None if self.state.navigation.triage.source.is_some() => {
                self.dialogs.choose_new_database();
            }
            None => {}
        }
    }

    /// Takes over the progress of the scan, which may be its end.
    pub(super) fn scanned(&mut self, progress: ScanCounts) {
        self.triage.progress = Some(progress);
        if progress.done == progress.total {
            self.state.progress.scan.request = None;
        }
    }

    /// Uses another database.
    pub(super) fn use_database(&mut self, path: PathBuf) {
        // A scan that writes into another database goes on.
        let path = std::path::absolute(&path).unwrap_or(path);
        self.state.navigation.triage = Triage {
            database: Some(path),
            scan: None,
            beside: None,
            query: String::new(),
            chosen: None,
            ..self.state.navigation.triage.clone()
        };
        self.state.navigation.page = Page::Triage;
    }

    /// Opens a picture of the table in the explorer, before the models of the scan and attacked as there.
    pub(super) fn explore(&mut self, index: usize) {
        let table = self.triage.contents.table.clone();
        let Some(record) = table.records.get(index) else {
            return;
        };
        if let Some(plan) = &table.plan {
            let before = self.state.document.models.clone();
            if plan.models != before && plan.models.len() <= crate::compute::MOST_ROWS {
                self.state.document.models.clone_from(&plan.models);
                self.forget_rows(&before);
            }
            if let Some(attack) = &plan.attack {
                self.state.settings.attack = attack.clone();
                // Scans know neither corruptions nor masks.
                self.state.set_severity(0.0);
                let range = self.state.range().max(attack.epsilon);
                *self.state.range_mut() = range;
            }
        }
        self.state.navigation.triage.chosen = Some(index);
        self.state.navigation.page = Page::Explorer;
        let path = PathBuf::from(&record.path);
        let mut entries = self.state.document.library.iter();
        match entries.position(|entry| entry.picture.path == path) {
            Some(place) => {
                self.state.navigation.selected = Some(place);
                let entry = self.state.entry();
                if entry.is_some_and(|entry| entry.attack_mask.is_some()) {
                    self.state.clear_attack_mask();
                }
            }
            None => self.loader.open_entry(LoadRequest {
                path,
                truth: record.truth.map(|class| table.classes[class].clone()),
            }),
        }
    }

    /// Explores the next or previous picture of the selection.
    pub(super) fn walk(&mut self, step: isize) {
        let selection = &self.triage.selection;
        let Some(last) = selection.len().checked_sub(1) else {
            return;
        };
        let place = self.triage.place(&self.state.navigation.triage);
        let next = place.map_or(0, |place| place.saturating_add_signed(step).min(last));
        let index = selection[next];
        self.explore(index);
    }

    /// Writes the selection to a file or folder that a person chooses.
    pub(super) fn take_away(&self, kind: SelectionExport) {
        let table = self.triage.contents.table.clone();
        let query = self.state.navigation.triage.query.clone();
        let selection = self.triage.selection.clone();
        self.dialogs.take_away(kind, table, query, selection);
    }
}
