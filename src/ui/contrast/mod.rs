//! Counterfactuals: their columns and their tab.

mod cells;
mod tab;

pub use cells::{Frames, HEIGHT, cell, note};
pub use tab::show;

use crate::state::{masked, score};
