//! What a picture would be were it of another class, and what the discriminator says of the way there.

use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};

use super::{GpuImage, HeatMap};
use crate::counterfactual::{Counterfactual, change_map, otsu};
use crate::error::{Error, Result};
use crate::evaluate::{probabilities, top};
use crate::model::{ModelRef, tensor_values};
use crate::synthesis::{Distances, distances};

/// Places on the way from a picture to its counterfactual, both ends included.
pub const PLACES: usize = 17;

/// A question to a model with a generator.
#[derive(Clone, Debug, PartialEq)]
pub struct CounterfactualRequest {
    /// Path of a file, or id of a bundled model.
    pub model: ModelRef,
    /// The very picture that is on the screen.
    pub picture: GpuImage,
    /// ε of the attack behind it; 0 for the picture itself.
    pub epsilon: f32,
    /// The class to turn it into; without one, the likeliest that it is not.
    pub target: Option<usize>,
}

/// The answer.
pub struct CounterfactualResult {
    /// What was asked.
    pub request: CounterfactualRequest,
    /// The class that the discriminator sees in the picture, “fake” not being one.
    pub source: usize,
    /// The class that the picture was turned into.
    pub target: usize,
    /// G(x).
    pub picture: GpuImage,
    /// G(G(x)), turned into `source` again.
    pub back: GpuImage,
    /// |x − G(x)|, the mean of the channels.
    pub heat: HeatMap,
    /// Otsu's threshold of it.
    pub otsu: f32,
    /// What the discriminator says of x + s · (G(x) − x) for [`PLACES`] values of s in [0, 1].
    pub way: Vec<Vec<f32>>,
    /// What the discriminator says of the picture's return.
    pub seen_back: Vec<f32>,
    /// What the generator's own head says of the picture.
    pub head: Vec<f32>,
    /// How far the counterfactual is from the picture; the discriminator gives the features.
    pub distances: Distances,
}

impl PartialEq for CounterfactualResult {
    /// Answers are the same if they are one in memory.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl std::fmt::Debug for CounterfactualResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CounterfactualResult({:?})", self.request)
    }
}

impl CounterfactualResult {
    /// Mean |x − G(x)|.
    pub fn change(&self) -> f32 {
        let values = self.heat.values();
        values.iter().sum::<f32>() / values.len().max(1) as f32
    }

    /// The picture at the share `along` of the way, in [0, 1].
    pub fn on_the_way(&self, along: f32) -> GpuImage {
        let from = &self.request.picture;
        let pair = from.planes().iter().zip(self.picture.planes());
        let planes = pair.map(|(x, g)| x + along * (g - x)).collect();
        GpuImage::from_planes(planes, from.size())
    }

    /// What the discriminator says at the share `at` of the way, in [0, 1]: between two places in proportion.
    pub fn seen(&self, at: f32) -> Vec<f32> {
        let place = at.clamp(0.0, 1.0) * (PLACES - 1) as f32;
        let (low, rest) = (place.floor() as usize, place.fract());
        let high = (low + 1).min(PLACES - 1);
        let pair = self.way[low].iter().zip(&self.way[high]);
        pair.map(|(low, high)| low + rest * (high - low)).collect()
    }
}

/// Answers `request`.
///
/// # Errors
/// [`Error::Config`] when the target is no class of the model.
pub fn counterfactual(
    model: &Counterfactual,
    request: CounterfactualRequest,
) -> Result<CounterfactualResult> {
    let classes = model.classes();
    if request.target.is_some_and(|target| target >= classes) {
        let reason = format!(
            "{} has only {classes} classes",
            model.discriminator.manifest().name
        );
        return Err(Error::Config(reason));
    }
    let size = request.picture.size();
    let data = TensorData::new(request.picture.planes().to_vec(), [1, 3, size[0], size[1]]);
    let x: Tensor<4> = Tensor::from_data(data, model.discriminator.device());
    let before = probabilities(&model.discriminator, x.clone()).remove(0);
    let source = top(&before[..classes]);
    let target = request.target.unwrap_or_else(|| {
        let others = (0..classes).filter(|&class| class != source);
        others
            .max_by(|&a, &b| before[a].total_cmp(&before[b]))
            .unwrap_or(source)
    });
    let translated = model.generator.translate(x.clone(), &[target]);
    let made = translated.picture;
    let back = model.generator.translate(made.clone(), &[source]).picture;
    let step = made.clone() - x.clone();
    let places = (0..PLACES).map(|place| place as f64 / (PLACES - 1) as f64);
    let way: Vec<Tensor<4>> = places
        .map(|share| x.clone() + step.clone() * share)
        .collect();
    let mut way = probabilities(
        &model.discriminator,
        Tensor::cat([way, vec![back.clone()]].concat(), 0),
    );
    let seen_back = way.pop().expect("the return");
    let values = tensor_values(change_map(x, made.clone()));
    let planes = tensor_values(made.clone());
    Ok(CounterfactualResult {
        source,
        target,
        otsu: otsu(&values),
        heat: HeatMap::new(values, size),
        distances: distances(
            &model.discriminator,
            request.picture.planes(),
            &planes,
            size,
        ),
        picture: GpuImage::new(made),
        back: GpuImage::new(back),
        way,
        seen_back,
        head: tensor_values(softmax(translated.head, 1)),
        request,
    })
}
