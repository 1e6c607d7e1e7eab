//! A scan in the background, of the lowest priority.

use std::path::PathBuf;

use super::requests::ComputeMessage;
use super::scheduler::Step;
use super::throttle::Throttle;
use crate::error::Result;
use crate::model::Examined;
use crate::triage::{self, Database, Plan, Scan};

/// What is to be scanned into which database.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanRequest {
    /// The plan.
    pub plan: Plan,
    /// The database.
    pub database: PathBuf,
}

/// A running scan.
pub struct ScanJob {
    scan: Scan,
    pace: Throttle,
}

impl ScanJob {
    /// Starts or resumes the scan. So few pictures go through the models together
    /// that a step is short.
    pub(super) fn new(order: &ScanRequest, models: Vec<Examined>) -> Result<Self> {
        let database = Database::open(&order.database)?;
        let at_once = models
            .iter()
            .map(|model| model.classifier.budget().at_once());
        let at_once = at_once.min().unwrap_or(1);
        Ok(Self {
            scan: Scan::new(database, &order.plan, models, at_once)?,
            pace: Throttle::default(),
        })
    }

    pub(super) fn step(&mut self) -> Result<Step<ComputeMessage>> {
        let done = self.scan.step()? == triage::ScanStep::Finished;
        let told = done || self.pace.is_due();
        Ok(Step {
            message: told.then(|| ComputeMessage::Scanned(self.scan.progress())),
            done,
        })
    }
}
