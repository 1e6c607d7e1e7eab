//! Faithfulness of attribution maps: deletion and insertion curves (Petsiuk et al. 2018), and their
//! sparsity by the Gini index.

use super::fill::box_blur;
use super::target_score::TargetScore;
use super::{Attribution, Input, Score, Target};
use crate::model::Classifier;

/// The curves are sampled at the shares 0, 1/32, … 1 of the pixels.
const STEPS: usize = 32;
/// Insertion starts from the picture blurred by a box of its side divided by this.
const BLUR_SHARE: usize = 4;

/// Probability of the class while pixels are deleted or inserted by falling attribution.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Curves {
    /// Deletion curve: pixels of highest attribution are replaced by the data set's mean colour first;
    /// at evenly spaced shares from 0 % to 100 % of the pixels.
    pub deletion: Vec<f32>,
    /// Insertion curve: pixels of highest attribution are inserted into the blurred picture first.
    pub insertion: Vec<f32>,
}

impl Curves {
    /// Area under the deletion curve, in [0, 1]; lower is more faithful.
    pub fn deletion_area(&self) -> f32 {
        area(&self.deletion)
    }

    /// Area under the insertion curve, in [0, 1]; higher is more faithful.
    pub fn insertion_area(&self) -> f32 {
        area(&self.insertion)
    }
}

/// Area under a curve over [0, 1] by the trapezoid rule.
fn area(curve: &[f32]) -> f32 {
    let steps = curve.len().saturating_sub(1).max(1) as f32;
    let sums = curve.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
    sums.sum::<f32>() / steps
}

/// A running computation of the curves, a chunk of pictures at a time.
pub struct CurvesRun {
    target_score: TargetScore,
    /// Pixels from the highest attribution to the lowest.
    order: Vec<usize>,
    picture: Vec<f32>,
    blurred: Vec<f32>,
    scores: Vec<f32>,
}

impl CurvesRun {
    /// Does all steps that are left.
    pub fn finish(mut self, model: &Classifier) -> Curves {
        loop {
            if let Some(curves) = self.step(model) {
                return curves;
            }
        }
    }

    /// Prepares the curves of the probability of `target`'s class for a map of `input`.
    pub fn new(target: Target, input: &Input, map: &Attribution) -> Self {
        let pixels = map.pixels();
        let mut order: Vec<usize> = (0..pixels.len()).collect();
        order.sort_by(|&a, &b| pixels[b].total_cmp(&pixels[a]));
        let side = (input.size[0].max(input.size[1]) / BLUR_SHARE).max(1);
        Self {
            target_score: TargetScore {
                target: Target {
                    score: Score::Probability,
                    against: None,
                    ..target
                },
                size: input.size,
            },
            order,
            picture: input.pixels.clone(),
            blurred: box_blur(&input.pixels, input.size, side),
            scores: Vec::new(),
        }
    }

    /// Scores one chunk of pictures; returns the curves once all are scored.
    pub fn step(&mut self, model: &Classifier) -> Option<Curves> {
        let all = 2 * (STEPS + 1);
        let last = (self.scores.len() + 2 * model.budget().at_once()).min(all);
        let mean = model.manifest().normalizer.mean;
        let pictures = (self.scores.len()..last).flat_map(|number| self.mixed(number, mean));
        let scores = self.target_score.scores(model, pictures.collect());
        self.scores.extend(scores);
        (self.scores.len() == all).then(|| Curves {
            deletion: self.scores[..=STEPS].to_vec(),
            insertion: self.scores[STEPS + 1..].to_vec(),
        })
    }

    /// The picture of sample `number`: samples of the deletion curve first, then of the insertion curve.
    fn mixed(&self, number: usize, mean: [f32; 3]) -> Vec<f32> {
        let (deletes, step) = (number <= STEPS, number % (STEPS + 1));
        let count = self.order.len() * step / STEPS;
        let area = self.order.len();
        let mut mixed = if deletes {
            self.picture.clone()
        } else {
            self.blurred.clone()
        };
        for &pixel in &self.order[..count] {
            for (channel, &color) in mean.iter().enumerate() {
                let at = channel * area + pixel;
                mixed[at] = if deletes { color } else { self.picture[at] };
            }
        }
        mixed
    }
}

/// Gini index of the magnitudes (Hurley and Rickard 2009), in [0, 1): 0 where all are equal, near 1
/// where few values hold nearly all of the sum. Chalasani et al. (2020) measure the conciseness of maps
/// by it.
pub fn gini(values: &[f32]) -> f32 {
    let mut sizes: Vec<f64> = values.iter().map(|v| f64::from(v.abs())).collect();
    sizes.sort_by(f64::total_cmp);
    let (count, total) = (sizes.len() as f64, sizes.iter().sum::<f64>());
    if total <= 0.0 {
        return 0.0;
    }
    let weighed = sizes.iter().enumerate();
    let sum: f64 = weighed
        .map(|(at, size)| size / total * (count - at as f64 - 0.5) / count)
        .sum();
    (1.0 - 2.0 * sum) as f32
}
