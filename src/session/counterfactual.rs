//! What the pictures would be were they of another class, as a person wants to see it.

use serde::{Deserialize, Serialize};

use super::results::Row;
use super::state::State;
use super::{Bottom, Column};
use crate::compute::{
    Blend, Channels, CounterfactualRequest, CounterfactualResult, HeatStyle, Palette,
    PictureSource, Sign,
};
use crate::counterfactual::{Overlap, overlap};
use crate::data::mask;

/// How a change is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeView {
    /// In the colours of the maps.
    #[default]
    Heat,
    /// What is above the threshold, compared with the true mask where there is one.
    Mask,
}

/// Everything about counterfactuals that a person can change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CounterfactualSettings {
    /// Which of a row's pictures is turned into another class.
    pub attacked: bool,
    /// The class; without one, the likeliest that the picture is not.
    pub target: Option<usize>,
    /// How far on the way to the counterfactual the picture on the screen is, in [0, 1].
    pub along: f32,
    /// Where the mask begins, in units of pixels in [0, 1]; without one, by Otsu's method.
    pub threshold: Option<f32>,
    /// How the change is drawn.
    pub showing: ChangeView,
}

impl Default for CounterfactualSettings {
    fn default() -> Self {
        Self {
            attacked: false,
            target: None,
            along: 1.0,
            threshold: None,
            showing: ChangeView::default(),
        }
    }
}

impl CounterfactualSettings {
    /// The picture it is about.
    pub fn which(&self) -> PictureSource {
        if self.attacked {
            PictureSource::Attacked
        } else {
            PictureSource::Input
        }
    }

    /// Where the mask of a result begins.
    pub fn threshold_of(&self, result: &CounterfactualResult) -> f32 {
        self.threshold.unwrap_or(result.otsu)
    }
}

/// What a row's model is to be asked, if anything of it is on the screen and it has a generator.
pub fn counterfactual_request(
    state: &State,
    index: usize,
    row: &Row,
) -> Option<CounterfactualRequest> {
    const SHOWING: [Column; 3] = [Column::Counterfactual, Column::Change, Column::Return];
    let columns = state.settings.display.columns();
    let drawn = SHOWING.iter().any(|column| columns.contains(column));
    let prediction = row
        .prediction
        .as_ref()
        .filter(|prediction| prediction.has_generator)?;
    if !drawn && state.settings.display.bottom != Bottom::Counterfactual {
        return None;
    }
    let (picture, epsilon) = match state.settings.counterfactual.which() {
        PictureSource::Input => (&prediction.input, 0.0),
        PictureSource::Attacked => {
            let attacked = row.nearest(state.settings.attack.epsilon)?.attacked;
            (&attacked.picture, attacked.epsilon)
        }
    };
    // The last label of such a model is “fake”.
    let classes = prediction.manifest.labels.len() - 1;
    Some(CounterfactualRequest {
        model: state.document.models.get(index)?.clone(),
        picture: picture.clone(),
        epsilon,
        target: state
            .settings
            .counterfactual
            .target
            .filter(|&target| target < classes),
    })
}

/// The true mask of the open picture as the model of `result` would see it.
pub fn truth(state: &State, result: &CounterfactualResult) -> Option<Vec<bool>> {
    let entry = state.entry()?;
    let size = result.request.picture.size();
    Some(mask::binary_mask(entry.mask.as_ref()?, entry.crop, size))
}

/// The mask of a result.
pub fn masked(
    counterfactual: &CounterfactualSettings,
    result: &CounterfactualResult,
) -> impl Iterator<Item = bool> {
    let threshold = counterfactual.threshold_of(result);
    let values = result.heat.values().iter();
    values.map(move |&value| value > threshold)
}

/// How well the mask of a result covers the true one, if that is known.
pub fn score(state: &State, result: &CounterfactualResult) -> Option<Overlap> {
    let truth = truth(state, result)?;
    Some(overlap(
        masked(&state.settings.counterfactual, result),
        truth.into_iter(),
    ))
}

/// How masks are drawn: red what they have, blue what they miss.
pub const MASK: HeatStyle = HeatStyle {
    sign: Sign::Signed,
    channels: Channels::Sum,
    percentile: 100.0,
    threshold: 0.1,
    opacity: 1.0,
    palette: Palette::RedBlue,
    blend: Blend::Grey,
    locked: false,
    contour: 0.0,
};

/// The mask of a result as a map: 1 where it is right (or where nothing is known), a third where it
/// is wrong, −1 for what it misses.
pub fn mask_values(state: &State, result: &CounterfactualResult) -> Vec<f32> {
    let mask = masked(&state.settings.counterfactual, result);
    let value = |pair: (bool, bool)| match pair {
        (true, true) => 1.0,
        (true, false) => 0.33,
        (false, true) => -1.0,
        (false, false) => 0.0,
    };
    match truth(state, result) {
        Some(truth) => mask.zip(truth).map(value).collect(),
        None => mask.map(|inside| f32::from(u8::from(inside))).collect(),
    }
}
