//! The pictures that the models make, as a person has set them up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::results::Row;
use super::state::State;
use super::{Bottom, Column};
use crate::compute::{
    Lane, PictureSource, Request, SURVEYED_MOST, SynthesisRequest, UnitActivationsRequest, thinned,
};
use crate::data::Picture;
use crate::synthesis::{Start, Synthesis, Task, Unit};

/// The three kinds of pictures, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// Representation inversion.
    Inversion,
    /// Class-specific generation.
    Generation,
    /// Neuron visualisation.
    Unit,
}

impl TaskKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Inversion, Self::Generation, Self::Unit];

    /// Which one `task` is.
    pub fn of(task: &Task) -> Self {
        match task {
            Task::Invert { .. } => Self::Inversion,
            Task::Generate { .. } => Self::Generation,
            Task::Neuron(_) => Self::Unit,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inversion => "Inversion",
            Self::Generation => "Generation",
            Self::Unit => "Unit",
        }
    }

    /// What a loss means for it, in words.
    pub fn value(self, loss: f32) -> String {
        match self {
            Self::Inversion => format!("distance {loss:.3}"),
            Self::Generation => format!("score {:.2}", -loss),
            Self::Unit => format!("activation {:.2}", -loss),
        }
    }

    /// What it does, and whose idea it is.
    pub fn about(self) -> &'static str {
        match self {
            Self::Inversion => {
                "A picture that the model represents as it does this one (Mahendran and Vedaldi 2015; arXiv 2307.02500)"
            }
            Self::Generation => {
                "A picture that the model is surer and surer is of a class (Santurkar et al. 2019; arXiv 2307.02500)"
            }
            Self::Unit => {
                "A picture that excites one unit of the model (Erhan et al. 2009; arXiv 2307.02500)"
            }
        }
    }

    /// The settings to begin with.
    pub fn preset(self) -> Synthesis {
        match self {
            Self::Inversion => Synthesis::paper_inversion().fast(),
            Self::Generation => Synthesis::paper_generation(0),
            Self::Unit => Synthesis::paper_neuron(Unit::default()).fast(),
        }
    }
}

/// Where the class Gaussians come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeedSource {
    /// Those fitted to CIFAR-10.
    #[default]
    Bundled,
    /// Fitted to the pictures of the library whose class is known.
    Library,
}

/// What the made picture is compared with left of the divider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Against {
    /// The open picture.
    #[default]
    Picture,
    /// What it began as.
    Start,
    /// The iterate after this many steps.
    Iterate(usize),
}

/// Everything about the pictures being made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct SynthesisSettings {
    /// What is made and how; the unit is each row's own.
    pub config: Synthesis,
    /// Which of a row's pictures is inverted or begun at.
    pub which: PictureSource,
    /// The picture of [`Start::Other`].
    #[serde(skip)]
    pub other: Option<Picture>,
    /// Whose class Gaussians.
    pub seeds: SeedSource,
    /// The unit of each row; rows beyond have the first.
    pub units: Vec<usize>,
    /// Whether it runs.
    #[serde(skip)]
    pub running: bool,
    /// Steps that each new frame of the window adds; without a number, as many as there is time
    /// for.
    pub speed: Option<usize>,
    /// Steps that may be done by now.
    pub until: usize,
    /// Steps that the furthest row is known to have done.
    #[serde(skip)]
    pub done: usize,
    /// Whether steps are allowed that are not done.
    #[serde(skip)]
    pub working: bool,
    /// Counts how often it was begun anew.
    #[serde(skip)]
    pub attempt: u32,
    /// Added to the rows' numbers where they are told to those who make the pictures: that of a prepared
    /// view, so that what was made ahead of it goes on when it is shown.
    #[serde(skip)]
    pub slot: usize,
    /// The iterate on the screen; without one, the newest.
    pub cursor: Option<usize>,
    /// What it is compared with.
    pub against: Against,
}

