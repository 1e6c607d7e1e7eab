//! Scans of a data set: predictions, attacks and flip ε of every picture, in small steps, resumable.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::batch::ScanBatch;
use super::database::Database;
use super::gather::Gathered;
use super::item::ScanPlan;
use super::part::Part;
use super::plan::Plan;
use super::query::Vocabulary;
use crate::data::{PictureList, Split, class_indices, log_passed_over};
use crate::error::Result;
use crate::model::Examined;

/// Result of a step of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanStep {
    /// The current batch is not finished; a scan that is dropped now will repeat it.
    Working,
    /// A batch was stored in the database.
    Stored,
    /// All pictures of the source, or of the part of it, are done.
    Finished,
}

/// Counts of a scan, in pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScanCounts {
    /// Finished pictures, failed ones included.
    pub done: usize,
    /// All pictures of the source, or of the part of it.
    pub total: usize,
    /// Finished pictures that could not be decoded.
    pub broken: usize,
    /// Finished pictures whose results were stored already.
    pub known: usize,
    /// Time spent on pictures that needed computing.
    pub worked: Duration,
}

impl ScanCounts {
    /// Throughput of pictures that needed computing, per second; `None` before the first.
    pub fn per_second(&self) -> Option<f64> {
        let worked = self.done.checked_sub(self.broken + self.known)?;
        (worked > 0).then(|| worked as f64 / self.worked.as_secs_f64())
    }

    /// Estimated time left, if all remaining pictures need computing.
    pub fn left(&self) -> Option<Duration> {
        let seconds = (self.total - self.done) as f64 / self.per_second()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// A running scan.
///
/// Every picture gets the noise id that [`crate::evaluate::evaluate`] gives it, its place in the source's
/// listing, so that the accuracies are equal whichever part of the source a scan is about. Results of a picture are shared between
/// sources where these ids agree or the attack has no random start.
pub struct Scan {
    database: Database,
    id: i64,
    listing: PictureList,
    orders: ScanPlan,
    tolerance: f32,
    at_once: usize,
    /// Places of the pictures in the listing.
    places: Range<usize>,
    gathered: Option<Gathered>,
    batch: Option<ScanBatch>,
    progress: ScanCounts,
}

/// Time limit for reading pictures in one step, so that more urgent work is not delayed.
const BRIEF: Duration = Duration::from_millis(30);

impl Scan {
    /// Starts or resumes a scan; `models` are the plan's, in its order, and `at_once` is the batch size.
    ///
    /// # Errors
    /// As [`Plan::validate`] and [`PictureList::open`], and those of the database.
    pub fn new(
        database: Database,
        plan: &Plan,
        models: Vec<Examined>,
        at_once: usize,
    ) -> Result<Self> {
        Self::of_part(database, plan, models, at_once, Part::WHOLE)
    }

    /// Starts or resumes the scan of a part of the source. Databases of all parts are put together by
    /// [`Database::merge`].
    ///
    /// # Errors
    /// As [`Scan::new`].
    pub fn of_part(
        mut database: Database,
        plan: &Plan,
        models: Vec<Examined>,
        at_once: usize,
        part: Part,
    ) -> Result<Self> {
        let classes: Vec<usize> = models
            .iter()
            .map(|examined| examined.classifier.classes())
            .collect();
        plan.validate(&classes)?;
        let mut listing = PictureList::open(&plan.source, Split::Test)?;
        log_passed_over(&listing.passed_over);
        // Classes are called as the first model that knows them calls them.
        for examined in &models {
            let known = &examined.classifier.manifest().labels;
            if let Ok(indices) = class_indices(&listing.classes, known) {
                listing.classes = indices.into_iter().map(|at| known[at].clone()).collect();
                break;
            }
        }
        let orders = ScanPlan::new(&database, plan, models)?;
        let ids: Vec<i64> = orders.models.iter().map(|(_, id)| *id).collect();
        let places = part.range(listing.entries.len());
        let total = places.len();
        Ok(Self {
            id: database.begin(plan, &ids, listing.entries.len())?,
            database,
            listing,
            orders,
            tolerance: plan.flip.map_or(0.0, |search| search.tolerance),
            at_once: at_once.max(1),
            places,
            gathered: None,
            batch: None,
            progress: ScanCounts {
                total,
                ..ScanCounts::default()
            },
        })
    }

    /// Id of the scan in the database.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The model and class names that queries of its results can use.
    pub fn vocabulary(&self) -> Vocabulary {
        let models = self.orders.models.iter();
        let labels = models.flat_map(|(examined, _)| &examined.classifier.manifest().labels);
        Vocabulary {
            models: self.orders.models.len(),
            classes: labels.chain(&self.listing.classes).cloned().collect(),
        }
    }

    /// The progress so far.
    pub fn progress(&self) -> ScanCounts {
        self.progress
    }

    /// Ends the scan and returns its database.
    pub fn into_database(self) -> Database {
        self.database
    }

    /// Does a small step: reads some pictures, or runs one pass of a model on a batch.
    ///
    /// # Errors
    /// Those of the database; pictures that cannot be decoded are recorded there and skipped.
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

    /// Reads pictures within the time limit; returns the next batch once it is complete.
    fn gather(&mut self, begun: Instant) -> Result<Option<Gathered>> {
        let gathered = self.gathered.get_or_insert_default();
        let places = self.places.start + self.progress.done..self.places.end;
        while begun.elapsed() < BRIEF {
            let full = gathered.gather(
                &mut self.database,
                &self.listing,
                &self.orders,
                places.clone(),
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
