//! The one loop: projected steepest descent on pixels.
//!
//! Attacks, inversions and generations differ in objective, ball and start; nothing else.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::data::random::noise_rng;
use crate::model::gradient;

/// How far apart two pictures are; each with its own steepest direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Largest change of any channel of any pixel.
    Linf,
    /// Euclidean length of the change over all pixels and channels.
    L2,
}

impl std::fmt::Display for Norm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Linf => "L∞",
            Self::L2 => "L2",
        })
    }
}

/// Keeps a picture without gradient from being divided by zero.
const TINY: f32 = 1e-12;

impl Norm {
    /// Length of each picture's change: `[n, c, h, w]` to `[n]`.
    pub fn length(self, delta: Tensor<4>) -> Tensor<1> {
        match self {
            Self::Linf => delta.abs().flatten::<2>(1, 3).max_dim(1).squeeze_dim(1),
            Self::L2 => l2(delta).reshape([-1]),
        }
    }

    /// The unit step along which a linear function with this gradient falls fastest, negated:
    /// its sign for L∞, its direction for L2. A picture without gradient does not move.
    pub fn steepest(self, gradient: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Linf => gradient.sign(),
            Self::L2 => {
                // Squares of small gradients underflow; a confident model has such.
                let largest = gradient.clone().abs().flatten::<2>(1, 3).max_dim(1);
                let scaled = gradient / largest.reshape([-1, 1, 1, 1]).clamp_min(f32::MIN_POSITIVE);
                let length = l2(scaled.clone()).clamp_min(TINY);
                scaled / length
            }
        }
    }
}

/// Euclidean length of each picture, `[n, 1, 1, 1]`.
fn l2(x: Tensor<4>) -> Tensor<4> {
    x.square().sum_dims(&[1, 2, 3]).sqrt()
}

/// All pictures in [0, 1] no further than a radius from a centre; one radius for a whole batch, or
/// one for each of its pictures.
#[derive(Clone)]
pub struct Ball {
    norm: Norm,
    radii: Vec<f32>,
    /// `radii` as `[n, 1, 1, 1]`, or `[1, 1, 1, 1]` for one that all share.
    radius: Tensor<4>,
}

impl Ball {
    /// Radii (ε) are in units of pixels in [0, 1] and at least 0.
    pub fn new(norm: Norm, radii: &[f32], device: &Device) -> Self {
        Self {
            norm,
            radii: radii.to_vec(),
            radius: per_picture(radii, device),
        }
    }

    /// The nearest picture inside: first the ball around `centre`, then the box [0, 1].
    ///
    /// As `centre` lies in the box, clamping cannot leave the ball.
    pub fn project(&self, centre: &Tensor<4>, x: Tensor<4>) -> Tensor<4> {
        let delta = x - centre.clone();
        let delta = match self.norm {
            Norm::Linf => {
                let radius = self.radius.clone().expand(delta.dims());
                delta.min_pair(radius.clone()).max_pair(-radius)
            }
            Norm::L2 => {
                let length = l2(delta.clone()).clamp_min(TINY);
                delta * (self.radius.clone() / length).clamp_max(1.0)
            }
        };
        (centre.clone() + delta).clamp(0.0, 1.0)
    }

    /// A uniformly distributed point of the ball around each picture, clamped to [0, 1].
    ///
    /// Drawn on the CPU from `seed` and each picture's own number, so that the point does not
    /// depend on the device or on which pictures share a batch.
    pub fn random_start(&self, centre: &Tensor<4>, seed: u64, numbers: &[u64]) -> Tensor<4> {
        let shape = centre.dims();
        let size = shape[1] * shape[2] * shape[3];
        let mut values = Vec::with_capacity(shape[0] * size);
        for (index, &number) in numbers.iter().enumerate() {
            let radius = self.radii[index % self.radii.len()];
            self.norm
                .extend_with_point(radius, &mut values, size, &mut noise_rng(seed, number));
        }
        let delta = Tensor::from_data(TensorData::new(values, shape), &centre.device());
        (centre.clone() + delta).clamp(0.0, 1.0)
    }
}

