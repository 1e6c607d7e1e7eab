//! Running syntheses, one for each row, with their inputs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use burn::tensor::activation::softmax;

use super::GpuImage;
use super::lanes::Place;
use super::requests::ComputeMessage;
use super::scheduler::Step;
use super::throttle::Throttle;
use crate::data::picture::{montage, unit_planes};
use crate::data::{Crop, Picture};
use crate::error::Result;
use crate::model::{Classifier, ModelRef, tensor_values};
use crate::synthesis::{
    ClassGaussians, Distances, SharedHistory, Start, Synthesis, SynthesisInputs, SynthesisRun,
    Task, distances, lock,
};
use crate::tasks;

/// The network whose features say how alike pictures look: a robust one, whose features follow what
/// people see.
const JUDGE: &str = "cifar10-robust";

/// A request for a synthesis.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthesisRequest {
    /// The row that shows it; a new request replaces the one that the row had before.
    pub place: Place,
    /// The model.
    pub model: ModelRef,
    /// The settings.
    pub config: Synthesis,
    /// The picture to invert or to begin at, where one is needed.
    pub subject: Option<GpuImage>,
    /// The picture of [`Start::Other`], where it is needed.
    pub other: Option<Picture>,
    /// The pictures of each class to which the Gaussians are fitted, if not the bundled ones.
    pub library: Option<Examples>,
    /// A new number restarts it.
    pub attempt: u32,
}

/// A synthesised picture, finished or not.
#[derive(Clone)]
pub struct SynthesisResult {
    /// The request.
    pub request: SynthesisRequest,
    /// Steps done.
    pub steps: usize,
    /// The picture; several stand in a grid.
    pub picture: GpuImage,
    /// Height and width of one of them.
    pub size: [usize; 2],
    /// Softmax over the classes for the first picture.
    pub probabilities: Vec<f32>,
    /// Steps per second lately, while other jobs run too.
    pub rate: f32,
    /// All iterates that are kept.
    pub history: SharedHistory,
    /// Of the first picture from the one that it began at or was made after; once it rests.
    pub distances: Option<Distances>,
}

/// Points of a curve, at most and roughly.
const POINTS: usize = 400;

impl SynthesisResult {
    /// Iterations and the mean over the pictures of what is brought down (distance) or up (score,
    /// activation).
    pub fn curve(&self) -> Vec<[f64; 2]> {
        let sign = match self.request.config.task {
            Task::Invert { .. } => 1.0,
            Task::Generate { .. } | Task::Neuron(_) => -1.0,
        };
        let history = lock(&self.history);
        let every = history.len().div_ceil(POINTS).max(1);
        let some = history.iter().step_by(every).chain(history.newest());
        some.map(|kept| [kept.iteration as f64, f64::from(sign * kept.mean_loss())])
            .collect()
    }
}

/// A synthesis; it outlives the job, so that a pause loses no steps.
struct Live {
    request: SynthesisRequest,
    run: SynthesisRun,
    model: Arc<Classifier>,
    judge: Arc<Classifier>,
    pace: Throttle,
    /// When the steps counted for the rate began, and how many were done then.
    since: (Instant, usize),
    rate: f32,
}

/// The syntheses of all rows.
#[derive(Default)]
pub(super) struct SynthesisRuns {
    rows: BTreeMap<Place, Arc<Mutex<Live>>>,
    bundled: Vec<Arc<ClassGaussians>>,
    fitted: Option<Fitted>,
}

/// Class Gaussians of a library.
struct Fitted {
    library: Examples,
    size: [usize; 2],
    seeds: Arc<ClassGaussians>,
}

/// Pictures with their classes and the parts that models see.
pub type Examples = Vec<(String, Picture, Crop)>;

/// Steps toward what is allowed.
pub struct SynthesisJob {
    live: Arc<Mutex<Live>>,
    until: usize,
    rests: bool,
}

impl SynthesisRuns {
    /// Continues the row's synthesis, or starts it. `open` opens models.
    pub(super) fn job(
        &mut self,
        request: SynthesisRequest,
        (until, rests): (usize, bool),
        mut open: impl FnMut(&ModelRef) -> Result<Arc<Classifier>>,
    ) -> Result<SynthesisJob> {
        if request.place.is_on_screen() {
            // The presentation is over.
            self.rows.retain(|place, _| place.is_on_screen());
        }
        let known = self.rows.get(&request.place);
        let known = known
            .filter(|live| tasks::lock(live).request == request)
            .cloned();
        let live = match known {
            Some(live) => {
                tasks::lock(&live).wake();
                live
            }
            None => {
                // The old one's memory is free before the new one needs its own.
                self.rows.remove(&request.place);
                let (model, judge) = (open(&request.model)?, open(&JUDGE.into())?);
                let live = self.begin(request.clone(), model, judge)?;
                let live = Arc::new(Mutex::new(live));
                self.rows.insert(request.place, live.clone());
                live
            }
        };
        Ok(SynthesisJob { live, until, rests })
    }

