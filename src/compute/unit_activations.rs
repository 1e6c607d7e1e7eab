//! Activations of all units of a model for the pictures of the library.

use std::sync::Arc;

use super::requests::ComputeMessage;
use super::scheduler::Step;
use crate::data::picture::unit_planes;
use crate::data::{Crop, Picture};
use crate::model::{Classifier, ModelRef};

/// The most pictures of a request.
pub const MOST_UNIT_PICTURES: usize = 2000;

/// A request for the activations of all units for the pictures of the library.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitActivationsRequest {
    /// The model.
    pub model: ModelRef,
    /// The stage whose channels are the units; without one, the representation.
    pub stage: Option<usize>,
    /// The pictures with the parts that models see.
    pub pictures: Vec<(Picture, Crop)>,
}

/// Activations of all units.
#[derive(Debug)]
pub struct UnitActivations {
    /// The request.
    pub unit_activations: UnitActivationsRequest,
    /// The units' activations for each picture.
    pub activations: Vec<Vec<f32>>,
}

/// A running request, some pictures at a time.
pub struct UnitActivationsJob {
    unit_activations: UnitActivationsRequest,
    model: Arc<Classifier>,
    activations: Vec<Vec<f32>>,
}

/// Pictures of one step.
const AT_ONCE: usize = 16;

impl UnitActivationsJob {
    pub(super) fn new(unit_activations: UnitActivationsRequest, model: Arc<Classifier>) -> Self {
        Self {
            unit_activations,
            model,
            activations: Vec::new(),
        }
    }

    pub(super) fn step(&mut self) -> Step<ComputeMessage> {
        let from = self.activations.len();
        let size = self.model.manifest().input;
        let some = self
            .unit_activations
            .pictures
            .iter()
            .skip(from)
            .take(self.model.budget().at_once().min(AT_ONCE));
        let planes: Vec<f32> = some
            .flat_map(|(picture, crop)| unit_planes(&picture.cropped(*crop, size)))
            .collect();
        if !planes.is_empty() {
            let units = crate::synthesis::activations(
                &self.model,
                self.unit_activations.stage,
                size,
                planes,
            );
            self.activations.extend(units);
        }
        let done = self.activations.len() >= self.unit_activations.pictures.len();
        let message = done.then(|| {
            ComputeMessage::UnitActivations(Arc::new(UnitActivations {
                unit_activations: self.unit_activations.clone(),
                activations: std::mem::take(&mut self.activations),
            }))
        });
        Step { message, done }
    }
}
