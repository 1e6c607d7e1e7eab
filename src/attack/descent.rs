//! Projected steepest descent on pixels: the one optimisation loop of attacks and syntheses.
//!
//! Attacks, inversions and generations differ only in objective, ball and start.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, StandardNormal};
use serde::{Deserialize, Serialize};

use super::mask::AttackMask;
use crate::data::random::noise_rng;
use crate::model::{Manifest, gradient};

/// Norm by which a perturbation is measured; it decides the projection and the steepest direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// L∞: the largest absolute change of any channel of any pixel.
    Linf,
    /// L2: the Euclidean length of the change over all pixels and channels.
    L2,
    /// L1.5: (Σ|δ|^1.5)^(2/3) over all pixels and channels; changes are sparser than under L2 (Boreiko et al.
    /// 2022).
    #[serde(rename = "l1.5")]
    #[value(name = "l1.5")]
    L1p5,
}

impl std::fmt::Display for Norm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Linf => "L∞",
            Self::L2 => "L2",
            Self::L1p5 => "L1.5",
        })
    }
}

/// Smallest divisor: avoids dividing by the norm of a zero gradient or perturbation.
const MIN_LENGTH: f32 = 1e-12;

impl Norm {
    /// Norm of each picture's perturbation: `[n, c, h, w]` to `[n]`.
    pub fn length(self, delta: Tensor<4>) -> Tensor<1> {
        match self {
            Self::Linf => delta.abs().flatten::<2>(1, 3).max_dim(1).squeeze_dim(1),
            Self::L2 => l2(delta).reshape([-1]),
            Self::L1p5 => l1p5(delta).reshape([-1]),
        }
    }

    /// Norm of one perturbation, given by its values.
    pub fn length_of(self, delta: impl Iterator<Item = f32>) -> f32 {
        match self {
            Self::Linf => delta.fold(0.0, |largest: f32, v| largest.max(v.abs())),
            Self::L2 => delta.map(|v| v * v).sum::<f32>().sqrt(),
            Self::L1p5 => delta
                .map(|v| v.abs().powf(1.5))
                .sum::<f32>()
                .powf(2.0 / 3.0),
        }
    }

    /// The steepest ascent direction of unit norm: the gradient's sign for L∞, its normalised direction
    /// for L2, sign(g)·g² / ‖g‖₃² for L1.5 (the case of equality in Hölder's inequality); zero where the
    /// gradient is zero.
    pub fn steepest(self, gradient: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Linf => gradient.sign(),
            Self::L2 => {
                let scaled = to_unit_maximum(gradient);
                let length = l2(scaled.clone()).clamp_min(MIN_LENGTH);
                scaled / length
            }
            Self::L1p5 => {
                let scaled = to_unit_maximum(gradient);
                let direction = scaled.clone().sign() * scaled.square();
                let length = l1p5(direction.clone()).clamp_min(MIN_LENGTH);
                direction / length
            }
        }
    }
}

/// The same direction with 1 as each picture's largest absolute value: squares of the small gradients of a
/// confident model would underflow.
fn to_unit_maximum(gradient: Tensor<4>) -> Tensor<4> {
    let largest = gradient.clone().abs().flatten::<2>(1, 3).max_dim(1);
    gradient / largest.reshape([-1, 1, 1, 1]).clamp_min(f32::MIN_POSITIVE)
}

/// L2 norm of each picture, `[n, 1, 1, 1]`.
fn l2(x: Tensor<4>) -> Tensor<4> {
    x.square().sum_dims(&[1, 2, 3]).sqrt()
}

/// L1.5 norm of each picture, `[n, 1, 1, 1]`.
fn l1p5(x: Tensor<4>) -> Tensor<4> {
    let size = x.abs();
    let sum = (size.clone() * size.sqrt()).sum_dims(&[1, 2, 3]);
    sum.powf_scalar(2.0 / 3.0)
}

/// The feasible set of a perturbation: pictures in [0, 1] within a radius ε of a centre; one radius
/// for a whole batch, or one for each of its pictures. With a mask, only pixels inside it may change.
#[derive(Clone)]
pub struct Ball {
    norm: Norm,
    radii: Vec<f32>,
    /// `radii` as `[n, 1, 1, 1]`, or `[1, 1, 1, 1]` for one that all share.
    radius: Tensor<4>,
    /// 1 inside and 0 outside, `[1, 1, h, w]`.
    mask: Option<Tensor<4>>,
    /// Whether all channels change alike.
    grey: bool,
}

