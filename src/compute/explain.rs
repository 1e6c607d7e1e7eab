//! Running attributions, and the on-demand checks of finished ones.

use std::sync::{Arc, OnceLock};

use super::HeatMap;
use super::requests::{AttributionRequest, AttributionResult, ComputeMessage};
use super::scheduler::Step;
use super::throttle::Throttle;
use crate::attribution::{
    CurvesRun, Explainer, Input, Question, RANDOMISED, randomised, spearman, start,
};
use crate::error::Result;
use crate::model::import::ModelSource;
use crate::model::{Classifier, zoo};

impl AttributionRequest {
    /// The picture with what its method compares it with.
    pub(super) fn input(&self, background: Arc<Vec<Vec<f32>>>) -> Input {
        let size = self.picture.size();
        let reference = self.reference.as_ref();
        Input {
            pixels: self.picture.planes().to_vec(),
            size,
            reference: reference
                .map(|picture| crate::data::picture::unit_planes(&picture.cropped_whole(size))),
            background,
        }
    }

    /// The classes that the question means here.
    pub fn target(&self) -> crate::attribution::Target {
        let question: Question = self.explanation.question;
        question.target(self.likeliest, self.label)
    }
}

/// An attribution, computed chunk by chunk.
pub struct ExplainJob {
    request: AttributionRequest,
    model: Arc<Classifier>,
    explainer: Box<dyn Explainer>,
    pace: Throttle,
}

impl ExplainJob {
    pub(super) fn new(
        request: AttributionRequest,
        model: Arc<Classifier>,
        input: &Input,
    ) -> Result<Self> {
        request.explanation.validate(model.classes(), input.size)?;
        let explainer = start(&model, &request.explanation.method, request.target(), input)?;
        Ok(Self {
            request,
            model,
            explainer,
            pace: Throttle::default(),
        })
    }

    /// Whether a first chunk is done.
    pub(super) fn has_begun(&self) -> bool {
        self.explainer.progress() > 0.0
    }

    /// Computes one chunk. Sends the attribution so far after the first and the last chunk, and now and
    /// then in between.
    pub(super) fn step(&mut self) -> Result<Step<ComputeMessage>> {
        let first = !self.has_begun();
        self.explainer.step(&self.model);
        let done = self.explainer.progress() >= 1.0;
        let due = first || done || self.pace.is_due();
        let message = due.then(|| self.result()).transpose()?;
        Ok(Step {
            message: message.map(|result| ComputeMessage::Explained(Arc::new(result))),
            done,
        })
    }

    /// The attribution so far.
    fn result(&self) -> Result<AttributionResult> {
        let attribution = self.explainer.map().checked()?;
        let heat = HeatMap::new(attribution.pixels(), attribution.size);
        Ok(AttributionResult {
            request: self.request.clone(),
            attribution,
            heat,
            progress: self.explainer.progress(),
            curves: OnceLock::new(),
            sanity: OnceLock::new(),
        })
    }
}

/// Deletion and insertion curves of a finished map.
pub struct CurvesJob {
    explained: Arc<AttributionResult>,
    model: Arc<Classifier>,
    run: CurvesRun,
}

impl CurvesJob {
    pub(super) fn new(
        explained: Arc<AttributionResult>,
        model: Arc<Classifier>,
        input: &Input,
    ) -> Self {
        let target = explained.request.target();
        Self {
            run: CurvesRun::new(target, input, &explained.attribution),
            explained,
            model,
        }
    }

    pub(super) fn step(&mut self) -> Step<ComputeMessage> {
        let Some(curves) = self.run.step(&self.model) else {
            return Step {
                message: None,
                done: false,
            };
        };
        // Another job may have stored the same curves first.
        let _ = self.explained.curves.set(curves);
        Step {
            message: Some(ComputeMessage::Checked),
            done: true,
        }
    }
}

/// The same attribution of models with more and more randomised stages.
pub struct SanityJob {
    explained: Arc<AttributionResult>,
    source: ModelSource,
    input: Input,
    model: Arc<Classifier>,
    /// The current stage: the randomised model and its attribution.
    stage: Option<(Classifier, Box<dyn Explainer>)>,
    found: Vec<f32>,
}

impl SanityJob {
    pub(super) fn new(
        explained: Arc<AttributionResult>,
        source: ModelSource,
        model: Arc<Classifier>,
        input: Input,
    ) -> Self {
        Self {
            explained,
            source,
            input,
            model,
            stage: None,
            found: Vec::new(),
        }
    }

    /// One chunk of a stage's map.
    pub(super) fn step(&mut self) -> Result<Step<ComputeMessage>> {
        let (model, explainer) = match &mut self.stage {
            Some(stage) => stage,
            None => self.stage.insert(begin(
                &self.explained.request,
                &self.source,
                self.found.len(),
                &self.model,
                &self.input,
            )?),
        };
        explainer.step(model);
        if explainer.progress() >= 1.0 {
            let map = explainer.map().checked()?.pixels();
            let own = self.explained.attribution.pixels();
            self.found.push(spearman(&own, &map));
            self.stage = None;
        }
        let done = self.found.len() == RANDOMISED.len();
        if done {
            // Another job may have stored the same numbers first.
            let _ = self.explained.sanity.set(self.found.clone());
        }
        Ok(Step {
            message: done.then_some(ComputeMessage::Checked),
            done,
        })
    }
}

/// The same map of a model randomised up to `stage`.
fn begin(
    request: &AttributionRequest,
    source: &ModelSource,
    stage: usize,
    model: &Classifier,
    input: &Input,
) -> Result<(Classifier, Box<dyn Explainer>)> {
    let origin = request.model.origin();
    let model = zoo::classifier(&randomised(source, stage), origin, model.device())?;
    let explainer = start(&model, &request.explanation.method, request.target(), input)?;
    Ok((model, explainer))
}
