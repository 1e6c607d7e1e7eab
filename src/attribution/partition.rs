//! Partition SHAP (Lundberg's partition explainer): Owen values over a hierarchy of rectangles.
//!
//! The picture is halved recursively. The credit of a rectangle is the change of the score when it is
//! unmasked, averaged on every level over its sibling being visible and masked; where the budget of
//! evaluations ends, the credit is distributed evenly over the rectangle. Rectangles of largest absolute
//! credit are split first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::fill::box_blur;
use super::target_score::TargetScore;
use super::{Attribution, Explainer, Gap, Input};
use crate::model::Classifier;

/// How masked pixels are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Masker {
    /// With the picture blurred by a box of this many pixels.
    Blur(usize),
    /// By inpainting from the visible pixels (push–pull, Gortler et al. 1996); with the mean colour where
    /// nothing is visible.
    Inpaint,
}

/// Settings of partition SHAP.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionShap {
    /// Budget of model evaluations; at least 4.
    pub evaluations: usize,
    /// How masked pixels are filled.
    pub masker: Masker,
}

impl PartitionShap {
    /// The default with its blur scaled to pictures of `side` pixels.
    pub fn for_side(side: usize) -> Self {
        Self {
            masker: Masker::Blur((side / 2).max(1)),
            ..Self::default()
        }
    }
}

impl Default for PartitionShap {
    /// For 32 pixels. 500 evaluations, as SHAP's own default; arXiv 2307.02500 used 1000.
    fn default() -> Self {
        Self {
            evaluations: 500,
            masker: Masker::Blur(16),
        }
    }
}

/// Pictures of one batch. It affects the result, as a batch is chosen before its scores are known.
const BATCH: usize = 10;

/// A box of rows, columns and channels, a node of the partition tree.
#[derive(Clone, Copy)]
struct Region {
    from: [usize; 3],
    to: [usize; 3],
}

impl Region {
    fn extent(&self, axis: usize) -> usize {
        self.to[axis] - self.from[axis]
    }

    fn size(&self) -> usize {
        (0..3).map(|axis| self.extent(axis)).product()
    }

    /// Both halves along the longer of rows and columns; channels are split last.
    fn halves(&self) -> Option<[Self; 2]> {
        let (rows, columns) = (self.extent(0), self.extent(1));
        let axis = if rows >= columns && rows > 1 {
            0
        } else if columns > 1 {
            1
        } else if self.extent(2) > 1 {
            2
        } else {
            return None;
        };
        let middle = self.from[axis] + self.extent(axis) / 2;
        let (mut low, mut high) = (*self, *self);
        low.to[axis] = middle;
        high.from[axis] = middle;
        Some([low, high])
    }

    /// Calls `each` with the index in `[3, h, w]` of every value inside.
    fn for_each(&self, [h, w]: [usize; 2], mut each: impl FnMut(usize)) {
        for channel in self.from[2]..self.to[2] {
            for y in self.from[0]..self.to[0] {
                for x in self.from[1]..self.to[1] {
                    each((channel * h + y) * w + x);
                }
            }
        }
    }
}

/// The unmasked regions as a persistent linked list with shared tails.
#[derive(Clone, Default)]
struct VisibleRegions(Option<Arc<(Region, VisibleRegions)>>);

impl VisibleRegions {
    fn and(&self, region: Region) -> Self {
        Self(Some(Arc::new((region, self.clone()))))
    }

    /// Which of the values `[3, h, w]` are visible.
    fn mask(&self, size: [usize; 2]) -> Vec<bool> {
        let mut mask = vec![false; 3 * size[0] * size[1]];
        let mut rest = &self.0;
        while let Some(link) = rest {
            link.0.for_each(size, |at| mask[at] = true);
            rest = &link.1.0;
        }
        mask
    }
}

/// A region that can still be split: the context of other visible regions, and the scores without and
/// with the region.
#[derive(Clone)]
struct SplitCandidate {
    region: Region,
    context: VisibleRegions,
    without: f32,
    with: f32,
    weight: f64,
    /// Order of insertion, to break ties.
    order: usize,
}

impl SplitCandidate {
    fn credit(&self) -> f64 {
        f64::from(self.with - self.without) * self.weight
    }
}

impl Ord for SplitCandidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |candidate: &Self| candidate.credit().abs();
        let by_size = size(self).total_cmp(&size(other));
        by_size.then(other.order.cmp(&self.order))
    }
}

impl PartialOrd for SplitCandidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SplitCandidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SplitCandidate {}

/// A running partition SHAP, one batch at a time.
pub(super) struct PartitionRun {
    config: PartitionShap,
    target_score: TargetScore,
    picture: Vec<f32>,
    blurred: Vec<f32>,
    candidates: BinaryHeap<SplitCandidate>,
    /// The current batch of candidates with their halves; their scores so far are in `half_scores`.
    batch: Vec<(SplitCandidate, [Region; 2])>,
    half_scores: Vec<f32>,
    next_id: usize,
    evaluations: usize,
    final_credit: Vec<f64>,
    /// Score of the whole picture minus that of the fully masked one.
    expected: Option<f64>,
    done: bool,
}

impl PartitionShap {
    pub(super) fn start(self, target_score: TargetScore, input: &Input) -> PartitionRun {
        let blurred = match self.masker {
            Masker::Blur(side) => box_blur(&input.pixels, input.size, side),
            Masker::Inpaint => Vec::new(),
        };
        PartitionRun {
            config: self,
            target_score,
            picture: input.pixels.clone(),
            blurred,
            candidates: BinaryHeap::new(),
            batch: Vec::new(),
            half_scores: Vec::new(),
            next_id: 0,
            evaluations: 0,
            final_credit: vec![0.0; target_score.length()],
            expected: None,
            done: false,
        }
    }
}

