//! What the window can ask of the engine, and how each request is computed.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData, activation::softmax};

use crate::attack::{Attack, AttackRun};
use crate::descent::Norm;
use crate::engine::{Step, Worker};
use crate::error::Result;
use crate::evaluate;
use crate::model::{Classifier, Manifest, tensor_values, zoo};
use crate::picture::{Crop, Picture};
use crate::view::Frame;

/// Where results go: one lane a model row and kind of work. Earlier kinds are more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// What a model says of the picture itself.
    Look(usize),
    /// The attack at the chosen ε.
    Attack(usize),
    /// Attacks over a grid of ε.
    Sweep(usize),
}

/// A picture before a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Id of a bundled model or path of a file.
    pub model: String,
    /// What it looks at.
    pub picture: Picture,
    /// Which part of it.
    pub crop: Crop,
    /// The true class, by name, where it is known.
    pub truth: Option<String>,
}

/// What is wanted in a lane.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Look at the picture.
    Look(Subject),
    /// Attack it.
    Attack(Subject, Attack),
    /// Attack it at a grid of ε up to this one; the attack's own ε does not count.
    Sweep(Subject, Attack, f32),
}

/// What the window is told.
pub enum News {
    /// A model has looked at the picture.
    Looked(Look),
    /// A share of the attack is done, in [0, 1].
    Progress(f32),
    /// The attack at the chosen ε is done.
    Attacked(Attacked),
    /// Some attacks of the sweep are done.
    Swept(Vec<Attacked>),
    /// It did not work; the message is for people.
    Failed(String),
}

/// What a model says of a picture.
#[derive(Clone)]
pub struct Look {
    /// The model that looked.
    pub manifest: Arc<Manifest>,
    /// The picture as the model sees it.
    pub input: Frame,
    /// Softmax over the classes.
    pub probabilities: Vec<f32>,
    /// The class an untargeted attack leaves: the true one, else the predicted one.
    pub label: usize,
}

/// What an attack did to a picture, judged by a fresh look.
#[derive(Clone)]
pub struct Attacked {
    /// The ε it was allowed.
    pub epsilon: f32,
    /// The adversarial picture.
    pub picture: Frame,
    /// Softmax over the classes.
    pub probabilities: Vec<f32>,
    /// L∞ norm of the perturbation.
    pub linf: f32,
    /// L2 norm of the perturbation.
    pub l2: f32,
    /// Whether every value is in [0, 1].
    pub inside_box: bool,
}

/// The class with the highest probability.
pub fn top(probabilities: &[f32]) -> usize {
    let best = probabilities
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(class, _)| class)
}

/// ε values of the first round of a sweep, besides 0.
const COARSE: usize = 8;
/// Points of the last round, inside the interval where the prediction flips.
const FINE: usize = 7;
/// Attacks of a sweep that run as one batch.
const SWEEP_BATCH: usize = 4;
/// Finished attacks kept for when they are wanted again.
const REMEMBERED: usize = 64;

/// The engine's thread: models, and the attacks it remembers.
pub struct Explorer {
    device: Device,
    models: HashMap<String, Arc<Classifier>>,
    remembered: VecDeque<(Subject, Attack, Attacked)>,
}

/// A request under way.
pub enum Job {
    /// The model is loaded and warmed up in a step of its own, so that the window can say so.
    Prepare(Request),
    /// One attack.
    Attack(Box<AttackJob>),
    /// Attacks over a grid of ε.
    Sweep(Box<SweepJob>),
}

impl Explorer {
    /// Computes on `device`.
    pub fn new(device: Device) -> Self {
        Self {
            device,
            models: HashMap::new(),
            remembered: VecDeque::new(),
        }
    }

    fn model(&mut self, name: &str) -> Result<Arc<Classifier>> {
        if let Some(model) = self.models.get(name) {
            return Ok(model.clone());
        }
        let model = Arc::new(zoo::open(name, &self.device)?);
        self.models.insert(name.to_owned(), model.clone());
        Ok(model)
    }

