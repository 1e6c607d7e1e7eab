//! The scheduler's worker: it runs the requests on the models.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};

use super::background_cache::BackgroundCache;
use super::batch::AttackBatch;
use super::counterfactual::{CounterfactualMethod, DescentJob, DescentRuns, by_generator};
use super::explain::{CurvesJob, ExplainJob, SanityJob};
use super::lanes::{Lane, PictureSource};
use super::model_cache::Models;
use super::patch::PatchJob;
use super::preview::PreviewJob;
use super::requests::{
    AttackResult, AttributionRequest, AttributionResult, ComputeMessage, ModelInput,
    PredictionResult, Request,
};
use super::robustness::{RobustnessJob, RobustnessRequest, RobustnessResult};
use super::scan::ScanJob;
use super::scheduler::{Failure, Step, Worker};
use super::severity::SeveritySweepJob;
use super::sweep::SweepJob;
use super::synthesis::{SynthesisJob, SynthesisRuns};
use super::throttle::Throttle;
use super::unit_activations::UnitActivationsJob;
use super::{CounterfactualRequest, CounterfactualResult, DeviceFailure, GpuImage};
use crate::attack::{Attack, AttackMask};
use crate::data::mask::binary_mask;
use crate::error::{Error, Result};
use crate::evaluate::top;
use crate::model::{Classifier, Examined, ModelRef, tensor_values, zoo};

/// Number of finished attacks, attributions and counterfactuals that are cached.
const REMEMBERED: usize = 64;
/// Number of values of all cached attributions together: sixteen maps of 224×224 with their errors take 20 MB.
const REMEMBERED_VALUES: usize = 1 << 22;

/// Added to the priority of requests of prepared views, which are computed ahead.
const LATER: u8 = 16;

/// Number of cached predictions: a few rows and pictures.
const KEPT_PREDICTIONS: usize = 8;

/// A cached prediction, from which attacks and sweeps start.
struct KnownPrediction {
    /// Weak: the model cache decides how long a model stays in memory.
    model: Weak<Classifier>,
    subject: ModelInput,
    /// `[1, 3, h, w]`.
    x: Tensor<4>,
    prediction: PredictionResult,
}

/// The worker: models, and a cache of finished results.
pub struct ComputeWorker {
    models: Models,
    predictions: VecDeque<KnownPrediction>,
    remembered: VecDeque<(ModelInput, Attack, AttackResult)>,
    explained: VecDeque<Arc<AttributionResult>>,
    counterfactual: VecDeque<Arc<CounterfactualResult>>,
    /// Finished checks by AutoAttack.
    checks: VecDeque<Arc<RobustnessResult>>,
    backgrounds: BackgroundCache,
    descents: DescentRuns,
    synthesis: SynthesisRuns,
}

/// A running request.
pub enum Job {
    /// Loading the model: a step of its own.
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
    /// A counterfactual by descent.
    Counterfactual(DescentJob),
    /// A synthesis.
    Synthesis(SynthesisJob),
    /// Activations of all units for the library.
    UnitActivations(UnitActivationsJob),
    /// A check by AutoAttack.
    Robustness(Box<RobustnessJob>),
    /// Predictions over a grid of severities.
    SeveritySweep(SeveritySweepJob),
    /// The search for the place of a patch.
    PatchSearch(Box<PatchJob>),
    /// Predictions under other descriptions.
    Preview(Box<PreviewJob>),
    /// A scan of a set of pictures.
    Scan(Box<ScanJob>),
}

impl ComputeWorker {
    /// Computes with these models, on their device; a device alone stands for none yet.
    pub fn new(models: impl Into<Models>) -> Self {
        Self {
            models: models.into(),
            predictions: VecDeque::new(),
            remembered: VecDeque::new(),
            explained: VecDeque::new(),
            counterfactual: VecDeque::new(),
            checks: VecDeque::new(),
            backgrounds: BackgroundCache::default(),
            descents: DescentRuns::default(),
            synthesis: SynthesisRuns::default(),
        }
    }