impl Ball {
    /// A ball of radii ε ≥ 0, in units of pixels in [0, 1].
    pub fn new(norm: Norm, radii: &[f32], device: &Device) -> Self {
        Self {
            norm,
            radii: radii.to_vec(),
            radius: per_picture(radii, device),
            mask: None,
            grey: false,
        }
    }

    /// The same for a model: for one of grey pictures, all channels change alike.
    pub fn for_model(self, manifest: &Manifest) -> Self {
        Self {
            grey: manifest.grey,
            ..self
        }
    }

    /// Lets only the pixels inside a mask change, if one is given.
    pub fn within<'a>(mut self, mask: impl Into<Option<&'a AttackMask>>) -> Self {
        if let Some(mask) = mask.into() {
            self.mask = Some(mask.tensor(&self.radius.device()));
            self.grey |= mask.is_grey();
        }
        self
    }

    /// A change without its part outside the mask, and the mean of its channels where they change alike.
    fn masked(&self, delta: Tensor<4>) -> Tensor<4> {
        let channels = delta.dims()[1];
        let delta = match &self.mask {
            Some(mask) => delta * mask.clone(),
            None => delta,
        };
        match self.grey {
            true => delta.mean_dim(1).repeat_dim(1, channels),
            false => delta,
        }
    }

    /// The steepest ascent direction of unit norm that stays inside the mask; see [`Norm::steepest`].
    pub fn steepest(&self, gradient: Tensor<4>) -> Tensor<4> {
        self.norm.steepest(self.masked(gradient))
    }

    /// Projects `x` first onto the ball around `centre`, then onto the box [0, 1].
    ///
    /// For L∞ and L2 the projection onto the ball is the nearest point. For L1.5 it is the point in the same
    /// direction from the centre, so that descents by [`Norm::steepest`] come to rest where the loss is
    /// lowest: there the change is itself a multiple of the steepest direction (the optimality condition of
    /// Frank and Wolfe 1956). As `centre` lies in the box, clamping cannot leave the ball.
    pub fn project(&self, centre: &Tensor<4>, x: Tensor<4>) -> Tensor<4> {
        let delta = self.masked(x - centre.clone());
        let delta = match self.norm {
            Norm::Linf => {
                let radius = self.radius.clone().expand(delta.dims());
                delta.min_pair(radius.clone()).max_pair(-radius)
            }
            Norm::L2 => self.shortened(delta, l2),
            Norm::L1p5 => self.shortened(delta, l1p5),
        };
        (centre.clone() + delta).clamp(0.0, 1.0)
    }

    /// Scales perturbations that are too long by `norm` down to the radius.
    fn shortened(&self, delta: Tensor<4>, norm: fn(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
        let length = norm(delta.clone()).clamp_min(MIN_LENGTH);
        delta * (self.radius.clone() / length).clamp_max(1.0)
    }

    /// A uniformly distributed point of the ball around each picture, clamped to [0, 1]. With a mask, a point of a
    /// uniformly distributed direction inside the mask, as far away as without one.
    ///
    /// Drawn on the CPU from `seed` and each picture's noise id, so that the point depends neither on the
    /// device nor on which pictures share a batch.
    pub fn random_start(&self, centre: &Tensor<4>, seed: u64, noise_ids: &[u64]) -> Tensor<4> {
        let shape = centre.dims();
        let size = shape[1] * shape[2] * shape[3];
        let mut values = Vec::with_capacity(shape[0] * size);
        for (index, &noise_id) in noise_ids.iter().enumerate() {
            let radius = self.radii[index % self.radii.len()];
            self.norm
                .extend_with_point(radius, &mut values, size, &mut noise_rng(seed, noise_id));
        }
        let delta = Tensor::from_data(TensorData::new(values, shape), &centre.device());
        (centre.clone() + self.inside_mask(delta)).clamp(0.0, 1.0)
    }

    /// The part of a change inside the mask, as long as the whole was.
    fn inside_mask(&self, delta: Tensor<4>) -> Tensor<4> {
        if self.mask.is_none() && !self.grey {
            return delta;
        }
        let inside = self.masked(delta.clone());
        match self.norm {
            Norm::Linf => inside,
            norm => {
                let length = |delta: Tensor<4>| norm.length(delta).reshape([-1, 1, 1, 1]);
                let scale = length(delta) / length(inside.clone()).clamp_min(MIN_LENGTH);
                inside * scale
            }
        }
    }
}

