//! A classifier with the fingerprint under which its results are stored.

use std::sync::Arc;

use burn::tensor::Device;

use super::{Classifier, Fingerprint, ModelRef, zoo};
use crate::error::Result;

/// A model with its fingerprint.
#[derive(Clone)]
pub struct Examined {
    /// Of all that decides its results.
    pub fingerprint: Fingerprint,
    /// The model.
    pub classifier: Arc<Classifier>,
}

impl Examined {
    /// Opens that model; see [`zoo::source`].
    ///
    /// # Errors
    /// As [`zoo::open`].
    pub fn open(model: &ModelRef, device: &Device) -> Result<Self> {
        let source = zoo::source(model, device)?;
        Ok(Self {
            fingerprint: Fingerprint::of_model(model, &source)?,
            classifier: Arc::new(zoo::classifier(&source, model.origin(), device)?),
        })
    }
}
