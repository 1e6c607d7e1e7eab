//! How far long work is, and whether it is to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::error::{Error, Result};

/// A flag, shared by its clones, that asks work to stop.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work is to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What long work reports its progress to, and learns from whether it is to stop.
pub struct TaskProgress<'a> {
    /// Called now and then with the share that is done, in [0, 1].
    pub progress: &'a mut dyn FnMut(f32),
    /// Set from outside to stop.
    pub cancel: &'a CancelToken,
}

impl TaskProgress<'_> {
    /// Reports that `share` of the work, in [0, 1], is done.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the work is to stop.
    pub fn report(&mut self, share: f32) -> Result<()> {
        (self.progress)(share.clamp(0.0, 1.0));
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        Ok(())
    }

    /// Runs `work` as the part of the whole from `begin` to `end`, shares in [0, 1].
    ///
    /// # Errors
    /// Those of `work`.
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

/// The share of a task that is done, in thousandths, written by its thread and read by its owner.
#[derive(Default)]
pub(super) struct Share(AtomicU32);

impl Share {
    /// Whether `share`, in [0, 1], differs by enough to be shown anew.
    pub(super) fn set(&self, share: f32) -> bool {
        let now = (1000.0 * share) as u32;
        self.0.swap(now, Ordering::Relaxed) != now
    }

    pub(super) fn get(&self) -> f32 {
        self.0.load(Ordering::Relaxed) as f32 / 1000.0
    }
}