    fn model(&mut self, model: &ModelRef) -> Result<Arc<Classifier>> {
        Ok(self.models.get(model)?.classifier)
    }

    fn prepare_counterfactual(
        &mut self,
        request: CounterfactualRequest,
    ) -> Result<(Option<ComputeMessage>, Option<Job>)> {
        let mut known = self.counterfactual.iter();
        if let Some(known) = known.find(|known| known.request == request) {
            let known = ComputeMessage::Counterfactual(known.clone());
            return Ok((Some(known), None));
        }
        match &request.method {
            CounterfactualMethod::Generator(generator) => {
                let model = self.models.with_generator(&request.model, generator)?;
                let answer = Arc::new(by_generator(&model, request)?);
                remember(&mut self.counterfactual, answer.clone(), REMEMBERED);
                Ok((Some(ComputeMessage::Counterfactual(answer)), None))
            }
            &CounterfactualMethod::Descent(settings) => {
                let model = self.model(&request.model)?;
                let job = self.descents.job(&model, request, settings)?;
                Ok((None, Some(Job::Counterfactual(job))))
            }
        }
    }

    /// The picture as its model sees it, `[1, 3, h, w]`.
    fn pixels(&self, model: &Classifier, subject: &ModelInput) -> Tensor<4> {
        let size = model.manifest().input;
        let values = subject.corruption.apply(&cropped(model, subject), size, 0);
        let data = TensorData::new(values, [1, 3, size[0], size[1]]);
        Tensor::from_data(data, self.models.device())
    }

    /// The same, with what the model predicts for it and the class that an attack leaves. Attacks,
    /// sweeps and the window ask for the same few, so these are kept.
    fn prediction(
        &mut self,
        model: &Arc<Classifier>,
        subject: &ModelInput,
    ) -> (Tensor<4>, PredictionResult) {
        let subject = &subject.without_attack_mask();
        let known = self
            .predictions
            .iter()
            .find(|known| known.model.ptr_eq(&Arc::downgrade(model)) && known.subject == *subject);
        if let Some(known) = known {
            return (known.x.clone(), known.prediction.clone());
        }
        let (x, prediction) = self.predict(model, subject);
        let known = KnownPrediction {
            model: Arc::downgrade(model),
            subject: subject.clone(),
            x: x.clone(),
            prediction: prediction.clone(),
        };
        remember(&mut self.predictions, known, KEPT_PREDICTIONS);
        (x, prediction)
    }

    fn predict(&self, model: &Classifier, subject: &ModelInput) -> (Tensor<4>, PredictionResult) {
        let x = self.pixels(model, subject);
        let features = model.features(x.clone());
        let representation = tensor_values(model.embed(features.clone()));
        let probabilities = tensor_values(softmax(model.logits_of(features), 1));
        let labels = &model.manifest().labels;
        let truth = subject.truth.as_ref();
        let known = truth.and_then(|truth| labels.iter().position(|label| label == truth));
        let prediction = PredictionResult {
            manifest: Arc::new(model.manifest().clone()),
            input: GpuImage::new(x.clone()),
            label: known.unwrap_or_else(|| top(&probabilities)),
            probabilities,
            representation,
            has_generator: false,
            budget: model.budget().clone(),
            hash: None,
        };
        (x, prediction)
    }

    /// Forgets all results of a model whose file has changed.
    fn forget_if_changed(&mut self, model: &ModelRef) {
        if self.models.forget_if_changed(model) {
            self.remembered
                .retain(|(subject, ..)| subject.model != *model);
            self.explained.retain(|known| known.request.model != *model);
            self.counterfactual
                .retain(|known| known.request.model != *model);
            self.checks
                .retain(|known| known.request.input.model != *model);
            self.predictions
                .retain(|known| known.subject.model != *model);
            self.descents.forget(model);
            self.synthesis.forget(model);
        }
    }

