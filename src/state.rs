//! All that a person can change, as plain data, and what follows from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::attack::Attack;
use crate::descent::Norm;
use crate::jobs::{Lane, Request, Subject};
use crate::picture::{Crop, Picture};

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
}

impl Column {
    /// All of them, from left to right.
    pub const ALL: [Self; 3] = [Self::Input, Self::Attacked, Self::Perturbation];
}

/// How things are shown; changing it computes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Display {
    /// The visible columns, in the order of [`Column::ALL`].
    pub shown: [bool; 3],
    /// The one column blown up to fill the window.
    pub filled: Option<Column>,
    /// Centre of the visible part of every picture, in shares of it.
    pub centre: [f32; 2],
    /// Magnification over the whole picture; at least 1.
    pub zoom: f32,
    /// Amplification of the perturbation.
    pub gain: f32,
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
            shown: [true; 3],
            filled: None,
            centre: [0.5; 2],
            zoom: 1.0,
            gain: 10.0,
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

    /// The visible part: left, top, right, bottom, in shares of the picture; kept inside it.
    pub fn window(&self) -> [f32; 4] {
        let half = 0.5 / self.zoom.max(1.0);
        let [x, y] = self.centre.map(|at| at.clamp(half, 1.0 - half));
        [x - half, y - half, x + half, y + half]
    }
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

/// What the engine should compute for what is on the screen. A pure function.
pub fn wanted(state: &State) -> BTreeMap<Lane, Request> {
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
    requests
}