impl PartitionRun {
    fn masked(&self, visible: &[bool]) -> Vec<f32> {
        let pair = |hidden: &[f32]| {
            let values = self.picture.iter().zip(hidden).zip(visible);
            values
                .map(|((&own, &other), &visible)| if visible { own } else { other })
                .collect()
        };
        match self.config.masker {
            Masker::Blur(_) => pair(&self.blurred),
            Masker::Inpaint => {
                super::inpaint::inpaint(&self.picture, visible, self.target_score.size)
            }
        }
    }

    fn scores(&mut self, model: &Classifier, masks: &[Vec<bool>]) -> Vec<f32> {
        self.evaluations += masks.len();
        let pictures = masks.iter().flat_map(|mask| self.masked(mask)).collect();
        self.target_score.scores(model, pictures)
    }

    fn score_root(&mut self, model: &Classifier) {
        let length = self.target_score.length();
        let scores = self.scores(model, &[vec![false; length], vec![true; length]]);
        self.expected = Some(f64::from(scores[1]) - f64::from(scores[0]));
        let [h, w] = self.target_score.size;
        let whole = Region {
            from: [0; 3],
            to: [h, w, 3],
        };
        self.push(
            whole,
            VisibleRegions::default(),
            [scores[0], scores[1]],
            1.0,
        );
    }

    fn push(
        &mut self,
        region: Region,
        context: VisibleRegions,
        [without, with]: [f32; 2],
        weight: f64,
    ) {
        self.next_id += 1;
        self.candidates.push(SplitCandidate {
            region,
            context,
            without,
            with,
            weight,
            order: self.next_id,
        });
    }

    /// Pops the candidates of a batch; the credit of single values, which cannot be split, is final.
    fn take_batch(&mut self) -> Vec<(SplitCandidate, [Region; 2])> {
        let mut batch = Vec::new();
        while 2 * batch.len() < BATCH
            && self.evaluations + 2 * batch.len() < self.config.evaluations
            && let Some(candidate) = self.candidates.pop()
        {
            match candidate.region.halves() {
                Some(halves) => batch.push((candidate, halves)),
                None => {
                    distribute_credit(&mut self.final_credit, &candidate, self.target_score.size);
                }
            }
        }
        batch
    }

    /// Scores a chunk of the batch; once all halves are scored, splits the candidates.
    fn score_batch(&mut self, model: &Classifier) {
        if self.batch.is_empty() {
            self.batch = self.take_batch();
            self.done = self.batch.is_empty();
        }
        let halves = self.batch.iter().flat_map(|(candidate, halves)| {
            halves.map(|half| candidate.context.and(half).mask(self.target_score.size))
        });
        let masks: Vec<Vec<bool>> = halves
            .skip(self.half_scores.len())
            .take(model.budget().at_once())
            .collect();
        if !masks.is_empty() {
            let scores = self.scores(model, &masks);
            self.half_scores.extend(scores);
        }
        if self.half_scores.len() == 2 * self.batch.len() {
            self.split_batch();
        }
    }

    /// Replaces each candidate of the batch by four of half its weight.
    fn split_batch(&mut self) {
        let half_scores = std::mem::take(&mut self.half_scores);
        let batch = std::mem::take(&mut self.batch);
        for ((candidate, [low, high]), half_scores) in
            batch.into_iter().zip(half_scores.chunks_exact(2))
        {
            let weight = candidate.weight / 2.0;
            let (without, with) = (candidate.without, candidate.with);
            // Each half with its sibling masked, then with its sibling visible.
            self.push(
                low,
                candidate.context.clone(),
                [without, half_scores[0]],
                weight,
            );
            self.push(
                high,
                candidate.context.clone(),
                [without, half_scores[1]],
                weight,
            );
            self.push(
                low,
                candidate.context.and(high),
                [half_scores[1], with],
                weight,
            );
            self.push(
                high,
                candidate.context.and(low),
                [half_scores[0], with],
                weight,
            );
        }
    }
}

/// Distributes a candidate's credit evenly over the values of its region.
fn distribute_credit(values: &mut [f64], candidate: &SplitCandidate, size: [usize; 2]) {
    let share = candidate.credit() / candidate.region.size() as f64;
    candidate.region.for_each(size, |at| values[at] += share);
}

impl Explainer for PartitionRun {
    fn step(&mut self, model: &Classifier) {
        if self.expected.is_none() {
            self.score_root(model);
        } else {
            self.score_batch(model);
        }
    }

    fn progress(&self) -> f32 {
        if self.done {
            return 1.0;
        }
        let share = self.evaluations as f32 / self.config.evaluations as f32;
        share.min(0.999)
    }

    fn map(&self) -> Attribution {
        let mut values = self.final_credit.clone();
        let open = self.batch.iter().map(|(candidate, _)| candidate);
        for candidate in open.chain(&self.candidates) {
            distribute_credit(&mut values, candidate, self.target_score.size);
        }
        let sum = values.iter().sum();
        Attribution {
            values: values.into_iter().map(|value| value as f32).collect(),
            channels: 3,
            size: self.target_score.size,
            gap: self.expected.map(|expected| Gap { sum, expected }),
            standard_errors: None,
            evaluations: self.evaluations,
        }
    }
}
