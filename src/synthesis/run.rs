//! A running synthesis: projected gradient steps with jitter, total variation and preconditioning.

use burn::tensor::{Tensor, TensorData};
use rand::RngExt;

use super::history::{Iterate, SharedHistory, lock};
use super::objective::{PreparedObjective, variation_gradient};
use super::preconditioner::SpectralPreconditioner;
use super::start::{SynthesisInputs, initial_pictures};
use super::{Synthesis, Task};
use crate::attack::{Ball, Descent, Norm, Objective, per_picture};
use crate::data::random::noise_rng;
use crate::error::{Error, Result};
use crate::model::{Classifier, tensor_values};

/// A running synthesis, one gradient step at a time, with the history of its iterates.
pub struct SynthesisRun {
    config: Synthesis,
    objective: PreparedObjective,
    spectrum: Option<SpectralPreconditioner>,
    descent: Descent,
    done: usize,
    history: SharedHistory,
}

/// First random stream of the jitter; those below are the pictures' own.
const JITTER_STREAM: u64 = 1 << 32;

impl SynthesisRun {
    /// Starts a synthesis with no step done and evaluates its initial picture.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that `model` does not allow, a missing picture, or a target whose
    /// representation is zero or not finite.
    pub fn new(config: &Synthesis, model: &Classifier, inputs: &SynthesisInputs) -> Result<Self> {
        config.validate(model)?;
        let size = model.manifest().input;
        let device = model.device();
        let tensor = |picture: &[f32]| {
            let count = picture.len() / (3 * size[0] * size[1]);
            let shape = [count, 3, size[0], size[1]];
            Tensor::from_data(TensorData::new(picture.to_vec(), shape), device)
        };
        let target = inputs.target.map(tensor);
        let objective =
            PreparedObjective::new(config, model, target.as_ref()).map_err(Error::Config)?;
        let start = initial_pictures(config, model.manifest(), inputs, device)?;
        let scale = Norm::L2.channel_scale(model.manifest());
        let ball = Ball::new(Norm::L2, &[scale * config.radius], device);
        let ball = ball.for_model(model.manifest());
        let step = per_picture(&[config.step], device);
        let descent = Descent::new(ball, step, start.clone(), start);
        let mut run = Self {
            objective,
            spectrum: (config.spectrum > 0.0)
                .then(|| SpectralPreconditioner::new(config.spectrum, size, device)),
            descent: descent.with_momentum(config.momentum),
            done: 0,
            history: SharedHistory::default(),
            config: config.clone(),
        };
        run.evaluate_current(model)?;
        Ok(run)
    }

    /// Number of steps done.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Whether all steps are done.
    pub fn finished(&self) -> bool {
        self.done >= self.config.iterations
    }

    /// The current iterate, `[count, 3, h, w]`.
    pub fn current(&self) -> &Tensor<4> {
        self.descent.current()
    }

    /// The iterates so far, shared with readers in other threads.
    pub fn history(&self) -> &SharedHistory {
        &self.history
    }

    /// All steps that are left.
    ///
    /// # Errors
    /// As [`SynthesisRun::step`].
    pub fn finish(&mut self, model: &Classifier) -> Result<()> {
        while !self.finished() {
            self.step(model)?;
        }
        Ok(())
    }

    /// Takes one step; does nothing once all are done.
    ///
    /// # Errors
    /// [`Error::Config`] when a loss is not finite, or the gradient is zero for every picture.
    pub fn step(&mut self, model: &Classifier) -> Result<()> {
        if self.finished() {
            return Ok(());
        }
        let objective = self.objective.bind(&self.config, model);
        let (losses, mut gradient) = self.shifted_gradient(&objective);
        let losses = self.record(losses)?;
        // A converged inversion has a zero gradient too, which is no error.
        let converged = |loss: f32| matches!(self.config.task, Task::Invert { .. }) && loss < 1e-6;
        if !losses.iter().any(|&loss| converged(loss)) && is_zero(&gradient) {
            return Err(Error::Config(format!(
                "the gradient is zero after {} steps: the activation to maximise is zero for every picture. The fake ReLU or another start may help",
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
            .step_along(gradient, self.config.step_scale(self.done));
        self.done += 1;
        if self.finished() {
            self.evaluate_current(model)?;
        }
        Ok(())
    }

    /// Evaluates the current iterate and adds it to the history: after the last step.
    ///
    /// # Errors
    /// As [`SynthesisRun::step`].
    pub fn evaluate_current(&mut self, model: &Classifier) -> Result<()> {
        if lock(&self.history)
            .newest()
            .map(|iterate| iterate.iteration)
            == Some(self.done)
        {
            return Ok(());
        }
        let losses = self
            .objective
            .bind(&self.config, model)
            .loss(self.current().clone());
        self.record(losses).map(drop)
    }

    /// Losses and gradient, with jitter on the picture rolled by a random shift.
    fn shifted_gradient(&self, objective: &dyn Objective) -> (Tensor<1>, Tensor<4>) {
        let largest = self.config.jitter as i64;
        if largest == 0 {
            return objective.gradient(self.current());
        }
        let mut rng = noise_rng(self.config.seed, JITTER_STREAM + self.done as u64);
        let shift: [i64; 2] = std::array::from_fn(|_| rng.random_range(-largest..=largest));
        let shifted = self.current().clone().roll(&shift, &[2, 3]);
        let (losses, gradient) = objective.gradient(&shifted);
        (losses, gradient.roll(&shift.map(|by| -by), &[2, 3]))
    }

    /// Adds the current iterate and its losses, which must be finite, to the history.
    fn record(&self, losses: Tensor<1>) -> Result<Vec<f32>> {
        let losses = tensor_values(losses);
        if losses.iter().any(|loss| !loss.is_finite()) {
            let text = format!("the loss is no number after {} steps", self.done);
            return Err(Error::Config(text));
        }
        let values = tensor_values(self.current().clone());
        let level = |value: f32| (value * 255.0).round() as u8;
        let mut history = lock(&self.history);
        history.push(Iterate {
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
