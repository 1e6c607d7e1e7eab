//! Auto-PGD (Croce and Hein 2020, algorithm 1): projected gradient descent with momentum whose step sizes choose
//! themselves.

use std::cell::RefCell;

use burn::tensor::{Bool, Tensor, TensorData};

use super::losses::Loss;
use crate::attack::{Ball, Norm, per_picture};
use crate::model::{Classifier, predicted_classes, tensor_values};

/// Weight of the new step; the rest is the step before.
const MOMENTUM: f64 = 0.75;
/// The share of steps of a phase that must have raised the loss for the step size to stay.
const RHO: f32 = 0.75;
/// Shares of all iterations: length of the first phase, shortening of each next one, shortest phase.
const FIRST_PHASE: f64 = 0.22;
const SHORTENING: f64 = 0.03;
const SHORTEST_PHASE: f64 = 0.06;

/// What Auto-PGD attacks and how.
pub struct Apgd<'a> {
    /// The classifier.
    pub model: &'a Classifier,
    /// L∞ or L2.
    pub norm: Norm,
    /// Radius, in units of pixels in [0, 1].
    pub epsilon: f32,
    /// Gradient steps.
    pub steps: usize,
    /// What is maximised.
    pub loss: Loss,
}

/// The outcome for a batch.
pub struct ApgdOutcome {
    /// For each picture the last iterate that was misclassified, else the one of the highest loss, `[n, 3, h, w]`.
    pub pictures: Tensor<4>,
    /// Whether an iterate was misclassified.
    pub fooled: Vec<bool>,
    /// The highest loss.
    pub best_loss: Vec<f32>,
    /// Losses after each step, `[steps][n]`.
    pub losses: Vec<Vec<f32>>,
    /// Whether the gradient at the start was zero or not finite.
    pub no_gradient: Vec<bool>,
}

/// Logits' losses, gradient and whether the label is predicted, at one point.
struct Evaluation {
    losses: Vec<f32>,
    gradient: Tensor<4>,
    right: Vec<bool>,
}

impl Apgd<'_> {
    /// Attacks pictures `x` of the classes `labels` from `start` (`[n, 3, h, w]`, in the ball); `targets` are read by
    /// [`Loss::TargetedDlr`] alone.
    pub fn run(
        &self,
        x: &Tensor<4>,
        start: Tensor<4>,
        labels: &[usize],
        targets: &[usize],
    ) -> ApgdOutcome {
        let n = labels.len();
        let device = self.model.device();
        let ball = Ball::new(self.norm, &[self.epsilon], device);
        let phase = |share: f64| ((share * self.steps as f64) as usize).max(1);
        let (mut length, shortest) = (phase(FIRST_PHASE), phase(SHORTEST_PHASE));

        let mut current = start;
        let mut before = current.clone();
        let mut at = self.evaluate(&current, labels, targets);
        let no_gradient = without_gradient(&at.gradient);
        let (mut best, mut best_gradient) = (current.clone(), at.gradient.clone());
        let mut best_loss = at.losses.clone();
        let mut adversarial = current.clone();
        let mut fooled: Vec<bool> = at.right.iter().map(|right| !right).collect();
        let mut step_size = vec![2.0 * self.epsilon; n];
        let (mut loss_at_check, mut was_halved) = (best_loss.clone(), vec![true; n]);
        let mut losses: Vec<Vec<f32>> = Vec::with_capacity(self.steps);
        let mut since_check = 0;
        for step in 0..self.steps {
            let direction = self.norm.steepest(at.gradient.clone());
            let size = per_picture(&step_size, device);
            let plain = ball.project(x, current.clone() + direction * size);
            let share = if step > 0 { MOMENTUM } else { 1.0 };
            let momentum = (current.clone() - before) * (1.0 - share);
            let next = current.clone() + (plain - current.clone()) * share + momentum;
            before = current;
            current = ball.project(x, next);

            at = self.evaluate(&current, labels, targets);
            let wrong: Vec<bool> = at.right.iter().map(|right| !right).collect();
            adversarial = chosen(&wrong, &current, adversarial);
            fooled
                .iter_mut()
                .zip(&wrong)
                .for_each(|(fooled, wrong)| *fooled |= wrong);
            let better: Vec<bool> = at
                .losses
                .iter()
                .zip(&best_loss)
                .map(|(new, best)| new > best)
                .collect();
            best = chosen(&better, &current, best);
            best_gradient = chosen(&better, &at.gradient, best_gradient);
            for (best, new) in best_loss.iter_mut().zip(&at.losses) {
                *best = best.max(*new);
            }
            losses.push(at.losses.clone());

            since_check += 1;
            if since_check < length {
                continue;
            }
            let halve: Vec<bool> = (0..n)
                .map(|picture| {
                    let oscillates = rises(&losses, picture, length) <= RHO * length as f32;
                    let rests =
                        !was_halved[picture] && loss_at_check[picture] >= best_loss[picture];
                    oscillates || rests
                })
                .collect();
            for (size, halve) in step_size.iter_mut().zip(&halve) {
                *size *= if *halve { 0.5 } else { 1.0 };
            }
            current = chosen(&halve, &best, current);
            at.gradient = chosen(&halve, &best_gradient, at.gradient);
            (loss_at_check, was_halved) = (best_loss.clone(), halve);
            since_check = 0;
            length = length.saturating_sub(phase(SHORTENING)).max(shortest);
        }
        ApgdOutcome {
            pictures: chosen(&fooled, &adversarial, best),
            fooled,
            best_loss,
            losses,
            no_gradient,
        }
    }

    fn evaluate(&self, x: &Tensor<4>, labels: &[usize], targets: &[usize]) -> Evaluation {
        let seen = RefCell::new(None);
        let (losses, gradient) = self.model.gradient(x, &|features| {
            let logits = self.model.logits_of(features);
            *seen.borrow_mut() = Some(logits.clone().inner());
            self.loss.of_logits(logits, labels, targets)
        });
        let logits = seen.into_inner().expect("the loss was computed");
        let predicted = predicted_classes(logits).into_iter().zip(labels);
        Evaluation {
            losses: tensor_values(losses),
            gradient,
            right: predicted.map(|(class, &label)| class == label).collect(),
        }
    }
}

/// In how many of the last `length` steps a picture's loss rose. The step before the first is taken to have a loss of
/// 0, as in the authors' program.
fn rises(losses: &[Vec<f32>], picture: usize, length: usize) -> f32 {
    let last = losses.len() - 1;
    let loss = |step: usize| losses[step][picture];
    let rose = |step: usize| {
        let before = step.checked_sub(1).map_or(0.0, loss);
        loss(step) > before
    };
    (0..length).filter(|&back| rose(last - back)).count() as f32
}

/// `new` where `mask` says so, else `old`; all `[n, 3, h, w]`.
fn chosen(mask: &[bool], new: &Tensor<4>, old: Tensor<4>) -> Tensor<4> {
    if !mask.contains(&true) {
        return old;
    }
    let device = old.device();
    let shape = [mask.len(), 1, 1, 1];
    let mask = Tensor::<4, Bool>::from_data(TensorData::new(mask.to_vec(), shape), &device);
    old.clone().mask_where(mask.expand(old.dims()), new.clone())
}

/// Whether each picture's gradient is zero or not finite.
fn without_gradient(gradient: &Tensor<4>) -> Vec<bool> {
    let largest = gradient.clone().abs().flatten::<2>(1, 3).max_dim(1);
    let largest = tensor_values(largest);
    largest
        .into_iter()
        .map(|value| !value.is_finite() || value == 0.0)
        .collect()
}
