//! What is on the screen: the settings and pictures of a person, the results found so far, the requests
//! that follow from both, undo, and the file that keeps it all.

mod autosave;
mod bookmarks;
mod counterfactual;
mod display;
mod edit;
mod exports;
mod file;
mod library;
mod opening;
mod record;
mod requests;
mod results;
mod sanitize;
mod state;
mod synthesis;
mod triage;
mod undo;

pub use autosave::{DataFolder, Rescue};
pub use bookmarks::{Bookmark, Framing, PresentationState};
pub use counterfactual::{
    ChangeView, CounterfactualProgress, CounterfactualSettings, CounterfactualTarget, MASK,
    MethodChoice, OtherRow, counterfactual_request, generators_of, mask_values, masked, score,
    truth,
};
pub use display::{Bottom, Column, Display};
pub use edit::{
    DrawEvent, Editing, PatchSearchProgress, Tool, open_attack_mask, outside_of, patch_mask,
};
pub use exports::{Exports, Figure, Film, Motion, Size, Spread};
pub use file::{EXTENSION, has_session_name, read, write};
pub use library::{Library, LibraryEntry};
pub use opening::{Missing, OpenedSession, OpeningProblem, find_again, open};
pub use record::{FileRecord, ModelRecord, PictureRecord, Session, Snapshot, VERSION};
pub use requests::{attribution_request, complete, requests, shared_scale};
pub use results::{Likeness, Likenesses, Row, Shown};
pub use state::{
    Checks, Document, Navigation, Progress, Revision, ScanProgress, Settings, State, Transient,
};
pub use synthesis::{
    Against, Playhead, SeedSource, SynthesisProgress, SynthesisSettings, TaskKind, advance,
};
pub use triage::{Page, Triage, TriageTab};
pub use undo::UndoHistory;
