//! Requests of the window to the scheduler, and the results that come back.

use std::sync::{Arc, OnceLock};

use super::{GpuImage, HeatMap};
use crate::attack::{Attack, Norm};
use crate::attribution::{Attribution, Curves, Explanation};
use crate::compute::{
    CounterfactualRequest, CounterfactualResult, DescriptionPreview, PatchRequest, PatchResult,
    PreviewRequest, RobustnessRequest, RobustnessResult, ScanRequest, SeverityPrediction,
    SynthesisRequest, SynthesisResult, UnitActivations, UnitActivationsRequest,
};
use crate::counterfactual::real_classes;
use crate::data::{Corruption, Crop, Picture};
use crate::evaluate::top;
use crate::model::{BatchSize, Manifest, ModelRef};
use crate::triage::ScanCounts;

/// The input of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInput {
    /// The model.
    pub model: ModelRef,
    /// The picture.
    pub picture: Picture,
    /// The part of it that the model gets.
    pub crop: Crop,
    /// The true class, by name, where it is known.
    pub truth: Option<String>,
    /// What is done to the part before the model gets it; nothing of severity 0.
    pub corruption: Corruption,
    /// The pixels that attacks may change, white on black, as large as the picture's; all of them without one.
    pub attack_mask: Option<Picture>,
}

impl ModelInput {
    /// A picture as a model gets it when nobody has chosen a part of it.
    pub fn new(model: &ModelRef, picture: &Picture, truth: Option<String>) -> Self {
        Self {
            model: model.clone(),
            picture: picture.clone(),
            crop: Crop::default(),
            truth,
            corruption: Corruption::default(),
            attack_mask: None,
        }
    }

    /// The same without what concerns attacks alone.
    pub fn without_attack_mask(&self) -> Self {
        Self {
            attack_mask: None,
            ..self.clone()
        }
    }
}

/// A request for an attribution.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributionRequest {
    /// The model.
    pub model: ModelRef,
    /// The model's input: the picture that is on the screen.
    pub picture: GpuImage,
    /// The two classes with the largest probabilities.
    pub likeliest: [usize; 2],
    /// The class that an untargeted attack leaves: the true one, else the one predicted before.
    pub label: usize,
    /// ε of the attack behind it; 0 for the picture itself.
    pub epsilon: f32,
    /// The method and the class that it explains.
    pub explanation: Explanation,
    /// The picture that [`crate::attribution::Fill::Picture`] means.
    pub reference: Option<Picture>,
    /// The library's pictures, where they are the method's background set.
    pub background: Vec<Picture>,
}

impl AttributionRequest {
    /// What the attribution explains, in words.
    pub fn asks(&self, prediction: &PredictionResult) -> String {
        let (method, target) = (&self.explanation.method, self.target());
        let class = prediction.name(target.class);
        match target.against.map(|other| prediction.name(other)) {
            _ if !method.is_of_class() => method.name().into(),
            Some(other) => format!("Why {class}, not {other}?"),
            None => format!("Why {class}?"),
        }
    }
}

/// An attribution, finished or not.
pub struct AttributionResult {
    /// The request.
    pub request: AttributionRequest,
    /// The values with their errors.
    pub attribution: Attribution,
    /// The heat map that is drawn.
    pub heat: HeatMap,
    /// Share of the computation done; 1 when finished.
    pub progress: f32,
    /// Deletion and insertion curves, once requested.
    pub curves: OnceLock<Curves>,
    /// Rank correlation with the maps of ever more randomised models
    /// ([`crate::attribution::RANDOMISED`]), once requested.
    pub sanity: OnceLock<Vec<f32>>,
}

impl AttributionResult {
    /// Whether the computation is finished.
    pub fn finished(&self) -> bool {
        self.progress >= 1.0
    }
}

/// Equal if they share their memory.
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

/// What is to be computed in a lane.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Predict the picture.
    Predict(ModelInput),
    /// Attack it.
    Attack(ModelInput, Attack),
    /// Attack it at a grid of ε up to this one; the attack's own ε does not count.
    Sweep(ModelInput, Attack, f32),
    /// Predict it at a grid of severities of its corruption, whose own severity does not count.
    SweepSeverity(ModelInput),
    /// Compute an attribution.
    Explain(AttributionRequest),
    /// Compute deletion and insertion curves of a finished attribution.
    Curves(Arc<AttributionResult>),
    /// Compare a finished attribution with those of randomised models.
    Sanity(Arc<AttributionResult>),
    /// Synthesise a picture.
    Synthesize {
        /// The settings.
        request: SynthesisRequest,
        /// Steps to do.
        until: usize,
        /// Whether it pauses there, so that distances are worth computing.
        rests: bool,
    },
    /// Compute a counterfactual.
    Counterfactual(CounterfactualRequest),
    /// Compute the activations of all units for these pictures.
    UnitActivations(UnitActivationsRequest),
    /// Check the picture by AutoAttack.
    CheckRobustness(RobustnessRequest),
    /// Search the best place of a patch.
    SearchPatch(PatchRequest),
    /// Predict the picture after every usual normaliser.
    PreviewDescriptions(PreviewRequest),
    /// Scan a set of pictures.
    Scan(ScanRequest),
}

