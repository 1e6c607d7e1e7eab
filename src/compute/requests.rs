//! What the window can ask of the engine, and how each request is computed.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::{GpuImage, HeatMap};
use crate::attack::{Attack, Norm};
use crate::attribution::{Attribution, Curves, Explanation};
use crate::compute::{
    CounterfactualRequest, CounterfactualResult, NormalizerPreview, ScanRequest, SynthesisRequest,
    SynthesisResult, UnitActivations, UnitActivationsRequest,
};
use crate::counterfactual::real_classes;
use crate::data::{Crop, Picture};
use crate::evaluate::top;
use crate::model::{BatchSize, Manifest, ModelRef};
use crate::triage::ScanCounts;

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

/// Where results go: one lane a model row and kind of work. Earlier kinds are more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// What a model says of the picture itself.
    Prediction(Place),
    /// The attack at the chosen ε.
    Attack(Place),
    /// Attacks over a grid of ε.
    Sweep(Place),
    /// The map of one of a row's pictures.
    Attribution(PictureSource, Place),
    /// Deletion and insertion curves of that map.
    Curves(PictureSource, Place),
    /// The randomisation check of that map.
    Sanity(PictureSource, Place),
    /// The counterfactual of one of a row's pictures.
    Counterfactual(Place),
    /// The picture that a row makes.
    Synthesis(Place),
    /// Which pictures of the library excite which units.
    UnitActivations(Place),
    /// What a row's model would say with other normalisers.
    NormalizerPreview(Place),
    /// What models make of a whole set of pictures.
    Scan,
}

/// One of the two pictures of a row. The attacked one changes under the finger, so it goes first.
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
            | Self::Attribution(_, place)
            | Self::Curves(_, place)
            | Self::Sanity(_, place)
            | Self::Counterfactual(place)
            | Self::Synthesis(place)
            | Self::UnitActivations(place)
            | Self::NormalizerPreview(place) => Some(place),
            Self::Scan => None,
        }
    }
}

/// A picture before a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInput {
    /// The model that looks at it.
    pub model: ModelRef,
    /// What it looks at.
    pub picture: Picture,
    /// Which part of it.
    pub crop: Crop,
    /// The true class, by name, where it is known.
    pub truth: Option<String>,
}

/// A picture as a model saw it, to be explained.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributionRequest {
    /// The model that looks at it.
    pub model: ModelRef,
    /// The very picture that is on the screen.
    pub picture: GpuImage,
    /// The two classes that the model finds likeliest in it.
    pub likeliest: [usize; 2],
    /// The class that an untargeted attack leaves: the true one, else the one predicted before.
    pub label: usize,
    /// ε of the attack behind it; 0 for the picture itself.
    pub epsilon: f32,
    /// The method and its question.
    pub explanation: Explanation,
    /// The picture that [`crate::attribution::Fill::Picture`] means.
    pub reference: Option<Picture>,
    /// The library's pictures, where the method compares with them.
    pub background: Vec<Picture>,
}

impl AttributionRequest {
    /// The question that its map answers, in words.
    pub fn asks(&self, prediction: &PredictionResult) -> String {
        let target = self.target();
        match target.against {
            Some(other) => format!(
                "Why {}, not {}?",
                prediction.name(target.class),
                prediction.name(other)
            ),
            None => format!("Why {}?", prediction.name(target.class)),
        }
    }
}

/// A map of a case, finished or not.
pub struct AttributionResult {
    /// What was asked.
    pub request: AttributionRequest,
    /// The values and what is known of their quality.
    pub attribution: Attribution,
    /// The same, ready to be drawn.
    pub heat: HeatMap,
    /// Share of the work done; 1 for a finished map.
    pub progress: f32,
    /// Deletion and insertion curves, once they were asked for.
    pub curves: OnceLock<Curves>,
    /// Rank correlation with the maps of ever more randomised models
    /// ([`crate::attribution::RANDOMISED`]), once it was asked for.
    pub sanity: OnceLock<Vec<f32>>,
}

impl AttributionResult {
    /// Whether nothing is left to refine.
    pub fn finished(&self) -> bool {
        self.progress >= 1.0
    }
}

/// Maps are the same if they are one in memory.
impl PartialEq for AttributionResult {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl std::fmt::Debug for AttributionResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "AttributionResult({:?}, {})",
            self.request, self.progress
        )
    }
}

/// What is wanted in a lane.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Look at the picture.
    Predict(ModelInput),
    /// Attack it.
    Attack(ModelInput, Attack),
    /// Attack it at a grid of ε up to this one; the attack's own ε does not count.
    Sweep(ModelInput, Attack, f32),
    /// Explain it.
    Explain(AttributionRequest),
    /// Find out how faithful this finished map is.
    Curves(Arc<AttributionResult>),
    /// Compare this finished map with those of randomised models.
    Sanity(Arc<AttributionResult>),
    /// Make it.
    Synthesize {
        /// What and how.
        request: SynthesisRequest,
        /// Steps that may be done by now.
        until: usize,
        /// Whether it stays there, so that the picture is worth a closer look.
        rests: bool,
    },
    /// Turn it into another class.
    Counterfactual(CounterfactualRequest),
    /// Look at these pictures.
    UnitActivations(UnitActivationsRequest),
    /// Look at the picture after every usual normaliser.
    PreviewNormalizers(ModelInput),
    /// Scan a set of pictures.
    Scan(ScanRequest),
}