impl Norm {
    /// Appends a uniformly distributed point of the ball of `radius` in `size` dimensions.
    fn extend_with_point(
        self,
        radius: f32,
        values: &mut Vec<f32>,
        size: usize,
        rng: &mut ChaCha8Rng,
    ) {
        match self {
            Self::Linf => values.extend((0..size).map(|_| {
                let unit: f32 = rng.random();
                (2.0 * unit - 1.0) * radius
            })),
            Self::L2 => {
                let from = values.len();
                values.extend((0..size).map(|_| -> f32 { StandardNormal.sample(rng) }));
                let point = &mut values[from..];
                let length = point.iter().map(|v| v * v).sum::<f32>().sqrt().max(TINY);
                // The share of a ball within radius r grows as r^size.
                let reach = rng.random::<f32>().powf(1.0 / size as f32);
                let scale = radius * reach / length;
                point.iter_mut().for_each(|value| *value *= scale);
            }
        }
    }
}

/// One number for each picture of a batch, shaped to multiply it.
pub fn per_picture(values: &[f32], device: &Device) -> Tensor<4> {
    Tensor::<1>::from_floats(values, device).reshape([values.len(), 1, 1, 1])
}

/// What a descent minimises.
pub trait Objective {
    /// The loss of each picture: `[n, c, h, w]` in [0, 1] to `[n]`.
    fn loss(&self, x: Tensor<4>) -> Tensor<1>;

    /// Losses `[n]` and their gradients with respect to the pixels, both off the autodiff graph.
    fn gradient(&self, x: &Tensor<4>) -> (Tensor<1>, Tensor<4>) {
        gradient(x, |x| self.loss(x))
    }
}

/// Projected steepest descent (Madry et al. 2018, section 2.1), batched, with each picture's best
/// iterate remembered.
#[derive(Clone)]
pub struct Descent {
    ball: Ball,
    /// `[n, 1, 1, 1]` or `[1, 1, 1, 1]`.
    step_size: Tensor<4>,
    centre: Tensor<4>,
    x: Tensor<4>,
    /// Share of the last step that the next one keeps, in [0, 1).
    momentum: f32,
    velocity: Option<Tensor<4>>,
    best: Option<(Tensor<1>, Tensor<4>)>,
}

impl Descent {
    /// Begins at `start`, which is projected into the ball around `centre`.
    pub fn new(ball: Ball, step_size: Tensor<4>, centre: Tensor<4>, start: Tensor<4>) -> Self {
        let x = ball.project(&centre, start);
        Self {
            ball,
            step_size,
            centre,
            x,
            momentum: 0.0,
            velocity: None,
            best: None,
        }
    }

    /// Steps are running averages of the steepest directions from now on: each keeps the share
    /// `momentum`, in [0, 1), of the one before, so none is longer than the step size.
    pub fn with_momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self
    }

    /// The current iterate.
    pub fn current(&self) -> &Tensor<4> {
        &self.x
    }

    /// Weighs the current iterate, then moves one step. Returns the losses `[n]` before the move.
    pub fn step(&mut self, objective: &dyn Objective) -> Tensor<1> {
        let (loss, gradient) = objective.gradient(&self.x);
        self.remember(loss.clone());
        self.follow(gradient, 1.0);
        loss
    }

    /// Moves against a gradient at the current iterate, by `pace` times the step size.
    pub fn follow(&mut self, gradient: Tensor<4>, pace: f32) {
        let mut step = self.ball.norm.steepest(gradient);
        if self.momentum > 0.0 {
            if let Some(velocity) = self.velocity.take() {
                step = velocity * self.momentum + step * (1.0 - self.momentum);
            }
            self.velocity = Some(step.clone());
        }
        let moved = self.x.clone() - step * (self.step_size.clone() * pace);
        self.x = self.ball.project(&self.centre, moved);
    }

    /// Weighs the last iterate too and returns each picture's lowest loss `[n]` with its iterate.
    pub fn finish(mut self, objective: &dyn Objective) -> (Tensor<1>, Tensor<4>) {
        self.remember(objective.loss(self.x.clone()));
        self.best.expect("remember stores an iterate")
    }

    fn remember(&mut self, loss: Tensor<1>) {
        self.best = Some(match self.best.take() {
            None => (loss, self.x.clone()),
            Some(best) => better(best, (loss, self.x.clone())),
        });
    }
}

/// For each picture, whichever of two candidates has the lower loss; the first on a tie.
pub fn better(
    (loss_a, x_a): (Tensor<1>, Tensor<4>),
    (loss_b, x_b): (Tensor<1>, Tensor<4>),
) -> (Tensor<1>, Tensor<4>) {
    let wins = loss_b.clone().lower(loss_a.clone());
    let [_, c, h, w] = x_a.dims();
    let mask = wins
        .clone()
        .reshape([-1, 1, 1, 1])
        .expand([-1, c as i64, h as i64, w as i64]);
    (loss_a.mask_where(wins, loss_b), x_a.mask_where(mask, x_b))
}
