//! The engine's worker: it owns the models and starts what is wanted.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};

use super::background_cache::BackgroundCache;
use super::batch::AttackBatch;
use super::explain::{CurvesJob, ExplainJob, SanityJob};
use super::model_cache::{CachedModel, ModelCache};
use super::preview::preview;
use super::requests::{
    AttackResult, AttributionRequest, AttributionResult, ComputeMessage, Lane, MOST_ROWS,
    ModelInput, PictureSource, PredictionResult, Request,
};
use super::scan::ScanJob;
use super::scheduler::{Failure, Step, Worker};
use super::sweep::SweepJob;
use super::synthesis::{SynthesisJob, SynthesisRuns};
use super::throttle::Throttle;
use super::unit_activations::UnitActivationsJob;
use super::{CounterfactualRequest, CounterfactualResult, DeviceFailure, GpuImage};
use crate::attack::Attack;
use crate::data::{Crop, Picture};
use crate::error::{Error, Result};
use crate::evaluate::top;
use crate::model::{Classifier, ModelRef, tensor_values, zoo};
use crate::triage::Examined;

/// Finished attacks, and finished maps, kept for when they are wanted again.
const REMEMBERED: usize = 64;
/// Values of all remembered maps together: sixteen maps of 224×224 with their errors take 20 MB.
const REMEMBERED_VALUES: usize = 1 << 22;

/// How much less urgent is what is computed ahead.
const LATER: u8 = 16;

/// The engine's thread: models, and the attacks it remembers.
pub struct ComputeWorker {
    device: Device,
    models: ModelCache,
    remembered: VecDeque<(ModelInput, Attack, AttackResult)>,
    explained: VecDeque<Arc<AttributionResult>>,
    counterfactual: VecDeque<Arc<CounterfactualResult>>,
    backgrounds: BackgroundCache,
    synthesis: SynthesisRuns,
}

/// A request under way.
pub enum Job {
    /// The model is loaded and warmed up in a step of its own, so that the window can say so.
    Prepare(Box<Request>),
    /// One attack.
    Attack(Box<AttackJob>),
    /// Attacks over a grid of ε.
    Sweep(Box<SweepJob>),
    /// One map.
    Explain(Box<ExplainJob>),
    /// Curves of one map.
    Curves(Box<CurvesJob>),
    /// The randomisation check of one map.
    Sanity(Box<SanityJob>),
    /// One picture being made.
    Synthesis(SynthesisJob),
    /// A look at the library.
    Survey(UnitActivationsJob),
    /// A scan of a set of pictures.
    Scan(Box<ScanJob>),
}

impl ComputeWorker {
    /// Computes on `device`.
    pub fn new(device: Device) -> Self {
        Self {
            device,
            models: ModelCache::default(),
            remembered: VecDeque::new(),
            explained: VecDeque::new(),
            counterfactual: VecDeque::new(),
            backgrounds: BackgroundCache::default(),
            synthesis: SynthesisRuns::default(),
        }
    }

    /// The model. Where its file has become another, what was computed with the old one is forgotten.
    fn open(&mut self, model: &ModelRef) -> Result<CachedModel> {
        let (opened, changed) = self.models.get(model, &self.device)?;
        if changed {
            self.remembered
                .retain(|(subject, ..)| subject.model != *model);
            self.explained.retain(|known| known.case.model != *model);
            self.counterfactual
                .retain(|known| known.request.model != *model);
            self.synthesis.forget(model);
        }
        Ok(opened)
    }

    /// As [`ComputeWorker::open`], after a look whether the file has changed. What begins anew does so;
    /// what goes on with a picture that a model has looked at stays with that model.
    fn open_fresh(&mut self, model: &ModelRef) -> Result<CachedModel> {
        self.models.drop_if_changed(model);
        self.open(model)
    }

    fn model(&mut self, model: &ModelRef) -> Result<Arc<Classifier>> {
        Ok(self.open(model)?.classifier)
    }

