//! Training of classifiers, standard and adversarial, without a window.
//!
//! [`TrainConfig`] holds all settings; [`Training`] takes the optimiser's steps; [`checkpoint`] saves and
//! restores its state.

mod adam;
pub mod checkpoint;
mod config;
pub mod counterfactual;
mod gradients;
mod init;
mod progress;
mod running_statistics;
mod schedule;
pub mod segmentation;
mod sgd;
mod training_loop;

pub use config::{EpsilonSchedule, Preset, TrainArchitecture, TrainConfig};
pub use schedule::{Schedule, ScheduleKind};
pub use training_loop::{CHECKPOINT, Interrupt, Training, TrainingOutcome, train};
