//! What a picture would be were it of another class, and what the classifier says of the way there.

mod descent;
mod generator;

pub(super) use descent::DescentRuns;
pub use descent::{DescentJob, by_descent};
pub use generator::by_generator;

use burn::tensor::{Tensor, TensorData};

use super::{GpuImage, HeatMap};
use crate::attack::{AttackMask, Norm};
use crate::counterfactual::{DescentSettings, GeneratorRef, change_map, otsu};
use crate::data::mask::binary_mask;
use crate::data::{Crop, Picture};
use crate::error::{Error, Result};
use crate::evaluate::{probabilities, top};
use crate::model::{Classifier, Manifest, ModelRef, tensor_values};
use crate::synthesis::{Distances, distances};

/// Places on the way from a picture to its counterfactual, both ends included.
const PLACES: usize = 17;

/// Probability of the target class from which a counterfactual counts as sure.
pub const SURE: f32 = 0.9;

/// How a counterfactual is made.
#[derive(Clone, Debug, PartialEq)]
pub enum CounterfactualMethod {
    /// By a generator (paper B).
    Generator(GeneratorRef),
    /// By descent on pixels.
    Descent(DescentSettings),
}

/// A question to a model.
#[derive(Clone, Debug, PartialEq)]
pub struct CounterfactualRequest {
    /// The model that is asked.
    pub model: ModelRef,
    /// The very picture that is on the screen.
    pub picture: GpuImage,
    /// ε of the attack behind it; 0 for the picture itself.
    pub epsilon: f32,
    /// The class to turn it into; without one, the likeliest that it is not.
    pub target: Option<usize>,
    /// How.
    pub method: CounterfactualMethod,
    /// The pixels that may change, if not all: a mask as large as the picture that was cropped, and the crop.
    pub mask: Option<(Picture, Crop)>,
    /// A new number makes it again.
    pub attempt: u32,
}

/// A picture that was turned into its class again.
#[derive(Clone)]
pub struct WayBack {
    /// The picture.
    pub picture: GpuImage,
    /// What the classifier says of it.
    pub probabilities: Vec<f32>,
}

/// The answer, finished or not.
pub struct CounterfactualResult {
    /// What was asked.
    pub request: CounterfactualRequest,
    /// The class that the classifier sees in the picture, “fake” not being one.
    pub source: usize,
    /// The class that the picture is turned into.
    pub target: usize,
    /// The counterfactual, G(x).
    pub picture: GpuImage,
    /// The counterfactual turned into `source` again, G(G(x)); for a descent once it is made.
    pub back: Option<WayBack>,
    /// |x − G(x)|, the mean of the channels.
    pub heat: HeatMap,
    /// Otsu's threshold of it.
    pub otsu: f32,
    /// What the classifier says of x + s · (G(x) − x) at evenly spaced s from 0 to 1: the two ends while it is
    /// being made, more once it is there.
    pub way: Vec<Vec<f32>>,
    /// What the generator's own head says of the picture, where there is a generator.
    pub head: Option<Vec<f32>>,
    /// How far the counterfactual is from the picture, once it is there; the classifier gives the features.
    pub distances: Option<Distances>,
    /// How many times longer than a length is said it is over three channels; see [`Norm::channel_scale`].
    pub channel_scale: f32,
    /// Share of the work done; 1 for a finished answer.
    pub progress: f32,
}

impl PartialEq for CounterfactualResult {
    /// Answers are the same if they are one in memory.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl std::fmt::Debug for CounterfactualResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "CounterfactualResult({:?}, {})",
            self.request, self.progress
        )
    }
}

impl CounterfactualResult {
    /// Whether nothing is left to do.
    pub fn finished(&self) -> bool {
        self.progress >= 1.0
    }

    /// Mean |x − G(x)|.
    pub fn change(&self) -> f32 {
        let values = self.heat.values();
        values.iter().sum::<f32>() / values.len().max(1) as f32
    }