    fn prepare(&mut self, request: Request) -> Result<(Option<ComputeMessage>, Option<Job>)> {
        if matches!(request, Request::Predict(_) | Request::Scan(_)) {
            for model in request.models() {
                self.forget_if_changed(model);
            }
        }
        Ok(match request {
            Request::Predict(subject) => {
                let opened = self.models.get(&subject.model)?;
                let has_generator = opened.generator.is_some();
                let hash = Some(opened.fingerprint.to_string());
                let model = opened.classifier.clone();
                let prediction = PredictionResult {
                    has_generator,
                    hash,
                    ..self.prediction(&model, &subject).1
                };
                (Some(ComputeMessage::Predicted(prediction)), None)
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
                let (x, prediction) = self.prediction(&model, &subject);
                let mask = attack_mask(&model, &subject)?;
                let radius = [attack.epsilon];
                let label = prediction.label;
                let batch = AttackBatch::new(&model, &attack, &x, label, &radius, mask.as_ref());
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
                let (x, prediction) = self.prediction(&model, &subject);
                let mask = attack_mask(&model, &subject)?;
                let job = SweepJob::new(model, attack, x, prediction.label, mask, most);
                (None, Some(Job::Sweep(Box::new(job))))
            }
            Request::SweepSeverity(subject) => {
                let model = self.model(&subject.model)?;
                let label = self.prediction(&model, &subject).1.label;
                let pixels = cropped(&model, &subject);
                let job = SeveritySweepJob::new(model, subject.corruption, pixels, label);
                (None, Some(Job::SeveritySweep(job)))
            }
            Request::SearchPatch(request) => {
                let model = self.model(&request.input.model)?;
                let (x, prediction) = self.prediction(&model, &request.input);
                let job = PatchJob::new(request, model, x, prediction.label)?;
                (None, Some(Job::PatchSearch(Box::new(job))))
            }
            Request::Explain(request) => self.prepare_map(request)?,
            Request::Curves(explained) => {
                let model = self.model(&explained.request.model)?;
                let input = explained.request.input(Arc::default());
                let job = CurvesJob::new(explained, model, &input);
                (None, Some(Job::Curves(Box::new(job))))
            }
            Request::Sanity(explained) => {
                let model = self.model(&explained.request.model)?;
                let source = zoo::source(&explained.request.model, self.models.device())?;
                let input = self.input(&explained.request)?;
                let job = SanityJob::new(explained, source, model, input);
                (None, Some(Job::Sanity(Box::new(job))))
            }
            Request::Synthesize {
                request,
                until,
                rests,
            } => {
                let mut synthesis = std::mem::take(&mut self.synthesis);
                let job = synthesis.job(request, (until, rests), |model| self.model(model));
                self.synthesis = synthesis;
                (None, Some(Job::Synthesis(job?)))
            }
            Request::Counterfactual(request) => self.prepare_counterfactual(request)?,
            Request::CheckRobustness(request) => self.prepare_check(request)?,
            Request::PreviewDescriptions(request) => {
                let model = self.model(&request.input.model)?;
                let x = self.pixels(&model, &request.input);
                let job = PreviewJob::new(&request, model, x);
                (None, Some(Job::Preview(Box::new(job))))
            }
            Request::Scan(order) => {
                let names = order.plan.models.iter();
                let models = names.map(|name| {
                    let opened = self.models.get(name)?;
                    Ok(Examined {
                        fingerprint: opened.fingerprint,
                        classifier: opened.classifier,
                    })
                });
                let models = models.collect::<Result<_>>()?;
                let job = ScanJob::new(&order, models)?;
                (None, Some(Job::Scan(Box::new(job))))
            }
            Request::UnitActivations(unit_activations) => {
                let model = self.model(&unit_activations.model)?;
                (
                    None,
                    Some(Job::UnitActivations(UnitActivationsJob::new(
                        unit_activations,
                        model,
                    ))),
                )
            }
        })
    }

