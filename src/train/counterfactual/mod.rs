//! Adversarial training of a counterfactual generator and its discriminator (paper B), without a window.
//!
//! [`CounterfactualConfig`] holds all settings; [`losses`] are the terms of the loss, one function each;
//! [`CounterfactualTraining`] takes the optimisers' steps. Paper B trains the discriminator as the classifier;
//! [`Frozen`] is a classifier that stays as it is and for which a generator is made.

mod checkpoint;
mod config;
pub mod example_sheet;
mod frozen;
pub mod losses;
mod metrics;
mod step;
mod training_loop;
mod view;

pub use checkpoint::{CounterfactualCheckpoint, CounterfactualPosition};
pub use config::{CounterfactualConfig, FrozenClassifier, LossWeights};
pub use frozen::Frozen;
pub use metrics::{PairEvaluation, evaluate_pair};
pub use step::CounterfactualTraining;
pub use training_loop::train_counterfactual;
