//! Uncertainty metrics: AUROC of error detection, selective accuracy, calibration error.

use serde::Serialize;

/// Area under the ROC curve: the probability that a positive's score is above a negative's, ties
/// counting half (Mann and Whitney 1947). `None` without one of each.
pub fn auroc(positives: &[f32], negatives: &[f32]) -> Option<f64> {
    if positives.is_empty() || negatives.is_empty() {
        return None;
    }
    let mut all: Vec<(f32, bool)> = positives.iter().map(|&score| (score, true)).collect();
    all.extend(negatives.iter().map(|&score| (score, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut at) = (0.0, 0);
    while at < all.len() {
        let equal = all[at..]
            .iter()
            .take_while(|(score, _)| *score == all[at].0)
            .count();
        let rank = at as f64 + (equal as f64 + 1.0) / 2.0;
        let tied = all[at..at + equal].iter().filter(|(_, positive)| *positive);
        ranks += rank * tied.count() as f64;
        at += equal;
    }
    let (p, n) = (positives.len() as f64, negatives.len() as f64);
    Some((ranks - p * (p + 1.0) / 2.0) / (p * n))
}

/// Selective accuracy: that of the predictions left after rejecting the share `rejected`, in [0, 1), of
/// highest uncertainty.
pub fn accuracy_after_rejection(uncertainties: &[f32], right: &[bool], rejected: f64) -> f64 {
    let mut order: Vec<usize> = (0..uncertainties.len()).collect();
    order.sort_by(|&a, &b| uncertainties[a].total_cmp(&uncertainties[b]));
    let kept = uncertainties.len() - (uncertainties.len() as f64 * rejected).round() as usize;
    let right_count = order[..kept].iter().filter(|&&at| right[at]).count();
    right_count as f64 / kept.max(1) as f64
}

/// A bin of a reliability diagram (Guo et al. 2017, figure 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Number of predictions in the bin.
    pub count: usize,
    /// Their mean confidence, in [0, 1].
    pub confidence: f64,
    /// Their accuracy, in [0, 1].
    pub accuracy: f64,
}

/// Reliability diagram: predictions binned by confidence in [0, 1], in `bins` bins of equal width, empty
/// ones included.
pub fn reliability(confidences: &[f32], right: &[bool], bins: usize) -> Vec<Bin> {
    let mut sums = vec![(0usize, 0.0f64, 0usize); bins];
    for (&confidence, &right) in confidences.iter().zip(right) {
        let bin = ((confidence * bins as f32) as usize).min(bins - 1);
        sums[bin].0 += 1;
        sums[bin].1 += f64::from(confidence);
        sums[bin].2 += usize::from(right);
    }
    let bin = |(count, confidence, right): (usize, f64, usize)| Bin {
        count,
        confidence: confidence / count.max(1) as f64,
        accuracy: right as f64 / count.max(1) as f64,
    };
    sums.into_iter().map(bin).collect()
}

/// Expected calibration error: mean |confidence − accuracy| of the bins, weighted by their counts (Guo et
/// al. 2017, equation 3).
pub fn calibration_error(bins: &[Bin]) -> f64 {
    let all: usize = bins.iter().map(|bin| bin.count).sum();
    let weighted_gap = |bin: &Bin| bin.count as f64 * (bin.confidence - bin.accuracy).abs();
    bins.iter().map(weighted_gap).sum::<f64>() / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auroc_counts_pairs_and_half_ties() {
        // Pairs: (3 > 1), (3 > 2), (2 > 1), (2 = 2): 3.5 of 4.
        assert_eq!(auroc(&[3.0, 2.0], &[1.0, 2.0]), Some(0.875));
        assert_eq!(auroc(&[1.0], &[]), None);
    }

    #[test]
    fn rejecting_the_doubtful_leaves_the_right() {
        let (uncertainties, right) = ([0.9, 0.1, 0.5, 0.2], [false, true, false, true]);
        assert_eq!(accuracy_after_rejection(&uncertainties, &right, 0.0), 0.5);
        assert_eq!(
            accuracy_after_rejection(&uncertainties, &right, 0.25),
            2.0 / 3.0
        );
        assert_eq!(accuracy_after_rejection(&uncertainties, &right, 0.5), 1.0);
    }

    #[test]
    fn calibration_error_by_hand() {
        let bins = reliability(&[0.9, 0.8, 0.3], &[true, false, false], 2);
        assert_eq!(bins[0].count, 1);
        assert_eq!(bins[1].accuracy, 0.5);
        // 1 · |0.3 − 0| and 2 · |0.85 − 0.5|, over 3.
        assert!((calibration_error(&bins) - 1.0 / 3.0).abs() < 1e-6);
    }
}
