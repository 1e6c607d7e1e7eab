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
    /// From the last change of the attack to all rows showing it.
    pub attacks: Waits,
    /// From the same to a first map of every attack on the screen, the nearest finished ones.
    pub near_maps: Waits,
    /// From the same to a first map of every exact attack.
    pub maps: Waits,
}

/// How long a person waits for something.
#[derive(Default)]
pub struct Waits {
    since: Option<Instant>,
    seconds: Vec<f32>,
}

/// Numbers remembered of a kind: a quarter of an hour at 60 a second.
const MOST: usize = 54_000;

impl Waits {
    /// It was asked for; an earlier question no longer counts.
    pub fn ask(&mut self) {
        self.since = Some(Instant::now());
    }

    /// Whether what was asked for `is_there`.
    pub fn answer(&mut self, is_there: bool) {
        if let Some(since) = self.since.take_if(|_| is_there)
            && self.seconds.len() < MOST
        {
            self.seconds.push(since.elapsed().as_secs_f32());
        }
    }
}

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
        let about = [
            (
                "frames while the engine worked, of the window's thread",
                &mut self.busy_frames,
            ),
            (
                "waits for an attack after its last change",
                &mut self.attacks.seconds,
            ),
            (
                "waits for first maps of the attacks on the screen",
                &mut self.near_maps.seconds,
            ),
            (
                "waits for first maps of the exact attacks",
                &mut self.maps.seconds,
            ),
        ];
        for (what, seconds) in about {
            report(what, seconds);
        }
    }
}

fn report(what: &str, seconds: &mut [f32]) {
    if seconds.is_empty() {
        return;
    }
    seconds.sort_by(f32::total_cmp);
    let at = |share: usize| seconds[(seconds.len() - 1) * share / 100] * 1e3;
    tracing::info!(
        "{} {what}: median {:.1} ms, p99 {:.1} ms",
        seconds.len(),
        at(50),
        at(99)
    );
}

fn first(seen: &mut bool, what: &str) {
    if !std::mem::replace(seen, true)
        && let Some(start) = START.get()
    {
        tracing::info!("{what} after {:.2} s", start.elapsed().as_secs_f32());
    }
}