    /// Drops the syntheses of a model.
    pub(super) fn forget(&mut self, model: &ModelRef) {
        self.rows
            .retain(|_, live| tasks::lock(live).request.model != *model);
    }

    fn begin(
        &mut self,
        request: SynthesisRequest,
        model: Arc<Classifier>,
        judge: Arc<Classifier>,
    ) -> Result<Live> {
        let size = model.manifest().input;
        let other = request.other.as_ref();
        let other = other.map(|picture| unit_planes(&picture.cropped(Crop::default(), size)));
        let seeds = self.seeds(&request, &model.manifest().labels, size)?;
        let subject = request.subject.as_ref().map(GpuImage::planes);
        let material = SynthesisInputs {
            current: subject,
            other: other.as_deref(),
            target: subject,
            class_gaussians: seeds.as_deref(),
        };
        let run = SynthesisRun::new(&request.config, &model, &material)?;
        Ok(Live {
            request,
            run,
            model,
            judge,
            pace: Throttle::every(UPDATE),
            since: (Instant::now(), 0),
            rate: 0.0,
        })
    }

    /// The class Gaussians, where the start is drawn from one.
    fn seeds(
        &mut self,
        request: &SynthesisRequest,
        labels: &[String],
        size: [usize; 2],
    ) -> Result<Option<Arc<ClassGaussians>>> {
        if request.config.start != Start::ClassGaussian {
            return Ok(None);
        }
        let Some(library) = &request.library else {
            let fitting = self.bundled.iter().find(|known| known.fits(size));
            if let Some(known) = fitting {
                return Ok(Some(known.clone()));
            }
            let read = ClassGaussians::bundled(size)?.map(Arc::new);
            self.bundled.extend(read.clone());
            return Ok(read);
        };
        if let Some(fitted) = &self.fitted
            && fitted.library == *library
            && fitted.size == size
        {
            return Ok(Some(fitted.seeds.clone()));
        }
        let pictures = library.iter().filter_map(|(class, picture, crop)| {
            let class = labels.iter().position(|label| label == class)?;
            Some((class, unit_planes(&picture.cropped(*crop, size))))
        });
        let seeds = Arc::new(ClassGaussians::fit(labels, size, pictures));
        self.fitted = Some(Fitted {
            library: library.clone(),
            size,
            seeds: seeds.clone(),
        });
        Ok(Some(seeds))
    }
}

impl SynthesisJob {
    /// One step. Returns the picture so far now and then.
    ///
    /// # Errors
    /// As [`SynthesisRun::step`].
    pub(super) fn step(&mut self) -> Result<Step<ComputeMessage>> {
        let live = &mut *tasks::lock(&self.live);
        if live.run.done() < self.until {
            live.run.step(&live.model)?;
        }
        let done = live.run.done() >= self.until || live.run.finished();
        let resting = live.run.finished() || done && self.rests;
        if resting {
            live.run.evaluate_current(&live.model)?;
        }
        let due = done || live.pace.is_due();
        Ok(Step {
            message: due.then(|| ComputeMessage::Synthesized(Box::new(live.made(resting)))),
            done,
        })
    }
}

impl Live {
    /// Continues after a pause, which does not count into the rate.
    fn wake(&mut self) {
        if self.since.0.elapsed().as_secs_f32() > 2.0 * RATE_SECONDS {
            self.since = (Instant::now(), self.run.done());
        }
    }

    fn made(&mut self, resting: bool) -> SynthesisResult {
        let (began, before) = self.since;
        let seconds = began.elapsed().as_secs_f32();
        let steps = self.run.done();
        if steps > before && seconds > 0.0 {
            self.rate = (steps - before) as f32 / seconds;
        }
        if seconds > RATE_SECONDS {
            self.since = (Instant::now(), steps);
        }
        let count = self.request.config.count;
        let pictures = self.run.current().clone();
        let first = pictures.clone().narrow(0, 0, 1);
        let probabilities = tensor_values(softmax(self.model.logits(first.clone()), 1));
        let size = self.model.manifest().input;
        let subject = self.request.subject.as_ref().filter(|_| resting);
        let distances = subject
            .map(|subject| distances(&self.judge, &tensor_values(first), subject.planes(), size));
        let picture = if count == 1 {
            GpuImage::new(pictures)
        } else {
            let (planes, whole) = montage(&tensor_values(pictures), count, size);
            GpuImage::from_planes(planes, whole)
        };
        SynthesisResult {
            request: self.request.clone(),
            steps,
            picture,
            size,
            probabilities,
            rate: self.rate,
            history: self.run.history().clone(),
            distances,
        }
    }
}

/// Time between two messages of a running synthesis: 25 frames per second.
const UPDATE: Duration = Duration::from_millis(40);
/// Over how long the rate is measured, in seconds.
const RATE_SECONDS: f32 = 1.0;
