//! Training a discriminator and its generator against each other (paper B), headless.
//!
//! [`CounterfactualConfig`] says everything; [`losses`] are its terms, one function each;
//! [`CounterfactualTraining`] runs it step by step.

mod checkpoint;
mod config;
pub mod losses;
mod metrics;
mod session;
pub mod sheet;
mod step;

pub use checkpoint::{CounterfactualCheckpoint, CounterfactualPosition};
pub use config::{CounterfactualConfig, LossWeights};
pub use metrics::{Judgement, judge};
pub use session::train_counterfactual;
pub use step::CounterfactualTraining;
