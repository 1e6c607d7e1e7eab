//! Partition SHAP (Lundberg's partition explainer): Owen values over a hierarchy of rectangles.
//!
//! The picture is halved again and again. A rectangle's credit is what showing it changes, averaged
//! over its sibling being shown and hidden, on every level; where the budget ends, the credit is
//! spread evenly over the rectangle. Where it matters most is split first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::probe::Probe;
use super::reference::box_blur;
use super::{Attribution, Explainer, Gap, Input};
use crate::model::Classifier;

/// What hidden pixels show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Masker {
    /// The picture blurred by a box of this many pixels.
    Blur(usize),
    /// Colours that flow in from the visible pixels around (push–pull, Gortler et al. 1996); the
    /// mean colour where nothing is visible.
    Inpaint,
}

/// Settings of partition SHAP.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionShap {
    /// Most pictures shown to the model; at least 4.
    pub evaluations: usize,
    /// What hidden pixels show.
    pub masker: Masker,
}

impl PartitionShap {
    /// The default, blurring as much of a picture of `side` pixels as of one of 32.
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

/// Pictures of one batch; part of the method, as a batch is chosen before its results are known.
const BATCH: usize = 10;

/// A box of rows × columns × channels.
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

    /// Both halves along the longer of rows and columns; channels are parted last.
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

/// Visible regions, sharing what they have in common.
#[derive(Clone, Default)]
struct Visible(Option<Arc<(Region, Visible)>>);

impl Visible {
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

/// A region whose credit could still be parted: what is visible besides it, and the score without
/// and with it.
#[derive(Clone)]
struct Task {
    region: Region,
    context: Visible,
    without: f32,
    with: f32,
    weight: f64,
    /// Breaks ties: first come, first served.
    number: usize,
}

impl Task {
    fn credit(&self) -> f64 {
        f64::from(self.with - self.without) * self.weight
    }
}

impl Ord for Task {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |task: &Self| task.credit().abs();
        let by_size = size(self).total_cmp(&size(other));
        by_size.then(other.number.cmp(&self.number))
    }
}

impl PartialOrd for Task {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Task {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Task {}

/// A partition under way, one batch at a time.
pub(super) struct PartitionRun {
    config: PartitionShap,
    probe: Probe,
    picture: Vec<f32>,
    blurred: Vec<f32>,
    tasks: BinaryHeap<Task>,
    /// The batch under way, and the scores of its halves so far.
    batch: Vec<(Task, [Region; 2])>,
    found: Vec<f32>,
    numbered: usize,
    evaluations: usize,
    settled: Vec<f64>,
    /// Score of the whole picture minus that of the hidden one.
    expected: Option<f64>,
    done: bool,
}

impl PartitionShap {
    pub(super) fn start(self, probe: Probe, input: &Input) -> PartitionRun {
        let blurred = match self.masker {
            Masker::Blur(side) => box_blur(&input.pixels, input.size, side),
            Masker::Inpaint => Vec::new(),
        };
        PartitionRun {
            config: self,
            probe,
            picture: input.pixels.clone(),
            blurred,
            tasks: BinaryHeap::new(),
            batch: Vec::new(),
            found: Vec::new(),
            numbered: 0,
            evaluations: 0,
            settled: vec![0.0; probe.length()],
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
            Masker::Inpaint => super::inpaint::inpaint(&self.picture, visible, self.probe.size),
        }
    }

    fn scores(&mut self, model: &Classifier, masks: &[Vec<bool>]) -> Vec<f32> {
        self.evaluations += masks.len();
        let pictures = masks.iter().flat_map(|mask| self.masked(mask)).collect();
        self.probe.scores(model, pictures)
    }

    fn begin(&mut self, model: &Classifier) {
        let length = self.probe.length();
        let scores = self.scores(model, &[vec![false; length], vec![true; length]]);
        self.expected = Some(f64::from(scores[1]) - f64::from(scores[0]));
        let [h, w] = self.probe.size;
        let whole = Region {
            from: [0; 3],
            to: [h, w, 3],
        };
        self.push(whole, Visible::default(), [scores[0], scores[1]], 1.0);
    }

    fn push(&mut self, region: Region, context: Visible, [without, with]: [f32; 2], weight: f64) {
        self.numbered += 1;
        self.tasks.push(Task {
            region,
            context,
            without,
            with,
            weight,
            number: self.numbered,
        });
    }

    /// Takes the tasks of a batch; regions that cannot be parted are settled on the way.
    fn take_batch(&mut self) -> Vec<(Task, [Region; 2])> {
        let mut batch = Vec::new();
        while 2 * batch.len() < BATCH
            && self.evaluations + 2 * batch.len() < self.config.evaluations
            && let Some(task) = self.tasks.pop()
        {
            match task.region.halves() {
                Some(halves) => batch.push((task, halves)),
                None => spread(&mut self.settled, &task, self.probe.size),
            }
        }
        batch
    }

    /// Scores a chunk of the batch; once all of it is known, parts its tasks.
    fn part(&mut self, model: &Classifier) {
        if self.batch.is_empty() {
            self.batch = self.take_batch();
            self.done = self.batch.is_empty();
        }
        let halves = self.batch.iter().flat_map(|(task, halves)| {
            halves.map(|half| task.context.and(half).mask(self.probe.size))
        });
        let masks: Vec<Vec<bool>> = halves
            .skip(self.found.len())
            .take(model.budget().at_once())
            .collect();
        if !masks.is_empty() {
            let scores = self.scores(model, &masks);
            self.found.extend(scores);
        }
        if self.found.len() == 2 * self.batch.len() {
            self.divide();
        }
    }

    /// Puts four smaller tasks in the place of each of the batch.
    fn divide(&mut self) {
        let found = std::mem::take(&mut self.found);
        let batch = std::mem::take(&mut self.batch);
        for ((task, [low, high]), found) in batch.into_iter().zip(found.chunks_exact(2)) {
            let weight = task.weight / 2.0;
            let (without, with) = (task.without, task.with);
            // Each half while its sibling is hidden, then while it is shown.
            self.push(low, task.context.clone(), [without, found[0]], weight);
            self.push(high, task.context.clone(), [without, found[1]], weight);
            self.push(low, task.context.and(high), [found[1], with], weight);
            self.push(high, task.context.and(low), [found[0], with], weight);
        }
    }
}

/// Gives a task's credit to all values of its region alike.
fn spread(values: &mut [f64], task: &Task, size: [usize; 2]) {
    let share = task.credit() / task.region.size() as f64;
    task.region.for_each(size, |at| values[at] += share);
}

impl Explainer for PartitionRun {
    fn step(&mut self, model: &Classifier) {
        if self.expected.is_none() {
            self.begin(model);
        } else {
            self.part(model);
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
        let mut values = self.settled.clone();
        let open = self.batch.iter().map(|(task, _)| task);
        for task in open.chain(&self.tasks) {
            spread(&mut values, task, self.probe.size);
        }
        let sum = values.iter().sum();
        Attribution {
            values: values.into_iter().map(|value| value as f32).collect(),
            channels: 3,
            size: self.probe.size,
            gap: self.expected.map(|expected| Gap { sum, expected }),
            standard_errors: None,
            evaluations: self.evaluations,
        }
    }
}