impl Request {
    /// All models of the request.
    pub fn models(&self) -> &[ModelRef] {
        match self {
            Self::Scan(order) => &order.plan.models,
            _ => self.model().map_or(&[], std::slice::from_ref),
        }
    }

    /// The model of the request; the first of a scan, whose plan may be empty.
    pub fn model(&self) -> Option<&ModelRef> {
        Some(match self {
            Self::Predict(subject)
            | Self::Attack(subject, _)
            | Self::Sweep(subject, ..)
            | Self::SweepSeverity(subject) => &subject.model,
            Self::PreviewDescriptions(request) => &request.input.model,
            Self::Explain(request) => &request.model,
            Self::Curves(explained) | Self::Sanity(explained) => &explained.request.model,
            Self::Synthesize { request, .. } => &request.model,
            Self::Counterfactual(request) => &request.model,
            Self::UnitActivations(unit_activations) => &unit_activations.model,
            Self::CheckRobustness(request) => &request.input.model,
            Self::SearchPatch(request) => &request.input.model,
            Self::Scan(order) => return order.plan.models.first(),
        })
    }
}

/// Progress and results for the window.
pub enum ComputeMessage {
    /// The prediction.
    Predicted(PredictionResult),
    /// Share of the attack done, in [0, 1].
    Progress(f32),
    /// The finished attack at the chosen ε.
    Attacked(AttackResult),
    /// Finished attacks of the sweep.
    Swept(Vec<AttackResult>),
    /// An attribution, finished or not.
    Explained(Arc<AttributionResult>),
    /// A requested check is now part of its attribution.
    Checked,
    /// A counterfactual, finished or not.
    Counterfactual(Arc<CounterfactualResult>),
    /// A synthesised picture, finished or not.
    Synthesized(Box<SynthesisResult>),
    /// Activations of all units for the library's pictures.
    UnitActivations(Arc<UnitActivations>),
    /// A check by AutoAttack, finished or not.
    RobustnessChecked(Arc<RobustnessResult>),
    /// A prediction of the sweep over severities.
    SeveritySwept(SeverityPrediction),
    /// The search for the place of a patch, finished or not.
    PatchSearched(Box<PatchResult>),
    /// Predictions after every usual normaliser.
    DescriptionsPreviewed(Vec<DescriptionPreview>),
    /// The request failed; the message is for people.
    Failed(String),
    /// Counts of the scan.
    Scanned(ScanCounts),
    /// Out of memory; the request starts again with smaller batches.
    OutOfMemory,
    /// The device is lost, with the driver's message.
    DeviceLost(String),
}

/// A prediction.
#[derive(Clone)]
pub struct PredictionResult {
    /// The model's manifest.
    pub manifest: Arc<Manifest>,
    /// The model's input.
    pub input: GpuImage,
    /// Softmax over the classes.
    pub probabilities: Vec<f32>,
    /// The pooled representation R(x).
    pub representation: Vec<f32>,
    /// The class an untargeted attack leaves: the true one, else the predicted one.
    pub label: usize,
    /// Whether the model has a generator of counterfactuals.
    pub has_generator: bool,
    /// How many pictures the model takes at once.
    pub budget: BatchSize,
    /// BLAKE3 of the model; see [`crate::model::Fingerprint::of_model`].
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

/// The result of an attack, with the prediction of a new forward pass.
#[derive(Clone)]
pub struct AttackResult {
    /// Radius ε of the attack.
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
    /// Norms of the perturbation, such as `L∞ 7.9/255 · L2 0.5`.
    pub fn lengths(&self) -> String {
        let [linf, l2] = [(Norm::Linf, self.linf), (Norm::L2, self.l2)]
            .map(|(norm, length)| format!("{norm} {}", norm.format(length)));
        format!("{linf} · {l2}")
    }
}

/// Whether the clean prediction satisfies the attack's goal already.
pub fn flipped_before(attack: &Attack, prediction: &PredictionResult) -> bool {
    flips(attack, prediction.label, &prediction.probabilities)
}

/// Whether these probabilities satisfy the attack's goal.
pub fn flips(attack: &Attack, label: usize, probabilities: &[f32]) -> bool {
    attack.goal.is_reached(label, top(probabilities))
}