impl Default for SynthesisSettings {
    fn default() -> Self {
        Self {
            config: TaskKind::Inversion.preset(),
            which: PictureSource::Input,
            other: None,
            seeds: SeedSource::default(),
            units: Vec::new(),
            running: false,
            // More pictures a second than with as many steps as there is time for, and where
            // drawing is slow hardly fewer steps.
            speed: Some(5),
            until: 0,
            done: 0,
            working: false,
            attempt: 0,
            slot: 0,
            cursor: None,
            against: Against::default(),
        }
    }
}

impl SynthesisSettings {
    /// Begins anew at the next opportunity, running or not as before.
    pub fn reset(&mut self) {
        self.attempt = self.attempt.wrapping_add(1);
        self.until = 0;
        self.done = 0;
        self.cursor = None;
        if let Against::Iterate(_) = self.against {
            self.against = Against::Picture;
        }
    }

    /// Begins anew for a model that may have other classes and units.
    pub(super) fn forget_classes(&mut self) {
        if self.kind() == TaskKind::Generation {
            self.config.task = TaskKind::Generation.preset().task;
        }
        self.units.clear();
        self.reset();
    }

    /// Whether the same is to be made in the same way, however far it is.
    pub(super) fn same_settings(&self, other: &Self) -> bool {
        let settings = |synthesis: &Self| {
            (
                synthesis.which,
                synthesis.seeds,
                synthesis.speed,
                synthesis.against,
            )
        };
        settings(self) == settings(other)
            && self.config == other.config
            && self.other == other.other
            && self.units == other.units
    }

    /// The kind of picture.
    pub fn kind(&self) -> TaskKind {
        TaskKind::of(&self.config.task)
    }

    /// Turns to another kind of picture, with its own settings.
    pub fn choose(&mut self, kind: TaskKind) {
        if kind != self.kind() {
            self.config = kind.preset();
            self.reset();
        }
    }

    /// What row `row` is to make.
    pub fn config_of(&self, row: usize) -> Synthesis {
        let mut config = self.config.clone();
        if let Task::Neuron(unit) = &mut config.task {
            unit.index = self.unit(row);
        }
        config
    }

    /// The unit of a row.
    pub fn unit(&self, row: usize) -> usize {
        self.units.get(row).copied().unwrap_or(0)
    }

    /// Stops where the furthest row is; the others catch up.
    fn pause(&mut self) {
        self.running = false;
        self.until = self.done;
    }

    /// The stage whose units are shown; without one, the representation.
    fn stage(&self) -> Option<usize> {
        match self.config.task {
            Task::Neuron(unit) => unit.stage,
            _ => None,
        }
    }
}

impl State {
    /// Starts or stops making pictures, where they can be seen.
    pub fn toggle_synthesis(&mut self) {
        if self.synthesis.running || self.synthesis.working {
            self.synthesis.pause();
            return;
        }
        if self.synthesis.done >= self.synthesis.config.iterations {
            self.synthesis.reset();
        }
        self.synthesis.running = true;
        self.synthesis.cursor = None;
        self.show_synthesis();
    }

    /// One more step, and then a pause.
    pub fn step_synthesis(&mut self) {
        self.synthesis.pause();
        self.synthesis.until += 1;
        self.synthesis.cursor = None;
        self.show_synthesis();
    }

    /// Brings column and curves on the screen.
    pub fn show_synthesis(&mut self) {
        self.display.shown[Column::Synthesis as usize] = true;
        if self.display.bottom == Bottom::Epsilon {
            self.display.bottom = Bottom::Synthesis;
        }
    }

    /// Chooses the unit of a row, and makes its picture.
    pub fn choose_unit(&mut self, row: usize, unit: usize) {
        let synthesis = &mut self.synthesis;
        synthesis.choose(TaskKind::Unit);
        let rows = self.models.len().max(row + 1);
        synthesis.units.resize(rows, 0);
        synthesis.units[row] = unit;
        synthesis.reset();
        synthesis.running = true;
        self.display.shown[Column::Synthesis as usize] = true;
    }
}

