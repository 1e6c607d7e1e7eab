//! Counterfactuals: their columns and their tab.

mod cells;
mod tab;

use std::sync::Arc;

pub use cells::{Frames, HEIGHT, cell, note};
pub use tab::show;

use crate::counterfactual::{Overlap, overlap};
use crate::jobs::Contrasted;
use crate::mask;
use crate::state::{Contrasts, State};

/// The true mask of the open picture as the model of `answer` would see it.
fn truth(state: &State, answer: &Contrasted) -> Option<Vec<bool>> {
    let entry = state.entry()?;
    let size = answer.contrast.picture.size();
    Some(mask::seen(entry.mask.as_ref()?, entry.crop, size))
}

/// The mask of an answer.
fn masked(contrasts: &Contrasts, answer: &Contrasted) -> impl Iterator<Item = bool> {
    let threshold = contrasts.threshold_of(answer);
    answer
        .heat
        .values()
        .iter()
        .map(move |&value| value > threshold)
}

/// How well the mask of an answer covers the true one, if that is known.
fn score(state: &State, answer: &Arc<Contrasted>) -> Option<Overlap> {
    let truth = truth(state, answer)?;
    Some(overlap(masked(&state.contrasts, answer), truth.into_iter()))
}