    /// The picture as its model sees it, and the class to leave.
    fn look(&self, model: &Classifier, subject: &Subject) -> (Tensor<4>, Look) {
        let size = model.manifest().input;
        let pixels = subject.picture.cropped(subject.crop, size);
        let planes = crate::picture::planes(&pixels);
        let values: Vec<f32> = planes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        let x = Tensor::from_data(
            TensorData::new(values, [1, 3, size[0], size[1]]),
            &self.device,
        );
        let probabilities = tensor_values(softmax(model.logits(x.clone()), 1));
        let labels = &model.manifest().labels;
        let truth = subject.truth.as_ref();
        let known = truth.and_then(|truth| labels.iter().position(|label| label == truth));
        let look = Look {
            manifest: Arc::new(model.manifest().clone()),
            input: Frame::new(x.clone()),
            label: known.unwrap_or_else(|| top(&probabilities)),
            probabilities,
        };
        (x, look)
    }

    fn prepare(&mut self, request: Request) -> Result<(Option<News>, Option<Job>)> {
        Ok(match request {
            Request::Look(subject) => {
                let model = self.model(&subject.model)?;
                (Some(News::Looked(self.look(&model, &subject).1)), None)
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
                };
                (Some(News::Progress(0.0)), Some(Job::Attack(Box::new(job))))
            }
            Request::Sweep(subject, attack, most) => {
                let model = self.model(&subject.model)?;
                attack.validate(model.classes())?;
                let (x, look) = self.look(&model, &subject);
                let job = SweepJob::new(model, attack, x, look.label, most);
                (None, Some(Job::Sweep(Box::new(job))))
            }
        })
    }

    fn attack_step(&mut self, job: &mut AttackJob) -> Step<News> {
        let Some(mut attacked) = job.batch.step(&job.model) else {
            let news = Some(News::Progress(
                job.batch.run.as_ref().map_or(1.0, AttackRun::progress),
            ));
            return Step { news, done: false };
        };
        let attacked = attacked.remove(0);
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered
            .push_back((job.subject.clone(), job.attack.clone(), attacked.clone()));
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
        Job::Prepare(request.clone())
    }

    fn urgency(lane: &Lane) -> u8 {
        match lane {
            Lane::Look(_) => 0,
            Lane::Attack(_) => 1,
            Lane::Sweep(_) => 2,
        }
    }

    fn step(&mut self, job: &mut Job) -> Step<News> {
        match job {
            Job::Prepare(request) => match self.prepare(request.clone()) {
                Ok((news, Some(next))) => {
                    *job = next;
                    Step { news, done: false }
                }
                Ok((news, None)) => Step { news, done: true },
                Err(error) => Step {
                    news: Some(News::Failed(error.to_string())),
                    done: true,
                },
            },
            Job::Attack(attack) => self.attack_step(attack),
            Job::Sweep(sweep) => sweep.step(),
        }
    }

    fn failed(&mut self, message: String) -> News {
        News::Failed(format!("This computation failed: {message}"))
    }
}

/// One attack on one picture.
pub struct AttackJob {
    subject: Subject,
    attack: Attack,
    model: Arc<Classifier>,
    batch: Batch,
}

/// The same picture attacked at several ε at once.
struct Batch {
    run: Option<AttackRun>,
    x: Tensor<4>,
    radii: Vec<f32>,
}

impl Batch {
    fn new(
        model: &Classifier,
        attack: &Attack,
        x: &Tensor<4>,
        label: usize,
        radii: &[f32],
    ) -> Self {
        let count = radii.len();
        let x = x.clone().repeat_dim(0, count);
        // All share one noise, so that the curve over ε is smooth.
        let run = AttackRun::new(
            attack,
            model,
            x.clone(),
            &vec![label; count],
            &vec![0; count],
            radii,
        );
        Self {
            run: Some(run),
            x,
            radii: radii.to_vec(),
        }
    }

    /// One gradient step; once all are done, the judged results.
    fn step(&mut self, model: &Classifier) -> Option<Vec<Attacked>> {
        let run = self.run.as_mut()?;
        if let Some(loss) = run.step(model) {
            // Reading keeps the device from running ahead, so that a newer wish is heard in time.
            tensor_values(loss);
            return None;
        }
        let adversarial = self.run.take()?.finish(model);
        Some(judge(model, &self.x, adversarial, &self.radii))
    }
}

