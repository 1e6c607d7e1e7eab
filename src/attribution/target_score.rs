//! The explained score and its input gradients, evaluated on batches of plain vectors.

use burn::tensor::{Tensor, TensorData};

use super::Target;
use crate::model::{Classifier, tensor_values};

/// The scalar score of a [`Target`] as a function of pictures of one size.
#[derive(Clone, Copy, Debug)]
pub(super) struct TargetScore {
    pub(super) target: Target,
    pub(super) size: [usize; 2],
}

impl TargetScore {
    /// Number of values of one picture.
    pub(super) fn length(&self) -> usize {
        3 * self.size[0] * self.size[1]
    }

    /// Pictures `[n, 3, h, w]` as a tensor on the model's device.
    pub(super) fn tensor(&self, model: &Classifier, pictures: Vec<f32>) -> Tensor<4> {
        let [h, w] = self.size;
        let count = pictures.len() / self.length();
        Tensor::from_data(TensorData::new(pictures, [count, 3, h, w]), model.device())
    }

    /// The target's score of each picture.
    pub(super) fn scores(&self, model: &Classifier, pictures: Vec<f32>) -> Vec<f32> {
        let x = self.tensor(model, pictures);
        tensor_values(self.target.of_logits(model.logits(x)))
    }

    /// The gradient of the target's score with respect to each picture, `[n, 3, h, w]`.
    pub(super) fn gradients(&self, model: &Classifier, pictures: Vec<f32>) -> Vec<f32> {
        let x = self.tensor(model, pictures);
        let score = |features| self.target.of_logits(model.logits_of(features));
        tensor_values(model.gradient(&x, &score).1)
    }
}
