//! The ε timeline: where does the prediction flip?

use std::collections::VecDeque;
use std::sync::Arc;

use burn::tensor::Tensor;

use super::batch::AttackBatch;
use super::requests::{AttackResult, ComputeMessage, flips};
use super::scheduler::Step;
use crate::attack::{Attack, AttackMask};
use crate::model::Classifier;

/// ε values of the first round of a sweep, besides 0.
const COARSE: usize = 8;
/// Points of the last round, inside the interval where the prediction flips.
const FINE: usize = 7;
/// Attacks of a sweep that run as one batch, at the most.
const SWEEP_BATCH: usize = 4;

/// Attacks over a grid of ε: a coarse grid, then its midpoints, then the interval of the flip.
pub struct SweepJob {
    model: Arc<Classifier>,
    attack: Attack,
    x: Tensor<4>,
    label: usize,
    mask: Option<AttackMask>,
    most: f32,
    round: usize,
    waiting: VecDeque<Vec<f32>>,
    batch: Option<AttackBatch>,
    /// ε and whether the prediction has left the class (or reached the target).
    found: Vec<(f32, bool)>,
}

impl SweepJob {
    pub(super) fn new(
        model: Arc<Classifier>,
        attack: Attack,
        x: Tensor<4>,
        label: usize,
        mask: Option<AttackMask>,
        most: f32,
    ) -> Self {
        Self {
            model,
            attack,
            x,
            label,
            mask,
            most,
            round: 0,
            waiting: VecDeque::new(),
            batch: None,
            found: Vec::new(),
        }
    }

    pub(super) fn step(&mut self) -> Step<ComputeMessage> {
        let Some(batch) = &mut self.batch else {
            return Step {
                message: None,
                done: !self.next_batch(),
            };
        };
        let Some(attacked) = batch.step(&self.model) else {
            return Step {
                message: None,
                done: false,
            };
        };
        self.batch = None;
        let flipped =
            |attacked: &AttackResult| flips(&self.attack, self.label, &attacked.probabilities);
        self.found.extend(
            attacked
                .iter()
                .map(|attacked| (attacked.epsilon, flipped(attacked))),
        );
        Step {
            message: Some(ComputeMessage::Swept(attacked)),
            done: false,
        }
    }

    /// Sets up the next batch, or says that none is left.
    fn next_batch(&mut self) -> bool {
        if self.waiting.is_empty() {
            let radii = self.radii_of_round();
            self.round += 1;
            self.waiting = radii.chunks(self.at_once()).map(<[f32]>::to_vec).collect();
        }
        let Some(radii) = self.waiting.pop_front() else {
            return false;
        };
        self.batch = Some(AttackBatch::new(
            &self.model,
            &self.attack,
            &self.x,
            self.label,
            &radii,
            self.mask.as_ref(),
        ));
        true
    }

    /// Larger pictures are attacked one by one, or a moved slider would wait for four.
    fn at_once(&self) -> usize {
        self.model.budget().at_once().min(SWEEP_BATCH)
    }

    /// Whether the attack is PGD, of few steps.
    pub(super) fn is_pgd(&self) -> bool {
        self.attack.method.is_pgd()
    }

    /// Whether the coarse grid is done.
    pub(super) fn refines(&self) -> bool {
        self.round > 1
    }

    fn radii_of_round(&self) -> Vec<f32> {
        let step = self.most / COARSE as f32;
        match self.round {
            0 => (0..=COARSE).map(|index| index as f32 * step).collect(),
            1 => (0..COARSE)
                .map(|index| (index as f32 + 0.5) * step)
                .collect(),
            2 => match flip_interval(&self.found) {
                Some((low, high)) => {
                    let part = (high - low) / (FINE + 1) as f32;
                    (1..=FINE).map(|index| low + index as f32 * part).collect()
                }
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}

/// The ε between which the prediction first flips: the smallest flipped one and the one before.
///
/// Nothing if no ε flips, or if the very first does.
pub fn flip_interval(found: &[(f32, bool)]) -> Option<(f32, f32)> {
    let mut sorted = found.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let first = sorted.iter().position(|(_, flipped)| *flipped)?;
    Some((sorted[first.checked_sub(1)?].0, sorted[first].0))
}
