//! Training classifiers, standard and adversarial, headless.
//!
//! [`TrainConfig`] says everything; [`Training`] runs it step by step; [`checkpoint`] makes it
//! survive interruption.

mod adam;
pub mod checkpoint;
mod config;
pub mod counterfactual;
mod gradients;
mod init;
mod progress;
mod schedule;
pub mod segmentation;
mod session;
mod sgd;
mod statistics;

pub use config::{EpsilonSchedule, Preset, TrainArchitecture, TrainConfig};
pub use schedule::{Schedule, ScheduleKind};
pub use session::{CHECKPOINT, Interrupt, Outcome, Training, train};
