//! Settings of figures and films, as plain data; [`crate::export`] renders them.

use serde::{Deserialize, Serialize};

use super::Column;
use crate::data::MAX_SEVERITY;
use crate::error::{Error, Result};

/// The figure and the film as they were last set up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exports {
    /// The figure.
    pub figure: Figure,
    /// The film.
    pub film: Film,
}

impl Exports {
    /// Puts those back to the usual that make no figure or film.
    pub(super) fn sanitize(&mut self) {
        if self.figure.validate().is_err() {
            self.figure = Figure::default();
        }
        if self.film.validate().is_err() {
            self.film = Film::default();
        }
    }
}

/// How wide a figure is; its height follows from what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// For screens and slides.
    Pixels {
        /// Width in units of which text and lines are measured.
        width: f32,
        /// Pixels of a PNG for each unit.
        scale: f32,
    },
    /// For print.
    Millimetres {
        /// Width on paper.
        width: f32,
        /// Pixels of a PNG for each inch.
        dpi: f32,
    },
}

/// Units (CSS pixels) in an inch.
const UNITS: f32 = 96.0;
/// Millimetres in an inch.
const INCH: f32 = 25.4;

impl Size {
    /// Width in units (CSS pixels).
    pub fn width(self) -> f32 {
        match self {
            Self::Pixels { width, .. } => width,
            Self::Millimetres { width, .. } => width / INCH * UNITS,
        }
    }

    /// Pixels of a PNG for each unit.
    pub fn scale(self) -> f32 {
        match self {
            Self::Pixels { scale, .. } => scale,
            Self::Millimetres { dpi, .. } => dpi / UNITS,
        }
    }
}

/// What happens to a column that depends on ε when there are several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// It is repeated side by side.
    #[default]
    Across,
    /// The rows are repeated one below the other.
    Down,
}

/// An arrangement of results, as plain data. The default is what is on the screen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figure {
    /// Places in the library, from top to bottom; with none, the open picture.
    pub pictures: Vec<usize>,
    /// Whether it is all pictures of the library instead.
    pub whole_library: bool,
    /// Rows (models) of each picture, from top to bottom; with none, those on the screen.
    pub rows: Vec<usize>,
    /// Columns from left to right; with none, those on the screen.
    pub columns: Vec<Column>,
    /// Several ε, in units of pixels in [0, 1]; with none, the chosen one.
    pub epsilons: Vec<f32>,
    /// Where several ε go.
    pub spread: Spread,
    /// Width and resolution.
    pub size: Size,
    /// Height of text, in units.
    pub text: f32,
    /// Whether columns have titles.
    pub heads: bool,
    /// Whether rows have the names of their models.
    pub names: bool,
    /// Whether predictions and numbers stand under the pictures.
    pub notes: bool,
    /// Whether a bar says what the colours of maps mean.
    pub color_bar: bool,
    /// Whether confidence is drawn against ε.
    pub curves: bool,
    /// Whether the settings stand below.
    pub caption: bool,
    /// Whether pictures are zoomed as on the screen, else whole.
    pub zoomed: bool,
}

impl Default for Figure {
    fn default() -> Self {
        Self {
            pictures: Vec::new(),
            whole_library: false,
            rows: Vec::new(),
            columns: Vec::new(),
            epsilons: Vec::new(),
            spread: Spread::default(),
            size: Size::Pixels {
                width: 1200.0,
                scale: 2.0,
            },
            text: 14.0,
            heads: true,
            names: true,
            notes: true,
            color_bar: true,
            curves: false,
            caption: true,
            zoomed: true,
        }
    }
}

impl Figure {
    /// Refuses numbers that make no figure.
    ///
    /// # Errors
    /// [`Error::Config`] that says which.
    pub fn validate(&self) -> Result<()> {
        let within = |value: f32, low: f32, high: f32| (low..=high).contains(&value);
        let wrong = if !within(self.size.width(), 64.0, 20_000.0) {
            "the width must be from 64 to 20 000 units"
        } else if !within(self.size.scale(), 0.1, 32.0) {
            "the scale must be from 0.1 to 32 pixels a unit"
        } else if !within(self.text, 2.0, 400.0) {
            "the text must be from 2 to 400 units high"
        } else if !self
            .epsilons
            .iter()
            .all(|&epsilon| within(epsilon, 0.0, 1e6))
        {
            "every ε must be a number of at least 0"
        } else {
            return Ok(());
        };
        Err(Error::Config(format!("figure: {wrong}")))
    }
}

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Motion {
    /// ε rises.
    Epsilon {
        /// First ε, in units of pixels in [0, 1].
        from: f32,
        /// Last ε; without one, the end of the timeline.
        to: Option<f32>,
    },
    /// The severity of the corruption rises.
    Severity {
        /// First severity, in [0, [`MAX_SEVERITY`]].
        from: f32,
        /// Last severity, in the same range.
        to: f32,
    },
    /// A picture is made, from its start to the last iterate; the first steps, which change most,
    /// are slowest.
    Synthesis,
    /// A picture turns into its counterfactual.
    Counterfactual,
}

/// A film, as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Film {
    /// Every frame. Of several pictures the first is shown, and ε is the motion's or the chosen one.
    pub figure: Figure,
    /// What moves.
    pub motion: Motion,
    /// How many frames.
    pub frames: usize,
    /// Frames a second.
    pub rate: f32,
    /// How long the last frame stays, in seconds.
    pub hold: f32,
}

impl Motion {
    /// From the picture as it is to the largest severity.
    pub const ALL_SEVERITIES: Self = Self::Severity {
        from: 0.0,
        to: MAX_SEVERITY,
    };
}

impl Default for Film {
    fn default() -> Self {
        Self {
            figure: Figure {
                curves: true,
                // Films are for screens, and long.
                size: Size::Pixels {
                    width: 960.0,
                    scale: 1.0,
                },
                ..Figure::default()
            },
            motion: Motion::Epsilon {
                from: 0.0,
                to: None,
            },
            frames: 60,
            rate: 15.0,
            hold: 1.0,
        }
    }
}

impl Film {
    /// Refuses numbers that make no film.
    ///
    /// # Errors
    /// [`Error::Config`] that says which.
    pub fn validate(&self) -> Result<()> {
        self.figure.validate()?;
        let is_epsilon = |value: f32| (0.0..=1e6).contains(&value);
        let wrong = match self.motion {
            Motion::Epsilon { from, to }
                if !is_epsilon(from) || to.is_some_and(|to| !is_epsilon(to) || from >= to) =>
            {
                "ε must rise from a number of at least 0"
            }
            Motion::Severity { from, to }
                if !((0.0..MAX_SEVERITY).contains(&from) && to > from && to <= MAX_SEVERITY) =>
            {
                "the severity must rise, between 0 and 5"
            }
            _ if !(2..=5000).contains(&self.frames) => "there must be 2 to 5000 frames",
            _ if !(1.0..=100.0).contains(&self.rate) => "the rate must be 1 to 100 frames a second",
            _ if !(0.0..=60.0).contains(&self.hold) => "the last frame may stay up to 60 seconds",
            _ => return Ok(()),
        };
        Err(Error::Config(format!("film: {wrong}")))
    }
}
