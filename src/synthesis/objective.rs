//! Objective functions of image synthesis: representation distance, class scores, unit activations and
//! total variation.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use super::{ClassObjective, Synthesis, Task};
use crate::attack::Objective;
use crate::model::{Classifier, FeatureLayer, tensor_values};

/// The loss, as a function of the network's features.
enum Loss {
    /// ‖R(x) − R(t)‖₂ / ‖R(t)‖₂ (paper A, section 3.2).
    Distance(Box<TargetRepresentation>),
    /// Minus the logit of a class.
    Logit(usize),
    /// Cross-entropy to a class.
    CrossEntropy(usize),
    /// Minus a coordinate of the representation.
    Unit(usize),
}

/// The target representation R(t) of an inversion, one for each picture or one for all.
struct TargetRepresentation {
    /// R(t), `[n, d]`.
    representation: Tensor<2>,
    /// ‖R(t)‖₂, `[n]`.
    length: Tensor<1>,
}

/// The objective of a synthesis, bound to its model.
pub(super) struct BoundObjective<'a> {
    model: &'a Classifier,
    cut: FeatureLayer,
    prepared: &'a PreparedObjective,
}

/// The part of an objective that does not borrow the model.
pub(super) struct PreparedObjective(Loss);

impl PreparedObjective {
    /// `target` are the pictures `[n, 3, h, w]` to be inverted, or one for all; inversions only.
    ///
    /// # Errors
    /// A message where the target is missing or its representation is zero or not finite.
    pub(super) fn new(
        config: &Synthesis,
        model: &Classifier,
        target: Option<&Tensor<4>>,
    ) -> Result<Self, String> {
        Ok(Self(match config.task {
            Task::Invert { .. } => {
                let target = target.ok_or("an inversion needs a picture to invert")?;
                let cut = config.feature_layer();
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
                Loss::Distance(Box::new(TargetRepresentation {
                    representation: target,
                    length,
                }))
            }
            Task::Generate { class, objective } => match objective {
                ClassObjective::Logit => Loss::Logit(class),
                ClassObjective::CrossEntropy => Loss::CrossEntropy(class),
            },
            Task::Neuron(unit) => Loss::Unit(unit.index),
        }))
    }

    /// Binds the objective to `model`.
    pub(super) fn bind<'a>(
        &'a self,
        config: &Synthesis,
        model: &'a Classifier,
    ) -> BoundObjective<'a> {
        BoundObjective {
            model,
            cut: config.feature_layer(),
            prepared: self,
        }
    }
}

/// R(x) from a feature map: the pooled representation, or all values of an earlier stage's map.
fn representation(model: &Classifier, cut: FeatureLayer, features: Tensor<4>) -> Tensor<2> {
    match cut.stage {
        None => model.embed(features),
        Some(_) => features.flatten(1, 3),
    }
}

impl BoundObjective<'_> {
    fn of_features(&self, features: Tensor<4>) -> Tensor<1> {
        let model = self.model;
        match &self.prepared.0 {
            Loss::Distance(target) => {
                let difference =
                    representation(model, self.cut, features) - target.representation.clone();
                // √ is not differentiable at 0; the offset gives a converged inversion a zero gradient.
                let square = difference.square().sum_dim(1).squeeze_dim::<1>(1);
                (square + f32::MIN_POSITIVE).sqrt() / target.length.clone()
            }
            Loss::Logit(class) => column(model.logits_of(features), *class).neg(),
            Loss::CrossEntropy(class) => {
                column(log_softmax(model.logits_of(features), 1), *class).neg()
            }
            Loss::Unit(index) => match self.cut.stage {
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

impl Objective for BoundObjective<'_> {
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
        let length = (down.square() + right.square() + SMOOTHING).sqrt();
        length.mean_dims(&[1, 2, 3]).reshape([-1])
    };
    crate::model::gradient(x, variation).1
}

/// Makes the total variation differentiable where the picture is constant: (1/255)², one grey level
/// squared.
const SMOOTHING: f32 = 1.5e-5;
