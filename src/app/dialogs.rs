//! The system's own dialogs, each in a thread of its own, so that none holds up a frame.

#![expect(
    clippy::disallowed_methods,
    reason = "not yet moved to the module `tasks`, which names threads and turns panics into messages"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::panels::SelectionExport;
use crate::compute::GpuImage;
use crate::data::{Picture, mask, picture};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::model::import::{self, Description};
use crate::session::{self, LibraryEntry, Missing, OpenedSession, Session, Snapshot, State};
use crate::triage::{Query, Table, report};

/// What a dialog led to.
pub enum DialogOutcome {
    /// A folder of background pictures was chosen.
    Background(PathBuf),
    /// The true mask of a picture was chosen.
    Mask {
        /// The picture.
        of: Picture,
        /// White on black.
        mask: Picture,
    },
    /// A model file was chosen for a row.
    Model {
        /// The row.
        row: usize,
        /// The file.
        path: PathBuf,
    },
    /// A file of labels was chosen for a row's model.
    Labels {
        /// The row.
        row: usize,
        /// The file.
        path: PathBuf,
    },
    /// A session was opened, or could not be.
    Session {
        /// The file.
        path: PathBuf,
        /// What is in it.
        opened: Box<Result<OpenedSession>>,
    },
    /// The session was saved.
    Saved {
        /// The file.
        path: PathBuf,
        /// What was saved.
        state: Box<State>,
    },
    /// A database of scans was chosen.
    Database(PathBuf),
    /// Something to scan was chosen.
    Source(PathBuf),
    /// A place for the database of a new scan was chosen.
    NewDatabase(PathBuf),
    /// Missing pictures were found.
    Found(Vec<(Missing, LibraryEntry)>),
    /// It did not work.
    Trouble(Error),
}

/// Opens dialogs and collects what comes of them.
pub struct Dialogs {
    sender: Sender<DialogOutcome>,
    receiver: Receiver<DialogOutcome>,
    context: egui::Context,
}

impl Dialogs {
    /// Wakes `context` whenever there is an outcome.
    pub fn new(context: egui::Context) -> Self {
        let (sender, receiver) = channel();
        Self {
            sender,
            receiver,
            context,
        }
    }

    /// What has come of the dialogs since the last call.
    pub fn outcomes(&self) -> Vec<DialogOutcome> {
        self.receiver.try_iter().collect()
    }

    /// Asks for a folder; it is read when it is used.
    pub fn choose_background(&self) {
        self.work(|| {
            let dialog = rfd::FileDialog::new().set_title("Folder of background pictures");
            dialog.pick_folder().map(DialogOutcome::Background)
        });
    }

    /// Asks for the true mask of a picture, and opens it.
    pub fn choose_mask(&self, of: Picture) {
        self.work(move || {
            let dialog = rfd::FileDialog::new().set_title("Mask: white on black");
            let dialog = dialog.add_filter("Pictures", &picture::EXTENSIONS);
            let opened = mask::open(&dialog.pick_file()?, of.original);
            Some(
                opened.map_or_else(DialogOutcome::Trouble, |mask| DialogOutcome::Mask {
                    of,
                    mask,
                }),
            )
        });
    }

    /// Asks for a model file; it is read when it is used.
    pub fn choose_model(&self, row: usize) {
        self.work(move || {
            let dialog = rfd::FileDialog::new().set_title("Open a model");
            let dialog = dialog
                .add_filter("Models", &import::EXTENSIONS)
                .add_filter("All files", &["*"]);
            let path = dialog.pick_file()?;
            Some(DialogOutcome::Model { row, path })
        });
    }

    /// Asks for a text file with a label on each line.
    pub fn choose_labels(&self, row: usize) {
        self.work(move || {
            let dialog = rfd::FileDialog::new().set_title("Labels: one on each line");
            let path = dialog.add_filter("Text", &["txt"]).pick_file()?;
            Some(DialogOutcome::Labels { row, path })
        });
    }

    /// Asks where, and writes a description of a model.
    pub fn save_description(&self, description: Description) {
        self.work(move || {
            let dialog = rfd::FileDialog::new()
                .set_title("Save the description")
                .set_file_name("model.toml");
            let path = dialog.add_filter("TOML", &["toml"]).save_file()?;
            let written = write_atomically(&path, description.to_toml().as_bytes());
            written.err().map(DialogOutcome::Trouble)
        });
    }

    /// Asks where, and writes the picture as PNG.
    pub fn save(&self, frame: GpuImage) {
        self.work(move || {
            let dialog = rfd::FileDialog::new()
                .set_title("Save the attacked picture")
                .set_file_name("attacked.png");
            let path = dialog.add_filter("PNG", &["png"]).save_file()?;
            let image = picture::to_rgb(frame.planes(), frame.size());
            let error = image.save(&path).err()?;
            Some(DialogOutcome::Trouble(Error::io(&path, "write", error)))
        });
    }

