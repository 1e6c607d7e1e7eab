//! Loss terms of counterfactual training: cross-entropy, cycle, identity, sparsity, total variation; each
//! a scalar.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};

/// Cross-entropy of logits `[n, k]` to target distributions `[n, k]`, mean over the pictures.
pub fn cross_entropy(logits: Tensor<2>, wanted: Tensor<2>) -> Tensor<1> {
    let [n, _] = logits.dims();
    (log_softmax(logits, 1) * wanted).sum().neg() / n as f64
}

/// The discriminator's target distributions `[n, classes + 1]` for generated pictures: `source_share` for
/// the class of the original picture, the rest for “fake”.
pub fn labels_of_generated(
    sources: &[usize],
    classes: usize,
    source_share: f64,
    device: &Device,
) -> Tensor<2> {
    let mut values = vec![0.0f32; sources.len() * (classes + 1)];
    for (row, &source) in values.chunks_exact_mut(classes + 1).zip(sources) {
        row[classes] = 1.0 - source_share as f32;
        row[source] = source_share as f32;
    }
    Tensor::from_data(
        TensorData::new(values, [sources.len(), classes + 1]),
        device,
    )
}

/// Mean |a − b| of pictures `[n, c, h, w]`.
pub fn distance(a: Tensor<4>, b: Tensor<4>) -> Tensor<1> {
    (a - b).abs().mean()
}

/// Identity loss: the mean |change|, `[n, c, h, w]`, over all pictures, counting only those whose target
/// class is their own, for which `same`, `[n]`, is 1 instead of 0.
pub fn identity(change: Tensor<4>, same: Tensor<1>) -> Tensor<1> {
    let [n, ..] = change.dims();
    let of_each: Tensor<1> = change
        .abs()
        .reshape([n as i32, -1])
        .mean_dim(1)
        .squeeze_dim(1);
    (of_each * same).mean()
}

/// Anisotropic total variation of `[n, c, h, w]`: the mean absolute difference of vertical neighbours
/// plus that of horizontal ones.
pub fn total_variation(change: Tensor<4>) -> Tensor<1> {
    let [_, _, h, w] = change.dims();
    let along = |dim: usize, length: usize| {
        let (first, second) = (change.clone(), change.clone());
        let apart = first.narrow(dim, 1, length - 1) - second.narrow(dim, 0, length - 1);
        apart.abs().mean()
    };
    along(2, h) + along(3, w)
}
