//! A synthesis under way, one gradient step at a time.

use burn::tensor::{Tensor, TensorData};
use rand::RngExt;

use super::history::{Kept, SharedHistory, locked};
use super::objective::{SynthesisGoal, variation_gradient};
use super::spectrum::Spectrum;
use super::start::{Material, start};
use super::{Synthesis, Task};
use crate::attack::{Ball, Descent, Norm, Objective, per_picture};
use crate::data::random::noise_rng;
use crate::error::{Error, Result};
use crate::model::{Classifier, tensor_values};

/// A synthesis under way.
pub struct Run {
    config: Synthesis,
    goal: SynthesisGoal,
    spectrum: Option<Spectrum>,
    descent: Descent,
    done: usize,
    history: SharedHistory,
}

/// Begins the shifts' streams where no picture's own stream is.
const SHIFTS: u64 = 1 << 32;

impl Run {
    /// Begins with no step done.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that `model` does not allow, a missing picture, or a target
    /// without representation.
    pub fn new(config: &Synthesis, model: &Classifier, material: &Material) -> Result<Self> {
        config.validate(model)?;
        let size = model.manifest().input;
        let device = model.device();
        let tensor = |picture: &[f32]| {
            let count = picture.len() / (3 * size[0] * size[1]);
            let shape = [count, 3, size[0], size[1]];
            Tensor::from_data(TensorData::new(picture.to_vec(), shape), device)
        };
        let target = material.target.map(tensor);
        let goal = SynthesisGoal::new(config, model, target.as_ref()).map_err(Error::Config)?;
        let labels = &model.manifest().labels;
        let start = start(config, labels, material, size, device)?;
        let ball = Ball::new(Norm::L2, &[config.radius], device);
        let step = per_picture(&[config.step], device);
        let descent = Descent::new(ball, step, start.clone(), start);
        let mut run = Self {
            goal,
            spectrum: (config.spectrum > 0.0).then(|| Spectrum::new(config.spectrum, size, device)),
            descent: descent.with_momentum(config.momentum),
            done: 0,
            history: SharedHistory::default(),
            config: config.clone(),
        };
        run.settle(model)?;
        Ok(run)
    }

    /// Steps done.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Whether all steps are done.
    pub fn finished(&self) -> bool {
        self.done >= self.config.iterations
    }

    /// The pictures `[count, 3, h, w]` as they are now.
    pub fn current(&self) -> &Tensor<4> {
        self.descent.current()
    }

    /// The iterates so far.
    pub fn history(&self) -> &SharedHistory {
        &self.history
    }

    /// One step.
    ///
    /// # Errors
    /// [`Error::Config`] when the loss is no number, or no picture has a gradient to follow.
    pub fn step(&mut self, model: &Classifier) -> Result<()> {
        if self.finished() {
            return Ok(());
        }
        let objective = self.goal.on(&self.config, model);
        let (losses, mut gradient) = self.shifted_gradient(&objective);
        let losses = self.keep(losses)?;
        // One that had arrived has no gradient either; that is no trouble.
        let arrived = |loss: f32| matches!(self.config.task, Task::Invert { .. }) && loss < 1e-6;
        if !losses.iter().any(|&loss| arrived(loss)) && is_zero(&gradient) {
            return Err(Error::Config(format!(
                "the gradient is zero after {} steps: what is to be excited is silent here. The fake ReLU or another start may wake it",
                self.done
            )));
        }
        if self.config.variation > 0.0 {
            gradient = gradient + variation_gradient(self.current()) * self.config.variation;
        }
        if let Some(spectrum) = &self.spectrum {
            gradient = spectrum.apply(gradient);
        }
        self.descent
            .step_along(gradient, self.config.pace(self.done));
        self.done += 1;
        if self.finished() {
            self.settle(model)?;
        }
        Ok(())
    }

    /// Weighs the current iterate, which becomes the history's newest: for when no step follows.
    ///
    /// # Errors
    /// As [`Run::step`].
    pub fn settle(&mut self, model: &Classifier) -> Result<()> {
        if locked(&self.history).newest().map(|kept| kept.iteration) == Some(self.done) {
            return Ok(());
        }
        let losses = self
            .goal
            .on(&self.config, model)
            .loss(self.current().clone());
        self.keep(losses).map(drop)
    }

    /// Losses and gradient, with the picture shifted around its edges if jitter is wanted.
    fn shifted_gradient(&self, objective: &dyn Objective) -> (Tensor<1>, Tensor<4>) {
        let reach = self.config.jitter as i64;
        if reach == 0 {
            return objective.gradient(self.current());
        }
        let mut rng = noise_rng(self.config.seed, SHIFTS + self.done as u64);
        let shift: [i64; 2] = std::array::from_fn(|_| rng.random_range(-reach..=reach));
        let shifted = self.current().clone().roll(&shift, &[2, 3]);
        let (losses, gradient) = objective.gradient(&shifted);
        (losses, gradient.roll(&shift.map(|by| -by), &[2, 3]))
    }

    /// Keeps the current iterate with its losses, which must be numbers.
    fn keep(&self, losses: Tensor<1>) -> Result<Vec<f32>> {
        let losses = tensor_values(losses);
        if losses.iter().any(|loss| !loss.is_finite()) {
            let text = format!("the loss is no number after {} steps", self.done);
            return Err(Error::Config(text));
        }
        let values = tensor_values(self.current().clone());
        let level = |value: f32| (value * 255.0).round() as u8;
        let mut history = locked(&self.history);
        history.push(Kept {
            iteration: self.done,
            losses: losses.as_slice().into(),
            pixels: values.into_iter().map(level).collect(),
        });
        Ok(losses)
    }
}

fn is_zero(gradient: &Tensor<4>) -> bool {
    gradient.clone().abs().max().into_scalar::<f32>() == 0.0
}