    /// Asks for a database of scans.
    pub fn choose_database(&self) {
        self.work(|| {
            let dialog = rfd::FileDialog::new().set_title("Open a database of scans");
            let dialog = dialog
                .add_filter("Databases", &["db", "sqlite"])
                .add_filter("All files", &["*"]);
            dialog.pick_file().map(DialogOutcome::Database)
        });
    }

    /// Asks what to scan: a folder, or a list of files.
    pub fn choose_source(&self, folder: bool) {
        self.work(move || {
            let dialog = rfd::FileDialog::new().set_title("What to scan");
            let chosen = if folder {
                dialog.pick_folder()
            } else {
                dialog.pick_file()
            };
            chosen.map(DialogOutcome::Source)
        });
    }

    /// Asks where the results of scans are to be kept.
    pub fn choose_new_database(&self) {
        self.work(|| {
            let dialog = rfd::FileDialog::new().set_title("Keep the results in");
            let path = dialog.set_file_name("scans.db").save_file()?;
            Some(DialogOutcome::NewDatabase(path))
        });
    }

    /// Asks where, and writes the selected pictures of a table.
    pub fn take_away(
        &self,
        kind: SelectionExport,
        table: Arc<Table>,
        query: String,
        selection: Vec<usize>,
    ) {
        self.work(move || {
            let dialog = rfd::FileDialog::new();
            let written = match kind {
                SelectionExport::Csv => {
                    let dialog = dialog.set_title("Table of the selection");
                    let path = dialog.set_file_name("selection.csv").save_file()?;
                    report::csv(&table, &selection, &path)
                }
                SelectionExport::Pictures => {
                    let folder = dialog.set_title("Folder for the pictures").pick_folder()?;
                    report::copy(&table, &selection, &folder).map(drop)
                }
                SelectionExport::Report => {
                    let dialog = dialog.set_title("Report of the selection");
                    let path = dialog.set_file_name("selection.html").save_file()?;
                    let query = Query::parse(&query, &table.vocabulary()).unwrap_or_default();
                    report::html(&table, &query, &selection, &path)
                }
            };
            written.err().map(DialogOutcome::Trouble)
        });
    }

    /// Asks for a session file, and opens it.
    pub fn choose_session(&self) {
        self.work(|| {
            let dialog = rfd::FileDialog::new().set_title("Open a session");
            let dialog = dialog.add_filter("Sessions", &[session::EXTENSION]);
            Some(opened(dialog.pick_file()?))
        });
    }

    /// Opens a session file.
    pub fn open_session(&self, path: PathBuf) {
        self.work(|| Some(opened(path)));
    }

    /// Writes a session to `known`, or asks where.
    pub fn save_session(&self, known: Option<PathBuf>, snapshot: Snapshot) {
        self.work(move || {
            let path = known.or_else(|| {
                let dialog = rfd::FileDialog::new()
                    .set_title("Save the session")
                    .set_file_name(format!("session.{}", session::EXTENSION));
                let path = dialog
                    .add_filter("Sessions", &[session::EXTENSION])
                    .save_file()?;
                let named = session::has_session_name(&path);
                Some(if named {
                    path
                } else {
                    path.with_added_extension(session::EXTENSION)
                })
            })?;
            Some(match session::write(&Session::of(&snapshot), &path) {
                Ok(()) => DialogOutcome::Saved {
                    path,
                    state: Box::new(snapshot.state),
                },
                Err(error) => DialogOutcome::Trouble(error),
            })
        });
    }

    /// Asks where missing pictures are now: for a folder, or for the file that the first of them is.
    pub fn find_missing(&self, mut missing: Vec<Missing>, folder: bool) {
        self.work(move || {
            let dialog = rfd::FileDialog::new();
            let place = if folder {
                dialog
                    .set_title("Folder that holds the missing pictures")
                    .pick_folder()?
            } else {
                missing.truncate(1);
                dialog.set_title("The missing picture").pick_file()?
            };
            let found = session::find_again(&missing, &place);
            if found.is_empty() {
                let reason = "none of the missing pictures is there";
                return Some(DialogOutcome::Trouble(Error::data(&place, reason)));
            }
            Some(DialogOutcome::Found(found))
        });
    }

    fn work(&self, work: impl FnOnce() -> Option<DialogOutcome> + Send + 'static) {
        let (sender, context) = (self.sender.clone(), self.context.clone());
        std::thread::spawn(move || {
            if let Some(outcome) = work() {
                // The window may be gone by now.
                let _ = sender.send(outcome);
                context.request_repaint();
            }
        });
    }
}

fn opened(path: PathBuf) -> DialogOutcome {
    let opened = Box::new(session::open(&path));
    DialogOutcome::Session { path, opened }
}
