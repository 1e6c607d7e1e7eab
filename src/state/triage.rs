//! What a person has set up for looking through a scan.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::jobs::Order;

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
pub enum Sight {
    /// The selected pictures.
    #[default]
    Grid,
    /// Counts in two directions.
    Matrices,
    /// How often which numbers occur.
    Histograms,
}

impl Sight {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Grid, Self::Matrices, Self::Histograms];

    /// Its name on its tab.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grid => "Pictures",
            Self::Matrices => "Matrices",
            Self::Histograms => "Histograms",
        }
    }
}

/// Everything about looking through a scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Triage {
    /// The database.
    pub database: Option<PathBuf>,
    /// The scan; without a number, the newest.
    pub scan: Option<i64>,
    /// Which pictures, in which order: the text of a [`crate::triage::Query`].
    pub query: String,
    /// How they are looked at.
    pub sight: Sight,
    /// Side of a thumbnail, in points.
    pub side: f32,
    /// Which of [`crate::triage::Matrix::all`] is shown.
    pub matrix: usize,
    /// Which number's histogram is shown, of those that the models have.
    pub histogram: usize,
    /// What a new scan is to be of.
    pub source: Option<PathBuf>,
    /// Whether it is to search the ε at which pictures flip.
    pub flips: bool,
    /// The scan under way.
    #[serde(skip)]
    pub scanning: Option<Order>,
    /// Whether it pauses.
    #[serde(skip)]
    pub paused: bool,
    /// The chosen picture, by its place in the table.
    pub chosen: Option<usize>,
}

impl Default for Triage {
    fn default() -> Self {
        Self {
            database: None,
            scan: None,
            query: String::new(),
            sight: Sight::default(),
            side: 72.0,
            matrix: 0,
            histogram: 0,
            source: None,
            flips: false,
            scanning: None,
            paused: false,
            chosen: None,
        }
    }
}
