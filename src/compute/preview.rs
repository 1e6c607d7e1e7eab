//! Predictions of a model under other descriptions of its file: what it would answer if it were read otherwise.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use crate::evaluate::top;
use crate::model::import::{
    Alternative, DescriptionEdit, NORMALIZERS, NormalizerSource, alternatives,
};
use crate::model::{Classifier, ModelRef, tensor_values, zoo};

/// The prediction under one description.
#[derive(Clone, Debug, PartialEq)]
pub struct DescriptionPreview {
    /// What it says of the file, in place of what is said now.
    pub alternative: Alternative,
    /// The likeliest class.
    pub class: usize,
    /// Its probability.
    pub confidence: f32,
}

/// The predictions of `model`, opened by `reference`, on a picture `[1, 3, h, w]`: for all of [`NORMALIZERS`], and
/// for all [`alternatives`] of its architecture, as which its file is opened again.
pub(super) fn preview(
    reference: &ModelRef,
    model: &Classifier,
    x: &Tensor<4>,
) -> Vec<DescriptionPreview> {
    let own = model.manifest().normalizer;
    // The model's own normaliser undoes what is put before it.
    let instead = NORMALIZERS.map(|(_, other)| own.undo(other.apply(x.clone())));
    // The last row is of the picture as it is.
    let all = Tensor::cat([&instead[..], std::slice::from_ref(x)].concat(), 0);
    let logits = model.logits(all);
    let current = logits.clone().narrow(0, NORMALIZERS.len(), 1);
    let normalizers = NORMALIZERS.into_iter().enumerate();
    let normalizers = normalizers.map(|(row, (name, other))| {
        let alternative = Alternative {
            what: "Normaliser",
            name,
            edit: DescriptionEdit::Normalizer(NormalizerSource::Named(name.into())),
            is_current: other == own,
        };
        (alternative, logits.clone().narrow(0, row, 1))
    });
    let description = reference.description().unwrap_or_default();
    let others = alternatives(&model.manifest().architecture, &description);
    let reopened = others.into_iter().filter_map(|alternative| {
        if alternative.is_current {
            return Some((alternative, current.clone()));
        }
        // An alternative that does not fit the file is none.
        let other = zoo::open(&reference.edited(alternative.edit.clone())?, model.device()).ok()?;
        let same = other.manifest().input == model.manifest().input;
        same.then(|| (alternative, other.logits(x.clone())))
    });
    let all = normalizers.chain(reopened);
    all.map(|(alternative, logits)| {
        let probabilities = tensor_values(softmax(logits, 1));
        let class = top(&probabilities);
        DescriptionPreview {
            alternative,
            class,
            confidence: probabilities[class],
        }
    })
    .collect()
}
