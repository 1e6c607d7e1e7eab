//! A scan in the background: it goes on whenever nothing on the screen is waited for.

use std::path::PathBuf;

use super::requests::News;
use super::scheduler::Step;
use super::throttle::Pace;
use crate::error::Result;
use crate::triage::{self, Database, Examined, Plan, Scan};

/// What is to be scanned into which database.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// What is to be found out.
    pub plan: Plan,
    /// Where it is kept.
    pub database: PathBuf,
}

/// A scan under way.
pub struct ScanJob {
    scan: Scan,
    pace: Pace,
}

impl ScanJob {
    /// Begins the scan, or takes it up where it was left. So few pictures go through the models together
    /// that a step is short.
    pub(super) fn new(order: &Order, models: Vec<Examined>) -> Result<Self> {
        let database = Database::open(&order.database)?;
        let at_once = models
            .iter()
            .map(|model| model.classifier.budget().at_once());
        let at_once = at_once.min().unwrap_or(1);
        Ok(Self {
            scan: Scan::new(database, &order.plan, models, at_once)?,
            pace: Pace::default(),
        })
    }

    pub(super) fn step(&mut self) -> Result<Step<News>> {
        let done = self.scan.step()? == triage::Step::Finished;
        let told = done || self.pace.is_due();
        Ok(Step {
            news: told.then(|| News::Scanned(self.scan.progress())),
            done,
        })
    }
}
