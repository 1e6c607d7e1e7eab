//! The pictures that the models make, as a person has set them up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::results::Row;
use super::state::State;
use super::{Bottom, Column};
use crate::compute::{
    Lane, MOST_UNIT_PICTURES, PictureSource, Place, Request, SynthesisRequest,
    UnitActivationsRequest, thinned,
};
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
                "A picture with the representation of this one (Mahendran and Vedaldi 2015; arXiv 2307.02500)"
            }
            Self::Generation => {
                "A picture that maximises the score of a class (Santurkar et al. 2019; arXiv 2307.02500)"
            }
            Self::Unit => {
                "A picture that maximises the activation of one unit (Erhan et al. 2009; arXiv 2307.02500)"
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
    /// Those that come with the program, fitted to CIFAR-10 and to photographs of fifteen classes.
    #[default]
    Bundled,
    /// Fitted to the pictures of the library whose class is known.
    Library,
}

/// What the synthesized picture is compared with left of the divider.
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

/// What is synthesised and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SynthesisSettings {
    /// Objective, steps and start; the unit is each row's own.
    pub config: Synthesis,
    /// Which of a row's pictures is inverted or begun at.
    pub which: PictureSource,
    /// Whose class Gaussians.
    pub seeds: SeedSource,
    /// The unit of each row; rows beyond have the first.
    pub units: Vec<usize>,
    /// Steps that each new frame of the window adds; without a number, as many as there is time
    /// for.
    pub speed: Option<usize>,
    /// What the synthesised picture is compared with.
    pub against: Against,
}

/// How far syntheses may be, and which iterate is shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Playhead {
    /// Steps that may be done by now.
    pub until: usize,
    /// The iterate on the screen; without one, the newest.
    pub cursor: Option<usize>,
}

/// How far syntheses are.
#[derive(Clone, Debug, Default)]
pub struct SynthesisProgress {
    /// Whether more steps are allowed with every frame.
    pub running: bool,
    /// Steps that the furthest row is known to have done.
    pub done: usize,
    /// Whether steps are allowed that are not done.
    pub working: bool,
    /// Counts the restarts.
    pub attempt: u32,
    /// The prepared view for which they were begun, so that its iterates go on when it is shown.
    pub view: Option<usize>,
}

impl Default for SynthesisSettings {
    fn default() -> Self {
        Self {
            config: TaskKind::Inversion.preset(),
            which: PictureSource::Input,
            seeds: SeedSource::default(),
            units: Vec::new(),
            // More pictures a second than with as many steps as there is time for, and where
            // drawing is slow hardly fewer steps.
            speed: Some(5),
            against: Against::default(),
        }
    }
}

impl SynthesisSettings {
    /// The kind of picture.
    pub fn kind(&self) -> TaskKind {
        TaskKind::of(&self.config.task)
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

    /// The stage whose units are shown; without one, the representation.
    fn stage(&self) -> Option<usize> {
        match self.config.task {
            Task::Neuron(unit) => unit.stage,
            _ => None,
        }
    }
}

impl State {
    /// Starts or pauses synthesis, and brings it on the screen.
    pub fn toggle_synthesis(&mut self) {
        let progress = &self.progress.synthesis;
        if progress.running || progress.working {
            self.pause_synthesis();
            return;
        }
        if progress.done >= self.settings.synthesis.config.iterations {
            self.restart_synthesis();
        }
        self.progress.synthesis.running = true;
        self.navigation.playhead.cursor = None;
        self.show_synthesis();
    }

    /// One more step, and then a pause.
    pub fn step_synthesis(&mut self) {
        self.pause_synthesis();
        self.navigation.playhead.until += 1;
        self.navigation.playhead.cursor = None;
        self.show_synthesis();
    }

    /// Begins anew at the next opportunity, running or not as before.
    pub fn restart_synthesis(&mut self) {
        let progress = &mut self.progress.synthesis;
        progress.attempt = progress.attempt.wrapping_add(1);
        progress.done = 0;
        self.navigation.playhead = Playhead::default();
        let against = &mut self.settings.synthesis.against;
        if let Against::Iterate(_) = against {
            *against = Against::Picture;
        }
    }

    /// Pauses where the furthest row is; the others catch up.
    fn pause_synthesis(&mut self) {
        self.progress.synthesis.running = false;
        self.navigation.playhead.until = self.progress.synthesis.done;
    }

    /// Where a session or bookmark goes on: a synthesis is computed again as far as it is.
    pub(super) fn saved_playhead(&self) -> Playhead {
        Playhead {
            until: self.progress.synthesis.done,
            cursor: self.navigation.playhead.cursor,
        }
    }

    /// Turns to another kind of synthesis, with its own settings.
    pub fn choose_synthesis(&mut self, kind: TaskKind) {
        let settings = &mut self.settings.synthesis;
        if kind != settings.kind() {
            settings.config = kind.preset();
            self.restart_synthesis();
        }
    }

