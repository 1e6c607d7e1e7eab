//! Figures: what is on the screen as a sheet for a paper or a talk, with no window around it.
//!
//! A [`Figure`] says what is arranged and how, as plain data; [`shots`] are the results it needs;
//! [`Sheet`] puts both together into pictures and words; [`FigurePage`] gives them places; [`svg`] writes
//! the page, and [`raster`] draws that very text, so both files show the same.

mod caption;
mod cells;
mod contour;
mod layout;
mod page;
mod plot;
mod raster;
mod sheet;
mod shots;
mod svg;
mod text;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::session::{Bottom, Column, State};

pub use caption::caption;
pub use cells::{Cell, Filled, bare_epsilon};
pub use layout::page;
pub use page::{Anchor, FigurePage, PageItem, Words};
pub use plot::{Curve, Plot, epsilon_plot};
pub use raster::{png, raster};
pub use sheet::{Bar, Head, Line, Sheet, scale};
pub use shots::{Shot, on_screen, shots};
pub use svg::svg;

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

/// Cells of one figure, at most.
const MOST_CELLS: usize = 4096;

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

    /// Refuses what has no cell, or far too many, before anything is computed for it.
    ///
    /// # Errors
    /// [`Error::Config`] that says how many it would be.
    pub fn require_cells(&self, state: &State) -> Result<()> {
        let count = sheet::cells(self, state);
        if (1..=MOST_CELLS).contains(&count) {
            return Ok(());
        }
        let reason = format!("a figure has 1 to {MOST_CELLS} cells, not {count}");
        Err(Error::Config(reason))
    }

    /// The pictures' places in the library.
    pub fn pictures(&self, state: &State) -> Vec<usize> {
        if self.whole_library {
            return (0..state.library.len()).collect();
        }
        if self.pictures.is_empty() {
            return state.selected.into_iter().collect();
        }
        self.pictures.clone()
    }

    /// The rows of each picture.
    pub fn rows(&self, state: &State) -> Vec<usize> {
        if self.rows.is_empty() {
            let all = 0..state.models.len();
            return all.filter(|&row| state.display.shows_row(row)).collect();
        }
        let known = |row: &&usize| **row < state.models.len();
        self.rows.iter().filter(known).copied().collect()
    }

    /// The columns, each once.
    pub fn columns(&self, state: &State) -> Vec<Column> {
        if self.columns.is_empty() {
            return state.display.columns();
        }
        self.columns.clone()
    }

    /// The values of ε.
    pub fn epsilons(&self, state: &State) -> Vec<f32> {
        if self.epsilons.is_empty() {
            return vec![state.attack.epsilon];
        }
        self.epsilons.clone()
    }

    /// What has to be computed: `state` with nothing on the screen but what is in the figure.
    pub fn requests(&self, state: &State) -> State {
        let mut state = state.clone();
        let (rows, columns) = (self.rows(&state), self.columns(&state));
        let all = 0..state.models.len();
        state.display.hidden = all.filter(|row| !rows.contains(row)).collect();
        state.display.shown = Column::ALL.map(|column| columns.contains(&column));
        state.display.filled = None;
        state.display.bottom = Bottom::Epsilon;
        state.about = None;
        state.checks.sanity = false;
        state.playing = false;
        state
    }
}

/// Writes the figure that shows `shots`: as SVG if the path says so, else as PNG.
///
/// # Errors
/// As [`Sheet::new`] and [`png()`]; [`Error::Io`] naming the path.
pub fn write(figure: &Figure, shots: &[Shot], path: &Path) -> Result<()> {
    let page = page(figure, &Sheet::new(figure, shots)?);
    let ending = path.extension().and_then(|ending| ending.to_str());
    if ending.is_some_and(|ending| ending.eq_ignore_ascii_case("svg")) {
        write_atomically(path, svg(&page).as_bytes())
    } else {
        write_atomically(path, &png(&page)?)
    }
}
