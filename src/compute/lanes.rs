//! Rows, and the lanes in which results of one kind for one row go.

use serde::{Deserialize, Serialize};

/// Models side by side, at most.
pub const MOST_ROWS: usize = 16;

/// A row of the grid: on the screen, or of a prepared view that is computed ahead. Those on the screen come
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The prepared view, by its place among them; none for what is on the screen.
    pub view: Option<usize>,
    /// The row, below [`MOST_ROWS`].
    pub row: usize,
}

impl Place {
    /// A row on the screen.
    pub const fn on_screen(row: usize) -> Self {
        Self { view: None, row }
    }

    /// Whether the row is on the screen.
    pub const fn is_on_screen(self) -> bool {
        self.view.is_none()
    }
}

/// Key of a request: a model row and a kind of computation. Earlier kinds are more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The prediction for the clean picture.
    Prediction(Place),
    /// The attack at the chosen ε.
    Attack(Place),
    /// Attacks over a grid of ε.
    Sweep(Place),
    /// Predictions over a grid of severities of a corruption.
    SeveritySweep(Place),
    /// The attribution of one of a row's pictures.
    Attribution(PictureSource, Place),
    /// Deletion and insertion curves of that attribution.
    Curves(PictureSource, Place),
    /// The randomisation check of that attribution.
    Sanity(PictureSource, Place),
    /// The counterfactual of one of a row's pictures.
    Counterfactual(Place),
    /// The row's inversion, generation or unit visualisation.
    Synthesis(Place),
    /// Activations of all units for the pictures of the library.
    UnitActivations(Place),
    /// The check of the picture by AutoAttack.
    Robustness(Place),
    /// The search for the best place of a patch.
    PatchSearch(Place),
    /// Predictions of a row's model with other normalisers.
    DescriptionPreview(Place),
    /// A scan of a data set.
    Scan,
}

/// One of the two pictures of a row. The attacked one changes while ε is dragged, so it is more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PictureSource {
    /// The adversarial picture.
    Attacked,
    /// The picture itself.
    Input,
}

impl PictureSource {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Attacked, Self::Input];
}

impl Lane {
    /// The row that it belongs to; a scan belongs to none.
    pub fn place(mut self) -> Option<Place> {
        self.place_mut().map(|place| *place)
    }

    /// The same lane of a prepared view, or of the screen without one.
    pub fn in_view(mut self, view: Option<usize>) -> Self {
        if let Some(place) = self.place_mut() {
            place.view = view;
        }
        self
    }

    /// Whether it belongs to a row on the screen.
    pub fn is_on_screen(self) -> bool {
        self.place().is_some_and(Place::is_on_screen)
    }

    fn place_mut(&mut self) -> Option<&mut Place> {
        match self {
            Self::Prediction(place)
            | Self::Attack(place)
            | Self::Sweep(place)
            | Self::SeveritySweep(place)
            | Self::PatchSearch(place)
            | Self::Attribution(_, place)
            | Self::Curves(_, place)
            | Self::Sanity(_, place)
            | Self::Counterfactual(place)
            | Self::Synthesis(place)
            | Self::UnitActivations(place)
            | Self::Robustness(place)
            | Self::DescriptionPreview(place) => Some(place),
            Self::Scan => None,
        }
    }
}
