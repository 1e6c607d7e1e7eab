//! All that a person can change, as plain data, and what follows from it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    Bookmark, Bottom, Column, CounterfactualSettings, Display, Exports, Library, LibraryEntry,
    Page, Presenting, SynthesisSettings, Triage,
};
use crate::attack::{Attack, Goal, Norm};
use crate::attribution::{Explanation, Question};
use crate::data::{Crop, Picture};
use crate::model::ModelRef;

/// Checks of maps that cost a while, so they are made on demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Deletion and insertion curves.
    pub curves: bool,
    /// Maps of randomised models.
    pub sanity: bool,
}

/// Everything on the screen. What of it a session keeps as it is is serialised; the rest needs files
/// ([`crate::session::record`]) or passes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Opened pictures.
    #[serde(skip)]
    pub library: Library,
    /// The one being explored.
    #[serde(skip)]
    pub selected: Option<usize>,
    /// The model of each row.
    #[serde(skip)]
    pub models: Vec<ModelRef>,
    /// The attack on all rows.
    pub attack: Attack,
    /// The method behind the maps, and what it is asked.
    pub explanation: Explanation,
    /// The picture that a method compares with, where it is to be another one.
    #[serde(skip)]
    pub reference: Option<Picture>,
    /// The checks of finished maps that are wanted.
    pub checks: Checks,
    /// The pictures that the models make.
    #[serde(alias = "studio")]
    pub synthesis: SynthesisSettings,
    /// What the pictures would be were they of another class.
    #[serde(alias = "contrasts")]
    pub counterfactual: CounterfactualSettings,
    /// Right end of the ε timeline for L∞ and L2, in units of pixels in [0, 1].
    pub range: [f32; 2],
    /// The row whose model's facts are open.
    #[serde(skip)]
    pub about: Option<usize>,
    /// A model file that waits for its row.
    #[serde(skip)]
    pub arriving: Option<PathBuf>,
    /// Views prepared for a presentation, in their order.
    pub views: Vec<Bookmark>,
    /// What fills the window.
    pub page: Page,
    /// How a scan is looked through.
    pub triage: Triage,
    /// What was last set up for export.
    pub exports: Exports,
    /// Which of the sessions opened so far it is of; 0 before any.
    #[serde(skip)]
    pub document: u64,
    /// The presentation under way.
    #[serde(skip)]
    pub presenting: Option<Presenting>,
    /// Whether ε runs by itself.
    #[serde(skip)]
    pub playing: bool,
    /// How it is shown.
    pub display: Display,
}

impl Default for State {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl State {
    /// No picture yet; `models` one a row.
    pub fn new(models: Vec<ModelRef>) -> Self {
        Self {
            library: Library::default(),
            selected: None,
            models,
            attack: Attack::default(),
            explanation: Explanation::default(),
            reference: None,
            checks: Checks::default(),
            synthesis: SynthesisSettings::default(),
            counterfactual: CounterfactualSettings::default(),
            range: [16.0 / 255.0, 2.0],
            about: None,
            arriving: None,
            views: Vec::new(),
            page: Page::default(),
            triage: Triage::default(),
            exports: Exports::default(),
            document: 0,
            presenting: None,
            playing: false,
            display: Display::default(),
        }
    }

    /// The picture being explored.
    pub fn entry(&self) -> Option<&LibraryEntry> {
        self.library.get(self.selected?)
    }

    /// The same, to be changed. Every call may copy the library; use it when something changes.
    pub fn entry_mut(&mut self) -> Option<&mut LibraryEntry> {
        self.library.get_mut(self.selected?)
    }

    /// The right end of the timeline for the chosen norm.
    pub fn range(&self) -> f32 {
        self.range[norm_index(self.attack.norm)]
    }

    /// The same, to be changed.
    pub fn range_mut(&mut self) -> &mut f32 {
        &mut self.range[norm_index(self.attack.norm)]
    }

    /// Sets ε, kept on the timeline.
    pub fn set_epsilon(&mut self, epsilon: f32) {
        self.attack.epsilon = epsilon.clamp(0.0, self.range());
    }

    /// Adds a picture and selects it.
    pub fn add(&mut self, picture: Picture, truth: Option<String>) {
        self.add_with_mask(picture, truth, None);
    }

    /// Adds a picture whose true mask may be known, and selects it.
    pub fn add_with_mask(
        &mut self,
        picture: Picture,
        truth: Option<String>,
        mask: Option<Picture>,
    ) {
        self.library.push(LibraryEntry {
            picture,
            crop: Crop::default(),
            truth,
            mask,
        });
        self.selected = Some(self.library.len() - 1);
    }

    /// Takes over everything that a person sets from another state. What runs begins anew if its
    /// settings changed.
    pub(super) fn take_settings(&mut self, other: Self) {
        let (attempt, selected) = (self.synthesis.attempt, self.selected);
        let restarts = !self.synthesis.same_settings(&other.synthesis);
        let synthesis = if restarts {
            other.synthesis
        } else {
            std::mem::take(&mut self.synthesis)
        };
        *self = Self {
            page: self.page,
            triage: std::mem::take(&mut self.triage),
            about: self.about,
            arriving: self.arriving.take(),
            playing: false,
            synthesis,
            ..other
        };
        self.synthesis.attempt = attempt;
        if restarts {
            self.synthesis.reset();
        }
        let last = self.library.len().checked_sub(1);
        self.selected = last.map(|last| selected.unwrap_or(0).min(last));
    }

    /// Puts a model into a row and forgets what was asked about the classes of the one before.
    pub fn use_model(&mut self, row: usize, model: ModelRef) {
        if let Some(place) = self.models.get_mut(row) {
            *place = model;
        }
        self.attack.goal = Goal::Untargeted;
        self.explanation.question = Question::default();
        self.counterfactual.target = None;
        self.synthesis.forget_classes();
    }

    /// Shows counterfactuals beside what they are made from and what explains them.
    pub fn show_counterfactuals(&mut self) {
        for (column, shown) in Column::ALL.into_iter().zip(&mut self.display.shown) {
            *shown = matches!(
                column,
                Column::Input
                    | Column::Attacked
                    | Column::Attribution
                    | Column::Counterfactual
                    | Column::Change
            );
        }
        self.display.bottom = Bottom::Counterfactual;
    }

    /// Shows what the window opens with.
    pub fn show_attacks(&mut self) {
        let usual = Display::default();
        self.display.shown = usual.shown;
        self.display.bottom = usual.bottom;
    }

    /// Moves the selection by `step`, staying at the ends.
    pub fn select_by(&mut self, step: isize) {
        if let Some(last) = self.library.len().checked_sub(1) {
            let from = self.selected.unwrap_or(0);
            self.selected = Some(from.saturating_add_signed(step).min(last));
        }
    }
}

fn norm_index(norm: Norm) -> usize {
    match norm {
        Norm::Linf => 0,
        Norm::L2 => 1,
    }
}
