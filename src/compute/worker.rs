//! The engine's worker: it owns the models and starts what is wanted.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};

use super::background_cache::Materials;
use super::batch::Batch;
use super::explain::{CurvesJob, ExplainJob, SanityJob};
use super::model_cache::Shelf;
use super::preview::preview;
use super::requests::{
    Attacked, Case, Explained, Lane, Look, MOST_ROWS, News, Request, Subject, Which,
};
use super::scan::ScanJob;
use super::scheduler::{Failure, Step, Worker};
use super::sweep::SweepJob;
use super::synthesis::{Studio, SynthesisJob};
use super::throttle::Pace;
use super::unit_activations::SurveyJob;
use super::{Contrast, Contrasted, Frame, Trouble};
use crate::attack::Attack;
use crate::data::{Crop, Picture};
use crate::error::{Error, Result};
use crate::evaluate::top;
use crate::model::{Classifier, tensor_values, zoo};
use crate::triage::Examined;

/// Finished attacks, and finished maps, kept for when they are wanted again.
const REMEMBERED: usize = 64;
/// Values of all remembered maps together: sixteen maps of 224×224 with their errors take 20 MB.
const REMEMBERED_VALUES: usize = 1 << 22;

/// How much less urgent is what is computed ahead.
const LATER: u8 = 16;

/// The engine's thread: models, and the attacks it remembers.
pub struct Explorer {
    device: Device,
    shelf: Shelf,
    remembered: VecDeque<(Subject, Attack, Attacked)>,
    explained: VecDeque<Arc<Explained>>,
    contrasted: VecDeque<Arc<Contrasted>>,
    materials: Materials,
    studio: Studio,
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
    Survey(SurveyJob),
    /// A scan of a set of pictures.
    Scan(Box<ScanJob>),
}

impl Explorer {
    /// Computes on `device`.
    pub fn new(device: Device) -> Self {
        Self {
            device,
            shelf: Shelf::default(),
            remembered: VecDeque::new(),
            explained: VecDeque::new(),
            contrasted: VecDeque::new(),
            materials: Materials::default(),
            studio: Studio::default(),
        }
    }

    fn model(&mut self, name: &str) -> Result<Arc<Classifier>> {
        Ok(self.shelf.get(name, &self.device)?.classifier)
    }

    fn contrast(&mut self, contrast: Contrast) -> Result<Arc<Contrasted>> {
        let known = self
            .contrasted
            .iter()
            .find(|known| known.contrast == contrast);
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let model = self.shelf.get(&contrast.model, &self.device)?.pair()?;
        let contrasted = Arc::new(super::counterfactual::contrast(&model, contrast)?);
        remember(&mut self.contrasted, contrasted.clone());
        Ok(contrasted)
    }

    /// The picture as its model sees it, `[1, 3, h, w]`.
    fn pixels(&self, model: &Classifier, subject: &Subject) -> Tensor<4> {
        let size = model.manifest().input;
        let pixels = subject.picture.cropped(subject.crop, size);
        let values = crate::data::picture::unit_planes(&pixels);
        let data = TensorData::new(values, [1, 3, size[0], size[1]]);
        Tensor::from_data(data, &self.device)
    }

    /// The same, with what the model says of it and the class to leave.
    fn look(&self, model: &Classifier, subject: &Subject) -> (Tensor<4>, Look) {
        let x = self.pixels(model, subject);
        let features = model.features(x.clone());
        let representation = tensor_values(model.embed(features.clone()));
        let probabilities = tensor_values(softmax(model.logits_of(features), 1));
        let labels = &model.manifest().labels;
        let truth = subject.truth.as_ref();
        let known = truth.and_then(|truth| labels.iter().position(|label| label == truth));
        let look = Look {
            manifest: Arc::new(model.manifest().clone()),
            input: Frame::new(x.clone()),
            label: known.unwrap_or_else(|| top(&probabilities)),
            probabilities,
            representation,
            has_generator: false,
            budget: model.budget().clone(),
            hash: None,
        };
        (x, look)
    }

