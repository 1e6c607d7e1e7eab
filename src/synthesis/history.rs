//! Iterates of an optimisation, recorded within a memory limit for playback.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::tasks;

/// Memory limit of one history, in bytes of pixels: twenty thousand iterates of 32×32 pixels.
const MAX_BYTES: usize = 64 << 20;

/// One recorded iterate.
#[derive(Clone, Debug, PartialEq)]
pub struct Iterate {
    /// Number of steps done before it.
    pub iteration: usize,
    /// Loss of each picture.
    pub losses: Box<[f32]>,
    /// The pictures `[n, 3, h, w]`, quantised to 8 bits, which suffices for display.
    pub pixels: Box<[u8]>,
}

impl Iterate {
    /// Mean loss over the pictures.
    pub fn mean_loss(&self) -> f32 {
        self.losses.iter().sum::<f32>() / self.losses.len().max(1) as f32
    }

    /// The pictures `[n, 3, h, w]` in [0, 1].
    pub fn unit_planes(&self) -> Vec<f32> {
        let levels = self.pixels.iter();
        levels.map(|&level| f32::from(level) / 255.0).collect()
    }
}

/// A history written by the worker thread and read by the window.
pub type SharedHistory = Arc<Mutex<IterateHistory>>;

/// Locks a history. A poisoned lock is used as it is: no write leaves the history inconsistent.
pub fn lock(history: &SharedHistory) -> MutexGuard<'_, IterateHistory> {
    tasks::lock(history)
}

/// Iterates in ascending order. When the memory limit is reached, every second one is dropped and the
/// recording stride is doubled; the newest iterate is always available.
#[derive(Debug)]
pub struct IterateHistory {
    recorded: Vec<Iterate>,
    newest: Option<Iterate>,
    stride: usize,
    max_bytes: usize,
}

impl Default for IterateHistory {
    fn default() -> Self {
        Self::with_limit(MAX_BYTES)
    }
}

impl IterateHistory {
    /// An empty history with a limit in bytes of pixels.
    pub fn with_limit(max_bytes: usize) -> Self {
        Self {
            recorded: Vec::new(),
            newest: None,
            stride: 1,
            max_bytes,
        }
    }

    /// Records an iterate later than all others, or replaces the newest.
    pub fn push(&mut self, iterate: Iterate) {
        let iteration = iterate.iteration;
        if let Some(before) = self.newest.replace(iterate)
            && before.iteration != iteration
            && before.iteration.is_multiple_of(self.stride)
        {
            self.recorded.push(before);
        }
        let bytes: usize = self
            .recorded
            .first()
            .map_or(0, |iterate| iterate.pixels.len());
        if bytes * self.recorded.len() > self.max_bytes {
            self.stride *= 2;
            let stride = self.stride;
            self.recorded
                .retain(|iterate| iterate.iteration.is_multiple_of(stride));
        }
    }

    /// The newest iterate.
    pub fn newest(&self) -> Option<&Iterate> {
        self.newest.as_ref()
    }

    /// The last recorded iterate not after `iteration`, or the first.
    pub fn at(&self, iteration: usize) -> Option<&Iterate> {
        if let Some(newest) = self
            .newest
            .as_ref()
            .filter(|iterate| iterate.iteration <= iteration)
        {
            return Some(newest);
        }
        let later = self
            .recorded
            .partition_point(|iterate| iterate.iteration <= iteration);
        self.recorded.get(later.saturating_sub(1)).or(self.newest())
    }

    /// All recorded iterates and the newest.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Iterate> {
        self.recorded.iter().chain(&self.newest)
    }

    /// Number of iterates.
    pub fn len(&self) -> usize {
        self.recorded.len() + usize::from(self.newest.is_some())
    }

    /// Whether there is no iterate.
    pub fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    /// Iterations between recorded iterates.
    pub fn stride(&self) -> usize {
        self.stride
    }
}
