//! The triage page's dealings with the rest of the window.

use std::path::PathBuf;

use super::App;
use super::loader::LoadRequest;
use super::panels::{self, SelectionExport};
use crate::error::Error;
use crate::session::{Page, Triage};
use crate::triage::Progress;
use crate::triage::reader::{self, DatabaseReader};

impl App {
    /// Opens the database that the state names, unless it is open; takes in what it found.
    pub(super) fn receive_table(&mut self, context: &egui::Context) {
        let requests = &self.state.navigation.triage.database;
        let shown = self.state.navigation.page == Page::Triage;
        let open = self.archive.as_ref().map(DatabaseReader::path);
        let turns = shown && requests.as_deref() != open;
        let gone = requests.as_ref().filter(|path| turns && !path.is_file());
        if let Some(path) = gone {
            // A scan makes its file when it begins; nothing else does.
            if self.state.progress.scan.request.is_none() {
                let error = Error::io(path, "read", "there is no such file");
                self.messages.push(error.to_string());
                self.state.navigation.triage.database = None;
            }
        } else if turns {
            let wake = context.clone();
            self.archive = requests.as_deref().map(|path| {
                DatabaseReader::open(
                    path,
                    self.state.navigation.triage.chosen_scans(),
                    move || {
                        wake.request_repaint();
                    },
                )
            });
            self.triage.forget();
        }
        if let Some(archive) = &mut self.archive {
            archive.choose(self.state.navigation.triage.chosen_scans());
        }
        for news in self
            .archive
            .iter()
            .flat_map(DatabaseReader::news)
            .collect::<Vec<_>>()
        {
            self.take_in(news);
        }
        match self.archive.as_ref().and_then(DatabaseReader::drawn) {
            Some(Ok(mapped)) => {
                self.triage.mapping = false;
                // It may be of a scan that is no longer shown.
                if self.triage.contents.scan == Some(mapped.scan) {
                    self.triage.take_map(mapped);
                }
            }
            Some(Err(error)) => {
                self.triage.mapping = false;
                self.messages.push(error.to_string());
            }
            None => {}
        }
        self.triage.refresh(&self.state.navigation.triage);
    }

    fn take_in(&mut self, news: reader::ReaderMessage) {
        match news {
            reader::ReaderMessage::Contents(contents) => {
                let shown = self.triage.contents.scan;
                if shown.is_some() && shown != contents.scan {
                    self.triage.forget();
                    self.state.navigation.triage.chosen = None;
                }
                self.triage.contents = contents;
            }
            reader::ReaderMessage::Trouble(error) => self.messages.push(error.to_string()),
            reader::ReaderMessage::Closed(error) => {
                self.messages.push(error.to_string());
                self.archive = None;
                self.state.navigation.triage.database = None;
            }
        }
    }

    /// Asks something of the open database.
    pub(super) fn ask(&self, request: impl FnOnce(&DatabaseReader)) {
        if let Some(archive) = &self.archive {
            request(archive);
        }
    }

    /// Begins the scan that is set up; asks for a place for its results if there is none.
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

    /// The scan is so far.
    pub(super) fn scanned(&mut self, progress: Progress) {
        self.triage.progress = Some(progress);
        if progress.done == progress.total {
            self.state.progress.scan.request = None;
        }
    }

    /// Uses another database.
    pub(super) fn use_database(&mut self, path: PathBuf) {
        // A scan into another database goes on.
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
                let range = self.state.range().max(attack.epsilon);
                *self.state.range_mut() = range;
            }
        }
        self.state.navigation.triage.chosen = Some(index);
        self.state.navigation.page = Page::Explorer;
        let path = PathBuf::from(&record.path);
        let mut entries = self.state.document.library.iter();
        match entries.position(|entry| entry.picture.path == path) {
            Some(place) => self.state.navigation.selected = Some(place),
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