    fn counterfactual(
        &mut self,
        request: CounterfactualRequest,
    ) -> Result<Arc<CounterfactualResult>> {
        let known = self
            .counterfactual
            .iter()
            .find(|known| known.request == request);
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let model = self.open(&request.model)?.pair()?;
        let counterfactual = Arc::new(super::counterfactual::counterfactual(&model, request)?);
        remember(&mut self.counterfactual, counterfactual.clone());
        Ok(counterfactual)
    }

    /// The picture as its model sees it, `[1, 3, h, w]`.
    fn pixels(&self, model: &Classifier, subject: &ModelInput) -> Tensor<4> {
        let size = model.manifest().input;
        let pixels = subject.picture.cropped(subject.crop, size);
        let values = crate::data::picture::unit_planes(&pixels);
        let data = TensorData::new(values, [1, 3, size[0], size[1]]);
        Tensor::from_data(data, &self.device)
    }

    /// The same, with what the model says of it and the class to leave.
    fn look(&self, model: &Classifier, subject: &ModelInput) -> (Tensor<4>, PredictionResult) {
        let x = self.pixels(model, subject);
        let features = model.features(x.clone());
        let representation = tensor_values(model.embed(features.clone()));
        let probabilities = tensor_values(softmax(model.logits_of(features), 1));
        let labels = &model.manifest().labels;
        let truth = subject.truth.as_ref();
        let known = truth.and_then(|truth| labels.iter().position(|label| label == truth));
        let look = PredictionResult {
            manifest: Arc::new(model.manifest().clone()),
            input: GpuImage::new(x.clone()),
            label: known.unwrap_or_else(|| top(&probabilities)),
            probabilities,
            representation,
            has_generator: false,
            budget: model.budget().clone(),
            hash: None,
        };
        (x, look)
    }

    fn prepare(&mut self, request: Request) -> Result<(Option<ComputeMessage>, Option<Job>)> {
        Ok(match request {
            Request::Predict(subject) => {
                let opened = self.open_fresh(&subject.model)?;
                let look = PredictionResult {
                    has_generator: opened.generator.is_some(),
                    hash: Some(opened.fingerprint.to_string()),
                    ..self.look(&opened.classifier, &subject).1
                };
                (Some(ComputeMessage::Predicted(look)), None)
            }
            Request::Attack(subject, attack) => {
                let model = self.model(&subject.model)?;
                attack.validate(model.classes())?;
                let known = self
                    .remembered
                    .iter()
                    .find(|(s, a, _)| *s == subject && *a == attack);
                if let Some((_, _, attacked)) = known {
                    return Ok((Some(ComputeMessage::Attacked(attacked.clone())), None));
                }
                let (x, look) = self.look(&model, &subject);
                let batch = AttackBatch::new(&model, &attack, &x, look.label, &[attack.epsilon]);
                let job = AttackJob {
                    subject,
                    attack,
                    model,
                    batch,
                    pace: Throttle::default(),
                };
                (None, Some(Job::Attack(Box::new(job))))
            }
            Request::Sweep(subject, attack, most) => {
                let model = self.model(&subject.model)?;
                attack.validate(model.classes())?;
                let (x, look) = self.look(&model, &subject);
                let job = SweepJob::new(model, attack, x, look.label, most);
                (None, Some(Job::Sweep(Box::new(job))))
            }
            Request::Explain(case) => self.prepare_map(case)?,
            Request::Curves(explained) => {
                let model = self.model(&explained.case.model)?;
                let input = explained.case.input(Arc::default());
                let job = CurvesJob::new(explained, model, &input);
                (None, Some(Job::Curves(Box::new(job))))
            }
            Request::Sanity(explained) => {
                let model = self.model(&explained.case.model)?;
                let source = zoo::source(&explained.case.model, &self.device)?;
                let input = self.input(&explained.case)?;
                let job = SanityJob::new(explained, source, model, input);
                (None, Some(Job::Sanity(Box::new(job))))
            }
            Request::Synthesize {
                brief,
                until,
                rests,
            } => {
                let mut synthesis = std::mem::take(&mut self.synthesis);
                let job = synthesis.job(brief, (until, rests), |model| self.model(model));
                self.synthesis = synthesis;
                (None, Some(Job::Synthesis(job?)))
            }
            Request::Counterfactual(request) => {
                let counterfactual = self.counterfactual(request)?;
                (Some(ComputeMessage::Counterfactual(counterfactual)), None)
            }
            Request::PreviewNormalizers(subject) => {
                let model = self.model(&subject.model)?;
                let x = self.pixels(&model, &subject);
                (
                    Some(ComputeMessage::NormalizersPreviewed(preview(&model, &x))),
                    None,
                )
            }
            Request::Scan(order) => {
                let names = order.plan.models.iter();
                let models = names.map(|name| {
                    let opened = self.open_fresh(name)?;
                    Ok(Examined {
                        fingerprint: opened.fingerprint,
                        classifier: opened.classifier,
                    })
                });
                let models = models.collect::<Result<_>>()?;
                let job = ScanJob::new(&order, models)?;
                (None, Some(Job::Scan(Box::new(job))))
            }
            Request::UnitActivations(survey) => {
                let model = self.model(&survey.model)?;
                (
                    None,
                    Some(Job::Survey(UnitActivationsJob::new(survey, model))),
                )
            }
        })
    }

