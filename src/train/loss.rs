//! The loss of a training by the pictures' labels: cross-entropy with label smoothing, and mixup.

use burn::tensor::{Int, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::Beta;

/// Cross-entropy with label smoothing of log-probabilities `[n, k]` and labels `[n, 1]`, mean over the
/// batch.
pub(super) fn smoothed_cross_entropy(
    log_probabilities: Tensor<2>,
    labels: Tensor<2, Int>,
    smoothing: f64,
) -> Tensor<1> {
    let likelihood = log_probabilities.clone().gather(1, labels).mean();
    if smoothing == 0.0 {
        return likelihood.neg();
    }
    let uniform = log_probabilities.mean();
    (likelihood * (1.0 - smoothing) + uniform * smoothing).neg()
}

/// Mixup of one batch (Zhang et al. 2018): every picture is blended with another one of the batch, and the
/// loss with its loss. As batches are shuffled, the partner is the picture at the same place from the end.
#[derive(Clone, Copy)]
pub(super) struct Mixing {
    /// Share of a picture itself, in [½, 1]: the label of the greater share counts as the right answer.
    share: f32,
}

impl Mixing {
    /// Draws the share from Beta(`alpha`, `alpha`), `alpha` above 0, for the optimiser step `step`: the same
    /// for the same seed and step, so that a resumed training goes on as it would have.
    pub(super) fn draw(alpha: f64, seed: u64, step: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(step as u64);
        let distribution = Beta::new(alpha, alpha).expect("alpha is validated");
        let share: f64 = rng.sample(distribution);
        Self {
            share: share.max(1.0 - share) as f32,
        }
    }

    /// The blended pictures `[n, 3, h, w]`.
    pub(super) fn mix(self, pictures: Tensor<4>) -> Tensor<4> {
        let partners = pictures.clone().flip([0]);
        pictures * self.share + partners * (1.0 - self.share)
    }

    /// The loss of the blended pictures with `labels` `[n, 1]`: `loss` of either label by its share.
    pub(super) fn loss(
        self,
        labels: Tensor<2, Int>,
        loss: impl Fn(Tensor<2, Int>) -> Tensor<1>,
    ) -> Tensor<1> {
        let partners = labels.clone().flip([0]);
        loss(labels) * self.share + loss(partners) * (1.0 - self.share)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::log_softmax;
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::model::tensor_values;

    #[test]
    fn smoothed_labels_are_spread_over_all_classes() {
        let device = Device::flex();
        let logits = [0.3_f32, -1.2, 2.0, 0.1, 0.4, -0.5];
        let logits = Tensor::<2>::from_data(TensorData::new(logits.to_vec(), [2, 3]), &device);
        let labels = Tensor::<2, Int>::from_data([[2], [0]], &device);
        let log = log_softmax(logits, 1);
        let values = tensor_values(log.clone());
        // Smoothed targets: 0.7 for the label and 0.1 for every class.
        let cross_entropy =
            |row: &[f32], label: usize| -(0.7 * row[label] + 0.1 * row.iter().sum::<f32>());
        let expected = (cross_entropy(&values[..3], 2) + cross_entropy(&values[3..], 0)) / 2.0;
        let loss = smoothed_cross_entropy(log, labels, 0.3).into_scalar::<f32>();
        assert!((loss - expected).abs() < 1e-6, "{loss} and {expected}");
    }

    #[test]
    fn mixup_blends_pictures_and_losses_by_the_same_share() {
        let device = Device::flex();
        let pictures = Tensor::<4>::from_data([[[[1.0_f32]]], [[[0.0]]]], &device);
        let labels = Tensor::<2, Int>::from_data([[3], [5]], &device);
        let shares: Vec<f32> = (0..200)
            .map(|step| Mixing::draw(0.4, 7, step).share)
            .collect();
        assert!(shares.iter().all(|share| (0.5..=1.0).contains(share)));
        // E max(λ, 1 − λ) of Beta(0.4, 0.4) is 0.84.
        let mean = shares.iter().sum::<f32>() / 200.0;
        assert!((mean - 0.84).abs() < 0.04, "{mean}");
        let mixing = Mixing::draw(0.4, 7, 11);
        assert_eq!(mixing.share, shares[11]);
        let share = mixing.share;
        assert_eq!(tensor_values(mixing.mix(pictures)), [share, 1.0 - share]);
        // A loss that is the label of the first picture.
        let first = |labels: Tensor<2, Int>| labels.narrow(0, 0, 1).float().reshape([1]);
        let loss = mixing.loss(labels, first).into_scalar::<f32>();
        assert!((loss - (3.0 * share + 5.0 * (1.0 - share))).abs() < 1e-5);
    }
}
