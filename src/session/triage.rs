//! What a person has set up for looking through a scan.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::files::path_text;
use crate::triage::reader::Chosen;

/// What fills the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Page {
    /// One picture before all models.
    #[default]
    Explorer,
    /// A set of pictures, scanned.
    Triage,
}

/// The ways to look at a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TriageTab {
    /// The selected pictures.
    #[default]
    Grid,
    /// Counts in two directions.
    Matrices,
    /// How often which numbers occur.
    Histograms,
    /// Which pictures a model represents alike.
    Map,
}

impl TriageTab {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Grid, Self::Matrices, Self::Histograms, Self::Map];

    /// Its name on its tab.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grid => "Pictures",
            Self::Matrices => "Matrices",
            Self::Histograms => "Histograms",
            Self::Map => "Map",
        }
    }
}

/// Everything about looking through a scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Triage {
    /// The database.
    #[serde(with = "path_text::option")]
    pub database: Option<PathBuf>,
    /// The scan; without a number, the newest.
    pub scan: Option<i64>,
    /// Another scan, whose findings on the same pictures stand beside.
    pub beside: Option<i64>,
    /// Which pictures, in which order: the text of a [`crate::triage::Query`].
    pub query: String,
    /// How they are looked at.
    pub tab: TriageTab,
    /// Side of a thumbnail, in points.
    pub side: f32,
    /// Which of [`crate::triage::ConfusionMatrix::all`] is shown.
    pub matrix: usize,
    /// Which number's histogram is shown, of those that the models have.
    pub histogram: usize,
    /// Whose map is drawn, by the place of the model.
    pub map_of: usize,
    /// What its points are coloured by, of [`crate::triage::query::ClassColumn::all`].
    pub coloring: usize,
    /// Whether it shows where attacks moved the pictures.
    pub arrows: bool,
    /// Whether a new scan keeps representations, for a map.
    pub keeps: bool,
    /// What a new scan is to be of.
    #[serde(with = "path_text::option")]
    pub source: Option<PathBuf>,
    /// Whether it is to search the ε at which pictures flip.
    pub flips: bool,
    /// The chosen picture, by its place in the table.
    pub chosen: Option<usize>,
}

impl Triage {
    /// The scans to show.
    pub fn chosen_scans(&self) -> Chosen {
        Chosen {
            scan: self.scan,
            beside: self.beside,
        }
    }
}

impl Default for Triage {
    fn default() -> Self {
        Self {
            database: None,
            scan: None,
            beside: None,
            query: String::new(),
            tab: TriageTab::default(),
            side: 72.0,
            matrix: 0,
            histogram: 0,
            map_of: 0,
            coloring: 0,
            arrows: false,
            keeps: false,
            source: None,
            flips: false,
            chosen: None,
        }
    }
}