    fn input(&mut self, case: &AttributionRequest) -> Result<crate::attribution::Input> {
        Ok(case.input(self.backgrounds.background(case)?))
    }

    fn prepare_map(
        &mut self,
        case: AttributionRequest,
    ) -> Result<(Option<ComputeMessage>, Option<Job>)> {
        let known = self.explained.iter().find(|known| known.case == case);
        if let Some(known) = known {
            return Ok((Some(ComputeMessage::Explained(known.clone())), None));
        }
        let model = self.model(&case.model)?;
        let input = self.input(&case)?;
        let job = ExplainJob::new(case, model, &input)?;
        Ok((None, Some(Job::Explain(Box::new(job)))))
    }

    fn explain_step(&mut self, job: &mut ExplainJob) -> Result<Step<ComputeMessage>> {
        let Some(explained) = job.step()?.map(Arc::new) else {
            return Ok(Step {
                news: None,
                done: false,
            });
        };
        let done = explained.finished();
        if done {
            remember(&mut self.explained, explained.clone());
            let values = |known: &Arc<AttributionResult>| known.attribution.values.len();
            while self.explained.iter().map(values).sum::<usize>() > REMEMBERED_VALUES {
                self.explained.pop_front();
            }
        }
        Ok(Step {
            news: Some(ComputeMessage::Explained(explained)),
            done,
        })
    }

    fn attack_step(&mut self, job: &mut AttackJob) -> Step<ComputeMessage> {
        let Some(mut attacked) = job.batch.step(&job.model) else {
            let progress = || ComputeMessage::Progress(job.batch.progress());
            let news = job.pace.is_due().then(progress);
            return Step { news, done: false };
        };
        let attacked = attacked.remove(0);
        let finished = (job.subject.clone(), job.attack.clone(), attacked.clone());
        remember(&mut self.remembered, finished);
        Step {
            news: Some(ComputeMessage::Attacked(attacked)),
            done: true,
        }
    }
}

impl Worker for ComputeWorker {
    type Lane = Lane;
    type Request = Request;
    type Message = ComputeMessage;
    type Job = Job;

