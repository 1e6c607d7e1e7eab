//! How quick the window is: start-up and frame times, logged when it closes.
//!
//! Shown with `RUST_LOG=epsiloscope=info`.

use std::sync::OnceLock;
use std::time::Instant;

static START: OnceLock<Instant> = OnceLock::new();

/// Notes when the program began. Call it first thing.
pub fn start() {
    START.get_or_init(Instant::now);
}

/// What is measured while the window is open.
#[derive(Default)]
pub struct Vitals {
    drawn: bool,
    predicted: bool,
    /// CPU seconds of the window's thread for each frame drawn while the engine worked.
    busy_frames: Vec<f32>,
}

/// Frames remembered: a quarter of an hour at 60 a second.
const MOST: usize = 54_000;

impl Vitals {
    /// A frame is being drawn; `seconds` is what the last one took of the window's thread.
    pub fn frame(&mut self, seconds: Option<f32>, busy: bool) {
        first(&mut self.drawn, "first frame");
        if let Some(seconds) = seconds
            && busy
            && self.busy_frames.len() < MOST
        {
            self.busy_frames.push(seconds);
        }
    }

    /// A model has said what it sees.
    pub fn prediction(&mut self) {
        first(&mut self.predicted, "first prediction");
    }
}

impl Drop for Vitals {
    fn drop(&mut self) {
        if self.busy_frames.is_empty() {
            return;
        }
        self.busy_frames.sort_by(f32::total_cmp);
        let at = |share: usize| self.busy_frames[(self.busy_frames.len() - 1) * share / 100] * 1e3;
        tracing::info!(
            "{} frames while the engine worked: median {:.2} ms, p99 {:.2} ms of the window's thread",
            self.busy_frames.len(),
            at(50),
            at(99)
        );
    }
}

fn first(seen: &mut bool, what: &str) {
    if !std::mem::replace(seen, true)
        && let Some(start) = START.get()
    {
        tracing::info!("{what} after {:.2} s", start.elapsed().as_secs_f32());
    }
}
