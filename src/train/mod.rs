//! Training classifiers, standard and adversarial, headless.
//!
//! [`TrainConfig`] says everything; [`Training`] runs it step by step; [`checkpoint`] makes it
//! survive interruption.

pub mod checkpoint;
mod config;
mod init;
mod progress;
mod schedule;
mod session;
mod sgd;

pub use config::{Architecture, Preset, TrainConfig};
pub use schedule::{Schedule, ScheduleKind};
pub use session::{CHECKPOINT, Interrupt, Outcome, Training, train};
