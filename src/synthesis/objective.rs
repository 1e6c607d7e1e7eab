//! What syntheses minimise.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use super::{Aim, Synthesis, Task};
use crate::attack::Objective;
use crate::model::{Classifier, FeatureLayer, tensor_values};

/// What is read off the network.
enum Reading {
    /// ‖R(x) − R(t)‖₂ / ‖R(t)‖₂ (paper A, section 3.2).
    Distance(Box<Target>),
    /// Minus the logit of a class.
    Logit(usize),
    /// Cross-entropy to a class.
    CrossEntropy(usize),
    /// Minus a coordinate of the representation.
    Unit(usize),
}

/// R(t) for each picture, or one for all.
struct Target {
    /// `[n, d]`.
    representation: Tensor<2>,
    /// ‖R(t)‖₂, `[n]`.
    length: Tensor<1>,
}

/// The objective of a synthesis.
pub(super) struct Aimed<'a> {
    model: &'a Classifier,
    cut: FeatureLayer,
    reading: &'a SynthesisGoal,
}

/// What of an objective lasts longer than a borrow of the model.
pub(super) struct SynthesisGoal(Reading);

impl SynthesisGoal {
    /// `target`: the pictures `[n, 3, h, w]` to be inverted, or one for all, where they are.
    ///
    /// # Errors
    /// A reason for people where the target has no representation to come near to.
    pub(super) fn new(
        config: &Synthesis,
        model: &Classifier,
        target: Option<&Tensor<4>>,
    ) -> Result<Self, String> {
        Ok(Self(match config.task {
            Task::Invert { .. } => {
                let target = target.ok_or("an inversion needs a picture to invert")?;
                let cut = config.cut();
                let target = representation(model, cut, model.features_at(target.clone(), cut));
                let length = target
                    .clone()
                    .square()
                    .sum_dim(1)
                    .squeeze_dim::<1>(1)
                    .sqrt();
                let sound = |length: &f32| length.is_finite() && *length > 0.0;
                let lengths = tensor_values(length.clone());
                if let Some(wrong) = lengths.iter().find(|length| !sound(length)) {
                    return Err(format!(
                        "the length of the target's representation is {wrong}; there is nothing to come near to"
                    ));
                }
                Reading::Distance(Box::new(Target {
                    representation: target,
                    length,
                }))
            }
            Task::Generate { class, aim } => match aim {
                Aim::Logit => Reading::Logit(class),
                Aim::CrossEntropy => Reading::CrossEntropy(class),
            },
            Task::Neuron(unit) => Reading::Unit(unit.index),
        }))
    }

    /// The objective for `model`.
    pub(super) fn on<'a>(&'a self, config: &Synthesis, model: &'a Classifier) -> Aimed<'a> {
        Aimed {
            model,
            cut: config.cut(),
            reading: self,
        }
    }
}

/// What a feature map means: the pooled representation, or all values of an earlier map.
fn representation(model: &Classifier, cut: FeatureLayer, features: Tensor<4>) -> Tensor<2> {
    match cut.stage {
        None => model.embed(features),
        Some(_) => features.flatten(1, 3),
    }
}

impl Aimed<'_> {
    fn of_features(&self, features: Tensor<4>) -> Tensor<1> {
        let model = self.model;
        match &self.reading.0 {
            Reading::Distance(target) => {
                let difference =
                    representation(model, self.cut, features) - target.representation.clone();
                // √ has no slope at 0: an inversion that arrived stays.
                let square = difference.square().sum_dim(1).squeeze_dim::<1>(1);
                (square + f32::MIN_POSITIVE).sqrt() / target.length.clone()
            }
            Reading::Logit(class) => column(model.logits_of(features), *class).neg(),
            Reading::CrossEntropy(class) => {
                column(log_softmax(model.logits_of(features), 1), *class).neg()
            }
            Reading::Unit(index) => match self.cut.stage {
                None => column(model.embed(features), *index).neg(),
                Some(_) => {
                    let means = features.mean_dims(&[2, 3]).flatten::<2>(1, 3);
                    column(means, *index).neg()
                }
            },
        }
    }
}

fn column(matrix: Tensor<2>, index: usize) -> Tensor<1> {
    matrix.narrow(1, index, 1).squeeze_dim(1)
}

impl Objective for Aimed<'_> {
    fn loss(&self, x: Tensor<4>) -> Tensor<1> {
        self.of_features(self.model.features_at(x, self.cut))
    }

    fn gradient(&self, x: &Tensor<4>) -> (Tensor<1>, Tensor<4>) {
        let loss = |features| self.of_features(features);
        self.model.gradient_at(x, self.cut, &loss)
    }
}

/// Gradient of each picture's mean total variation √(∂ₓ² + ∂ᵧ²) over pixels and channels (Rudin,
/// Osher and Fatemi 1992).
pub(super) fn variation_gradient(x: &Tensor<4>) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    if h < 2 || w < 2 {
        return x.zeros_like();
    }
    let variation = |x: Tensor<4>| {
        let corner = x.clone().narrow(2, 0, h - 1).narrow(3, 0, w - 1);
        let down = x.clone().narrow(2, 1, h - 1).narrow(3, 0, w - 1) - corner.clone();
        let right = x.narrow(2, 0, h - 1).narrow(3, 1, w - 1) - corner;
        let length = (down.square() + right.square() + SMOOTH).sqrt();
        length.mean_dims(&[1, 2, 3]).reshape([-1])
    };
    crate::model::gradient(x, variation).1
}

/// Rounds the total variation's kink at flat places: (1/255)², so that less than a grey level counts
/// as flat.
const SMOOTH: f32 = 1.5e-5;
