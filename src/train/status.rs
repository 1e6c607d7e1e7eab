//! `status.json`: what a training is doing, for another process to show; and the file by which that asks it to pause.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::write_atomically;

/// File name of the status in the output folder.
pub const STATUS: &str = "status.json";

/// A file of this name in the output folder asks the training to write a checkpoint and end.
pub const PAUSE: &str = "pause";

/// A file that a training holds locked while it runs.
const LOCK: &str = "training.lock";

/// Whether a process trains into the folder `out` now.
pub fn is_running(out: &Path) -> bool {
    let file = File::open(out.join(LOCK));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Phase of a training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It reads its pictures.
    #[default]
    Starting,
    /// It takes steps.
    Running,
    /// It ended before its last epoch and can be resumed.
    Paused,
    /// All epochs are done; the model is being measured.
    Measuring,
    /// The model file is complete.
    Finished,
    /// It ended with an error; the last checkpoint is in place.
    Failed,
}

/// A point of the curves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Epochs done, with a fraction.
    pub epoch: f64,
    /// Mean training loss since the point before.
    pub loss: f64,
    /// Training accuracy since the point before, in [0, 1]; in adversarial training on adversarial pictures.
    pub accuracy: f64,
}

/// What a training is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingStatus {
    /// What it does now.
    pub phase: Phase,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Steps that are done.
    pub steps: usize,
    /// Steps of the whole training; 0 while that is not known.
    pub total: usize,
    /// Time that the remaining steps will take at the pace of the last ones, in seconds.
    #[serde(default)]
    pub seconds_left: Option<f64>,
    /// Loss and accuracy so far.
    #[serde(default)]
    pub curve: Vec<CurvePoint>,
}

impl TrainingStatus {
    /// Reads the status of the training in the folder `out`, if it is there and complete.
    pub fn read(out: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(out.join(STATUS)).ok()?;
        serde_json::from_str(&text).ok()
    }
}

/// Most points of the curves; beyond, every second one is left out.
const MOST_POINTS: usize = 256;

/// Time between two writes, and between two looks for a request to pause.
const PERIOD: Duration = Duration::from_millis(700);

/// Writes the status of a training.
pub(super) struct StatusWriter {
    out: PathBuf,
    status: TrainingStatus,
    written: Instant,
    /// Sums since the last point: loss, correctly classified pictures, pictures, steps.
    since: [f64; 4],
    /// Steps between two points.
    spacing: usize,
    /// Mean time of the last steps, in seconds.
    pace: Option<f64>,
    pause: bool,
    /// Locked while this is there.
    _lock: File,
}

impl StatusWriter {
    /// Begins with `done` of `total` steps; the curves of a resumed training go on.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be written to, or another process trains into it.
    pub(super) fn new(out: &Path, done: usize, total: usize) -> Result<Self> {
        let lock = lock(out)?;
        let before = if done > 0 {
            TrainingStatus::read(out)
        } else {
            None
        };
        let curve = before.map_or_else(Vec::new, |before| before.curve);
        // A request that an earlier run has answered.
        let _ = std::fs::remove_file(out.join(PAUSE));
        let mut writer = Self {
            out: out.into(),
            status: TrainingStatus {
                phase: Phase::Running,
                steps: done,
                total,
                curve,
                ..TrainingStatus::default()
            },
            written: Instant::now(),
            since: [0.0; 4],
            spacing: 1,
            pace: None,
            pause: false,
            _lock: lock,
        };
        writer.write()?;
        Ok(writer)
    }

    /// Counts a step of `count` pictures, `right` of which were classified correctly, at so many epochs.
    pub(super) fn step(
        &mut self,
        epoch: f64,
        loss: f32,
        [right, count]: [usize; 2],
        seconds: f64,
    ) -> Result<()> {
        self.status.steps += 1;
        self.since = [
            self.since[0] + f64::from(loss),
            self.since[1] + right as f64,
            self.since[2] + count as f64,
            self.since[3] + 1.0,
        ];
        let pace = self
            .pace
            .map_or(seconds, |pace| 0.95 * pace + 0.05 * seconds);
        self.pace = Some(pace);
        let left = self.status.total.saturating_sub(self.status.steps);
        self.status.seconds_left = Some(pace * left as f64);
        if self.since[3] as usize >= self.spacing {
            let [loss, right, count, steps] = std::mem::take(&mut self.since);
            self.status.curve.push(CurvePoint {
                epoch,
                loss: loss / steps,
                accuracy: right / count,
            });
            if self.status.curve.len() > MOST_POINTS {
                let mut index = 0;
                self.status.curve.retain(|_| {
                    index += 1;
                    index % 2 == 0
                });
                self.spacing *= 2;
            }
        }
        if self.written.elapsed() >= PERIOD {
            self.pause = self.out.join(PAUSE).exists();
            self.write()?;
        }
        Ok(())
    }

    /// Whether another process has asked for a pause.
    pub(super) fn is_asked_to_pause(&self) -> bool {
        self.pause
    }

    /// Enters another phase.
    pub(super) fn enter(&mut self, phase: Phase) -> Result<()> {
        self.status.phase = phase;
        self.write()
    }

    fn write(&mut self) -> Result<()> {
        self.written = Instant::now();
        write_status(&self.out, &self.status)
    }
}

/// Locks the folder `out` for this process.
fn lock(out: &Path) -> Result<File> {
    let path = out.join(LOCK);
    let file = File::create(&path).map_err(|error| Error::io(&path, "write", error))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::io(
            &path,
            "lock",
            "another process trains into this folder",
        )),
        // Where locks are unknown, a training runs without one.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

fn write_status(out: &Path, status: &TrainingStatus) -> Result<()> {
    let text = serde_json::to_string(status).expect("plain data");
    write_atomically(&out.join(STATUS), text.as_bytes())
}

/// Records that the training in the folder `out` entered a phase, for instance that it failed and why.
///
/// # Errors
/// [`crate::error::Error::Io`] where the file cannot be written.
pub fn record_phase(out: &Path, phase: Phase, reason: Option<String>) -> Result<()> {
    let status = TrainingStatus {
        phase,
        reason,
        ..TrainingStatus::read(out).unwrap_or_default()
    };
    write_status(out, &status)
}
