//! All that a person can change, as plain data, and what follows from it.

use serde::{Deserialize, Serialize};

use super::{
    Bookmark, Bottom, Column, CounterfactualProgress, CounterfactualSettings, Display, Editing,
    Exports, Library, LibraryEntry, Page, PatchSearchProgress, Playhead, PresentationState,
    SynthesisProgress, SynthesisSettings, Triage,
};
use crate::attack::{Attack, AutoAttack, Goal, Norm};
use crate::attribution::{Explanation, IntegratedGradients, Method, Question};
use crate::compute::ScanRequest;
use crate::counterfactual::GeneratorEntry;
use crate::data::{Corruption, MAX_SEVERITY, Picture};
use crate::model::ModelRef;
use crate::model::zoo::Set;

/// Checks of maps that cost a while, so they are made on demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Deletion and insertion curves.
    pub curves: bool,
    /// Maps of randomised models.
    pub sanity: bool,
}

/// What a person works on: opened pictures, models, prepared views. Changes can be undone; a session
/// keeps it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// Opened pictures.
    pub library: Library,
    /// The model of each row.
    pub models: Vec<ModelRef>,
    /// The baseline picture of an attribution method, where it is to be another picture.
    pub reference: Option<Picture>,
    /// The picture at which a synthesis begins; see [`crate::synthesis::Start::Other`].
    pub start: Option<Picture>,
    /// Generators of counterfactuals in files of their own, each for one classifier; of several for one the first
    /// is used.
    pub generators: Vec<GeneratorEntry>,
    /// Views prepared for a presentation, in their order.
    pub bookmarks: Vec<Bookmark>,
    /// Figure and film as they were last set up.
    pub exports: Exports,
}

/// What is computed and how it is shown. Changes can be undone; sessions and bookmarks keep it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The corruption of the open picture, before any attack; none of severity 0.
    pub corruption: Corruption,
    /// The attack on all rows.
    pub attack: Attack,
    /// The attribution method and the class it explains.
    pub explanation: Explanation,
    /// The checks of finished attributions that are computed.
    pub checks: Checks,
    /// Inversion, class generation or unit visualisation.
    pub synthesis: SynthesisSettings,
    /// Counterfactuals.
    pub counterfactual: CounterfactualSettings,
    /// Right end of the ε timeline for L∞, L2 and L1.5, in units of pixels in [0, 1].
    #[serde(deserialize_with = "ranges")]
    pub range: [f32; 3],
    /// Columns, zoom, colours.
    pub display: Display,
}

/// [`Settings::range`] to begin with.
const RANGES: [f32; 3] = [16.0 / 255.0, 2.0, 12.0];

/// Ranges as older sessions have them too, which knew fewer norms.
fn ranges<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<[f32; 3], D::Error> {
    let stored = Vec::<f32>::deserialize(deserializer)?;
    let mut all = RANGES;
    for (range, stored) in all.iter_mut().zip(stored) {
        *range = stored;
    }
    Ok(all)
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            corruption: Corruption::default(),
            attack: Attack::default(),
            explanation: Explanation::default(),
            checks: Checks::default(),
            synthesis: SynthesisSettings::default(),
            counterfactual: CounterfactualSettings::default(),
            range: RANGES,
            display: Display::default(),
        }
    }
}

/// Where a person is: sessions keep it, undo leaves it alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Navigation {
    /// The picture being explored, by its place in the library.
    pub selected: Option<usize>,
    /// What fills the window.
    pub page: Page,
    /// Database, scan and query of the triage page.
    pub triage: Triage,
    /// How far syntheses are, and which iterate is shown.
    pub playhead: Playhead,
}

/// What passes with the window: neither undone nor saved.
#[derive(Clone, Debug, Default)]
pub struct Transient {
    /// The row whose model's facts are open.
    pub about: Option<usize>,
    /// The presentation under way.
    pub presenting: Option<PresentationState>,
    /// The tool that draws on the open picture, and its settings.
    pub editing: Editing,
    /// Whether ε is animated along its timeline, or the severity along the one of corruptions.
    pub playing: bool,
    /// Whether models that came with earlier versions stay in their rows, though they do not open.
    pub keeps_replaced: bool,
    /// Counts the sessions opened so far; 0 before any.
    pub session_number: u64,
}

