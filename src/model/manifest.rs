//! What a model's file says about the model besides its numbers.

use serde::{Deserialize, Serialize};

use super::{Architecture, Normalizer, Weights};
use crate::error::{Error, Result};

/// Everything needed to use a set of weights, stored with them as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// What a person calls it, for instance `CIFAR-10 robust`.
    pub name: String,
    /// The network.
    pub architecture: Architecture,
    /// Height and width the network was made for, in pixels.
    pub input: [usize; 2],
    /// The standardisation inside the model.
    pub normalizer: Normalizer,
    /// One word for each class, in the order of the logits.
    pub labels: Vec<String>,
    /// How it was trained, in one line.
    pub training: String,
    /// What was recognised and what was assumed when the file was opened; nothing for this program's
    /// own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Pictures larger than this on a side are no classifier's input.
const MAX_INPUT: usize = 2048;

impl Manifest {
    const KEY: &str = "epsiloscope";

    /// Reads the manifest out of a file's metadata.
    ///
    /// # Errors
    /// Says what is missing or contradictory.
    pub fn of(weights: &Weights) -> Result<Self, String> {
        let text = weights.metadata.get(Self::KEY).ok_or(
            "it has no epsiloscope manifest, so its architecture and labels are not known",
        )?;
        let manifest: Self =
            serde_json::from_str(text).map_err(|error| format!("its manifest: {error}"))?;
        manifest.validate().map_err(|error| error.to_string())?;
        Ok(manifest)
    }

    /// Stores the manifest in a file's metadata.
    pub fn attach(&self, weights: &mut Weights) {
        let text = serde_json::to_string(self).expect("a manifest is plain data");
        weights.metadata.insert(Self::KEY.into(), text);
    }

    /// Whether a file has one, sound or not.
    pub fn is_in(weights: &Weights) -> bool {
        weights.metadata.contains_key(Self::KEY)
    }

    pub(super) fn validate(&self) -> Result<()> {
        self.architecture.validate()?;
        let wrong = if self.labels.len() != self.architecture.classes() {
            format!(
                "{} labels for {} classes",
                self.labels.len(),
                self.architecture.classes()
            )
        } else if !self.normalizer.is_valid() {
            "the normaliser is not a mean and a positive deviation".into()
        } else if !self.input.iter().all(|side| (1..=MAX_INPUT).contains(side)) {
            format!("input sides must be between 1 and {MAX_INPUT} pixels")
        } else {
            return Ok(());
        };
        Err(Error::Config(format!("impossible manifest: {wrong}")))
    }
}
