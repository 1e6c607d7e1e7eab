//! How often a job reports its progress.

use std::time::{Duration, Instant};

/// Limits reports: every frame of the window takes time from the computation.
pub(super) struct Throttle {
    told: Instant,
    every: Duration,
}

/// Time that a step of a job of many short ones takes: several queries of small models, one gradient of large ones.
const STEP: Duration = Duration::from_millis(15);

/// Repeats `step` for the time of one step of a job, or until it returns `false`; whether there is more to do.
pub(super) fn repeat(mut step: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    let mut goes_on = true;
    while goes_on && begun.elapsed() < STEP {
        goes_on = step();
    }
    goes_on
}

/// Time between two messages of one job.
const PACE: Duration = Duration::from_millis(80);

impl Default for Throttle {
    fn default() -> Self {
        Self::every(PACE)
    }
}

impl Throttle {
    /// No more often than this.
    pub(super) fn every(every: Duration) -> Self {
        let told = Instant::now();
        Self { told, every }
    }

    /// Whether enough time has passed since the last message.
    pub(super) fn is_due(&mut self) -> bool {
        let due = self.told.elapsed() >= self.every;
        if due {
            self.told = Instant::now();
        }
        due
    }
}
