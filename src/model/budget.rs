//! How many pictures a model takes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::memory;

/// Pixels of one chunk on the CPU: eight pictures of 32×32, about 15 ms of gradients on two cores, so
/// that a slider that is moved meanwhile hardly waits.
const PIXELS_ON_CPU: usize = 8 * 32 * 32;
/// The same on a GPU, which takes so many in about the time of a few.
const PIXELS_ON_GPU: usize = 64 * 64 * 64;
/// More pictures than this in a chunk gain nothing.
const MOST_PICTURES: usize = 64;
/// Bytes for each number of a forward pass: the activation, kept for the way back, and its gradient, both
/// in single precision.
const BYTES_PER_ACTIVATION: u64 = 8;
/// Share of the free memory that one chunk may take.
const SHARE: u64 = 2;

/// What bounds a model's chunks: the time of one step, what did not fit, and on the CPU the memory
/// there is (no graphics interface tells how much a GPU has). Clones share what is known.
#[derive(Clone, Debug)]
pub struct BatchSize(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Whether its tensors live in the program's own memory, of which the system says how much is free.
    on_cpu: bool,
    /// Bytes that the gradient of one picture takes; 0 where that is not known.
    bytes: AtomicU64,
    /// Bytes that were free when a chunk was last chosen; 0 before.
    free: AtomicU64,
    /// Pictures at once, after what did not fit.
    most: AtomicUsize,
}

impl BatchSize {
    /// For a model whose input is `size`, height and width.
    pub fn new(size: [usize; 2], on_cpu: bool) -> Self {
        let pixels = if on_cpu { PIXELS_ON_CPU } else { PIXELS_ON_GPU };
        let step = (pixels / (size[0] * size[1]).max(1)).clamp(1, MOST_PICTURES);
        Self(Arc::new(Inner {
            on_cpu,
            bytes: AtomicU64::new(0),
            free: AtomicU64::new(0),
            most: AtomicUsize::new(step),
        }))
    }

    /// Pictures for the next chunk, 1 at the least.
    pub fn at_once(&self) -> usize {
        let most = self.0.most.load(Ordering::Relaxed);
        let Some(bytes) = self.bytes().filter(|_| most > 1) else {
            return most;
        };
        let free = memory::available();
        self.0.free.store(free, Ordering::Relaxed);
        let fitting = usize::try_from(free / SHARE / bytes).unwrap_or(usize::MAX);
        most.min(fitting).max(1)
    }

    /// Estimates what the gradient of one picture takes on the CPU, given how many numbers its forward
    /// pass makes; 0 where that is not known.
    pub(super) fn estimate(&self, activations: usize) {
        if self.0.on_cpu {
            self.note((activations as u64).saturating_mul(BYTES_PER_ACTIVATION));
        }
    }

    /// Notes that the gradient of one picture takes so many bytes; the largest counts.
    pub fn note(&self, bytes: u64) {
        self.0.bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Bytes that the gradient of one picture takes, where that is known.
    pub fn bytes(&self) -> Option<u64> {
        Some(self.0.bytes.load(Ordering::Relaxed)).filter(|&bytes| bytes > 0)
    }

    /// Bytes that were free when a chunk was last chosen.
    pub fn free(&self) -> Option<u64> {
        Some(self.0.free.load(Ordering::Relaxed)).filter(|&bytes| bytes > 0)
    }

    /// After a chunk that did not fit: half of it from now on. Whether that is possible.
    pub fn halve(&self) -> bool {
        let most = self.0.most.load(Ordering::Relaxed);
        self.0.most.store((most / 2).max(1), Ordering::Relaxed);
        most > 1
    }
}
