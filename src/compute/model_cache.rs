//! The models in use.

use std::collections::HashMap;
use std::sync::Arc;

use burn::tensor::Device;

use crate::counterfactual::{Counterfactual, Generator};
use crate::error::{Error, Result};
use crate::model::import::ModelSource;
use crate::model::{Classifier, ModelRef, zoo};
use crate::triage::Fingerprint;

/// Models by name, each opened once.
#[derive(Default)]
pub(super) struct ModelCache(HashMap<ModelRef, CachedModel>);

/// A model, with its generator if it has one.
#[derive(Clone)]
pub(super) struct CachedModel {
    pub(super) classifier: Arc<Classifier>,
    pub(super) generator: Option<Arc<Generator>>,
    pub(super) fingerprint: Fingerprint,
}

impl ModelCache {
    /// The model of that name, opened on `device` the first time.
    pub(super) fn get(&mut self, model: &ModelRef, device: &Device) -> Result<CachedModel> {
        if let Some(opened) = self.0.get(model) {
            return Ok(opened.clone());
        }
        let (source, path) = (zoo::source(model, device)?, model.origin());
        let generator = match &source {
            ModelSource::Weights(weights) if Generator::is_in(weights) => {
                Some(Arc::new(Generator::new(weights, path, device)?))
            }
            _ => None,
        };
        let opened = CachedModel {
            classifier: Arc::new(zoo::classifier(&source, path, device)?),
            generator,
            fingerprint: Fingerprint::of_model(model, &source)?,
        };
        self.0.insert(model.clone(), opened.clone());
        Ok(opened)
    }

    /// Has a model take half as many pictures at once. Whether it can.
    pub(super) fn halve(&self, model: &ModelRef) -> bool {
        let opened = self.0.get(model);
        opened.is_some_and(|opened| opened.classifier.budget().halve())
    }
}

impl CachedModel {
    /// Classifier and generator.
    ///
    /// # Errors
    /// [`Error::Config`] without a generator.
    pub(super) fn pair(self) -> Result<Counterfactual> {
        let Self {
            classifier,
            generator,
            ..
        } = self;
        let generator = generator.ok_or_else(|| {
            let name = &classifier.manifest().name;
            Error::Config(format!("{name} has no generator of counterfactuals"))
        })?;
        Ok(Counterfactual {
            discriminator: classifier,
            generator,
        })
    }
}