    fn requested<'a>(&mut self, requests: impl Iterator<Item = &'a Request>) {
        self.models.keep(requests.flat_map(Request::models));
    }

    fn start(&mut self, _: &Lane, request: &Request) -> Job {
        Job::Prepare(Box::new(request.clone()))
    }

    fn urgency(lane: &Lane, job: &Job) -> u8 {
        let later = if lane.row() < MOST_ROWS { 0 } else { LATER };
        later
            + match (lane, job) {
                (Lane::Prediction(_), _) => 0,
                (Lane::Attack(_), _) => 1,
                // Something to see of everything first, then the whole timeline, then better maps.
                (Lane::Attribution(..), Job::Explain(job)) if job.has_begun() => 3,
                // While ε is dragged, this is of the nearest finished attack.
                (Lane::Attribution(PictureSource::Attacked, _), _) => 1,
                (Lane::Sweep(_) | Lane::Attribution(..), _) => 2,
                (Lane::Counterfactual(_) | Lane::NormalizerPreview(_), _) => 1,
                (Lane::UnitActivations(_), _) => 2,
                (Lane::Scan, _) => LATER,
                // What goes on for long shares the rest.
                (Lane::Curves(..) | Lane::Sanity(..) | Lane::Synthesis(_), _) => 3,
            }
    }

    fn step(&mut self, job: &mut Job) -> Step<ComputeMessage> {
        match job {
            Job::Prepare(request) => match self.prepare((**request).clone()) {
                Ok((news, Some(next))) => {
                    *job = next;
                    Step { news, done: false }
                }
                Ok((news, None)) => Step { news, done: true },
                Err(error) => failure(&error),
            },
            Job::Attack(attack) => self.attack_step(attack),
            Job::Sweep(sweep) => sweep.step(),
            Job::Explain(job) => self
                .explain_step(job)
                .unwrap_or_else(|error| failure(&error)),
            Job::Curves(job) => job.step(),
            Job::Sanity(job) => job.step().unwrap_or_else(|error| failure(&error)),
            Job::Synthesis(job) => job.step().unwrap_or_else(|error| failure(&error)),
            Job::Survey(job) => job.step(),
            Job::Scan(job) => job.step().unwrap_or_else(|error| failure(&error)),
        }
    }

    fn failed(&mut self, request: &Request, message: String) -> Failure<ComputeMessage> {
        let told = |news| Failure { news, again: false };
        match DeviceFailure::of(&message) {
            DeviceFailure::Memory
                if request
                    .model()
                    .is_some_and(|model| self.models.halve(model)) =>
            {
                Failure {
                    news: ComputeMessage::OutOfMemory,
                    again: true,
                }
            }
            DeviceFailure::Memory => {
                let message = format!(
                    "There is too little memory for this, even for one picture at a time: {message}"
                );
                told(ComputeMessage::Failed(message))
            }
            DeviceFailure::Device => told(ComputeMessage::DeviceLost(message)),
            DeviceFailure::Other => told(ComputeMessage::Failed(format!(
                "This computation failed: {message}"
            ))),
        }
    }
}

fn failure(error: &Error) -> Step<ComputeMessage> {
    Step {
        news: Some(ComputeMessage::Failed(error.to_string())),
        done: true,
    }
}

/// Keeps a result, and no more than [`REMEMBERED`].
fn remember<T>(results: &mut VecDeque<T>, result: T) {
    if results.len() == REMEMBERED {
        results.pop_front();
    }
    results.push_back(result);
}

/// One attack on one picture.
pub struct AttackJob {
    subject: ModelInput,
    attack: Attack,
    model: Arc<Classifier>,
    batch: AttackBatch,
    pace: Throttle,
}

/// Opens a picture for headless work: as [`ComputeWorker`] would show it.
pub fn attack_once(
    model: &Arc<Classifier>,
    path: &Path,
    truth: Option<String>,
    attack: &Attack,
) -> Result<(PredictionResult, AttackResult)> {
    let explorer = ComputeWorker::new(model.device().clone());
    let subject = ModelInput {
        model: ModelRef::from(&*model.manifest().name),
        picture: Picture::open(path)?,
        crop: Crop::default(),
        truth,
    };
    attack.validate(model.classes())?;
    let (x, look) = explorer.look(model, &subject);
    let mut batch = AttackBatch::new(model, attack, &x, look.label, &[attack.epsilon]);
    let attacked = loop {
        if let Some(mut attacked) = batch.step(model) {
            break attacked.remove(0);
        }
    };
    Ok((look, attacked))
}