    fn prepare(&mut self, request: Request) -> Result<(Option<News>, Option<Job>)> {
        Ok(match request {
            Request::Look(subject) => {
                let opened = self.shelf.get(&subject.model, &self.device)?;
                let look = Look {
                    has_generator: opened.generator.is_some(),
                    hash: Some(opened.fingerprint.to_string()),
                    ..self.look(&opened.classifier, &subject).1
                };
                (Some(News::Looked(look)), None)
            }
            Request::Attack(subject, attack) => {
                let model = self.model(&subject.model)?;
                attack.validate(model.classes())?;
                let known = self
                    .remembered
                    .iter()
                    .find(|(s, a, _)| *s == subject && *a == attack);
                if let Some((_, _, attacked)) = known {
                    return Ok((Some(News::Attacked(attacked.clone())), None));
                }
                let (x, look) = self.look(&model, &subject);
                let batch = Batch::new(&model, &attack, &x, look.label, &[attack.epsilon]);
                let job = AttackJob {
                    subject,
                    attack,
                    model,
                    batch,
                    pace: Pace::default(),
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
            Request::Synthesise {
                brief,
                until,
                rests,
            } => {
                let mut studio = std::mem::take(&mut self.studio);
                let job = studio.job(brief, (until, rests), |name| self.model(name));
                self.studio = studio;
                (None, Some(Job::Synthesis(job?)))
            }
            Request::Counterfactual(contrast) => {
                let contrasted = self.contrast(contrast)?;
                (Some(News::Contrasted(contrasted)), None)
            }
            Request::Preview(subject) => {
                let model = self.model(&subject.model)?;
                let x = self.pixels(&model, &subject);
                (Some(News::Previewed(preview(&model, &x))), None)
            }
            Request::Scan(order) => {
                let names = order.plan.models.iter();
                let models = names.map(|name| {
                    let opened = self.shelf.get(name, &self.device)?;
                    Ok(Examined {
                        fingerprint: opened.fingerprint,
                        classifier: opened.classifier,
                    })
                });
                let models = models.collect::<Result<_>>()?;
                let job = ScanJob::new(&order, models)?;
                (None, Some(Job::Scan(Box::new(job))))
            }
            Request::Survey(survey) => {
                let model = self.model(&survey.model)?;
                (None, Some(Job::Survey(SurveyJob::new(survey, model))))
            }
        })
    }

    fn input(&mut self, case: &Case) -> Result<crate::attribution::Input> {
        Ok(case.input(self.materials.background(case)?))
    }

    fn prepare_map(&mut self, case: Case) -> Result<(Option<News>, Option<Job>)> {
        let known = self.explained.iter().find(|known| known.case == case);
        if let Some(known) = known {
            return Ok((Some(News::Explained(known.clone())), None));
        }
        let model = self.model(&case.model)?;
        let input = self.input(&case)?;
        let job = ExplainJob::new(case, model, &input)?;
        Ok((None, Some(Job::Explain(Box::new(job)))))
    }

    fn explain_step(&mut self, job: &mut ExplainJob) -> Result<Step<News>> {
        let Some(explained) = job.step()?.map(Arc::new) else {
            return Ok(Step {
                news: None,
                done: false,
            });
        };
        let done = explained.finished();
        if done {
            remember(&mut self.explained, explained.clone());
            let values = |known: &Arc<Explained>| known.attribution.values.len();
            while self.explained.iter().map(values).sum::<usize>() > REMEMBERED_VALUES {
                self.explained.pop_front();
            }
        }
        Ok(Step {
            news: Some(News::Explained(explained)),
            done,
        })
    }

    fn attack_step(&mut self, job: &mut AttackJob) -> Step<News> {
        let Some(mut attacked) = job.batch.step(&job.model) else {
            let progress = || News::Progress(job.batch.progress());
            let news = job.pace.is_due().then(progress);
            return Step { news, done: false };
        };
        let attacked = attacked.remove(0);
        let finished = (job.subject.clone(), job.attack.clone(), attacked.clone());
        remember(&mut self.remembered, finished);
        Step {
            news: Some(News::Attacked(attacked)),
            done: true,
        }
    }
}

impl Worker for Explorer {
    type Lane = Lane;
    type Request = Request;
    type News = News;
    type Job = Job;

    fn start(&mut self, _: &Lane, request: &Request) -> Job {
        Job::Prepare(Box::new(request.clone()))
    }

    fn urgency(lane: &Lane, job: &Job) -> u8 {
        let later = if lane.row() < MOST_ROWS { 0 } else { LATER };
        later
            + match (lane, job) {
                (Lane::Look(_), _) => 0,
                (Lane::Attack(_), _) => 1,
                // Something to see of everything first, then the whole timeline, then better maps.
                (Lane::Explain(..), Job::Explain(job)) if job.has_begun() => 3,
                // While ε is dragged, this is of the nearest finished attack.
                (Lane::Explain(Which::Attacked, _), _) => 1,
                (Lane::Sweep(_) | Lane::Explain(..), _) => 2,
                (Lane::Counterfactual(_) | Lane::Preview(_), _) => 1,
                (Lane::Survey(_), _) => 2,
                (Lane::Scan, _) => LATER,
                // What goes on for long shares the rest.
                (Lane::Curves(..) | Lane::Sanity(..) | Lane::Synthesis(_), _) => 3,
            }
    }

    fn step(&mut self, job: &mut Job) -> Step<News> {
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

    fn failed(&mut self, request: &Request, message: String) -> Failure<News> {
        let told = |news| Failure { news, again: false };
        match Trouble::of(&message) {
            Trouble::Memory if self.shelf.halve(request.model()) => Failure {
                news: News::Scarce,
                again: true,
            },
            Trouble::Memory => {
                let message = format!(
                    "There is too little memory for this, even for one picture at a time: {message}"
                );
                told(News::Failed(message))
            }
            Trouble::Device => told(News::Lost(message)),
            Trouble::Other => told(News::Failed(format!("This computation failed: {message}"))),
        }
    }
}

fn failure(error: &Error) -> Step<News> {
    Step {
        news: Some(News::Failed(error.to_string())),
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
    subject: Subject,
    attack: Attack,
    model: Arc<Classifier>,
    batch: Batch,
    pace: Pace,
}

/// Opens a picture for headless work: as [`Explorer`] would show it.
pub fn attack_once(
    model: &Arc<Classifier>,
    path: &Path,
    truth: Option<String>,
    attack: &Attack,
) -> Result<(Look, Attacked)> {
    let explorer = Explorer::new(model.device().clone());
    let subject = Subject {
        model: model.manifest().name.clone(),
        picture: Picture::open(path)?,
        crop: Crop::default(),
        truth,
    };
    attack.validate(model.classes())?;
    let (x, look) = explorer.look(model, &subject);
    let mut batch = Batch::new(model, attack, &x, look.label, &[attack.epsilon]);
    let attacked = loop {
        if let Some(mut attacked) = batch.step(model) {
            break attacked.remove(0);
        }
    };
    Ok((look, attacked))
}
