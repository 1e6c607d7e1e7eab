//! Looking after long work: how far it is, and whether it is to stop.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// How far a long work is: its progress is told, and it can be asked to stop.
pub struct TaskProgress<'a> {
    /// Told the share that is done, in [0, 1], now and then.
    pub progress: &'a mut dyn FnMut(f32),
    /// Set from outside to stop.
    pub cancel: &'a AtomicBool,
}

impl TaskProgress<'_> {
    /// Tells that `share` of the work is done.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the work is to stop.
    pub fn report(&mut self, share: f32) -> Result<()> {
        (self.progress)(share.clamp(0.0, 1.0));
        if self.cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        Ok(())
    }

    /// Runs `work` as the part of the whole from `begin` to `end`.
    pub fn part<T>(
        &mut self,
        [begin, end]: [f32; 2],
        work: impl FnOnce(&mut TaskProgress) -> Result<T>,
    ) -> Result<T> {
        let Self { progress, cancel } = self;
        let mut inner = |share: f32| progress(begin + share * (end - begin));
        work(&mut TaskProgress {
            progress: &mut inner,
            cancel,
        })
    }
}
