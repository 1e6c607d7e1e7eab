//! Adversarial attacks: PGD on the cross-entropy, untargeted or targeted.
//!
//! FGSM (Goodfellow et al. 2015) is PGD (Madry et al. 2018) with one step.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::descent::{Ball, Descent, Norm, Objective, lower_loss, per_picture};
use super::epsilon::{is_length, require_radius};
use crate::error::{Error, Result};
use crate::model::Classifier;

/// Goal of an attack: untargeted or targeted misclassification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Any other class than the picture's label: its true class where known, else the predicted one.
    Untargeted,
    /// This class.
    Targeted(usize),
}

impl Goal {
    /// Whether the attack on a picture of the class `label` succeeds when the model predicts `class`.
    pub fn is_reached(self, label: usize, class: usize) -> bool {
        match self {
            Self::Untargeted => class != label,
            Self::Targeted(target) => class == target,
        }
    }
}

/// Settings of an attack by projected gradient descent on the cross-entropy, as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attack {
    /// Norm that bounds the perturbation.
    pub norm: Norm,
    /// Radius ε: largest norm of the perturbation, in units of pixels in [0, 1].
    pub epsilon: f32,
    /// Gradient steps of each restart; 1 is FGSM.
    pub steps: usize,
    /// Step length in the same unit as `epsilon`; without one, 2.5·ε/steps (Madry et al. 2018).
    pub step_size: Option<f32>,
    /// Untargeted, or the target class.
    pub goal: Goal,
    /// Whether to start from a random point of the ball instead of its centre.
    pub random_start: bool,
    /// Number of independent runs, of which each picture's best iterate is kept; at least 1.
    pub restarts: usize,
    /// Seed of the random starts.
    pub seed: u64,
}

impl Default for Attack {
    /// L2 PGD-10 with ε 0.5: a visible perturbation, fast enough for interactive use.
    fn default() -> Self {
        Self {
            norm: Norm::L2,
            epsilon: 0.5,
            steps: 10,
            step_size: None,
            goal: Goal::Untargeted,
            random_start: true,
            restarts: 1,
            seed: 0,
        }
    }
}

impl Attack {
    /// FGSM: one full step from the picture itself.
    pub fn fgsm(norm: Norm, epsilon: f32) -> Self {
        Self {
            norm,
            epsilon,
            steps: 1,
            step_size: Some(epsilon),
            random_start: false,
            ..Self::default()
        }
    }

    /// PGD with `steps` steps of 2.5·ε/steps from a random start.
    pub fn pgd(norm: Norm, epsilon: f32, steps: usize) -> Self {
        Self {
            norm,
            epsilon,
            steps,
            ..Self::default()
        }
    }

    /// Norm, method and steps without ε, such as `L2 PGD-10`.
    pub fn kind(&self) -> String {
        match self.steps {
            0 => "No attack".into(),
            1 if !self.random_start => format!("{} FGSM", self.norm),
            steps => format!("{} PGD-{steps}", self.norm),
        }
    }

    /// The step size for a radius of `epsilon`, in the same unit.
    pub fn step_for(&self, epsilon: f32) -> f32 {
        self.step_size
            .unwrap_or(2.5 * epsilon / self.steps.max(1) as f32)
    }

    /// Checks the settings for a classifier with `classes` classes.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting that is out of range.
    pub fn validate(&self, classes: usize) -> Result<()> {
        require_radius(self.epsilon)?;
        let wrong = if !self.step_size.is_none_or(is_length) {
            "the step size must be a number of at least 0".into()
        } else if self.restarts == 0 {
            "at least one run is needed".into()
        } else if let Goal::Targeted(class) = self.goal
            && class >= classes
        {
            format!("the target class {class} is not one of the {classes} classes")
        } else {
            return Ok(());
        };
        Err(Error::Config(wrong))
    }

    /// Attacks pictures `[n, 3, h, w]` of the classes `labels` and returns each one's best iterate.
    ///
    /// `noise_ids` select each picture's random start; see [`Ball::random_start`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use epsiloscope::attack::{Attack, Norm};
    /// use epsiloscope::model::zoo;
    ///
    /// let device = Device::flex();
    /// let model = zoo::open(&"cifar10-standard".into(), &device)?;
    /// let grey = Tensor::<4>::full([1, 3, 32, 32], 0.5, &device);
    /// let attack = Attack::pgd(Norm::Linf, 8.0 / 255.0, 2);
    /// let attacked = attack.run(&model, &grey, &[3], &[0]);
    /// let farthest = (attacked - grey).abs().max().into_scalar::<f32>();
    /// assert!(farthest > 0.0 && farthest <= 8.0 / 255.0 + 1e-6);
    /// # Ok::<(), epsiloscope::error::Error>(())
    /// ```
    pub fn run(
        &self,
        model: &Classifier,
        x: &Tensor<4>,
        labels: &[usize],
        noise_ids: &[u64],
    ) -> Tensor<4> {
        self.run_all_steps(model, x, labels, noise_ids)
            .finish(model)
    }

    /// As [`Attack::run`], but returns the last iterates without evaluating them, which saves a forward
    /// pass: for adversarial training.
    pub fn run_to_last(
        &self,
        model: &Classifier,
        x: &Tensor<4>,
        labels: &[usize],
        noise_ids: &[u64],
    ) -> Tensor<4> {
        let run = self.run_all_steps(model, x, labels, noise_ids);
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

    /// The classes `[n, 1]` whose cross-entropy is maximised (`labels`) or minimised (the target).
    fn classes(&self, labels: &[usize], device: &Device) -> Tensor<2, Int> {
        let class_of = |&label: &usize| match self.goal {
            Goal::Untargeted => label as i32,
            Goal::Targeted(class) => class as i32,
        };
        let classes: Vec<i32> = labels.iter().map(class_of).collect();
        Tensor::from_data(TensorData::new(classes, [labels.len(), 1]), device)
    }

    fn run_all_steps(
        &self,
        model: &Classifier,
        x: &Tensor<4>,
        labels: &[usize],
        noise_ids: &[u64],
    ) -> AttackRun {
        let mut run = AttackRun::new(self, model, x.clone(), labels, noise_ids, &[self.epsilon]);
        while run.step(model).is_some() {}
        run
    }
}

impl std::fmt::Display for Attack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ε {}", self.kind(), self.norm.format(self.epsilon))?;
        if let Goal::Targeted(class) = self.goal {
            write!(f, " toward class {class}")?;
        }
        if self.restarts > 1 {
            write!(f, ", {} restarts", self.restarts)?;
        }
        Ok(())
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

/// A running attack, one gradient step at a time.
#[derive(Clone)]
pub struct AttackRun {
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

impl AttackRun {
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
        let ball = Ball::new(attack.norm, radii, device);
        let steps: Vec<f32> = radii
            .iter()
            .map(|&radius| attack.step_for(radius))
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
    pub fn finish(mut self, model: &Classifier) -> Tensor<4> {
        self.end_restart(model);
        self.best.expect("a restart has ended").1
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
