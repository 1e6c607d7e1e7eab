//! All that a person can change, as plain data, and what follows from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::attack::Attack;
use crate::attribution::{Background, Explanation, Method};
use crate::descent::Norm;
use crate::jobs::{BACKGROUND_MOST, Case, Lane, Request, Subject, Which, thinned, top_two};
use crate::picture::{Crop, Picture};
use crate::results::Row;
use crate::view::HeatStyle;

/// A picture in the library strip.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The pixels.
    pub picture: Picture,
    /// The part that models see.
    pub crop: Crop,
    /// Name of the true class, where known.
    pub truth: Option<String>,
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
}

impl Column {
    /// All of them, from left to right.
    pub const ALL: [Self; 5] = [
        Self::Input,
        Self::Attacked,
        Self::Perturbation,
        Self::Attribution,
        Self::AttackedAttribution,
    ];

    /// Its name on buttons and in menus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::Attacked => "Attacked",
            Self::Perturbation => "Perturbation",
            Self::Attribution => "Attribution",
            Self::AttackedAttribution => "Attribution, attacked",
        }
    }

    /// The picture whose map it shows, if it shows one.
    pub fn map(self) -> Option<Which> {
        match self {
            Self::Attribution => Some(Which::Input),
            Self::AttackedAttribution => Some(Which::Attacked),
            Self::Input | Self::Attacked | Self::Perturbation => None,
        }
    }
}

/// How things are shown; changing it computes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Display {
    /// The visible columns, in the order of [`Column::ALL`].
    pub shown: [bool; 5],
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
            shown: [true; 5],
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
    /// Right end of the ε timeline for L∞ and L2, in units of pixels in [0, 1].
    pub range: [f32; 2],
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
            range: [16.0 / 255.0, 2.0],
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
        self.library.push(Entry {
            picture,
            crop: Crop::default(),
            truth,
        });
        self.selected = Some(self.library.len() - 1);
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

/// What the engine should compute for what is on the screen, given what it has found so far. A pure
/// function.
pub fn wanted(state: &State, rows: &[Row]) -> BTreeMap<Lane, Request> {
    let mut requests = BTreeMap::new();
    let Some(entry) = state.entry() else {
        return requests;
    };
    for (row, model) in state.models.iter().enumerate() {
        let subject = Subject {
            model: model.clone(),
            picture: entry.picture.clone(),
            crop: entry.crop,
            truth: entry.truth.clone(),
        };
        // The sweep is the same for every ε.
        let sweep = Attack {
            epsilon: 0.0,
            ..state.attack.clone()
        };
        requests.insert(Lane::Look(row), Request::Look(subject.clone()));
        requests.insert(
            Lane::Attack(row),
            Request::Attack(subject.clone(), state.attack.clone()),
        );
        requests.insert(
            Lane::Sweep(row),
            Request::Sweep(subject, sweep, state.range()),
        );
    }
    for (index, row) in rows.iter().enumerate() {
        for which in state.display.maps() {
            want_map(state, index, row, which, &mut requests);
        }
    }
    requests
}

fn want_map(
    state: &State,
    index: usize,
    row: &Row,
    which: Which,
    requests: &mut BTreeMap<Lane, Request>,
) {
    let Some(case) = case(state, index, row, which) else {
        return;
    };
    if let Some(explained) = row.finished_map(which, &case) {
        if state.checks.curves && explained.curves.get().is_none() {
            let request = Request::Curves(explained.clone());
            requests.insert(Lane::Curves(which, index), request);
        }
        if state.checks.sanity && explained.sanity.get().is_none() {
            let request = Request::Sanity(explained.clone());
            requests.insert(Lane::Sanity(which, index), request);
        }
    }
    requests.insert(Lane::Explain(which, index), Request::Explain(case));
}

/// What is to be explained: the picture that is on the screen, so while ε is dragged the map follows
/// the nearest finished attack.
pub fn case(state: &State, index: usize, row: &Row, which: Which) -> Option<Case> {
    let look = row.look.as_ref()?;
    let (picture, probabilities, epsilon) = match which {
        Which::Input => (&look.input, &look.probabilities, 0.0),
        Which::Attacked => {
            let attacked = row.nearest(state.attack.epsilon)?.attacked;
            (&attacked.picture, &attacked.probabilities, attacked.epsilon)
        }
    };
    let from_library = match &state.explanation.method {
        Method::ExpectedGradients(config) => config.background == Background::Library,
        _ => false,
    };
    let library = if from_library {
        thinned(&state.library, BACKGROUND_MOST)
    } else {
        Vec::new()
    };
    Some(Case {
        model: state.models.get(index)?.clone(),
        picture: picture.clone(),
        likeliest: top_two(probabilities),
        label: look.label,
        epsilon,
        explanation: state.explanation.clone(),
        reference: state.reference.clone(),
        background: library
            .into_iter()
            .map(|entry| entry.picture.clone())
            .collect(),
    })
}

/// Whether every attack and every map that the window wants is there.
pub fn complete(state: &State, rows: &[Row]) -> bool {
    let has = |index: usize, row: &Row, which: Which| {
        let case = case(state, index, row, which);
        case.is_some_and(|case| row.finished_map(which, &case).is_some())
    };
    let maps = state.display.maps();
    rows.iter().enumerate().all(|(index, row)| {
        row.attacked.is_some() && maps.iter().all(|&which| has(index, row, which))
    })
}
