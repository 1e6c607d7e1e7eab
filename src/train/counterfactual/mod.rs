//! Adversarial training of a counterfactual generator and its discriminator (paper B), without a window.
//!
//! [`CounterfactualConfig`] holds all settings; [`losses`] are the terms of the loss, one function each;
//! [`CounterfactualTraining`] takes the optimisers' steps.

mod checkpoint;
mod config;
pub mod example_sheet;
pub mod losses;
mod metrics;
mod step;
mod training_loop;

pub use checkpoint::{CounterfactualCheckpoint, CounterfactualPosition};
pub use config::{CounterfactualConfig, LossWeights};
pub use metrics::{PairEvaluation, evaluate_pair};
pub use step::CounterfactualTraining;
pub use training_loop::train_counterfactual;
