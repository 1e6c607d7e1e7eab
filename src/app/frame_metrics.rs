//! How quick the window is: start-up and frame times, logged when it closes.
//!
//! Shown with `RUST_LOG=epsiloscope=info`.

use std::sync::OnceLock;
use std::time::Instant;

use crate::session::{Page, Row};

static START: OnceLock<Instant> = OnceLock::new();

/// Notes when the program began. Call it first thing.
pub fn start() {
    START.get_or_init(Instant::now);
}

/// What is measured while the window is open.
#[derive(Default)]
pub struct FrameMetrics {
    drawn: bool,
    predicted: bool,
    /// CPU seconds of the window's thread for each frame drawn while the engine worked.
    busy_frames: Vec<f32>,
    /// The same for each frame of the triage page.
    triage_frames: Vec<f32>,
    /// From a change of the picture or its framing, by painting for instance, to the first prediction of it.
    predictions: Waits,
    /// From the last change of the attack to all rows showing it.
    attacks: Waits,
    /// From the same to a first map of every attack on the screen, the nearest finished ones.
    near_maps: Waits,
    /// From the same to a first map of every exact attack.
    maps: Waits,
    /// From one frame with pictures in the making to the next with newer ones.
    updates: Waits,
}

/// How long a person waits for something.
#[derive(Default)]
struct Waits {
    since: Option<Instant>,
    seconds: Vec<f32>,
}

/// Numbers remembered of a kind: a quarter of an hour at 60 a second.
const MOST: usize = 54_000;

impl Waits {
    /// It was asked for; an earlier question no longer counts.
    fn ask(&mut self) {
        self.since = Some(Instant::now());
    }

    /// It was asked for; an earlier question goes on to count.
    fn ask_on(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// Whether what was asked for `is_there`.
    fn answer(&mut self, is_there: bool) {
        if let Some(since) = self.since.take_if(|_| is_there)
            && self.seconds.len() < MOST
        {
            self.seconds.push(since.elapsed().as_secs_f32());
        }
    }
}

impl FrameMetrics {
    /// A frame is being drawn; `seconds` is what the last one took of the window's thread.
    pub fn frame(&mut self, seconds: Option<f32>, busy: bool, page: Page) {
        first(&mut self.drawn, "first frame");
        let Some(seconds) = seconds else { return };
        let kinds = [
            (busy, &mut self.busy_frames),
            (page == Page::Triage, &mut self.triage_frames),
        ];
        for (counts, frames) in kinds {
            if counts && frames.len() < MOST {
                frames.push(seconds);
            }
        }
    }

    /// What models see was changed.
    pub fn input_changed(&mut self) {
        self.predictions.ask_on();
    }

    /// The attack was changed.
    pub fn attack_changed(&mut self) {
        self.attacks.ask();
        self.near_maps.ask();
        self.maps.ask();
    }

    /// Ends the waits for what all `rows` show by now of the attack at `epsilon`.
    pub fn shown(&mut self, rows: &[Row], epsilon: f32) {
        let exact = |row: &Row| row.nearest(epsilon).is_some_and(|shown| shown.exact);
        self.attacks.answer(rows.iter().all(exact));
        let near = |row: &Row| {
            let shown = row.nearest(epsilon);
            shown.is_some_and(|shown| row.maps_attack_at(shown.attacked.epsilon))
        };
        self.near_maps.answer(rows.iter().all(near));
        let maps = |row: &Row| row.maps_attack_at(epsilon);
        self.maps.answer(rows.iter().all(maps));
    }

    /// This frame shows pictures in the making as they newly are; whether they go on.
    pub fn synthesis_frame(&mut self, goes_on: bool) {
        self.updates.answer(true);
        if goes_on {
            self.updates.ask();
        }
    }

    /// A model has said what it sees.
    pub fn prediction(&mut self) {
        first(&mut self.predicted, "first prediction");
        self.predictions.answer(true);
    }
}

impl Drop for FrameMetrics {
    fn drop(&mut self) {
        let about = [
            (
                "frames while the engine worked, of the window's thread",
                &mut self.busy_frames,
            ),
            (
                "frames of the triage page, of the window's thread",
                &mut self.triage_frames,
            ),
            (
                "waits for a first prediction of a changed picture",
                &mut self.predictions.seconds,
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
            (
                "times between two looks of pictures in the making",
                &mut self.updates.seconds,
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
