//! Training of classifiers, standard and adversarial, without a window.
//!
//! [`TrainConfig`] holds all settings; [`Training`] takes the optimiser's steps; [`checkpoint`] saves and
//! restores its state.

mod adam;
mod architecture;
pub mod checkpoint;
mod config;
pub mod counterfactual;
mod distillation;
mod gradients;
mod init;
mod loss;
mod network;
mod progress;
mod running_statistics;
mod schedule;
pub mod segmentation;
mod sgd;
mod status;
mod training_loop;

pub use architecture::TrainArchitecture;
pub use config::{Preset, TrainConfig};
pub use distillation::Distillation;
pub use init::{InitialModel, initial_model};
pub use progress::TrainingWatch;
pub use schedule::{EpsilonSchedule, Schedule, ScheduleKind};
pub use status::{CurvePoint, PAUSE, Phase, STATUS, TrainingStatus, is_running, record_phase};
pub use training_loop::{CHECKPOINT, Training, TrainingOutcome, train};