fn judge(
    model: &Classifier,
    x: &Tensor<4>,
    adversarial: Tensor<4>,
    radii: &[f32],
) -> Vec<Attacked> {
    let delta = adversarial.clone() - x.clone();
    let linf = tensor_values(Norm::Linf.length(delta.clone()));
    let l2 = tensor_values(Norm::L2.length(delta));
    let probabilities = tensor_values(softmax(model.logits(adversarial.clone()), 1));
    let one = |(index, &epsilon): (usize, &f32)| {
        let picture = adversarial.clone().narrow(0, index, 1);
        let classes = model.classes();
        Attacked {
            epsilon,
            inside_box: evaluate::inside_box(&picture),
            picture: Frame::new(picture),
            probabilities: probabilities[index * classes..][..classes].to_vec(),
            linf: linf[index],
            l2: l2[index],
        }
    };
    radii.iter().enumerate().map(one).collect()
}

/// Attacks over a grid of ε: a coarse grid, then its midpoints, then the interval of the flip.
pub struct SweepJob {
    model: Arc<Classifier>,
    attack: Attack,
    x: Tensor<4>,
    label: usize,
    most: f32,
    round: usize,
    waiting: VecDeque<Vec<f32>>,
    batch: Option<Batch>,
    /// ε and whether the prediction has left the class (or reached the target).
    found: Vec<(f32, bool)>,
}

impl SweepJob {
    fn new(model: Arc<Classifier>, attack: Attack, x: Tensor<4>, label: usize, most: f32) -> Self {
        Self {
            model,
            attack,
            x,
            label,
            most,
            round: 0,
            waiting: VecDeque::new(),
            batch: None,
            found: Vec::new(),
        }
    }

    fn step(&mut self) -> Step<News> {
        let Some(batch) = &mut self.batch else {
            return Step {
                news: None,
                done: !self.next_batch(),
            };
        };
        let Some(attacked) = batch.step(&self.model) else {
            return Step {
                news: None,
                done: false,
            };
        };
        self.batch = None;
        let flipped =
            |attacked: &Attacked| flips(&self.attack, self.label, &attacked.probabilities);
        self.found.extend(
            attacked
                .iter()
                .map(|attacked| (attacked.epsilon, flipped(attacked))),
        );
        Step {
            news: Some(News::Swept(attacked)),
            done: false,
        }
    }

    /// Sets up the next batch, or says that none is left.
    fn next_batch(&mut self) -> bool {
        if self.waiting.is_empty() {
            let radii = self.radii_of_round();
            self.round += 1;
            self.waiting = radii.chunks(SWEEP_BATCH).map(<[f32]>::to_vec).collect();
        }
        let Some(radii) = self.waiting.pop_front() else {
            return false;
        };
        self.batch = Some(Batch::new(
            &self.model,
            &self.attack,
            &self.x,
            self.label,
            &radii,
        ));
        true
    }

    fn radii_of_round(&self) -> Vec<f32> {
        let step = self.most / COARSE as f32;
        match self.round {
            0 => (0..=COARSE).map(|index| index as f32 * step).collect(),
            1 => (0..COARSE)
                .map(|index| (index as f32 + 0.5) * step)
                .collect(),
            2 => match flip_interval(&self.found) {
                Some((low, high)) => {
                    let part = (high - low) / (FINE + 1) as f32;
                    (1..=FINE).map(|index| low + index as f32 * part).collect()
                }
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}

/// Whether the attack had nothing to do: the picture was never seen as the class to leave, or is
/// seen as the target already.
pub fn flipped_before(attack: &Attack, look: &Look) -> bool {
    flips(attack, look.label, &look.probabilities)
}

/// Whether these probabilities are what an attack wants.
pub fn flips(attack: &Attack, label: usize, probabilities: &[f32]) -> bool {
    match attack.goal {
        crate::attack::Goal::Untargeted => top(probabilities) != label,
        crate::attack::Goal::Targeted(class) => top(probabilities) == class,
    }
}

/// The ε between which the prediction first flips: the smallest flipped one and the one before.
///
/// Nothing if no ε flips, or if the very first does.
pub fn flip_interval(found: &[(f32, bool)]) -> Option<(f32, f32)> {
    let mut sorted = found.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let first = sorted.iter().position(|(_, flipped)| *flipped)?;
    Some((sorted[first.checked_sub(1)?].0, sorted[first].0))
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
