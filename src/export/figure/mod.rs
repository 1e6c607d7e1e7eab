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

use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::session::{Bottom, Column, Figure, State};

pub use caption::caption;
pub use cells::{Cell, Filled};
pub use layout::page;
pub use page::{Anchor, FigurePage, PageItem, Words};
pub use plot::{Curve, Plot, epsilon_plot};
pub use raster::{png, raster};
pub use sheet::{Bar, Head, Line, Sheet, scale};
pub use shots::{Shot, on_screen, shots};
pub use svg::svg;
pub use text::has_glyph;

/// Cells of one figure, at most.
const MOST_CELLS: usize = 4096;

impl Figure {
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
            return (0..state.document.library.len()).collect();
        }
        if self.pictures.is_empty() {
            return state.navigation.selected.into_iter().collect();
        }
        self.pictures.clone()
    }

    /// The rows of each picture.
    pub fn rows(&self, state: &State) -> Vec<usize> {
        if self.rows.is_empty() {
            let all = 0..state.document.models.len();
            return all
                .filter(|&row| state.settings.display.shows_row(row))
                .collect();
        }
        let known = |row: &&usize| **row < state.document.models.len();
        self.rows.iter().filter(known).copied().collect()
    }

    /// The columns, each once.
    pub fn columns(&self, state: &State) -> Vec<Column> {
        if self.columns.is_empty() {
            return state.settings.display.columns();
        }
        self.columns.clone()
    }

    /// The values of ε.
    pub fn epsilons(&self, state: &State) -> Vec<f32> {
        if self.epsilons.is_empty() {
            return vec![state.settings.attack.epsilon];
        }
        self.epsilons.clone()
    }

    /// What has to be computed: `state` with nothing on the screen but what is in the figure.
    pub fn requests(&self, state: &State) -> State {
        let mut state = state.clone();
        let (rows, columns) = (self.rows(&state), self.columns(&state));
        let all = 0..state.document.models.len();
        state.settings.display.hidden = all.filter(|row| !rows.contains(row)).collect();
        state.settings.display.shown = Column::ALL.map(|column| columns.contains(&column));
        state.settings.display.filled = None;
        state.settings.display.bottom = Bottom::Epsilon;
        state.transient.about = None;
        state.settings.checks.sanity = false;
        (state.progress.patch, state.progress.robustness) = (None, None);
        state.transient.playing = false;
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