impl Request {
    /// All models that are asked.
    pub fn models(&self) -> &[ModelRef] {
        match self {
            Self::Scan(order) => &order.plan.models,
            _ => self.model().map_or(&[], std::slice::from_ref),
        }
    }

    /// The model that is asked; the first of a scan, whose plan may be empty.
    pub fn model(&self) -> Option<&ModelRef> {
        Some(match self {
            Self::Predict(subject)
            | Self::Attack(subject, _)
            | Self::Sweep(subject, ..)
            | Self::PreviewNormalizers(subject) => &subject.model,
            Self::Explain(request) => &request.model,
            Self::Curves(explained) | Self::Sanity(explained) => &explained.request.model,
            Self::Synthesize { request, .. } => &request.model,
            Self::Counterfactual(request) => &request.model,
            Self::UnitActivations(unit_activations) => &unit_activations.model,
            Self::Scan(order) => return order.plan.models.first(),
        })
    }
}

/// What the window is told.
pub enum ComputeMessage {
    /// A model has looked at the picture.
    Predicted(PredictionResult),
    /// A share of the attack is done, in [0, 1].
    Progress(f32),
    /// The attack at the chosen ε is done.
    Attacked(AttackResult),
    /// Some attacks of the sweep are done.
    Swept(Vec<AttackResult>),
    /// A map, as far as it is.
    Explained(Arc<AttributionResult>),
    /// A check that was asked for is now part of its map.
    Checked,
    /// What a picture would be were it of another class.
    Counterfactual(Arc<CounterfactualResult>),
    /// The picture being made, as far as it is.
    Synthesized(Box<SynthesisResult>),
    /// The library's pictures were looked at.
    UnitActivations(Arc<UnitActivations>),
    /// What the model says after every usual normaliser.
    NormalizersPreviewed(Vec<NormalizerPreview>),
    /// It did not work; the message is for people.
    Failed(String),
    /// How far the scan is.
    Scanned(ScanCounts),
    /// It did not fit into memory, and begins anew with fewer pictures at once.
    OutOfMemory,
    /// The device is gone, and this is what it said.
    DeviceLost(String),
}

/// What a model says of a picture.
#[derive(Clone)]
pub struct PredictionResult {
    /// The model that looked.
    pub manifest: Arc<Manifest>,
    /// The picture as the model sees it.
    pub input: GpuImage,
    /// Softmax over the classes.
    pub probabilities: Vec<f32>,
    /// The pooled representation R(x).
    pub representation: Vec<f32>,
    /// The class an untargeted attack leaves: the true one, else the predicted one.
    pub label: usize,
    /// Whether the model can turn pictures into other classes; its last label is then “fake”.
    pub has_generator: bool,
    /// How many pictures the model takes at once.
    pub budget: BatchSize,
    /// BLAKE3 of the model; see [`crate::triage::Fingerprint::of_model`].
    pub hash: Option<String>,
}

impl PredictionResult {
    /// The name of a class.
    pub fn name(&self, class: usize) -> &str {
        self.manifest.labels.get(class).map_or("?", String::as_str)
    }

    /// Whether the model's last output is “fake” instead of a class.
    pub fn knows_fake(&self) -> bool {
        let labels = &self.manifest.labels;
        real_classes(labels) < labels.len()
    }

    /// The likeliest class and its probability, in words.
    pub fn sure(&self, probabilities: &[f32]) -> String {
        let class = top(probabilities);
        let share = probabilities.get(class).copied().unwrap_or(0.0);
        format!("{} {:.0} %", self.name(class), share * 100.0)
    }
}

/// What an attack did to a picture, judged by a fresh look.
#[derive(Clone)]
pub struct AttackResult {
    /// The ε it was allowed.
    pub epsilon: f32,
    /// The adversarial picture.
    pub picture: GpuImage,
    /// Softmax over the classes.
    pub probabilities: Vec<f32>,
    /// L∞ norm of the perturbation.
    pub linf: f32,
    /// L2 norm of the perturbation.
    pub l2: f32,
    /// Whether every value is in [0, 1].
    pub inside_box: bool,
}

impl AttackResult {
    /// How long the perturbation is in both norms, such as `L∞ 7.9/255 · L2 0.5`.
    pub fn lengths(&self) -> String {
        let [linf, l2] = [(Norm::Linf, self.linf), (Norm::L2, self.l2)]
            .map(|(norm, length)| format!("{norm} {}", norm.format(length)));
        format!("{linf} · {l2}")
    }
}

/// Whether the attack had nothing to do: the picture was never seen as the class to leave, or is
/// seen as the target already.
pub fn flipped_before(attack: &Attack, prediction: &PredictionResult) -> bool {
    flips(attack, prediction.label, &prediction.probabilities)
}

/// Whether these probabilities are what an attack wants.
pub fn flips(attack: &Attack, label: usize, probabilities: &[f32]) -> bool {
    attack.goal.is_reached(label, top(probabilities))
}
