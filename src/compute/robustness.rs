//! The check of one picture by AutoAttack, step by step.

use std::sync::Arc;

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use super::GpuImage;
use super::requests::{ComputeMessage, ModelInput};
use super::scheduler::Step;
use super::throttle::{Throttle, repeat};
use crate::attack::auto::AutoRun;
use crate::attack::{AttackMask, AutoAttack, AutoPart};
use crate::evaluate::{top, warnings_of_logits, warnings_of_outcomes};
use crate::model::{Classifier, tensor_values};

/// A request for a check.
#[derive(Clone, Debug, PartialEq)]
pub struct RobustnessRequest {
    /// The picture and the model.
    pub input: ModelInput,
    /// The attacks, their norm and radius.
    pub attack: AutoAttack,
}

/// What an attack of the sequence did, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartStatus {
    /// It has not begun, or is not needed.
    Waiting,
    /// It is under way.
    Running,
    /// It ended without finding a misclassified picture.
    Held,
    /// It found one.
    Fooled,
}

/// A misclassified picture within the radius.
#[derive(Clone, Debug)]
pub struct AdversarialExample {
    /// The picture.
    pub picture: GpuImage,
    /// The class that the model predicts for it.
    pub class: usize,
    /// Its probability.
    pub confidence: f32,
    /// Length of the change, in the norm of the attack.
    pub length: f32,
}

/// A check, finished or not.
#[derive(Clone, Debug)]
pub struct RobustnessResult {
    /// The request.
    pub request: RobustnessRequest,
    /// The class that the attacks leave.
    pub label: usize,
    /// Whether the model predicts another class without any attack, so that there is nothing to check.
    pub is_wrong_already: bool,
    /// The attacks in their order.
    pub parts: Vec<(AutoPart, PartStatus)>,
    /// What was found, if anything was.
    pub adversarial: Option<AdversarialExample>,
    /// Share of the work that is done; 1 when finished.
    pub progress: f32,
    /// What speaks against trusting the result.
    pub warnings: Vec<String>,
}

impl RobustnessResult {
    /// Whether the check is finished.
    pub fn finished(&self) -> bool {
        self.progress >= 1.0
    }
}

/// A check under way.
pub struct RobustnessJob {
    request: RobustnessRequest,
    model: Arc<Classifier>,
    x: Tensor<4>,
    label: usize,
    run: AutoRun,
    warnings: Vec<String>,
    pace: Throttle,
}

impl RobustnessJob {
    /// Begins a check of the picture `x`, `[1, 3, h, w]`, whose class is `label`.
    pub(super) fn new(
        request: RobustnessRequest,
        model: Arc<Classifier>,
        x: Tensor<4>,
        label: usize,
        mask: Option<&AttackMask>,
    ) -> Self {
        let run = request.attack.begin(&model, &x, &[label], &[0]);
        Self {
            run: run.within(mask),
            warnings: warnings_of_logits(&model, &x),
            request,
            model,
            x,
            label,
            pace: Throttle::default(),
        }
    }

    pub(super) fn step(&mut self) -> Step<ComputeMessage> {
        let goes_on = repeat(|| self.run.step(&self.model));
        let told = self.pace.is_due() || !goes_on;
        Step {
            message: told.then(|| ComputeMessage::RobustnessChecked(Arc::new(self.result()))),
            done: !goes_on,
        }
    }

    fn result(&self) -> RobustnessResult {
        let outcomes = self.run.outcomes();
        let status = |part: AutoPart| {
            let outcome = outcomes.iter().find(|outcome| outcome.part == part);
            match outcome {
                Some(outcome) if outcome.fooled.is_empty() => PartStatus::Held,
                Some(_) => PartStatus::Fooled,
                None if self.run.open() > 0 && self.run.part() == Some(part) => PartStatus::Running,
                None => PartStatus::Waiting,
            }
        };
        let parts = self.request.attack.parts_for(self.model.classes());
        let fooled = outcomes.iter().any(|outcome| !outcome.fooled.is_empty());
        let warnings = warnings_of_outcomes(outcomes).into_iter();
        RobustnessResult {
            request: self.request.clone(),
            label: self.label,
            is_wrong_already: self.run.open() == 0 && outcomes.is_empty(),
            parts: parts.into_iter().map(|part| (part, status(part))).collect(),
            adversarial: fooled.then(|| self.adversarial()),
            progress: self.run.progress(),
            warnings: self.warnings.iter().cloned().chain(warnings).collect(),
        }
    }

    /// The misclassified picture, looked at afresh.
    fn adversarial(&self) -> AdversarialExample {
        let found = self.run.pictures(self.model.device());
        let probabilities = tensor_values(softmax(self.model.logits(found.clone()), 1));
        let class = top(&probabilities);
        let norm = self.request.attack.norm;
        let change = tensor_values(found.clone() - self.x.clone());
        AdversarialExample {
            picture: GpuImage::new(found),
            class,
            confidence: probabilities[class],
            length: norm.length_of(change.into_iter()) / norm.channel_scale(self.model.manifest()),
        }
    }
}
