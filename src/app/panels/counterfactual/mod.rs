//! Counterfactuals: their columns and their tab.

mod cells;
mod settings;
mod tab;

pub use cells::{Frames, cell, note};
pub use settings::settings;
pub use tab::show;

use crate::session::{masked, score};
