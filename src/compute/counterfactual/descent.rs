//! Counterfactuals by descent, one gradient step at a time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burn::tensor::Tensor;

use super::{CounterfactualRequest, CounterfactualResult, Question};
use crate::attack::{AttackMask, PgdRun};
use crate::compute::lanes::MOST_ROWS;
use crate::compute::requests::ComputeMessage;
use crate::compute::scheduler::Step;
use crate::compute::throttle::Throttle;
use crate::counterfactual::{DescentSettings, real_classes};
use crate::error::Result;
use crate::evaluate::probabilities;
use crate::model::{Classifier, ModelRef, tensor_values};
use crate::tasks;

/// Time between two pictures of a counterfactual in the making: it should move.
const UPDATE: Duration = Duration::from_millis(40);

/// A counterfactual in the making: first toward the target, then back to the class it came from.
struct DescentRun {
    model: Arc<Classifier>,
    question: Question,
    settings: DescentSettings,
    attack: PgdRun,
    /// The counterfactual, once the way back has begun.
    made: Option<Tensor<4>>,
}

impl DescentRun {
    fn new(
        model: Arc<Classifier>,
        request: CounterfactualRequest,
        settings: DescentSettings,
    ) -> Result<Self> {
        let classes = real_classes(&model.manifest().labels);
        let targets: Vec<usize> = (0..classes).collect();
        let question = Question::new(&model, classes, &targets, request)?;
        let mask = question.mask.as_ref();
        let attack = toward(&model, &settings, mask, question.x.clone(), question.target)?;
        Ok(Self {
            model,
            question,
            settings,
            attack,
            made: None,
        })
    }

    /// Share of the steps done.
    fn progress(&self) -> f32 {
        let begun = if self.made.is_some() { 0.5 } else { 0.0 };
        // Only an answer with everything is finished.
        (begun + 0.5 * self.attack.progress()).min(0.99)
    }

    /// One gradient step; the answer once all are done.
    fn step(&mut self) -> Result<Option<CounterfactualResult>> {
        if let Some(loss) = self.attack.step(&self.model) {
            // Reading back keeps the device's queue short, so that a newer request takes effect in time.
            tensor_values(loss);
            return Ok(None);
        }
        match &self.made {
            None => {
                let made = self.attack.clone().finish(&self.model);
                let source = self.question.source;
                let mask = self.question.mask.as_ref();
                self.attack = toward(&self.model, &self.settings, mask, made.clone(), source)?;
                self.made = Some(made);
                Ok(None)
            }
            Some(made) => {
                let back = self.attack.clone().finish(&self.model);
                let answer = self
                    .question
                    .finished(&self.model, made.clone(), Some(back));
                Ok(Some(answer))
            }
        }
    }

    /// The counterfactual as it is now.
    fn so_far(&self) -> CounterfactualResult {
        let current = self.made.as_ref().unwrap_or_else(|| self.attack.current());
        let seen = probabilities(&self.model, current.clone()).remove(0);
        self.question
            .unfinished(current.clone(), seen, self.progress())
    }
}

/// A descent from `x` toward a class.
fn toward(
    model: &Classifier,
    settings: &DescentSettings,
    mask: Option<&AttackMask>,
    x: Tensor<4>,
    class: usize,
) -> Result<PgdRun> {
    let attack = settings.toward(class, model.manifest().input)?;
    let radius = attack.epsilon;
    let run = PgdRun::new(&attack, model, x, &[class], &[0], &[radius]);
    Ok(run.within(mask))
}

/// Answers `request` by descent on the pixels, whatever its method says.
///
/// # Errors
/// [`crate::error::Error::Config`] when the target is no class of the model, or the settings allow no change.
pub fn by_descent(
    model: &Arc<Classifier>,
    request: CounterfactualRequest,
    settings: DescentSettings,
) -> Result<CounterfactualResult> {
    let mut run = DescentRun::new(model.clone(), request, settings)?;
    loop {
        if let Some(answer) = run.step()? {
            return Ok(answer);
        }
    }
}

/// Descents that have not ended, so that a pause costs nothing.
#[derive(Default)]
pub(in crate::compute) struct DescentRuns(VecDeque<Arc<Mutex<DescentRun>>>);

impl DescentRuns {
    /// Goes on with a request, or begins it.
    ///
    /// # Errors
    /// As [`by_descent`].
    pub(in crate::compute) fn job(
        &mut self,
        model: &Arc<Classifier>,
        request: CounterfactualRequest,
        settings: DescentSettings,
    ) -> Result<DescentJob> {
        let is_same = |run: &&Arc<Mutex<DescentRun>>| {
            let run = tasks::lock(run);
            Arc::ptr_eq(&run.model, model) && run.question.request == request
        };
        let known = self.0.iter().find(is_same).cloned();
        let run = match known {
            Some(run) => run,
            None => {
                let run = DescentRun::new(model.clone(), request, settings)?;
                let run = Arc::new(Mutex::new(run));
                self.0.truncate(MOST_ROWS - 1);
                self.0.push_front(run.clone());
                run
            }
        };
        Ok(DescentJob {
            run,
            pace: Throttle::every(UPDATE),
        })
    }

    /// Drops the descents of a model.
    pub(in crate::compute) fn forget(&mut self, model: &ModelRef) {
        self.0
            .retain(|run| tasks::lock(run).question.request.model != *model);
    }

    /// Drops a descent that has ended.
    pub(in crate::compute) fn remove(&mut self, job: &DescentJob) {
        self.0.retain(|run| !Arc::ptr_eq(run, &job.run));
    }
}

/// Steps of a descent.
pub struct DescentJob {
    run: Arc<Mutex<DescentRun>>,
    pace: Throttle,
}

impl DescentJob {
    /// One gradient step, and how the counterfactual looks then if that is worth a frame.
    ///
    /// # Errors
    /// As [`by_descent`].
    pub(in crate::compute) fn step(&mut self) -> Result<Step<ComputeMessage>> {
        let mut run = tasks::lock(&self.run);
        let answer = run.step()?;
        let done = answer.is_some();
        let due = done || self.pace.is_due();
        let answer = answer.or_else(|| due.then(|| run.so_far()));
        let message = |answer| ComputeMessage::Counterfactual(Arc::new(answer));
        Ok(Step {
            message: answer.map(message),
            done,
        })
    }
}
