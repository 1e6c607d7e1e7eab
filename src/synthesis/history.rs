//! The iterates of a run, kept within a fixed memory so that one can go back through them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of pixels that one history keeps: twenty thousand iterates of 32×32 pixels.
const MOST_BYTES: usize = 64 << 20;

/// One iterate.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Steps done before it.
    pub iteration: usize,
    /// The loss of each picture.
    pub losses: Box<[f32]>,
    /// The pictures' planes in 256 levels, one picture after another: what a screen can show.
    pub pixels: Box<[u8]>,
}

impl Kept {
    /// The mean loss of its pictures.
    pub fn mean_loss(&self) -> f32 {
        self.losses.iter().sum::<f32>() / self.losses.len().max(1) as f32
    }

    /// The pictures' planes in [0, 1].
    pub fn unit_planes(&self) -> Vec<f32> {
        let levels = self.pixels.iter();
        levels.map(|&level| f32::from(level) / 255.0).collect()
    }
}

/// Iterates that the engine writes and the window reads.
pub type SharedHistory = Arc<Mutex<History>>;

/// Opens them; a writer that failed has left them whole.
pub fn locked(history: &SharedHistory) -> MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Iterates by rising iteration. When the memory is full, every second one goes, and from then on
/// only every second, fourth, eighth… iterate comes in; the newest is always there.
#[derive(Debug)]
pub struct History {
    kept: Vec<Kept>,
    newest: Option<Kept>,
    every: usize,
    most_bytes: usize,
}

impl Default for History {
    fn default() -> Self {
        Self::with_memory(MOST_BYTES)
    }
}

impl History {
    /// Keeps up to this many bytes of pixels.
    pub fn with_memory(most_bytes: usize) -> Self {
        Self {
            kept: Vec::new(),
            newest: None,
            every: 1,
            most_bytes,
        }
    }

    /// Takes in the iterate that follows all others, or the newest once more.
    pub fn push(&mut self, iterate: Kept) {
        let iteration = iterate.iteration;
        if let Some(before) = self.newest.replace(iterate)
            && before.iteration != iteration
            && before.iteration.is_multiple_of(self.every)
        {
            self.kept.push(before);
        }
        let bytes: usize = self.kept.first().map_or(0, |kept| kept.pixels.len());
        if bytes * self.kept.len() > self.most_bytes {
            self.every *= 2;
            let every = self.every;
            self.kept
                .retain(|kept| kept.iteration.is_multiple_of(every));
        }
    }

    /// The newest iterate.
    pub fn newest(&self) -> Option<&Kept> {
        self.newest.as_ref()
    }

    /// The last kept iterate that is no later than `iteration`, or the first.
    pub fn at(&self, iteration: usize) -> Option<&Kept> {
        if let Some(newest) = self
            .newest
            .as_ref()
            .filter(|kept| kept.iteration <= iteration)
        {
            return Some(newest);
        }
        let later = self
            .kept
            .partition_point(|kept| kept.iteration <= iteration);
        self.kept.get(later.saturating_sub(1)).or(self.newest())
    }

    /// All kept iterates, the newest included.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Kept> {
        self.kept.iter().chain(&self.newest)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.kept.len() + usize::from(self.newest.is_some())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    /// Iterations from one kept iterate to the next.
    pub fn every(&self) -> usize {
        self.every
    }
}