    fn prepare_check(
        &mut self,
        request: RobustnessRequest,
    ) -> Result<(Option<ComputeMessage>, Option<Job>)> {
        let known = self.checks.iter().find(|known| known.request == request);
        if let Some(known) = known {
            return Ok((Some(ComputeMessage::RobustnessChecked(known.clone())), None));
        }
        let model = self.model(&request.input.model)?;
        request.attack.validate(model.classes())?;
        let (x, prediction) = self.prediction(&model, &request.input);
        let mask = attack_mask(&model, &request.input)?;
        let job = RobustnessJob::new(request, model, x, prediction.label, mask.as_ref());
        Ok((None, Some(Job::Robustness(Box::new(job)))))
    }

    fn input(&mut self, request: &AttributionRequest) -> Result<crate::attribution::Input> {
        Ok(request.input(self.backgrounds.background(request)?))
    }

    fn prepare_map(
        &mut self,
        request: AttributionRequest,
    ) -> Result<(Option<ComputeMessage>, Option<Job>)> {
        let known = self.explained.iter().find(|known| known.request == request);
        if let Some(known) = known {
            return Ok((Some(ComputeMessage::Explained(known.clone())), None));
        }
        let model = self.model(&request.model)?;
        let input = self.input(&request)?;
        let job = ExplainJob::new(request, model, &input)?;
        Ok((None, Some(Job::Explain(Box::new(job)))))
    }
}

impl Worker for ComputeWorker {
    type Lane = Lane;
    type Request = Request;
    type Message = ComputeMessage;
    type Job = Job;

    fn start(&mut self, _: &Lane, request: &Request) -> Job {
        Job::Prepare(Box::new(request.clone()))
    }

    fn urgency(lane: &Lane, job: &Job) -> u8 {
        let later = if lane.is_on_screen() { 0 } else { LATER };
        later
            + match (lane, job) {
                (Lane::Prediction(_), _) => 0,
                // Attacks of thousands of steps share the rest with other long computations.
                (Lane::Attack(_), Job::Attack(job)) if !job.attack.method.is_pgd() => 3,
                (Lane::Sweep(_), Job::Sweep(job)) if !job.is_pgd() => 3,
                (Lane::Attack(_), _) => 1,
                // A first map of everything, then whole maps beside a coarse timeline, then a finer one.
                (Lane::Attribution(..), Job::Explain(job)) if job.has_begun() => 2,
                (Lane::Sweep(_), Job::Sweep(job)) if job.refines() => 3,
                // While ε is dragged, this is of the nearest finished attack.
                (Lane::Attribution(PictureSource::Attacked, _), _) => 1,
                (Lane::Sweep(_) | Lane::Attribution(..), _) => 2,
                (Lane::Counterfactual(_) | Lane::SeveritySweep(_) | Lane::PatchSearch(_), _) => 1,
                (Lane::UnitActivations(_) | Lane::DescriptionPreview(_), _) => 2,
                (Lane::Scan, _) => LATER,
                // Long computations share the rest.
                (
                    Lane::Curves(..) | Lane::Sanity(..) | Lane::Synthesis(_) | Lane::Robustness(_),
                    _,
                ) => 3,
            }
    }

    fn jobs_at_once(&self) -> usize {
        if *self.models.device() == Device::flex() {
            rayon::current_num_threads()
        } else {
            // One queue for all jobs.
            1
        }
    }

    fn step_alone(job: &mut Job) -> Option<Step<ComputeMessage>> {
        Some(match job {
            Job::Prepare(_) => return None,
            Job::Attack(job) => job.step(),
            Job::Sweep(job) => job.step(),
            Job::Explain(job) => job.step().unwrap_or_else(|error| failure(&error)),
            Job::Curves(job) => job.step(),
            Job::Sanity(job) => job.step().unwrap_or_else(|error| failure(&error)),
            Job::Counterfactual(job) => job.step().unwrap_or_else(|error| failure(&error)),
            Job::Synthesis(job) => job.step().unwrap_or_else(|error| failure(&error)),
            Job::UnitActivations(job) => job.step(),
            Job::Robustness(job) => job.step(),
            Job::SeveritySweep(job) => job.step(),
            Job::PatchSearch(job) => job.step(),
            Job::Preview(job) => job.step(),
            Job::Scan(job) => job.step().unwrap_or_else(|error| failure(&error)),
        })
    }