    /// Begins anew for a model that may have other classes and units.
    pub(super) fn forget_synthesized_classes(&mut self) {
        let settings = &mut self.settings.synthesis;
        if settings.kind() == TaskKind::Generation {
            settings.config.task = TaskKind::Generation.preset().task;
        }
        settings.units.clear();
        self.restart_synthesis();
    }

    /// Brings column and curves on the screen.
    pub fn show_synthesis(&mut self) {
        let display = &mut self.settings.display;
        display.shown[Column::Synthesis as usize] = true;
        if display.bottom == Bottom::Epsilon {
            display.bottom = Bottom::Synthesis;
        }
    }

    /// Chooses the unit of a row, and synthesises a picture for it.
    pub fn choose_unit(&mut self, row: usize, unit: usize) {
        self.choose_synthesis(TaskKind::Unit);
        let rows = self.document.models.len().max(row + 1);
        let units = &mut self.settings.synthesis.units;
        units.resize(rows, 0);
        units[row] = unit;
        self.restart_synthesis();
        self.progress.synthesis.running = true;
        self.settings.display.shown[Column::Synthesis as usize] = true;
    }
}

/// Goes on by a frame: learns how far the rows are, allows more steps, and stops at the end.
pub fn advance(state: &mut State, rows: &[Row]) {
    let display = &state.settings.display;
    let shown = rows.iter().enumerate();
    let shown = shown.filter(|(index, _)| display.shows_row(*index));
    // A row that cannot go on does not keep the others waiting.
    let able = shown.filter(|(_, row)| row.synthesis_error().is_none());
    let steps: Vec<usize> = able.map(|(index, row)| steps(state, index, row)).collect();
    let all = state.settings.synthesis.config.iterations;
    let slowest = steps.iter().copied().min().unwrap_or(all);
    let playhead = &mut state.navigation.playhead;
    let progress = &mut state.progress.synthesis;
    progress.done = steps.iter().copied().max().unwrap_or(0);
    progress.working = slowest < playhead.until;
    if !progress.running {
        return;
    }
    match state.settings.synthesis.speed {
        None => playhead.until = all,
        Some(speed) if slowest >= playhead.until => {
            playhead.until = (playhead.until + speed).min(all);
        }
        Some(_) => {}
    }
    if slowest >= all {
        progress.running = false;
    }
}

/// Steps that a row has done of what it is to make now.
fn steps(state: &State, index: usize, row: &Row) -> usize {
    let synthesis = row.synthesis.as_ref();
    let request = synthesis_request(state, index, row);
    let current = synthesis.filter(|synthesis| request.as_ref() == Some(&synthesis.request));
    current.map_or(0, |synthesis| synthesis.steps)
}

/// Adds the requests of a row: its synthesis, if that column is drawn, and the activations of its units.
pub(super) fn add_requests(
    state: &State,
    index: usize,
    row: &Row,
    requests: &mut BTreeMap<Lane, Request>,
) {
    if state.settings.display.draws(Column::Synthesis)
        && let Some(request) = synthesis_request(state, index, row)
    {
        let request = Request::Synthesize {
            request,
            until: state.navigation.playhead.until,
            rests: !state.progress.synthesis.running,
        };
        requests.insert(Lane::Synthesis(Place::on_screen(index)), request);
    }
    if state.settings.display.bottom == Bottom::Units && row.prediction.is_some() {
        let library = thinned(&state.document.library, MOST_UNIT_PICTURES).into_iter();
        let unit_activations = UnitActivationsRequest {
            model: state.document.models[index].clone(),
            stage: state.settings.synthesis.stage(),
            pictures: library
                .map(|entry| (entry.picture.clone(), entry.crop))
                .collect(),
        };
        requests.insert(
            Lane::UnitActivations(Place::on_screen(index)),
            Request::UnitActivations(unit_activations),
        );
    }
}

/// What a row is to make of the pictures on the screen.
fn synthesis_request(state: &State, index: usize, row: &Row) -> Option<SynthesisRequest> {
    let synthesis = &state.settings.synthesis;
    let config = synthesis.config_of(index);
    let prediction = row.prediction.as_ref()?;
    // What does not enter must not start it anew when it changes.
    let inverts = TaskKind::of(&config.task) == TaskKind::Inversion;
    let subject = if !inverts && config.start != Start::Current {
        None
    } else if synthesis.which == PictureSource::Input {
        Some(prediction.input.clone())
    } else {
        let shown = row.nearest(state.settings.attack.epsilon)?;
        Some(shown.attacked.picture.clone())
    };
    let fits = config.start == Start::ClassGaussian && synthesis.seeds == SeedSource::Library;
    let known = state.document.library.iter().filter_map(|entry| {
        let class = entry.truth.clone()?;
        Some((class, entry.picture.clone(), entry.crop))
    });
    Some(SynthesisRequest {
        place: Place {
            view: state.progress.synthesis.view,
            row: index,
        },
        model: state.document.models.get(index)?.clone(),
        subject,
        other: state
            .document
            .start
            .clone()
            .filter(|_| config.start == Start::Other),
        library: fits.then(|| known.collect()),
        config,
        attempt: state.progress.synthesis.attempt,
    })
}
