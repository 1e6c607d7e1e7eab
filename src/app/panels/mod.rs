//! The window's panels: functions over the data they edit.

pub mod attack;
pub mod bottom_panel;
pub mod colors;
pub mod controls;
pub mod counterfactual;
pub mod crop;
pub mod edit;
pub mod explain;
pub mod export;
pub mod graphics;
pub mod grid;
pub mod help;
pub mod library;
pub mod log;
pub mod map_quality;
pub mod menu;
pub mod model;
pub mod presentation;
pub mod progress;
mod question;
pub mod read_out;
pub mod robustness;
pub mod row_header;
pub mod search;
pub mod sections;
pub mod sessions;
pub mod severity;
pub mod synthesis;
pub mod synthesis_cell;
pub mod tile;
pub mod timeline;
pub mod top_classes;
pub mod tour;
pub mod tour_targets;
pub mod triage;
pub mod twins;
pub mod units;
pub mod views;

use std::path::PathBuf;

use crate::app::twins::{TwinAction, TwinSettings};
use crate::export::job::ExportJob;
use crate::model::ModelRef;
use crate::model::import::DescriptionEdit;
use crate::session::Rescue;
use crate::triage::map::Layout;

/// What becomes of a selection of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectionExport {
    /// A table of what was found.
    Csv,
    /// The pictures themselves.
    Pictures,
    /// One page with matrices and the worst pictures.
    Report,
}

/// What a panel asks the application for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Ask for picture files.
    OpenFiles,
    /// Ask for a folder of pictures.
    OpenFolder,
    /// Take a picture from the clipboard.
    Paste,
    /// Take the selected picture out of the library.
    Remove,
    /// Write the attacked picture of a row to a file.
    Save(usize),
    /// Write the synthesized picture of a row to a file.
    SaveSynthesis(usize),
    /// Ask for a folder of background pictures.
    ChooseBackground,
    /// Ask for the true mask of the open picture.
    ChooseMask,
    /// Ask for a mask of where attacks may change the open picture.
    LoadAttackMask,
    /// Ask where to write that mask.
    SaveAttackMask,
    /// Show a message.
    Tell(String),
    /// Add synthetic cracks to the library.
    AddSyntheticCracks,
    /// Use these models, one a row.
    UseModels(Vec<ModelRef>),
    /// Use this model in a row.
    UseModel(usize, ModelRef),
    /// Ask for a model file for a row.
    OpenModel(usize),
    /// Ask for the file of a generator of counterfactuals.
    OpenGenerator,
    /// Open no model after all.
    RefuseModel,
    /// Open a row's model with this said of it.
    Describe(usize, DescriptionEdit),
    /// Ask for a file with the labels of a row's model.
    ChooseLabels(usize),
    /// Write what was said of a row's model to a file.
    SaveDescription(usize),
    /// Show or hide the window of robust twins.
    Twins,
    /// Ask for the pictures of a robust twin.
    ChooseTwinData,
    /// Start the training of a robust twin.
    StartTwin(Box<TwinSettings>),
    /// Do something with the twin of this index.
    Twin(usize, TwinAction),
    /// Ask for a database of scans.
    OpenDatabase,
    /// Ask what to scan.
    ChooseSource {
        /// Whether for a folder, else for a list.
        folder: bool,
    },
    /// Begin the scan that is set up.
    StartScan,
    /// Draw a map of what the scan's model of this place represents.
    DrawMap(usize, Layout),
    /// Explore this picture of the scan.
    Explore(usize),
    /// Explore the picture so many places on in the selection.
    Walk(isize),
    /// Put a tag on pictures of the database, or take it off.
    Tag(Vec<i64>, String, bool),
    /// Save a query under a name, or without one forget the name.
    SaveQuery(String, Option<String>),
    /// Write the selection of a scan somewhere.
    TakeAway(SelectionExport),
    /// Show or hide the list of views.
    Views,
    /// Put a view on the screen.
    ShowView(usize),
    /// Begin a presentation.
    Present,
    /// Go so many views on.
    StepView(isize),
    /// End the presentation.
    EndPresentation,
    /// Go one change back.
    Undo,
    /// Take the last undoing back.
    Redo,
    /// Ask for a session file.
    OpenSession,
    /// Open this session file.
    ReopenSession(PathBuf),
    /// Write the session to its file, or ask where.
    SaveSession {
        /// Whether to ask in any case.
        elsewhere: bool,
    },
    /// Open what a process left behind.
    Recover(Rescue),
    /// Forget what a process left behind.
    Discard(Rescue),
    /// Ask where the missing pictures are: in a folder, or the first of them alone.
    FindMissing {
        /// Whether a folder is asked for.
        folder: bool,
    },
    /// Go on without the missing pictures.
    ForgetMissing,
    /// Replace models that came with earlier versions by their successors.
    UseSuccessors,
    /// Leave rows with such models as they are.
    KeepReplaced,
    /// Open the window for figures or films.
    OpenExport(export::ExportKind),
    /// Make a figure or film of what is on the screen.
    Export(Box<ExportJob>),
    /// Put a figure of what is on the screen on the clipboard.
    CopyFigure,
    /// TourTarget making it.
    CancelExport,
    /// Show or hide the search over commands and settings.
    Search,
    /// Begin the tour.
    Tour,
    /// Show or hide the list of keys.
    Help,
    /// Show or hide what runs models on the graphics adapter.
    Graphics,
    /// Show or hide the log.
    ShowLog,
    /// Close the window.
    Quit,
}
