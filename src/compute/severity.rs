//! The severity sweep of a corruption: where does the prediction flip?

use std::sync::Arc;

use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};

use super::requests::ComputeMessage;
use super::scheduler::Step;
use crate::data::{Corruption, MAX_SEVERITY};
use crate::evaluate::top;
use crate::model::{Classifier, tensor_values};

/// Severities of the first round besides 0: whole and half ones.
const COARSE: usize = 10;
/// Points of the second round, inside the interval where the prediction flips.
const FINE: usize = 7;

/// What a model predicts for a picture corrupted with some severity.
#[derive(Clone, Debug, PartialEq)]
pub struct SeverityPrediction {
    /// The severity, in [0, [`MAX_SEVERITY`]].
    pub severity: f32,
    /// Probabilities of all classes.
    pub probabilities: Vec<f32>,
    /// The class that is left: the picture's true class where known, else the one predicted without corruption.
    pub label: usize,
}

impl SeverityPrediction {
    /// Whether another class than the label is predicted.
    pub fn is_flipped(&self) -> bool {
        top(&self.probabilities) != self.label
    }
}

/// Predictions over a grid of severities, then over the interval of the flip.
pub struct SeveritySweepJob {
    model: Arc<Classifier>,
    corruption: Corruption,
    /// The uncorrupted picture, `[3, h, w]`.
    pixels: Vec<f32>,
    label: usize,
    round: usize,
    waiting: Vec<f32>,
    /// Severities with whether the prediction had flipped.
    found: Vec<(f32, bool)>,
}

impl SeveritySweepJob {
    pub(super) fn new(
        model: Arc<Classifier>,
        corruption: Corruption,
        pixels: Vec<f32>,
        label: usize,
    ) -> Self {
        Self {
            model,
            corruption,
            pixels,
            label,
            round: 0,
            waiting: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Predicts the picture with the next severity.
    pub(super) fn step(&mut self) -> Step<ComputeMessage> {
        if self.waiting.is_empty() {
            self.waiting = self.severities_of_round();
            self.round += 1;
        }
        let Some(severity) = self.waiting.pop() else {
            return Step {
                message: None,
                done: true,
            };
        };
        let prediction = self.predict(severity);
        self.found.push((severity, prediction.is_flipped()));
        Step {
            message: Some(ComputeMessage::SeveritySwept(prediction)),
            done: false,
        }
    }

    fn predict(&self, severity: f32) -> SeverityPrediction {
        let size @ [h, w] = self.model.manifest().input;
        let corruption = Corruption {
            severity,
            ..self.corruption
        };
        let corrupted = corruption.apply(&self.pixels, size, 0);
        let x = Tensor::<4>::from_data(
            TensorData::new(corrupted, [1, 3, h, w]),
            self.model.device(),
        );
        SeverityPrediction {
            severity,
            probabilities: tensor_values(softmax(self.model.logits(x), 1)),
            label: self.label,
        }
    }

    /// The severities of a round, the first one last.
    fn severities_of_round(&self) -> Vec<f32> {
        match self.round {
            0 => (0..=COARSE)
                .rev()
                .map(|at| MAX_SEVERITY * at as f32 / COARSE as f32)
                .collect(),
            1 => match super::flip_interval(&self.found) {
                Some((low, high)) => {
                    let part = (high - low) / (FINE + 1) as f32;
                    let fine = (1..=FINE).rev();
                    fine.map(|index| low + index as f32 * part).collect()
                }
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}
