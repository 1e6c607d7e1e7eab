//! Losses of AutoAttack as functions of logits, to be maximised; each picture's depends on its own logits alone.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};

use crate::model::tensor_values;

/// Divisors of the difference-of-logits ratio are at least about this.
const SMALLEST: f64 = 1e-12;

/// The loss that an attack of [`super::Apgd`] maximises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Cross-entropy to the label.
    CrossEntropy,
    /// Difference of logits ratio, (max z_other − z_y) / (z_π1 − z_π3) (Croce and Hein 2020, equation 6); at least
    /// three classes.
    Dlr,
    /// The same toward a target t, (z_t − z_y) / (z_π1 − (z_π3 + z_π4) / 2) (equation 7); at least four classes.
    TargetedDlr,
}

impl Loss {
    /// Classes that it needs at least.
    pub fn least_classes(self) -> usize {
        match self {
            Self::CrossEntropy => 2,
            Self::Dlr => 3,
            Self::TargetedDlr => 4,
        }
    }

    /// The losses `[n]` of logits `[n, k]`; `targets` are read by [`Loss::TargetedDlr`] alone.
    pub fn of_logits(self, logits: Tensor<2>, labels: &[usize], targets: &[usize]) -> Tensor<1> {
        let of_label = picked(&logits, labels);
        match self {
            Self::CrossEntropy => picked(&log_softmax(logits, 1), labels).neg(),
            Self::Dlr => {
                let ranked = ranked(&logits);
                let other = ranked.iter().zip(labels).map(|(ranked, &label)| {
                    let is_first = usize::from(ranked[0] == label);
                    ranked[is_first]
                });
                let other: Vec<usize> = other.collect();
                let spread =
                    picked(&logits, &column(&ranked, 0)) - picked(&logits, &column(&ranked, 2));
                (picked(&logits, &other) - of_label) / (spread + SMALLEST)
            }
            Self::TargetedDlr => {
                let ranked = ranked(&logits);
                let low =
                    picked(&logits, &column(&ranked, 2)) + picked(&logits, &column(&ranked, 3));
                let spread = picked(&logits, &column(&ranked, 0)) - low * 0.5;
                (picked(&logits, targets) - of_label) / (spread + SMALLEST)
            }
        }
    }
}

/// One value of each row: `[n, k]` to `[n]`.
pub(super) fn picked(values: &Tensor<2>, classes: &[usize]) -> Tensor<1> {
    let indices: Vec<i32> = classes.iter().map(|&class| class as i32).collect();
    let shape = [classes.len(), 1];
    let device = values.device().inner();
    let indices = Tensor::<2, Int>::from_data(TensorData::new(indices, shape), &device);
    values.clone().gather(1, indices).squeeze_dim::<1>(1)
}

/// The classes of each row, the one with the largest logit first.
pub(super) fn ranked(logits: &Tensor<2>) -> Vec<Vec<usize>> {
    let [_, classes] = logits.dims();
    let values = tensor_values(logits.clone());
    let rank = |row: &[f32]| {
        let mut order: Vec<usize> = (0..classes).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        order
    };
    values.chunks_exact(classes).map(rank).collect()
}

fn column(ranked: &[Vec<usize>], place: usize) -> Vec<usize> {
    ranked.iter().map(|order| order[place]).collect()
}