/// What runs, and how far it is known to be.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Inversion, class generation or unit visualisation.
    pub synthesis: SynthesisProgress,
    /// Counterfactuals by descent.
    pub counterfactual: CounterfactualProgress,
    /// The scan of a data set.
    pub scan: ScanProgress,
    /// The search for the best place of a patch that is asked for.
    pub patch: Option<PatchSearchProgress>,
    /// The check of a picture by AutoAttack that is asked for.
    pub robustness: Option<RobustnessCheck>,
}

/// A check by AutoAttack: of which picture, and how. It rests while another picture is open.
#[derive(Clone, Debug, PartialEq)]
pub struct RobustnessCheck {
    /// The picture, with everything that decides what models get of it.
    pub of: LibraryEntry,
    /// Its corruption.
    pub corruption: Corruption,
    /// The attacks, their norm and radius.
    pub attack: AutoAttack,
}

/// The scan under way.
#[derive(Clone, Debug, Default)]
pub struct ScanProgress {
    /// What is scanned.
    pub request: Option<ScanRequest>,
    /// Whether it pauses.
    pub paused: bool,
}

/// Everything on the screen.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Pictures, models and prepared views.
    pub document: Document,
    /// What is computed and how it is shown.
    pub settings: Settings,
    /// Where a person is.
    pub navigation: Navigation,
    /// What passes with the window.
    pub transient: Transient,
    /// What runs.
    pub progress: Progress,
}

/// What undo goes back to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Revision {
    /// Pictures, models and prepared views.
    pub document: Document,
    /// What is computed and how it is shown.
    pub settings: Settings,
}

impl State {
    /// Asks for a check of the open picture by AutoAttack, within the norm and ε of the attack.
    pub fn check_robustness(&mut self) {
        let Some(entry) = self.entry() else { return };
        let of = entry.clone();
        let attack = &self.settings.attack;
        let attack = AutoAttack {
            seed: attack.seed,
            ..AutoAttack::standard(attack.norm, attack.epsilon)
        };
        self.progress.robustness = Some(RobustnessCheck {
            of,
            corruption: self.settings.corruption,
            attack,
        });
    }

    /// The check by AutoAttack that is asked for, if it is of the open picture.
    pub fn robustness_check(&self) -> Option<&RobustnessCheck> {
        let entry = self.entry()?;
        let check = self.progress.robustness.as_ref()?;
        let same = check.of == *entry && check.corruption == self.settings.corruption;
        same.then_some(check)
    }

    /// No picture yet; `models` one a row.
    pub fn new(models: Vec<ModelRef>) -> Self {
        Self {
            document: Document {
                models,
                ..Document::default()
            },
            ..Self::default()
        }
    }

    /// What undo can go back to.
    pub fn revision(&self) -> Revision {
        Revision {
            document: self.document.clone(),
            settings: self.settings.clone(),
        }
    }

    /// Whether `revision` is what is on the screen.
    pub fn is_at(&self, revision: &Revision) -> bool {
        self.document == revision.document && self.settings == revision.settings
    }

    /// Whether a session saved from either state is the same.
    pub fn saves_same(&self, other: &Self) -> bool {
        self.document == other.document
            && self.settings == other.settings
            && self.navigation == other.navigation
            && self.progress.synthesis.done == other.progress.synthesis.done
    }

    /// Takes over a revision. A synthesis whose settings differ begins anew; the selection stays with
    /// its place as far as there is one.
    pub(super) fn adopt(&mut self, revision: Revision) {
        let open = self.entry().cloned();
        let restarts = self.settings.synthesis != revision.settings.synthesis
            || self.document.start != revision.document.start;
        self.document = revision.document;
        self.settings = revision.settings;
        self.transient.playing = false;
        self.transient.editing.end_stroke();
        if restarts {
            self.restart_synthesis();
        }
        let last = self.document.library.len().checked_sub(1);
        let selected = self.navigation.selected.unwrap_or(0);
        // Where a painting is gone, what it was painted on is open again.
        let place = |picture: &Picture| {
            let mut library = self.document.library.iter();
            library.position(|entry| entry.picture == *picture)
        };
        let is_gone =
            |open: &LibraryEntry| selected > last.unwrap_or(0) && place(&open.picture).is_none();
        let open = open.filter(is_gone);
        let original = open.and_then(|open| place(open.original.as_ref()?));
        self.navigation.selected = original.or(last.map(|last| selected.min(last)));
    }