    fn step(&mut self, job: &mut Job) -> Step<ComputeMessage> {
        if let Some(step) = Self::step_alone(job) {
            self.keep(job, &step);
            return step;
        }
        let Job::Prepare(request) = job else {
            unreachable!("all other steps are done alone")
        };
        match self.prepare((**request).clone()) {
            Ok((message, Some(next))) => {
                *job = next;
                Step {
                    message,
                    done: false,
                }
            }
            Ok((message, None)) => Step {
                message,
                done: true,
            },
            Err(error) => failure(&error),
        }
    }

    fn keep(&mut self, job: &Job, step: &Step<ComputeMessage>) {
        if !step.done {
            return;
        }
        match (job, &step.message) {
            (Job::Attack(job), Some(ComputeMessage::Attacked(attacked))) => {
                let finished = (job.subject.clone(), job.attack.clone(), attacked.clone());
                remember(&mut self.remembered, finished, REMEMBERED);
            }
            (Job::Explain(_), Some(ComputeMessage::Explained(explained))) => {
                remember(&mut self.explained, explained.clone(), REMEMBERED);
                let values = |known: &Arc<AttributionResult>| known.attribution.values.len();
                while self.explained.iter().map(values).sum::<usize>() > REMEMBERED_VALUES {
                    self.explained.pop_front();
                }
            }
            (Job::Counterfactual(job), Some(ComputeMessage::Counterfactual(answer))) => {
                remember(&mut self.counterfactual, answer.clone(), REMEMBERED);
                self.descents.remove(job);
            }
            (Job::Robustness(_), Some(ComputeMessage::RobustnessChecked(result))) => {
                remember(&mut self.checks, result.clone(), REMEMBERED);
            }
            _ => {}
        }
    }

    fn failed(&mut self, request: &Request, message: String) -> Failure<ComputeMessage> {
        let told = |message| Failure {
            message,
            again: false,
        };
        match DeviceFailure::of(&message) {
            DeviceFailure::Memory
                if request
                    .model()
                    .is_some_and(|model| self.models.halve(model)) =>
            {
                Failure {
                    message: ComputeMessage::OutOfMemory,
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

/// The part of the picture that its model gets, before any corruption, `[3, h, w]`.
fn cropped(model: &Classifier, subject: &ModelInput) -> Vec<f32> {
    let pixels = subject
        .picture
        .cropped(subject.crop, model.manifest().input);
    model.manifest().planes_of(&pixels)
}

/// The pixels of a model's input that attacks may change, if not all.
fn attack_mask(model: &Classifier, subject: &ModelInput) -> Result<Option<AttackMask>> {
    let size = model.manifest().input;
    let mask = subject.attack_mask.as_ref();
    let mask = mask.map(|mask| AttackMask::new(binary_mask(mask, subject.crop, size), size));
    mask.transpose()
}

fn failure(error: &Error) -> Step<ComputeMessage> {
    Step {
        message: Some(ComputeMessage::Failed(error.to_string())),
        done: true,
    }
}

/// Adds a result to a cache of at most `most`.
fn remember<T>(results: &mut VecDeque<T>, result: T, most: usize) {
    if results.len() == most {
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

impl AttackJob {
    fn step(&mut self) -> Step<ComputeMessage> {
        let attacked = self.batch.step(&self.model);
        let Some(attacked) = attacked.and_then(|attacked| attacked.into_iter().next()) else {
            let progress = || ComputeMessage::Progress(self.batch.progress());
            return Step {
                message: self.pace.is_due().then(progress),
                done: false,
            };
        };
        Step {
            message: Some(ComputeMessage::Attacked(attacked)),
            done: true,
        }
    }
}
