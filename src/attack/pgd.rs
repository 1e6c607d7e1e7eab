//! PGD on the cross-entropy, untargeted or targeted.
//!
//! FGSM (Goodfellow et al. 2015) is PGD (Madry et al. 2018) with one step.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

use super::descent::{Ball, Descent, Objective, lower_loss, per_picture};
use super::mask::AttackMask;
use super::settings::{Attack, Goal};
use crate::model::Classifier;

impl Attack {
    /// PGD as [`Attack::run`], but returns the last iterates without evaluating them, which saves a forward
    /// pass: for adversarial training.
    pub fn run_to_last(
        &self,
        model: &Classifier,
        x: &Tensor<4>,
        labels: &[usize],
        noise_ids: &[u64],
    ) -> Tensor<4> {
        let mut run = PgdRun::new(self, model, x.clone(), labels, noise_ids, &[self.epsilon]);
        while run.step(model).is_some() {}
        run.descent.current().clone()
    }

    /// N-FGSM (de Jorge et al. 2022, algorithm 1): one step of the attack's step size from a random
    /// point at most `noise`·ε away, clamped to [0, 1] but not to the ball of ε.
    pub fn run_n_fgsm(
        &self,
        noise: f32,
        model: &Classifier,
        x: &Tensor<4>,
        labels: &[usize],
        noise_ids: &[u64],
    ) -> Tensor<4> {
        let step = self.step_for(self.epsilon);
        let start = Ball::new(self.norm, &[noise * self.epsilon], model.device());
        let start = start.random_start(x, self.seed, noise_ids);
        // This ball contains everything within one step of the start, so the projection only clamps to [0, 1].
        let everywhere = Ball::new(self.norm, &[noise * self.epsilon + step], model.device());
        let step_size = per_picture(&[step], model.device());
        let mut descent = Descent::new(everywhere, step_size, x.clone(), start);
        let classes = self.classes(labels, model.device());
        descent.step(&objective(self, model, classes));
        descent.current().clone()
    }
}

/// Cross-entropy to one class for each picture, to be maximised or minimised.
struct CrossEntropy<'a> {
    model: &'a Classifier,
    /// `[n, 1]`.
    classes: Tensor<2, Int>,
    /// −1 maximises the cross-entropy (untargeted), 1 minimises it (targeted).
    sign: f32,
}

impl CrossEntropy<'_> {
    fn of_logits(&self, logits: Tensor<2>) -> Tensor<1> {
        let likelihood = log_softmax(logits, 1).gather(1, self.classes.clone());
        likelihood.squeeze_dim::<1>(1) * -self.sign
    }
}

impl Objective for CrossEntropy<'_> {
    fn loss(&self, x: Tensor<4>) -> Tensor<1> {
        self.of_logits(self.model.logits(x))
    }

    fn gradient(&self, x: &Tensor<4>) -> (Tensor<1>, Tensor<4>) {
        let loss = |features| self.of_logits(self.model.logits_of(features));
        self.model.gradient(x, &loss)
    }
}

/// PGD on a batch, one gradient step at a time.
#[derive(Clone)]
pub struct PgdRun {
    attack: Attack,
    noise_ids: Vec<u64>,
    classes: Tensor<2, Int>,
    ball: Ball,
    step_size: Tensor<4>,
    x: Tensor<4>,
    descent: Descent,
    best: Option<(Tensor<1>, Tensor<4>)>,
    steps_done: usize,
    restarts_done: usize,
}

