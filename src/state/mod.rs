//! All that a person can change, as plain data, and what follows from it.

mod contrasts;
mod studio;
mod wishes;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::attack::{Attack, Goal};
use crate::attribution::{Explanation, Question};
use crate::descent::Norm;
use crate::jobs::Which;
use crate::picture::{Crop, Picture};
use crate::view::HeatStyle;

pub use contrasts::{Contrasts, MASK, Showing, contrast, mask_values, masked, score, truth};
pub use studio::{Against, SeedSource, Studio, TaskKind, advance};
pub use wishes::{case, complete, shared_scale, wanted};

/// A picture in the library strip.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The pixels.
    pub picture: Picture,
    /// The part that models see.
    pub crop: Crop,
    /// Name of the true class, where known.
    pub truth: Option<String>,
    /// What of it is damaged: white on black, where known.
    pub mask: Option<Picture>,
}

/// A column of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Column {
    /// The picture as the model sees it.
    Input,
    /// The adversarial picture.
    Attacked,
    /// Their difference, amplified.
    Perturbation,
    /// What speaks for the class in the picture.
    Attribution,
    /// What speaks for the class in the adversarial picture.
    AttackedAttribution,
    /// A picture that the model makes: inversion, generation, a unit's favourite.
    Synthesis,
    /// What the picture would be were it of another class.
    Counterfactual,
    /// What was changed to make it so.
    Change,
    /// The counterfactual turned back.
    Return,
}

impl Column {
    /// All of them, from left to right.
    pub const ALL: [Self; 9] = [
        Self::Input,
        Self::Attacked,
        Self::Perturbation,
        Self::Attribution,
        Self::AttackedAttribution,
        Self::Synthesis,
        Self::Counterfactual,
        Self::Change,
        Self::Return,
    ];

    /// Its name on buttons and in menus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::Attacked => "Attacked",
            Self::Perturbation => "Perturbation",
            Self::Attribution => "Attribution",
            Self::AttackedAttribution => "Attribution, attacked",
            Self::Synthesis => "Synthesis",
            Self::Counterfactual => "Counterfactual",
            Self::Change => "Change",
            Self::Return => "Way back",
        }
    }

    /// The picture whose map it shows, if it shows one.
    pub fn map(self) -> Option<Which> {
        match self {
            Self::Attribution => Some(Which::Input),
            Self::AttackedAttribution => Some(Which::Attacked),
            _ => None,
        }
    }
}

/// What the panel at the bottom shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bottom {
    /// Confidence against ε.
    #[default]
    Epsilon,
    /// Loss against iterations of the pictures being made.
    Synthesis,
    /// The representation of the open picture, unit by unit.
    Units,
    /// What the critics say on the way to the counterfactuals.
    Counterfactual,
}

impl Bottom {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Epsilon,
        Self::Synthesis,
        Self::Units,
        Self::Counterfactual,
    ];

    /// Its name on its tab.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epsilon => "ε timeline",
            Self::Synthesis => "Synthesis",
            Self::Units => "Units",
            Self::Counterfactual => "Counterfactual",
        }
    }
}

/// How things are shown; changing it computes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Display {
    /// The visible columns, in the order of [`Column::ALL`].
    pub shown: [bool; 9],
    /// The rows that are not shown; nothing is computed for them.
    pub hidden: Vec<usize>,
    /// What the panel at the bottom shows.
    pub bottom: Bottom,
    /// The one column blown up to fill the window.
    pub filled: Option<Column>,
    /// Centre of the visible part of every picture, in shares of it.
    pub centre: [f32; 2],
    /// Magnification over the whole picture; at least 1.
    pub zoom: f32,
    /// Amplification of the perturbation.
    pub gain: f32,
    /// Colours of the maps.
    pub heat: HeatStyle,
    /// Position of the before/after divider on the attacked picture, or none.
    pub divider: Option<f32>,
    /// Whether the controls on the right are open.
    pub controls: bool,
    /// Whether the library on the left is open.
    pub library: bool,
}

