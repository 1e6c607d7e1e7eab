//! What the pictures would be were they of another class, as a person wants to see it.

use serde::{Deserialize, Serialize};

use super::results::Row;
use super::state::State;
use super::{Bottom, Column};
use crate::compute::{
    Blend, Channels, CounterfactualMethod, CounterfactualRequest, CounterfactualResult, HeatStyle,
    Palette, PictureSource, PredictionResult, Sign,
};
use crate::counterfactual::{
    DescentSettings, GeneratorEntry, GeneratorRef, Overlap, overlap, real_classes,
};
use crate::data::mask;
use crate::evaluate::top;

/// How a change is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeView {
    /// In the colours of the maps.
    #[default]
    Heat,
    /// What is above the threshold, compared with the true mask where there is one.
    Mask,
}

/// How counterfactuals are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MethodChoice {
    /// By a model's generator where it has one, by descent elsewhere.
    #[default]
    GeneratorWherePossible,
    /// By descent in every row.
    Descent,
}

/// The class that a picture is to be turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CounterfactualTarget {
    /// This one.
    Class(usize),
    /// The one that another row sees in its picture.
    OfRow(OtherRow),
}

/// Which other row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OtherRow {
    /// The second for the first row, the first for all others.
    #[serde(rename = "other-row")]
    Other,
}

/// Everything about counterfactuals that a person can change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CounterfactualSettings {
    /// Which of a row's pictures is turned into another class.
    pub attacked: bool,
    /// The class; without one, the likeliest that the picture is not.
    pub target: Option<CounterfactualTarget>,
    /// How it is made.
    pub method: MethodChoice,
    /// Whether only what is inside the mask of the open picture may change.
    pub inside_mask: bool,
    /// Norm, radius and steps of descents.
    pub descent: DescentSettings,
    /// How far on the way to the counterfactual the picture on the screen is, in [0, 1].
    pub along: f32,
    /// Where the mask begins, in units of pixels in [0, 1]; without one, by Otsu's method.
    pub threshold: Option<f32>,
    /// How the change is drawn.
    pub showing: ChangeView,
}

/// How far counterfactuals are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterfactualProgress {
    /// Whether descents pause.
    pub paused: bool,
    /// Counts the times that descents were begun again.
    pub attempt: u32,
}

impl Default for CounterfactualSettings {
    fn default() -> Self {
        Self {
            attacked: false,
            target: None,
            method: MethodChoice::default(),
            inside_mask: true,
            descent: DescentSettings::default(),
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

/// What a row's model is to be asked, if anything of it is on the screen.
pub fn counterfactual_request(
    state: &State,
    rows: &[Row],
    index: usize,
) -> Option<CounterfactualRequest> {
    const SHOWING: [Column; 3] = [Column::Counterfactual, Column::Change, Column::Return];
    let columns = state.settings.display.columns();
    let drawn = SHOWING.iter().any(|column| columns.contains(column));
    if !drawn && state.settings.display.bottom != Bottom::Counterfactual {
        return None;
    }
    let settings = &state.settings.counterfactual;
    let row = rows.get(index)?;
    let prediction = row.prediction.as_ref()?;
    let (picture, epsilon) = match settings.which() {
        PictureSource::Input => (&prediction.input, 0.0),
        PictureSource::Attacked => {
            let attacked = row.nearest(state.settings.attack.epsilon)?.attacked;
            (&attacked.picture, attacked.epsilon)
        }
    };
    let labels = &prediction.manifest.labels;
    let target = match settings.target {
        None => None,
        Some(CounterfactualTarget::Class(class)) => Some(class),
        Some(CounterfactualTarget::OfRow(OtherRow::Other)) => {
            class_of_other_row(state, rows, index, labels)
        }
    };
    let by_generator = settings.method == MethodChoice::GeneratorWherePossible;
    let method = match generator_of(state, prediction).filter(|_| by_generator) {
        Some(generator) => CounterfactualMethod::Generator(generator),
        None => CounterfactualMethod::Descent(settings.descent),
    };
    Some(CounterfactualRequest {
        model: state.document.models.get(index)?.clone(),
        picture: picture.clone(),
        epsilon,
        target: target.filter(|&target| target < real_classes(labels)),
        method,
        mask: state.entry().and_then(|entry| {
            let mask = entry
                .attack_mask
                .as_ref()
                .filter(|_| settings.inside_mask)?;
            Some((mask.clone(), entry.crop))
        }),
        attempt: state.progress.counterfactual.attempt,
    })
}

/// The generators' own files that were opened for the model of a prediction, the preferred one first.
pub fn generators_of<'a>(
    state: &'a State,
    prediction: &'a PredictionResult,
) -> impl Iterator<Item = &'a GeneratorEntry> {
    let hash = prediction.hash.as_deref();
    let opened = state.document.generators.iter();
    opened.filter(move |entry| hash == Some(&*entry.classifier.fingerprint))
}

impl State {
    /// Makes a generator the first of those for its classifier, and shows counterfactuals by generators.
    pub fn prefer_generator(&mut self, generator: GeneratorEntry) {
        self.document
            .generators
            .retain(|known| known.path != generator.path);
        self.document.generators.insert(0, generator);
        self.settings.counterfactual.method = MethodChoice::GeneratorWherePossible;
    }
}

/// The generator that makes counterfactuals for the model of a prediction, if there is one: that of an opened
/// file before the model's own.
fn generator_of(state: &State, prediction: &PredictionResult) -> Option<GeneratorRef> {
    let opened = generators_of(state, prediction).next();
    let opened = opened.map(|entry| GeneratorRef::File(entry.path.clone()));
    opened.or_else(|| prediction.has_generator.then_some(GeneratorRef::WithModel))
}

/// The class, by its place in `labels`, that the other row sees in its picture: the first row's other is the
/// second, every other one's is the first. Nothing where that class is none of these labels.
fn class_of_other_row(
    state: &State,
    rows: &[Row],
    index: usize,
    labels: &[String],
) -> Option<usize> {
    let other = rows.get(usize::from(index == 0))?;
    let prediction = other.prediction.as_ref()?;
    let probabilities = match state.settings.counterfactual.which() {
        PictureSource::Input => &prediction.probabilities,
        PictureSource::Attacked => {
            let attacked = other.nearest(state.settings.attack.epsilon)?.attacked;
            &attacked.probabilities
        }
    };
    let name = prediction.name(top(probabilities));
    labels.iter().position(|label| label == name)
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
