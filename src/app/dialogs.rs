//! The system's own dialogs for files and folders, each in a background task, so that none holds up a frame.

use std::path::PathBuf;
use std::sync::Arc;

use rfd::FileDialog;

use super::panels::SelectionExport;
use crate::compute::GpuImage;
use crate::data::{Picture, mask, picture};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::model::import::{self, Description};
use crate::session::{self, LibraryEntry, Missing, OpenedSession, Session, Snapshot, State};
use crate::tasks::{Inbox, Outbox, TaskProgress};
use crate::triage::{DATABASE_EXTENSIONS, Query, Table, report};

/// What came of a dialog; nothing is sent when a person cancels it.
pub enum DialogOutcome {
    /// Files or folders of any kind were chosen, to be opened.
    Open(Vec<PathBuf>),
    /// A folder of background pictures was chosen.
    Background(PathBuf),
    /// The true mask of a picture was chosen.
    Mask {
        /// The picture.
        of: Picture,
        /// White on black.
        mask: Picture,
    },
    /// A mask of where attacks may change a picture was chosen.
    AttackMask {
        /// The picture.
        of: Picture,
        /// White on black, as large as the picture.
        mask: Picture,
        /// How it was made to fit.
        told: Option<String>,
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
    /// The pictures of a robust twin were chosen.
    TwinData(PathBuf),
    /// Something to scan was chosen.
    Source(PathBuf),
    /// A place for the database of a new scan was chosen.
    NewDatabase(PathBuf),
    /// Missing pictures were found.
    Found(Vec<(Missing, LibraryEntry)>),
    /// What was chosen could not be read or written.
    Failed(Error),
}

/// Opens dialogs and receives their outcomes.
pub struct Dialogs {
    inbox: Inbox<DialogOutcome>,
}

impl Dialogs {
    /// `wake` is called after each outcome.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            inbox: Inbox::new(wake),
        }
    }

    /// The outcomes since the last call.
    pub fn receive(&self) -> Vec<DialogOutcome> {
        self.inbox.receive()
    }

    /// Asks for pictures, or for a folder of them.
    pub fn choose_pictures(&self, folder: bool) {
        self.start(move || {
            let dialog = titled("Open pictures");
            let chosen = if folder {
                vec![dialog.pick_folder()?]
            } else {
                let dialog = dialog.add_filter("Pictures", &picture::EXTENSIONS);
                dialog.pick_files()?
            };
            Some(DialogOutcome::Open(chosen))
        });
    }

    /// Asks for a folder; it is read when it is used.
    pub fn choose_background(&self) {
        self.start(|| {
            let dialog = titled("Folder of background pictures");
            dialog.pick_folder().map(DialogOutcome::Background)
        });
    }

    /// Asks for the true mask of a picture, and opens it.
    pub fn choose_mask(&self, of: Picture) {
        self.start(move || {
            let dialog = titled("Mask: white on black");
            let dialog = dialog.add_filter("Pictures", &picture::EXTENSIONS);
            let opened = mask::open(&dialog.pick_file()?, of.original);
            Some(
                opened.map_or_else(DialogOutcome::Failed, |mask| DialogOutcome::Mask {
                    of,
                    mask,
                }),
            )
        });
    }

    /// Asks for a mask of where attacks may change a picture, and opens it.
    pub fn choose_attack_mask(&self, of: Picture) {
        self.start(move || {
            let dialog = titled("Where attacks may act: white on black");
            let dialog = dialog.add_filter("Pictures", &picture::EXTENSIONS);
            let opened = session::open_attack_mask(&dialog.pick_file()?, &of);
            Some(match opened {
                Ok((mask, told)) => DialogOutcome::AttackMask { of, mask, told },
                Err(error) => DialogOutcome::Failed(error),
            })
        });
    }

    /// Asks for a model file; it is read when it is used.
    pub fn choose_model(&self, row: usize) {
        self.start(move || {
            let dialog = titled("Open a model");
            let dialog = dialog
                .add_filter("Models", &import::EXTENSIONS)
                .add_filter("All files", &["*"]);
            let path = dialog.pick_file()?;
            Some(DialogOutcome::Model { row, path })
        });
    }

    /// Asks for the files of generators of counterfactuals.
    pub fn choose_generator(&self) {
        self.start(move || {
            let dialog = titled("Open a generator of counterfactuals");
            let dialog = dialog.add_filter("Generators", &["safetensors"]);
            dialog.pick_files().map(DialogOutcome::Open)
        });
    }

    /// Asks for a text file with a label on each line.
    pub fn choose_labels(&self, row: usize) {
        self.start(move || {
            let dialog = titled("Labels: one on each line");
            let path = dialog.add_filter("Text", &["txt"]).pick_file()?;
            Some(DialogOutcome::Labels { row, path })
        });
    }

    /// Asks where, and writes a description of a model.
    pub fn save_description(&self, description: Description) {
        self.start(move || {
            let dialog = titled("Save the description").set_file_name("model.toml");
            let path = dialog.add_filter("TOML", &["toml"]).save_file()?;
            let written = write_atomically(&path, description.to_toml().as_bytes());
            written.err().map(DialogOutcome::Failed)
        });
    }

    /// Asks where, and writes a mask as PNG.
    pub fn save_mask(&self, mask: Picture) {
        self.start(move || {
            let dialog = titled("Save the mask").set_file_name("mask.png");
            let path = dialog.add_filter("PNG", &["png"]).save_file()?;
            let written = write_atomically(&path, &mask.png());
            written.err().map(DialogOutcome::Failed)
        });
    }

    /// Asks where, and writes the picture as PNG.
    pub fn save(&self, shown: GpuImage) {
        self.start(move || {
            let dialog = titled("Save the attacked picture").set_file_name("attacked.png");
            let path = dialog.add_filter("PNG", &["png"]).save_file()?;
            let image = picture::to_rgb(shown.planes(), shown.size());
            let error = image.save(&path).err()?;
            Some(DialogOutcome::Failed(Error::io(&path, "write", error)))
        });
    }

    /// Asks for a database of scans.
    pub fn choose_database(&self) {
        self.start(|| {
            let dialog = titled("Open a database of scans");
            let dialog = dialog
                .add_filter("Databases", &DATABASE_EXTENSIONS)
                .add_filter("All files", &["*"]);
            dialog.pick_file().map(DialogOutcome::Database)
        });
    }

    /// Asks for the data set of a robust twin.
    pub fn choose_twin_data(&self) {
        self.start(|| {
            let dialog = titled("Data set: a folder for each class");
            dialog.pick_folder().map(DialogOutcome::TwinData)
        });
    }

    /// Asks what to scan: a folder, or a list of files.
    pub fn choose_source(&self, folder: bool) {
        self.start(move || {
            let dialog = titled("What to scan");
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
        self.start(|| {
            let dialog = titled("Keep the results in");
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
        self.start(move || {
            let dialog = FileDialog::new();
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
            written.err().map(DialogOutcome::Failed)
        });
    }

    /// Asks for a session file, and opens it.
    pub fn choose_session(&self) {
        self.start(|| {
            let dialog = titled("Open a session");
            let dialog = dialog.add_filter("Sessions", &[session::EXTENSION]);
            Some(opened(dialog.pick_file()?))
        });
    }

    /// Opens a session file.
    pub fn open_session(&self, path: PathBuf) {
        self.start(|| Some(opened(path)));
    }

    /// Writes a session to `known`, or asks where.
    pub fn save_session(&self, known: Option<PathBuf>, snapshot: Snapshot) {
        self.start(move || {
            let path = known.or_else(|| {
                let dialog = titled("Save the session")
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
                Err(error) => DialogOutcome::Failed(error),
            })
        });
    }

    /// Asks where missing pictures are now: for a folder, or for the file that the first of them is.
    pub fn find_missing(&self, mut missing: Vec<Missing>, folder: bool) {
        self.start(move || {
            let dialog = FileDialog::new();
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
                return Some(DialogOutcome::Failed(Error::data(&place, reason)));
            }
            Some(DialogOutcome::Found(found))
        });
    }

    /// Runs a dialog, and what follows from it, in a task.
    fn start(&self, dialog: impl FnOnce() -> Option<DialogOutcome> + Send + 'static) {
        let work = move |outbox: &Outbox<_>, _: &mut TaskProgress| {
            if let Some(outcome) = dialog() {
                outbox.send(outcome);
            }
        };
        let failed = DialogOutcome::Failed;
        self.inbox.start("file dialog", failed, work).detach();
    }
}

fn titled(title: impl Into<String>) -> FileDialog {
    FileDialog::new().set_title(title)
}

fn opened(path: PathBuf) -> DialogOutcome {
    let opened = Box::new(session::open(&path));
    DialogOutcome::Session { path, opened }
}
