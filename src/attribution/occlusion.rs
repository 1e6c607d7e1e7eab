//! Occlusion (Zeiler and Fergus 2014): the drop of the score when a sliding window is covered.

use serde::{Deserialize, Serialize};

use super::target_score::TargetScore;
use super::{Attribution, Explainer, Fill, Input};
use crate::error::Result;
use crate::model::Classifier;

/// Settings of occlusion.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Occlusion {
    /// Side of the covering square, in pixels.
    pub window: usize,
    /// Stride of the sliding window, in pixels.
    pub stride: usize,
    /// What covers the window.
    pub fill: Fill,
}

impl Occlusion {
    /// Scales the default for 32 pixels, a window of 6 with stride 2, to pictures of `side` pixels.
    pub fn for_side(side: usize) -> Self {
        Self {
            window: (side * 3 / 16).max(1),
            stride: (side / 16).max(1),
            fill: Fill::Grey,
        }
    }

    /// Number of window positions along a side; the last one may extend past the border.
    pub(super) fn places(self, side: usize) -> usize {
        1 + (side - self.window).div_ceil(self.stride)
    }

    pub(super) fn start(
        self,
        model: &Classifier,
        target_score: TargetScore,
        input: &Input,
    ) -> Result<OcclusionRun> {
        let [h, w] = target_score.size;
        let rows = (0..self.places(h)).map(|place| place * self.stride);
        let columns = self.places(w);
        let corners = rows.flat_map(|y| (0..columns).map(move |place| [y, place * self.stride]));
        Ok(OcclusionRun {
            target_score,
            window: self.window,
            corners: corners.collect(),
            done: 0,
            own: None,
            fill: self.fill.of(input, model)?,
            picture: input.pixels.clone(),
            sums: vec![0.0; h * w],
            counts: vec![0.0; h * w],
        })
    }
}

/// A running occlusion, a batch of windows at a time.
pub(super) struct OcclusionRun {
    target_score: TargetScore,
    window: usize,
    /// Top left corners, row and column.
    corners: Vec<[usize; 2]>,
    done: usize,
    /// Score of the unoccluded picture.
    own: Option<f32>,
    fill: Vec<f32>,
    picture: Vec<f32>,
    sums: Vec<f32>,
    counts: Vec<f32>,
}

impl OcclusionRun {
    /// Indices of the pixels under the window at a corner.
    fn covered(&self, [top, left]: [usize; 2]) -> impl Iterator<Item = usize> + use<> {
        let [h, w] = self.target_score.size;
        let (bottom, right) = ((top + self.window).min(h), (left + self.window).min(w));
        (top..bottom).flat_map(move |y| (left..right).map(move |x| y * w + x))
    }

    fn occluded(&self, corner: [usize; 2]) -> Vec<f32> {
        let area = self.sums.len();
        let mut picture = self.picture.clone();
        for pixel in self.covered(corner) {
            for at in (pixel..picture.len()).step_by(area) {
                picture[at] = self.fill[at];
            }
        }
        picture
    }
}

impl Explainer for OcclusionRun {
    fn step(&mut self, model: &Classifier) {
        let own = *self
            .own
            .get_or_insert_with(|| self.target_score.scores(model, self.picture.clone())[0]);
        let last = (self.done + 2 * model.budget().at_once()).min(self.corners.len());
        let chunk = self.corners[self.done..last].to_vec();
        let pictures = chunk.iter().flat_map(|&corner| self.occluded(corner));
        let scores = self.target_score.scores(model, pictures.collect());
        for (&corner, score) in chunk.iter().zip(scores) {
            for pixel in self.covered(corner) {
                self.sums[pixel] += own - score;
                self.counts[pixel] += 1.0;
            }
        }
        self.done = last;
    }

    fn progress(&self) -> f32 {
        self.done as f32 / self.corners.len() as f32
    }

    fn map(&self) -> Attribution {
        let parts = self.sums.iter().zip(&self.counts);
        Attribution {
            values: parts.map(|(sum, count)| sum / count.max(1.0)).collect(),
            channels: 1,
            size: self.target_score.size,
            gap: None,
            standard_errors: None,
            evaluations: self.done + usize::from(self.own.is_some()),
        }
    }
}
