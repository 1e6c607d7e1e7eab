//! Predictions of a model with other normalisers.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use crate::evaluate::top;
use crate::model::import::NORMALIZERS;
use crate::model::{Classifier, Normalizer, tensor_values};

/// The prediction with one normaliser.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalizerPreview {
    /// The normaliser.
    pub normalizer: Normalizer,
    /// What it is called, for instance `imagenet`.
    pub name: &'static str,
    /// The likeliest class.
    pub class: usize,
    /// Its probability.
    pub confidence: f32,
}

/// The predictions for all of [`NORMALIZERS`] on a picture `[1, 3, h, w]`.
pub(super) fn preview(model: &Classifier, x: &Tensor<4>) -> Vec<NormalizerPreview> {
    let own = model.manifest().normalizer;
    // The model's own normaliser undoes what is put before it.
    let instead = NORMALIZERS.map(|(_, other)| own.undo(other.apply(x.clone())));
    let logits = model.logits(Tensor::cat(instead.to_vec(), 0));
    let probabilities = tensor_values(softmax(logits, 1));
    let rows = probabilities.chunks_exact(model.classes());
    let guess = |((name, normalizer), row): ((&'static str, Normalizer), &[f32])| {
        let class = top(row);
        NormalizerPreview {
            normalizer,
            name,
            class,
            confidence: row[class],
        }
    };
    NORMALIZERS.into_iter().zip(rows).map(guess).collect()
}
