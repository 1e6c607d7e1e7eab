//! The search for the best place of an adversarial patch, step by step.

use std::sync::Arc;
use std::time::Duration;

use burn::tensor::Tensor;

use super::requests::{ComputeMessage, ModelInput};
use super::scheduler::Step;
use super::throttle::{Throttle, repeat};
use crate::attack::Attack;
use crate::attack::patch::{PatchSearch, PatchShape};
use crate::error::Result;
use crate::model::Classifier;

/// Time between two reports: a bar of progress needs no more, and every frame takes time from the search.
const REPORT: Duration = Duration::from_millis(400);

/// A request for a search.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchRequest {
    /// The picture and the model; its mask does not count.
    pub input: ModelInput,
    /// Goal and seed of the attack; norm and ε are those of patches.
    pub attack: Attack,
    /// Outline of the patch.
    pub shape: PatchShape,
    /// Side of the patch, as a share of the shorter side of what the model gets, in (0, 1].
    pub side: f32,
}

impl PatchRequest {
    /// The side in pixels of a model's input of height and width `size`; at least 1.
    pub fn side_in(&self, size: [usize; 2]) -> usize {
        let shorter = size[0].min(size[1]);
        ((self.side * shorter as f32).round() as usize).clamp(1, shorter)
    }
}

/// A search, finished or not.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchResult {
    /// The request.
    pub request: PatchRequest,
    /// The best place so far: left, top, right and bottom of the patch's square, as shares of the model's input.
    pub place: Option<[f32; 4]>,
    /// Height and width of the model's input.
    pub input: [usize; 2],
    /// Share of the places that were tried; 1 when finished.
    pub progress: f32,
}

/// A search under way.
pub struct PatchJob {
    request: PatchRequest,
    model: Arc<Classifier>,
    search: PatchSearch,
    pace: Throttle,
}

impl PatchJob {
    /// Begins a search on the picture `x`, `[1, 3, h, w]`, whose class is `label`.
    pub(super) fn new(
        request: PatchRequest,
        model: Arc<Classifier>,
        x: Tensor<4>,
        label: usize,
    ) -> Result<Self> {
        request.attack.validate(model.classes())?;
        let side = request.side_in(model.manifest().input);
        Ok(Self {
            search: PatchSearch::new(request.shape, side, &request.attack, x, label)?,
            request,
            model,
            pace: Throttle::every(REPORT),
        })
    }

    pub(super) fn step(&mut self) -> Step<ComputeMessage> {
        let goes_on = repeat(|| self.search.step(&self.model));
        let told = self.pace.is_due() || !goes_on;
        Step {
            message: told.then(|| ComputeMessage::PatchSearched(Box::new(self.result()))),
            done: !goes_on,
        }
    }

    fn result(&self) -> PatchResult {
        let [h, w] = self.model.manifest().input;
        let side = self.request.side_in([h, w]);
        let place = self.search.best().map(|best| {
            let [top, left] = best.corner;
            let [x, y] = [1.0 / w as f32, 1.0 / h as f32];
            [
                left as f32 * x,
                top as f32 * y,
                (left + side) as f32 * x,
                (top + side) as f32 * y,
            ]
        });
        PatchResult {
            request: self.request.clone(),
            place,
            input: [h, w],
            progress: self.search.progress(),
        }
    }
}
