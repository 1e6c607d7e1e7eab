//! What is shown, and how.

use serde::{Deserialize, Serialize};

use crate::compute::{HeatStyle, PictureSource};

/// A column of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
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
            Self::Return => "Cycle",
        }
    }

    /// What it shows, in a sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::Input => "The picture at the size at which the model sees it",
            Self::Attacked => "The adversarial picture at ε, and what the model predicts for it",
            Self::Perturbation => "Attacked picture minus input, amplified around grey",
            Self::Attribution => {
                "Which pixels of the picture speak for the class, and which against it"
            }
            Self::AttackedAttribution => "The same for the attacked picture",
            Self::Synthesis => {
                "A picture that the model makes: inversion, class generation (arXiv 2307.02500), a unit"
            }
            Self::Counterfactual => {
                "What the picture would have to look like for the model to predict another class (arXiv 2310.00761)"
            }
            Self::Change => "Counterfactual minus picture, as a map",
            Self::Return => "The counterfactual turned back into the class of the picture",
        }
    }

    /// The picture whose map it shows, if it shows one.
    pub fn map(self) -> Option<PictureSource> {
        match self {
            Self::Attribution => Some(PictureSource::Input),
            Self::AttackedAttribution => Some(PictureSource::Attacked),
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
    /// Confidence against the severity of a corruption.
    Corruption,
    /// Loss against iterations of the syntheses.
    Synthesis,
    /// The representation of the open picture, unit by unit.
    Units,
    /// What the discriminators say on the way to the counterfactuals.
    Counterfactual,
}

impl Bottom {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Epsilon,
        Self::Corruption,
        Self::Synthesis,
        Self::Units,
        Self::Counterfactual,
    ];

    /// Its name on its tab.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epsilon => "ε timeline",
            Self::Corruption => "Corruption",
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
    /// Whether the panel at the bottom stays in a presentation.
    #[serde(default = "yes")]
    pub timeline: bool,
}

fn yes() -> bool {
    true
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
            timeline: true,
        }
    }
}

impl Display {
    /// The largest magnification.
    pub const MOST_ZOOM: f32 = 32.0;

    /// Shows all of every picture.
    pub fn fit(&mut self) {
        (self.zoom, self.centre) = (1.0, [0.5; 2]);
    }

    /// Zooms while the point `share` of the picture stays where it is.
    pub fn zoom_at(&mut self, share: [f32; 2], factor: f32) {
        let before = self.zoom;
        self.zoom = (before * factor).clamp(1.0, Self::MOST_ZOOM);
        let kept = before / self.zoom;
        let half = self.half();
        for (centre, share) in self.centre.iter_mut().zip(share) {
            *centre = (share + (*centre - share) * kept).clamp(half, 1.0 - half);
        }
    }

    /// Moves the visible part by shares of itself.
    pub fn pan(&mut self, by: [f32; 2]) {
        let half = self.half();
        for (centre, by) in self.centre.iter_mut().zip(by) {
            *centre = (*centre + 2.0 * half * by).clamp(half, 1.0 - half);
        }
    }

    /// Half the side of the visible part, as a share of the picture.
    fn half(&self) -> f32 {
        0.5 / self.zoom.max(1.0)
    }

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
    pub fn maps(&self) -> Vec<PictureSource> {
        let columns = self.columns().into_iter();
        columns.filter_map(Column::map).collect()
    }

    /// The visible part: left, top, right, bottom, in shares of the picture; kept inside it.
    pub fn window(&self) -> [f32; 4] {
        let half = self.half();
        let [x, y] = self.centre.map(|at| at.clamp(half, 1.0 - half));
        [x - half, y - half, x + half, y + half]
    }
}
