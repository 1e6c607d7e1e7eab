//! Prepared views: the state of the window under a name, to be shown to a room.

use serde::{Deserialize, Serialize};

use super::state::State;
use crate::model::ModelRef;

/// The window as it was when a person liked it.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// All settings; without library and views.
    pub settings: State,
}

impl Bookmark {
    /// Whether the other one shows the same under the same name.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.note == other.note
            && self.picture == other.picture
            && self.models == other.models
            && self.settings.shows_same(&other.settings)
    }
}

/// A presentation under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presenting {
    /// The view that is shown, if there are any.
    pub view: usize,
    /// Whether the screen is black.
    pub black: bool,
    /// Whether all but what is around the pointer is dimmed.
    pub spotlight: bool,
}

impl State {
    /// Adds the window as it is to the views.
    pub fn add_view(&mut self) {
        let number = self.views.len() + 1;
        let title = self.entry().map(|entry| match &entry.truth {
            Some(truth) => format!("{number}: {truth}"),
            None => {
                let path = &entry.picture.path;
                let name = path.file_name().unwrap_or(path.as_os_str());
                format!("{number}: {}", name.display())
            }
        });
        let mut settings = self.clone();
        settings.library = super::Library::default();
        settings.views = Vec::new();
        settings.triage = super::Triage::default();
        settings.exports = super::Exports::default();
        settings.selected = None;
        settings.playing = false;
        settings.presenting = None;
        // A picture being made is made again as far as it is.
        settings.synthesis.until = self.synthesis.done;
        self.views.push(Bookmark {
            name: title.unwrap_or_else(|| format!("{number}")),
            note: String::new(),
            picture: self
                .entry()
                .map(|entry| entry.picture.hash.to_hex().to_string()),
            models: self.models.clone(),
            settings,
        });
    }

    /// Shows a view. A picture that has left the library since leaves the one that is open.
    pub fn show_view(&mut self, index: usize) {
        let Some(view) = self.views.get(index).cloned() else {
            return;
        };
        let picture = view.picture.as_deref();
        let mut entries = self.library.iter();
        let place = entries.position(|entry| Some(entry.picture.hash.to_hex().as_str()) == picture);
        let (until, cursor) = (
            view.settings.synthesis.until,
            view.settings.synthesis.cursor,
        );
        let views = std::mem::take(&mut self.views);
        self.take_settings(Self {
            library: self.library.clone(),
            views,
            models: view.models,
            presenting: self.presenting,
            document: self.document,
            page: self.page,
            triage: self.triage.clone(),
            exports: self.exports.clone(),
            ..view.settings
        });
        self.selected = place.or(self.selected);
        self.synthesis.running = false;
        self.synthesis.until = until;
        self.synthesis.cursor = cursor;
    }
}
