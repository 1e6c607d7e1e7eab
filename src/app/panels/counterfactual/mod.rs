//! Counterfactuals: their columns and their tab.

mod cells;
mod tab;

pub use cells::{Frames, cell, note};
pub use tab::show;

use crate::session::{masked, score};
