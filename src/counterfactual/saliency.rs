//! Saliency from counterfactuals: the change map |x − G(x)|, Otsu's threshold, and overlap (IoU, Dice)
//! with ground-truth masks.

use burn::tensor::Tensor;
use serde::Serialize;

/// The change map: the mean of |x − g| over the channels, `[n, h, w]` in [0, 1].
pub fn change_map(x: Tensor<4>, g: Tensor<4>) -> Tensor<3> {
    (x - g).abs().mean_dim(1).squeeze_dim(1)
}

const BINS: usize = 256;

/// Otsu's threshold of `values` (at least 0): it minimises the variance within the two groups (Otsu
/// 1979), over 256 bins between 0 and the largest; 0 without values or if all are 0.
///
/// The mask consists of the values above it.
pub fn otsu(values: &[f32]) -> f32 {
    let most = values.iter().copied().fold(0.0, f32::max);
    if most <= 0.0 || !most.is_finite() {
        return 0.0;
    }
    let mut counts = [0usize; BINS];
    for &value in values {
        let bin = (value / most * BINS as f32) as usize;
        counts[bin.min(BINS - 1)] += 1;
    }
    let middle = |bin: usize| bin as f64 + 0.5;
    let all = values.len() as f64;
    let weighted = counts.iter().enumerate();
    let total: f64 = weighted
        .map(|(bin, &count)| count as f64 * middle(bin))
        .sum();
    let (mut below, mut sum, mut best) = (0.0, 0.0, (0.0, 0));
    for (bin, &count) in counts.iter().enumerate().take(BINS - 1) {
        below += count as f64;
        sum += count as f64 * middle(bin);
        let above = all - below;
        if below == 0.0 || above == 0.0 {
            continue;
        }
        let apart = sum / below - (total - sum) / above;
        let between = below * above * apart * apart;
        if between > best.0 {
            best = (between, bin);
        }
    }
    (best.1 + 1) as f32 / BINS as f32 * most
}

/// Overlap of a predicted mask with the ground truth; each measure in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Overlap {
    /// Intersection over union (Jaccard index); 1 if both are empty.
    pub iou: f32,
    /// Twice the intersection over the sum (F1 of the pixels); 1 if both are empty.
    pub dice: f32,
    /// Share of the predicted mask that is inside the ground truth; 1 for an empty mask.
    pub precision: f32,
    /// Share of the ground truth that is inside the predicted mask; 1 for an empty ground truth.
    pub recall: f32,
}

/// Computes the overlap of two masks of the same length.
pub fn overlap(mask: impl Iterator<Item = bool>, truth: impl Iterator<Item = bool>) -> Overlap {
    let (mut both, mut only_mask, mut only_truth) = (0.0f32, 0.0f32, 0.0f32);
    for pair in mask.zip(truth) {
        match pair {
            (true, true) => both += 1.0,
            (true, false) => only_mask += 1.0,
            (false, true) => only_truth += 1.0,
            (false, false) => {}
        }
    }
    let share = |part: f32, rest: f32| {
        if part + rest == 0.0 {
            1.0
        } else {
            part / (part + rest)
        }
    };
    Overlap {
        iou: share(both, only_mask + only_truth),
        dice: share(2.0 * both, only_mask + only_truth),
        precision: share(both, only_mask),
        recall: share(both, only_truth),
    }
}