impl Norm {
    /// Appends a uniformly distributed point of the ball of `radius` around 0 in `size` dimensions.
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
                self.scale_into_ball(point, radius, rng);
            }
            Self::L1p5 => {
                let from = values.len();
                // Uniform points of Lp balls come from densities exp(−|v|^p) (Barthe et al. 2005), of which
                // |v|^p is gamma distributed.
                let gamma = Gamma::new(2.0_f32 / 3.0, 1.0).expect("the shape is positive");
                values.extend((0..size).map(|_| {
                    let magnitude = gamma.sample(rng).powf(2.0 / 3.0);
                    if rng.random() { magnitude } else { -magnitude }
                }));
                let point = &mut values[from..];
                self.scale_into_ball(point, radius, rng);
            }
        }
    }

    /// Scales a point in a uniformly distributed direction to a uniformly distributed point of the ball.
    fn scale_into_ball(self, point: &mut [f32], radius: f32, rng: &mut ChaCha8Rng) {
        let length = self.length_of(point.iter().copied()).max(MIN_LENGTH);
        // The volume within radius r grows as r^size, so r is distributed as u^(1/size).
        let reach = rng.random::<f32>().powf(1.0 / point.len() as f32);
        let scale = radius * reach / length;
        point.iter_mut().for_each(|value| *value *= scale);
    }
}

/// One value for each picture of a batch as `[n, 1, 1, 1]`, to be broadcast over the pixels.
pub fn per_picture(values: &[f32], device: &Device) -> Tensor<4> {
    Tensor::<1>::from_floats(values, device).reshape([values.len(), 1, 1, 1])
}

/// Objective function of a descent: a loss for each picture, to be minimised.
pub trait Objective {
    /// The loss of each picture: `[n, c, h, w]` in [0, 1] to `[n]`.
    fn loss(&self, x: Tensor<4>) -> Tensor<1>;

    /// Losses `[n]` and their gradients with respect to the pixels, both off the autodiff graph.
    fn gradient(&self, x: &Tensor<4>) -> (Tensor<1>, Tensor<4>) {
        gradient(x, |x| self.loss(x))
    }
}

/// Projected steepest descent (Madry et al. 2018, section 2.1) on a batch, keeping each picture's best
/// iterate.
#[derive(Clone)]
pub struct Descent {
    ball: Ball,
    /// `[n, 1, 1, 1]` or `[1, 1, 1, 1]`.
    step_size: Tensor<4>,
    centre: Tensor<4>,
    x: Tensor<4>,
    /// Momentum: weight of the previous direction in the running average, in [0, 1).
    momentum: f32,
    velocity: Option<Tensor<4>>,
    best: Option<(Tensor<1>, Tensor<4>)>,
}

impl Descent {
    /// Starts from `start`, projected onto the ball around `centre`.
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

    /// Uses momentum in [0, 1): steps follow an exponential moving average of the steepest directions, so
    /// that none is longer than the step size.
    pub fn with_momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self
    }

    /// The current iterate.
    pub fn current(&self) -> &Tensor<4> {
        &self.x
    }

    /// Evaluates the current iterate, then takes one step. Returns the losses `[n]` before the step.
    pub fn step(&mut self, objective: &dyn Objective) -> Tensor<1> {
        let (loss, gradient) = objective.gradient(&self.x);
        self.update_best(loss.clone());
        self.step_along(gradient, 1.0);
        loss
    }

    /// Takes a descent step along a gradient at the current iterate, of `scale` times the step size.
    pub fn step_along(&mut self, gradient: Tensor<4>, scale: f32) {
        let mut step = self.ball.steepest(gradient);
        if self.momentum > 0.0 {
            if let Some(velocity) = self.velocity.take() {
                step = velocity * self.momentum + step * (1.0 - self.momentum);
            }
            self.velocity = Some(step.clone());
        }
        let moved = self.x.clone() - step * (self.step_size.clone() * scale);
        self.x = self.ball.project(&self.centre, moved);
    }

    /// Evaluates the last iterate too and returns each picture's lowest loss `[n]` with its iterate.
    pub fn finish(mut self, objective: &dyn Objective) -> (Tensor<1>, Tensor<4>) {
        self.update_best(objective.loss(self.x.clone()));
        self.best.expect("`update_best` stores an iterate")
    }

    fn update_best(&mut self, loss: Tensor<1>) {
        self.best = Some(match self.best.take() {
            None => (loss, self.x.clone()),
            Some(best) => lower_loss(best, (loss, self.x.clone())),
        });
    }
}

/// Selects for each picture the candidate with the lower loss; the first on a tie.
pub fn lower_loss(
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
