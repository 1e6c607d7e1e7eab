//! Bookmarks: the state of the window under a name, for presentations.

use serde::{Deserialize, Serialize};

use super::state::State;
use crate::data::{Crop, Picture};
use crate::model::ModelRef;
use crate::session::{LibraryEntry, Playhead, Settings};

/// A saved state of the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bookmark {
    /// What it is called; shown above it.
    pub name: String,
    /// What there is to say about it; shown below the name.
    #[serde(default)]
    pub note: String,
    /// BLAKE3 of the picture that was selected.
    pub picture: Option<String>,
    /// The models, a row each.
    pub models: Vec<ModelRef>,
    /// What was computed and how it was shown.
    pub settings: Settings,
    /// How far the synthesis was, and which iterate was shown.
    #[serde(default)]
    pub playhead: Playhead,
    /// The part of the picture that models see and attacks change; `None` leaves both as they are, as in sessions that
    /// did not keep them. `BookmarkRecord` in `record.rs` has it in files.
    #[serde(skip)]
    pub framing: Option<Framing>,
}

impl Bookmark {
    /// Whether this is the picture that was selected.
    pub(super) fn is_of(&self, entry: &LibraryEntry) -> bool {
        self.picture.as_deref() == Some(entry.picture.hash.to_hex().as_str())
    }
}

/// What of a picture models see and attacks may change.
#[derive(Clone, Debug, PartialEq)]
pub struct Framing {
    /// The part that models see.
    pub crop: Crop,
    /// The pixels that attacks may change, if not all.
    pub attack_mask: Option<Picture>,
}

/// A presentation under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresentationState {
    /// The view that is shown, if there are any.
    pub view: usize,
    /// Whether the screen is black.
    pub black: bool,
    /// Whether all but what is around the pointer is dimmed.
    pub spotlight: bool,
}

impl State {
    /// Adds the window as it is to the bookmarks.
    pub fn add_bookmark(&mut self) {
        let number = self.document.bookmarks.len() + 1;
        let title = self.entry().map(|entry| match &entry.truth {
            Some(truth) => format!("{number}: {truth}"),
            None => {
                let path = &entry.picture.path;
                let name = path.file_name().unwrap_or(path.as_os_str());
                format!("{number}: {}", name.display())
            }
        });
        let entry = self.entry();
        let picture = entry.map(|entry| entry.picture.hash.to_hex().to_string());
        let framing = entry.map(|entry| Framing {
            crop: entry.crop,
            attack_mask: entry.attack_mask.clone(),
        });
        self.document.bookmarks.push(Bookmark {
            name: title.unwrap_or_else(|| format!("{number}")),
            note: String::new(),
            picture,
            models: self.document.models.clone(),
            settings: self.settings.clone(),
            playhead: self.saved_playhead(),
            framing,
        });
    }

    /// Shows a bookmark. If its picture has left the library since, the one that is open stays.
    pub fn show_bookmark(&mut self, index: usize) {
        let Some(bookmark) = self.document.bookmarks.get(index).cloned() else {
            return;
        };
        let mut entries = self.document.library.iter();
        let place = entries.position(|entry| bookmark.is_of(entry));
        let mut revision = self.revision();
        revision.settings = bookmark.settings;
        revision.document.models = bookmark.models;
        if let (Some(place), Some(framing)) = (place, bookmark.framing) {
            let entry = &mut revision.document.library[place];
            entry.crop = framing.crop;
            entry.attack_mask = framing.attack_mask;
        }
        self.adopt(revision);
        self.navigation.selected = place.or(self.navigation.selected);
        self.navigation.playhead = bookmark.playhead;
        self.progress.synthesis.running = false;
    }
}