impl PgdRun {
    /// Prepares an attack on `x` (`[n, 3, h, w]`, classes `labels`) within `radii`: one for all pictures
    /// or one for each, which replace the attack's own ε.
    pub fn new(
        attack: &Attack,
        model: &Classifier,
        x: Tensor<4>,
        labels: &[usize],
        noise_ids: &[u64],
        radii: &[f32],
    ) -> Self {
        let device = model.device();
        let scale = attack.norm.channel_scale(model.manifest());
        let scaled: Vec<f32> = radii.iter().map(|radius| scale * radius).collect();
        let ball = Ball::new(attack.norm, &scaled, device).for_model(model.manifest());
        let steps: Vec<f32> = radii
            .iter()
            .map(|&radius| scale * attack.step_for(radius))
            .collect();
        let step_size = per_picture(&steps, device);
        let mut run = Self {
            attack: attack.clone(),
            noise_ids: noise_ids.to_vec(),
            classes: attack.classes(labels, device),
            descent: Descent::new(ball.clone(), step_size.clone(), x.clone(), x.clone()),
            ball,
            step_size,
            x,
            best: None,
            steps_done: 0,
            restarts_done: 0,
        };
        run.descent = run.start();
        run
    }

    /// Lets the attack change only the pixels inside a mask, if one is given, from the start.
    pub fn within<'a>(mut self, mask: impl Into<Option<&'a AttackMask>>) -> Self {
        if let Some(mask) = mask.into() {
            self.ball = self.ball.within(mask);
            self.descent = self.start();
        }
        self
    }

    /// Share of the gradient steps done, in [0, 1].
    pub fn progress(&self) -> f32 {
        let per_run = self.attack.steps.max(1);
        let done = self.restarts_done * per_run + self.steps_done;
        done as f32 / (per_run * self.attack.restarts) as f32
    }

    /// Takes one gradient step. Returns the losses `[n]` before it, or `None` once all steps are done.
    pub fn step(&mut self, model: &Classifier) -> Option<Tensor<1>> {
        if self.steps_done >= self.attack.steps {
            let no_steps = self.attack.steps == 0;
            if no_steps || self.restarts_done + 1 >= self.attack.restarts {
                return None;
            }
            self.end_restart(model);
            self.restarts_done += 1;
            self.steps_done = 0;
            self.descent = self.start();
        }
        self.steps_done += 1;
        let objective = objective(&self.attack, model, self.classes.clone());
        Some(self.descent.step(&objective))
    }

    /// The current iterates, `[n, 3, h, w]`.
    pub fn current(&self) -> &Tensor<4> {
        self.descent.current()
    }

    /// Evaluates the final iterates and returns each picture's best iterate.
    pub fn finish(self, model: &Classifier) -> Tensor<4> {
        self.finish_with_losses(model).1
    }

    /// As [`PgdRun::finish`], with the losses `[n]` of the best iterates: the cross-entropy, negative where it is
    /// maximised.
    pub fn finish_with_losses(mut self, model: &Classifier) -> (Tensor<1>, Tensor<4>) {
        self.end_restart(model);
        self.best.expect("a restart has ended")
    }

    fn end_restart(&mut self, model: &Classifier) {
        let objective = objective(&self.attack, model, self.classes.clone());
        let ended = self.descent.clone().finish(&objective);
        self.best = Some(match self.best.take() {
            None => ended,
            Some(best) => lower_loss(best, ended),
        });
    }

    fn start(&self) -> Descent {
        // Without random start, only the restarts after the first begin at a random point.
        let start = if self.attack.random_start || self.restarts_done > 0 {
            let seed = self.attack.seed.wrapping_add(self.restarts_done as u64);
            self.ball.random_start(&self.x, seed, &self.noise_ids)
        } else {
            self.x.clone()
        };
        Descent::new(
            self.ball.clone(),
            self.step_size.clone(),
            self.x.clone(),
            start,
        )
    }
}

fn objective<'a>(
    attack: &Attack,
    model: &'a Classifier,
    classes: Tensor<2, Int>,
) -> CrossEntropy<'a> {
    let sign = match attack.goal {
        Goal::Untargeted => -1.0,
        Goal::Targeted(_) => 1.0,
    };
    CrossEntropy {
        model,
        classes,
        sign,
    }
}