    /// The norm in which the size of the change is stated: that of the descent, L2 for a generator.
    pub fn norm(&self) -> Norm {
        match self.request.method {
            CounterfactualMethod::Generator(_) => Norm::L2,
            CounterfactualMethod::Descent(settings) => settings.norm,
        }
    }

    /// Whether the change, above a threshold, is a mask of what tells the classes apart. That of a descent
    /// is spread over the picture.
    pub fn is_mask(&self) -> bool {
        matches!(self.request.method, CounterfactualMethod::Generator(_))
    }

    /// Length of the whole change in [`CounterfactualResult::norm`].
    pub fn length(&self) -> f32 {
        let pair = self
            .request
            .picture
            .planes()
            .iter()
            .zip(self.picture.planes());
        self.norm().length_of(pair.map(|(x, g)| g - x)) / self.channel_scale
    }

    /// The smallest share of the way at which the classifier sees the target class.
    pub fn flip(&self) -> Option<f32> {
        self.first(|seen| {
            let target = seen.get(self.target).copied().unwrap_or(0.0);
            let others = seen.iter().enumerate();
            let others = others.filter(|(class, _)| *class != self.target);
            target - others.map(|(_, &value)| value).fold(0.0, f32::max)
        })
    }

    /// The smallest share of the way at which the target class has the probability [`SURE`].
    pub fn sure(&self) -> Option<f32> {
        self.first(|seen| seen.get(self.target).copied().unwrap_or(0.0) - SURE)
    }

    /// The smallest share of the way at which `value` is not negative: between two places in proportion.
    fn first(&self, value: impl Fn(&[f32]) -> f32) -> Option<f32> {
        let values: Vec<f32> = self.way.iter().map(|seen| value(seen)).collect();
        let place = values.iter().position(|&value| value >= 0.0)?;
        let Some(before) = place.checked_sub(1) else {
            return Some(0.0);
        };
        let (low, high) = (values[before], values[place]);
        let within = -low / (high - low).max(f32::MIN_POSITIVE);
        Some(self.share(before as f32 + within))
    }

    /// The share of the way at which a place of [`CounterfactualResult::way`] is.
    pub fn share(&self, place: f32) -> f32 {
        place / (self.way.len() - 1).max(1) as f32
    }

    /// The picture at the share `along` of the way, in [0, 1].
    pub fn on_the_way(&self, along: f32) -> GpuImage {
        let from = &self.request.picture;
        let pair = from.planes().iter().zip(self.picture.planes());
        let planes = pair.map(|(x, g)| x + along * (g - x)).collect();
        GpuImage::from_planes(planes, from.size())
    }

    /// What the classifier says at the share `at` of the way, in [0, 1]: between two places in proportion.
    pub fn seen(&self, at: f32) -> Vec<f32> {
        let last = self.way.len() - 1;
        let place = at.clamp(0.0, 1.0) * last as f32;
        let (low, rest) = (place.floor() as usize, place.fract());
        let high = (low + 1).min(last);
        let pair = self.way[low].iter().zip(&self.way[high]);
        pair.map(|(low, high)| low + rest * (high - low)).collect()
    }
}

/// A request with what is known before anything is made.
struct Question {
    request: CounterfactualRequest,
    /// The picture, `[1, 3, h, w]`.
    x: Tensor<4>,
    /// What the classifier says of it.
    before: Vec<f32>,
    source: usize,
    target: usize,
    mask: Option<AttackMask>,
    channel_scale: f32,
}