    /// The picture being explored.
    pub fn entry(&self) -> Option<&LibraryEntry> {
        self.document.library.get(self.navigation.selected?)
    }

    /// The same, to be changed. Every call may copy the library; use it when something changes.
    pub fn entry_mut(&mut self) -> Option<&mut LibraryEntry> {
        self.document.library.get_mut(self.navigation.selected?)
    }

    /// The right end of the timeline for the chosen norm.
    pub fn range(&self) -> f32 {
        self.settings.range[norm_index(self.settings.attack.norm)]
    }

    /// The same, to be changed.
    pub fn range_mut(&mut self) -> &mut f32 {
        &mut self.settings.range[norm_index(self.settings.attack.norm)]
    }

    /// Sets ε, kept on the timeline.
    pub fn set_epsilon(&mut self, epsilon: f32) {
        self.settings.attack.epsilon = epsilon.clamp(0.0, self.range());
    }

    /// Sets the severity of the corruption, kept in its range.
    pub fn set_severity(&mut self, severity: f32) {
        self.settings.corruption.severity = severity.clamp(0.0, MAX_SEVERITY);
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
        self.document.library.push(LibraryEntry {
            truth,
            mask,
            ..LibraryEntry::new(picture)
        });
        self.navigation.selected = Some(self.document.library.len() - 1);
    }

    /// What the window begins with for bundled models: an attack that shows how they differ, and maps that
    /// cost less than a second.
    pub fn begin_with(&mut self, set: &Set) {
        // As many grey levels a pixel for any size, by default and at the end of the timeline.
        let scale = set.side as f32 / 32.0;
        let usual = Attack::default();
        self.settings.attack = Attack {
            epsilon: usual.epsilon * scale,
            ..usual
        };
        self.settings.range[norm_index(Norm::L2)] = RANGES[norm_index(Norm::L2)] * scale;
        let method = IntegratedGradients::fast(set.side);
        self.settings.explanation.method = Method::IntegratedGradients(method);
    }

    /// Puts a model into a row and forgets what was asked about the classes of the one before.
    pub fn use_model(&mut self, row: usize, model: ModelRef) {
        if let Some(place) = self.document.models.get_mut(row) {
            *place = model;
        }
        self.settings.attack.goal = Goal::Untargeted;
        self.settings.explanation.question = Question::default();
        self.settings.counterfactual.target = None;
        self.forget_synthesized_classes();
    }

    /// Shows counterfactuals beside their input and its attributions.
    pub fn show_counterfactuals(&mut self) {
        for (column, shown) in Column::ALL
            .into_iter()
            .zip(&mut self.settings.display.shown)
        {
            *shown = matches!(
                column,
                Column::Input
                    | Column::Attribution
                    | Column::Counterfactual
                    | Column::Change
                    | Column::Return
            );
        }
        self.settings.display.bottom = Bottom::Counterfactual;
    }

    /// Shows what the window opens with.
    pub fn show_attacks(&mut self) {
        let usual = Display::default();
        self.settings.display.shown = usual.shown;
        self.settings.display.bottom = usual.bottom;
    }

    /// Moves the selection by `step`, staying at the ends.
    pub fn select_by(&mut self, step: isize) {
        if let Some(last) = self.document.library.len().checked_sub(1) {
            let from = self.navigation.selected.unwrap_or(0);
            self.navigation.selected = Some(from.saturating_add_signed(step).min(last));
        }
    }
}

fn norm_index(norm: Norm) -> usize {
    match norm {
        Norm::Linf => 0,
        Norm::L2 => 1,
        Norm::L1p5 => 2,
    }
}
