//! Looking at every picture of a source, so that it can be stopped and taken up again at any time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::tensor::Device;

use super::batch::{ScanBatch, ScanPlan};
use super::database::Database;
use super::fingerprint::Fingerprint;
use super::gather::Gathered;
use super::plan::Plan;
use super::query::Vocabulary;
use crate::data::{PictureList, Split};
use crate::error::Result;
use crate::model::{Classifier, zoo};

/// A model with its fingerprint.
#[derive(Clone)]
pub struct Examined {
    /// Of all that decides its results.
    pub fingerprint: Fingerprint,
    /// The model.
    pub classifier: Arc<Classifier>,
}

impl Examined {
    /// Opens the model of that name; see [`zoo::source`].
    ///
    /// # Errors
    /// As [`zoo::open`].
    pub fn open(name: &str, device: &Device) -> Result<Self> {
        let source = zoo::source(name, device)?;
        Ok(Self {
            fingerprint: Fingerprint::of_model(name, &source)?,
            classifier: Arc::new(zoo::classifier(&source, Path::new(name), device)?),
        })
    }
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanStep {
    /// Within a batch; a scan dropped here does that batch again.
    Working,
    /// A batch is in the database.
    Stored,
    /// All is.
    Finished,
}

/// How far a scan is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Pictures of the source that are done.
    pub done: usize,
    /// Pictures of the source.
    pub total: usize,
    /// How many of those done cannot be opened.
    pub broken: usize,
    /// How many of those done needed no work, as all was known.
    pub known: usize,
    /// Time spent on those that needed work.
    pub worked: Duration,
}

impl Progress {
    /// Pictures a second, of those that needed work.
    pub fn per_second(&self) -> Option<f64> {
        let worked = self.done.checked_sub(self.broken + self.known)?;
        (worked > 0).then(|| worked as f64 / self.worked.as_secs_f64())
    }

    /// Time left, if all the rest needs work.
    pub fn left(&self) -> Option<Duration> {
        let seconds = (self.total - self.done) as f64 / self.per_second()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// A scan under way.
///
/// Every picture has the noise that [`crate::evaluate::evaluate`] gives it, so that the counts of a
/// whole scan are the same. That depends on how many pictures before it can be opened, so what was
/// found in one source serves in another where the attack draws no noise, or the numbers agree.
pub struct Scan {
    database: Database,
    id: i64,
    listing: PictureList,
    orders: ScanPlan,
    tolerance: f32,
    at_once: usize,
    /// Pictures so far that can be opened.
    number: u64,
    gathered: Option<Gathered>,
    batch: Option<ScanBatch>,
    progress: Progress,
}

/// How long a step reads pictures at the most, but for the last few: what else waits goes first.
const BRIEF: Duration = Duration::from_millis(30);

impl Scan {
    /// Begins the scan, or takes it up where it was left; `models` are the plan's, in its order, and
    /// `at_once` is how many pictures go through them together.
    ///
    /// # Errors
    /// Those of [`Plan::validate`], [`PictureList::open`] and of the database.
    pub fn new(
        mut database: Database,
        plan: &Plan,
        models: Vec<Examined>,
        at_once: usize,
    ) -> Result<Self> {
        let classes: Vec<usize> = models
            .iter()
            .map(|examined| examined.classifier.classes())
            .collect();
        plan.validate(&classes)?;
        let listing = PictureList::open(&plan.source, Split::Test)?;
        let orders = ScanPlan::new(&database, plan, models)?;
        let ids: Vec<i64> = orders.models.iter().map(|(_, id)| *id).collect();
        let total = listing.entries.len();
        Ok(Self {
            id: database.begin(plan, &ids, total)?,
            database,
            listing,
            orders,
            tolerance: plan.flip.map_or(0.0, |search| search.tolerance),
            at_once: at_once.max(1),
            number: 0,
            gathered: None,
            batch: None,
            progress: Progress {
                total,
                ..Progress::default()
            },
        })
    }

    /// Its number in the database.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// What names a query of its results can use.
    pub fn vocabulary(&self) -> Vocabulary {
        let models = self.orders.models.iter();
        let labels = models.flat_map(|(examined, _)| &examined.classifier.manifest().labels);
        Vocabulary {
            models: self.orders.models.len(),
            classes: labels.chain(&self.listing.classes).cloned().collect(),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The database, once no more steps are wanted.
    pub fn into_database(self) -> Database {
        self.database
    }

    /// A small piece of work: reading some pictures, or one pass of a model over them.
    ///
    /// # Errors
    /// Those of the database; pictures that cannot be opened are noted there and passed over.
    pub fn step(&mut self) -> Result<ScanStep> {
        let begun = Instant::now();
        let Some(batch) = &mut self.batch else {
            if self.progress.done == self.progress.total {
                self.database.finish(self.id)?;
                return Ok(ScanStep::Finished);
            }
            let Some(gathered) = self.gather(begun)? else {
                return Ok(ScanStep::Working);
            };
            self.number = gathered.number;
            let batch = ScanBatch::new(gathered);
            if batch.open() > 0 {
                self.progress.worked += begun.elapsed();
            }
            self.batch = Some(batch);
            return Ok(ScanStep::Working);
        };
        let open = batch.open();
        if open > 0 && batch.step(&self.orders) {
            self.progress.worked += begun.elapsed();
            return Ok(ScanStep::Working);
        }
        self.database
            .store(self.id, self.tolerance, &batch.findings)?;
        let entries = &batch.findings.entries;
        let sound = entries.iter().filter(|entry| entry.found.is_ok()).count();
        self.progress.done += entries.len();
        self.progress.broken += entries.len() - sound;
        self.progress.known += sound - open;
        self.batch = None;
        Ok(ScanStep::Stored)
    }

    /// Reads on for a moment; the pictures of the next batch, once all are there.
    fn gather(&mut self, begun: Instant) -> Result<Option<Gathered>> {
        let gathered = self
            .gathered
            .get_or_insert_with(|| Gathered::new(self.number));
        while begun.elapsed() < BRIEF {
            let full = gathered.gather(
                &mut self.database,
                &self.listing,
                &self.orders,
                self.progress.done,
                self.at_once,
            )?;
            if full {
                return Ok(self.gathered.take());
            }
        }
        self.progress.worked += begun.elapsed();
        Ok(None)
    }
}