impl Question {
    /// Asks `classifier`, of whose outputs the first `classes` are classes and `targets` those into which the
    /// picture can be turned.
    ///
    /// # Errors
    /// [`Error::Config`] when the target is no class of the model or none of `targets`, or there is only one.
    fn new(
        classifier: &Classifier,
        classes: usize,
        targets: &[usize],
        request: CounterfactualRequest,
    ) -> Result<Self> {
        let Manifest { name, labels, .. } = classifier.manifest();
        if request.target.is_some_and(|target| target >= classes) {
            let reason = format!("{name} has only {classes} classes");
            return Err(Error::Config(reason));
        }
        if classes < 2 {
            let reason = format!("{name} has no second class into which a picture could be turned");
            return Err(Error::Config(reason));
        }
        if let Some(target) = request.target.filter(|target| !targets.contains(target)) {
            let names: Vec<&str> = targets.iter().map(|&target| &*labels[target]).collect();
            let reason = format!(
                "the generator for {name} makes no {}; it makes {}",
                labels[target],
                names.join(", ")
            );
            return Err(Error::Config(reason));
        }
        let size = request.picture.size();
        let data = TensorData::new(request.picture.planes().to_vec(), [1, 3, size[0], size[1]]);
        let x: Tensor<4> = Tensor::from_data(data, classifier.device());
        let norm = match request.method {
            CounterfactualMethod::Generator(_) => Norm::L2,
            CounterfactualMethod::Descent(settings) => settings.norm,
        };
        let channel_scale = norm.channel_scale(classifier.manifest());
        let mask = request.mask.as_ref();
        let mask = mask.map(|(mask, crop)| AttackMask::new(binary_mask(mask, *crop, size), size));
        let mask = mask.transpose()?;
        let before = probabilities(classifier, x.clone()).remove(0);
        let source = top(&before[..classes]);
        let target = request.target.unwrap_or_else(|| {
            let others = targets.iter().copied().filter(|&class| class != source);
            others
                .max_by(|&a, &b| before[a].total_cmp(&before[b]))
                .unwrap_or(source)
        });
        Ok(Self {
            request,
            x,
            before,
            source,
            target,
            mask,
            channel_scale,
        })
    }

    /// A picture as far as the mask lets it differ from the one that is asked about.
    fn inside_mask(&self, made: Tensor<4>) -> Tensor<4> {
        match &self.mask {
            Some(mask) => mask.compose(&self.x, made),
            None => made,
        }
    }

    /// An answer that is not finished yet: the counterfactual `made` so far (`[1, 3, h, w]`) and what the
    /// classifier says of it.
    fn unfinished(&self, made: Tensor<4>, seen: Vec<f32>, progress: f32) -> CounterfactualResult {
        let size = self.request.picture.size();
        let values = tensor_values(change_map(self.x.clone(), made.clone()));
        CounterfactualResult {
            request: self.request.clone(),
            source: self.source,
            target: self.target,
            picture: GpuImage::new(made),
            back: None,
            otsu: otsu(&values),
            heat: HeatMap::new(values, size),
            way: vec![self.before.clone(), seen],
            head: None,
            distances: None,
            channel_scale: self.channel_scale,
            progress,
        }
    }

    /// The answer with the counterfactual `made` and, where it can be, the picture turned `back` again, both
    /// `[1, 3, h, w]`.
    fn finished(
        &self,
        classifier: &Classifier,
        made: Tensor<4>,
        back: Option<Tensor<4>>,
    ) -> CounterfactualResult {
        let step = made.clone() - self.x.clone();
        let places = (0..PLACES).map(|place| place as f64 / (PLACES - 1) as f64);
        let way: Vec<Tensor<4>> = places
            .map(|share| self.x.clone() + step.clone() * share)
            .collect();
        let pictures: Vec<Tensor<4>> = way.into_iter().chain(back.clone()).collect();
        let mut way = probabilities(classifier, Tensor::cat(pictures, 0));
        let back = back.map(|back| WayBack {
            picture: GpuImage::new(back),
            probabilities: way.pop().expect("the way back"),
        });
        let size = self.request.picture.size();
        let distances = distances(
            classifier,
            self.request.picture.planes(),
            &tensor_values(made.clone()),
            size,
        );
        let mut answer = self.unfinished(made, Vec::new(), 1.0);
        answer.way = way;
        answer.back = back;
        answer.distances = Some(distances);
        answer
    }
}
