//! Auto-PGD (Croce and Hein 2020, algorithm 1): projected gradient descent with momentum whose step sizes choose
//! themselves.

use std::cell::RefCell;

use burn::tensor::{Bool, Tensor, TensorData};

use super::losses::Loss;
use crate::attack::{AttackMask, Ball, Norm, per_picture};
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
    /// The pixels that may change, if not all.
    pub mask: Option<AttackMask>,
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

/// Auto-PGD on a batch, a gradient at a time.
pub struct ApgdRun {
    steps: usize,
    loss: Loss,
    ball: Ball,
    x: Tensor<4>,
    labels: Vec<usize>,
    targets: Vec<usize>,
    current: Tensor<4>,
    before: Tensor<4>,
    /// At `current`.
    at: Evaluation,
    best: Tensor<4>,
    best_gradient: Tensor<4>,
    best_loss: Vec<f32>,
    /// The last misclassified iterate of each picture.
    adversarial: Tensor<4>,
    fooled: Vec<bool>,
    step_size: Vec<f32>,
    /// Highest losses at the last check, and whether the step sizes were halved there.
    loss_at_check: Vec<f32>,
    was_halved: Vec<bool>,
    losses: Vec<Vec<f32>>,
    no_gradient: Vec<bool>,
    since_check: usize,
    /// Steps between the last check and the next.
    phase: usize,
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
        let mut run = self.begin(x, start, labels, targets);
        while run.step(self.model) {}
        run.finish()
    }

    /// The same, to be stepped.
    pub fn begin(
        &self,
        x: &Tensor<4>,
        start: Tensor<4>,
        labels: &[usize],
        targets: &[usize],
    ) -> ApgdRun {
        let at = evaluate(self.model, self.loss, &start, labels, targets);
        let ball = Ball::new(self.norm, &[self.epsilon], self.model.device());
        let ball = ball.within(self.mask.as_ref());
        ApgdRun {
            steps: self.steps,
            loss: self.loss,
            no_gradient: without_gradient(&ball.steepest(at.gradient.clone())),
            ball,
            x: x.clone(),
            labels: labels.to_vec(),
            targets: targets.to_vec(),
            before: start.clone(),
            best: start.clone(),
            best_gradient: at.gradient.clone(),
            best_loss: at.losses.clone(),
            adversarial: start.clone(),
            fooled: at.right.iter().map(|right| !right).collect(),
            step_size: vec![2.0 * self.epsilon; labels.len()],
            loss_at_check: at.losses.clone(),
            was_halved: vec![true; labels.len()],
            losses: Vec::with_capacity(self.steps),
            since_check: 0,
            phase: phase(FIRST_PHASE, self.steps),
            current: start,
            at,
        }
    }
}

/// A share of all steps, at least one.
fn phase(share: f64, steps: usize) -> usize {
    ((share * steps as f64) as usize).max(1)
}

impl ApgdRun {
    /// Takes a step of one gradient; `false`, and none, once all are done.
    pub fn step(&mut self, model: &Classifier) -> bool {
        let step = self.losses.len();
        if step == self.steps {
            return false;
        }
        let direction = self.ball.steepest(self.at.gradient.clone());
        let size = per_picture(&self.step_size, model.device());
        let current = self.current.clone();
        let plain = self
            .ball
            .project(&self.x, current.clone() + direction * size);
        let share = if step > 0 { MOMENTUM } else { 1.0 };
        let momentum = (current.clone() - self.before.clone()) * (1.0 - share);
        let next = current.clone() + (plain - current.clone()) * share + momentum;
        self.before = current;
        self.current = self.ball.project(&self.x, next);
        self.at = evaluate(model, self.loss, &self.current, &self.labels, &self.targets);
        self.keep_best();
        self.losses.push(self.at.losses.clone());
        self.since_check += 1;
        if self.since_check == self.phase {
            self.check();
        }
        true
    }

    /// Whether every picture was misclassified at some step.
    pub fn has_fooled_all(&self) -> bool {
        !self.fooled.contains(&false)
    }

    /// Share of the steps that are done, in [0, 1].
    pub fn progress(&self) -> f32 {
        self.losses.len() as f32 / self.steps.max(1) as f32
    }

    fn keep_best(&mut self) {
        let wrong: Vec<bool> = self.at.right.iter().map(|right| !right).collect();
        self.adversarial = chosen(&wrong, &self.current, self.adversarial.clone());
        let fooled = self.fooled.iter_mut().zip(&wrong);
        fooled.for_each(|(fooled, wrong)| *fooled |= wrong);
        let pairs = self.at.losses.iter().zip(&self.best_loss);
        let better: Vec<bool> = pairs.map(|(new, best)| new > best).collect();
        self.best = chosen(&better, &self.current, self.best.clone());
        self.best_gradient = chosen(&better, &self.at.gradient, self.best_gradient.clone());
        for (best, new) in self.best_loss.iter_mut().zip(&self.at.losses) {
            *best = best.max(*new);
        }
    }

    /// Halves the step sizes of pictures that oscillate or rest, and goes on from their best points.
    fn check(&mut self) {
        let (length, all) = (self.phase, 0..self.labels.len());
        let halve = all.map(|picture| {
            let oscillates = rises(&self.losses, picture, length) <= RHO * length as f32;
            let rests =
                !self.was_halved[picture] && self.loss_at_check[picture] >= self.best_loss[picture];
            oscillates || rests
        });
        let halve: Vec<bool> = halve.collect();
        for (size, halve) in self.step_size.iter_mut().zip(&halve) {
            *size *= if *halve { 0.5 } else { 1.0 };
        }
        self.current = chosen(&halve, &self.best, self.current.clone());
        self.at.gradient = chosen(&halve, &self.best_gradient, self.at.gradient.clone());
        (self.loss_at_check, self.was_halved) = (self.best_loss.clone(), halve);
        self.since_check = 0;
        let shorter = length.saturating_sub(phase(SHORTENING, self.steps));
        self.phase = shorter.max(phase(SHORTEST_PHASE, self.steps));
    }

    /// The outcome so far.
    pub fn finish(self) -> ApgdOutcome {
        ApgdOutcome {
            pictures: chosen(&self.fooled, &self.adversarial, self.best),
            fooled: self.fooled,
            best_loss: self.best_loss,
            losses: self.losses,
            no_gradient: self.no_gradient,
        }
    }
}

fn evaluate(
    model: &Classifier,
    loss: Loss,
    x: &Tensor<4>,
    labels: &[usize],
    targets: &[usize],
) -> Evaluation {
    let seen = RefCell::new(None);
    let (losses, gradient) = model.gradient(x, &|features| {
        let logits = model.logits_of(features);
        *seen.borrow_mut() = Some(logits.clone().inner());
        loss.of_logits(logits, labels, targets)
    });
    let logits = seen.into_inner().expect("the loss was computed");
    let predicted = predicted_classes(logits).into_iter().zip(labels);
    Evaluation {
        losses: tensor_values(losses),
        gradient,
        right: predicted.map(|(class, &label)| class == label).collect(),
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
