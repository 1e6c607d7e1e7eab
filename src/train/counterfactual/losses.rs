//! Loss terms of counterfactual training: cross-entropy, cycle, identity, sparsity, total variation; each
//! a scalar.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};

use crate::counterfactual::reduced;

/// Values of the loss terms of one step, unweighted; 0 where a term was not computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LossTerms {
    /// Discriminator: cross-entropy of real pictures to their classes.
    pub discriminator_real: f64,
    /// Discriminator: cross-entropy of generated pictures to “fake”.
    pub discriminator_fake: f64,
    /// Generator: cross-entropy of the discriminator's output to the target classes.
    pub fool: f64,
    /// Generator: cycle-consistency loss.
    pub cycle: f64,
    /// Generator: identity loss.
    pub identity: f64,
    /// Generator: mean |x − G(x)|.
    pub sparsity: f64,
    /// Generator: total variation of the change.
    pub total_variation: f64,
    /// Generator: cross-entropy of its classification head.
    pub head: f64,
    /// Generator: cross-entropy of the frozen classifier's answer to the target classes.
    #[serde(default)]
    pub flip: f64,
    /// Generator: mean squared correlation of the changes of pictures with one target class.
    #[serde(default)]
    pub diversity: f64,
}

impl LossTerms {
    /// The values in the order of the fields.
    pub fn values(&self) -> [f64; 10] {
        { *self }.values_mut().map(|value| *value)
    }

    fn values_mut(&mut self) -> [&mut f64; 10] {
        let Self {
            discriminator_real,
            discriminator_fake,
            fool,
            cycle,
            identity,
            sparsity,
            total_variation,
            head,
            flip,
            diversity,
        } = self;
        [
            discriminator_real,
            discriminator_fake,
            fool,
            cycle,
            identity,
            sparsity,
            total_variation,
            head,
            flip,
            diversity,
        ]
    }

    /// Whether all values are finite.
    pub fn is_finite(&self) -> bool {
        self.values().iter().all(|value| value.is_finite())
    }

    /// Adds the values of another step.
    pub fn add(&mut self, other: &Self) {
        for (sum, value) in self.values_mut().into_iter().zip(other.values()) {
            *sum += value;
        }
    }
}

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

/// Side to which changes are reduced before they are compared.
const COMPARED: usize = 16;

/// Diversity: the mean squared correlation of changes `[n, c, h, w]` over all pairs of pictures with one target
/// class, 0 without such a pair. Changes are compared at a resolution of about 16 pixels a side, so that noise
/// does not make them different.
pub fn diversity(change: Tensor<4>, targets: &[usize]) -> Tensor<1> {
    let [n, _, h, w] = change.dims();
    let device = change.device().inner();
    let pairs = |a: usize| (0..n).map(move |b| a != b && targets[a] == targets[b]);
    let pairs: Vec<f32> = (0..n)
        .flat_map(pairs)
        .map(|pair| f32::from(u8::from(pair)))
        .collect();
    let count = pairs.iter().sum::<f32>().max(1.0);
    let pairs = Tensor::<2>::from_data(TensorData::new(pairs, [n, n]), &device);
    let factor = [h, w].map(|side| {
        if side % COMPARED == 0 {
            side / COMPARED
        } else {
            1
        }
    });
    let small: Tensor<2> = reduced(change, factor).flatten(1, 3);
    let centred = small.clone() - small.mean_dim(1);
    let length = (centred.clone().powi_scalar(2).sum_dim(1) + 1e-12).sqrt();
    let directions = centred / length;
    let correlations = directions.clone().matmul(directions.transpose());
    (correlations.powi_scalar(2) * pairs).sum() / f64::from(count)
}