impl Default for Display {
    fn default() -> Self {
        Self {
            shown: [true, true, true, true, true, false, false, false, false],
            hidden: Vec::new(),
            bottom: Bottom::default(),
            filled: None,
            centre: [0.5; 2],
            zoom: 1.0,
            gain: 10.0,
            heat: HeatStyle::default(),
            divider: None,
            controls: true,
            library: true,
        }
    }
}

impl Display {
    /// The columns to draw.
    pub fn columns(&self) -> Vec<Column> {
        match self.filled {
            Some(column) => vec![column],
            None => {
                let all = Column::ALL.into_iter().zip(self.shown);
                all.filter(|(_, shown)| *shown)
                    .map(|(column, _)| column)
                    .collect()
            }
        }
    }

    /// Whether a row is shown.
    pub fn shows_row(&self, row: usize) -> bool {
        !self.hidden.contains(&row)
    }

    /// Whether a column is drawn.
    pub fn draws(&self, column: Column) -> bool {
        self.columns().contains(&column)
    }

    /// The pictures whose maps are to be drawn.
    pub fn maps(&self) -> Vec<Which> {
        let columns = self.columns().into_iter();
        columns.filter_map(Column::map).collect()
    }

    /// The visible part: left, top, right, bottom, in shares of the picture; kept inside it.
    pub fn window(&self) -> [f32; 4] {
        let half = 0.5 / self.zoom.max(1.0);
        let [x, y] = self.centre.map(|at| at.clamp(half, 1.0 - half));
        [x - half, y - half, x + half, y + half]
    }
}

/// Checks of maps that cost a while, so they are made on demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Deletion and insertion curves.
    pub curves: bool,
    /// Maps of randomised models.
    pub sanity: bool,
}

/// Everything on the screen.
#[derive(Clone, Debug)]
pub struct State {
    /// Opened pictures.
    pub library: Vec<Entry>,
    /// The one being explored.
    pub selected: Option<usize>,
    /// Id or path of the model of each row.
    pub models: Vec<String>,
    /// The attack on all rows.
    pub attack: Attack,
    /// The method behind the maps, and what it is asked.
    pub explanation: Explanation,
    /// The picture that a method compares with, where it is to be another one.
    pub reference: Option<Picture>,
    /// The checks of finished maps that are wanted.
    pub checks: Checks,
    /// The pictures that the models make.
    pub studio: Studio,
    /// What the pictures would be were they of another class.
    pub contrasts: Contrasts,
    /// Right end of the ε timeline for L∞ and L2, in units of pixels in [0, 1].
    pub range: [f32; 2],
    /// The row whose model's facts are open.
    pub about: Option<usize>,
    /// A model file that waits for its row.
    pub arriving: Option<PathBuf>,
    /// Whether ε runs by itself.
    pub playing: bool,
    /// How it is shown.
    pub display: Display,
}

impl State {
    /// No picture yet; `models` one a row.
    pub fn new(models: Vec<String>) -> Self {
        Self {
            library: Vec::new(),
            selected: None,
            models,
            attack: Attack::default(),
            explanation: Explanation::default(),
            reference: None,
            checks: Checks::default(),
            studio: Studio::default(),
            contrasts: Contrasts::default(),
            range: [16.0 / 255.0, 2.0],
            about: None,
            arriving: None,
            playing: false,
            display: Display::default(),
        }
    }

    /// The picture being explored.
    pub fn entry(&self) -> Option<&Entry> {
        self.library.get(self.selected?)
    }

    /// The same, to be changed.
    pub fn entry_mut(&mut self) -> Option<&mut Entry> {
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
        self.library.push(Entry {
            picture,
            crop: Crop::default(),
            truth,
            mask,
        });
        self.selected = Some(self.library.len() - 1);
    }

    /// Puts a model into a row and forgets what was asked about the classes of the one before.
    pub fn use_model(&mut self, row: usize, name: String) {
        if let Some(place) = self.models.get_mut(row) {
            *place = name;
        }
        self.attack.goal = Goal::Untargeted;
        self.explanation.question = Question::default();
        self.contrasts.target = None;
        self.studio.forget_classes();
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