/// Goes on by a frame: learns how far the rows are, allows more steps, and stops at the end.
pub fn advance(state: &mut State, rows: &[Row]) {
    let display = &state.display;
    let made = rows.iter().enumerate();
    let made = made.filter(|(index, _)| display.shows_row(*index));
    // A row that cannot go on does not keep the others waiting.
    let able = made.filter(|(_, row)| row.synthesis_error().is_none());
    let steps: Vec<usize> = able.map(|(index, row)| steps(state, index, row)).collect();
    let synthesis = &mut state.synthesis;
    let all = synthesis.config.iterations;
    let slowest = steps.iter().copied().min().unwrap_or(all);
    synthesis.done = steps.iter().copied().max().unwrap_or(0);
    synthesis.working = slowest < synthesis.until;
    if !synthesis.running {
        return;
    }
    match synthesis.speed {
        None => synthesis.until = all,
        Some(speed) if slowest >= synthesis.until => {
            synthesis.until = (synthesis.until + speed).min(all);
        }
        Some(_) => {}
    }
    if slowest >= all {
        synthesis.running = false;
    }
}

/// Steps that a row has done of what it is to make now.
fn steps(state: &State, index: usize, row: &Row) -> usize {
    let made = row.made.as_ref();
    let brief = brief(state, index, row);
    let current = made.filter(|made| brief.as_ref() == Some(&made.brief));
    current.map_or(0, |made| made.steps)
}

/// Adds the wishes of a row: its picture, if its column is drawn, and the survey of its units.
pub(super) fn want(state: &State, index: usize, row: &Row, requests: &mut BTreeMap<Lane, Request>) {
    if state.display.draws(Column::Synthesis)
        && let Some(brief) = brief(state, index, row)
    {
        let request = Request::Synthesize {
            brief,
            until: state.synthesis.until,
            rests: !state.synthesis.running,
        };
        requests.insert(Lane::Synthesis(index), request);
    }
    if state.display.bottom == Bottom::Units && row.look.is_some() {
        let library = thinned(&state.library, SURVEYED_MOST).into_iter();
        let survey = UnitActivationsRequest {
            model: state.models[index].clone(),
            stage: state.synthesis.stage(),
            pictures: library
                .map(|entry| (entry.picture.clone(), entry.crop))
                .collect(),
        };
        requests.insert(
            Lane::UnitActivations(index),
            Request::UnitActivations(survey),
        );
    }
}

/// What a row is to make of the pictures on the screen.
fn brief(state: &State, index: usize, row: &Row) -> Option<SynthesisRequest> {
    let synthesis = &state.synthesis;
    let config = synthesis.config_of(index);
    let look = row.look.as_ref()?;
    // What does not enter must not start it anew when it changes.
    let inverts = TaskKind::of(&config.task) == TaskKind::Inversion;
    let subject = if !inverts && config.start != Start::Current {
        None
    } else if synthesis.which == PictureSource::Input {
        Some(look.input.clone())
    } else {
        let shown = row.nearest(state.attack.epsilon)?;
        Some(shown.attacked.picture.clone())
    };
    let fits = config.start == Start::ClassGaussian && synthesis.seeds == SeedSource::Library;
    let known = state.library.iter().filter_map(|entry| {
        let class = entry.truth.clone()?;
        Some((class, entry.picture.clone(), entry.crop))
    });
    Some(SynthesisRequest {
        row: synthesis.slot + index,
        model: state.models.get(index)?.clone(),
        subject,
        other: synthesis
            .other
            .clone()
            .filter(|_| config.start == Start::Other),
        library: fits.then(|| known.collect()),
        config,
        attempt: synthesis.attempt,
    })
}
