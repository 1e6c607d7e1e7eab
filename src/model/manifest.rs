//! Model manifests: name, architecture, input, normaliser and labels, stored with the weights as JSON.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::{Architecture, Normalizer, Weights};
use crate::data::grey_planes;
use crate::data::picture::unit_planes;
use crate::error::{Error, Result};

/// Everything that is needed to use a set of weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Display name, for instance `CIFAR-10 robust`.
    pub name: String,
    /// Network architecture.
    pub architecture: Architecture,
    /// Height and width of the input, in pixels.
    pub input: [usize; 2],
    /// Input normalisation.
    pub normalizer: Normalizer,
    /// Whether the network was made for pictures of one channel: it reads the luma of pictures, which are shown grey,
    /// and attacks change all channels alike.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grey: bool,
    /// Class names, in the order of the logits.
    pub labels: Vec<String>,
    /// One line about the training.
    pub training: String,
    /// What was recognised when a foreign file was opened; empty for this program's own files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What a foreign file does not say and was assumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumptions: Vec<String>,
}

/// Key of the manifest in the metadata of a file with a generator of counterfactuals alone; part of the file
/// format.
pub const GENERATOR_MANIFEST: &str = "epsiloscope generator";

/// Largest side of an input that is accepted, in pixels.
const MAX_INPUT: usize = 2048;

impl Manifest {
    const KEY: &str = "epsiloscope";

    /// The values of an image as the model is shown it, scaled to [0, 1], plane by plane, `[3, h, w]`: grey where it
    /// reads one channel.
    pub fn planes_of(&self, image: &RgbImage) -> Vec<f32> {
        let planes = unit_planes(image);
        if self.grey {
            grey_planes(&planes)
        } else {
            planes
        }
    }

    /// Reads the manifest from a file's metadata.
    ///
    /// # Errors
    /// A message naming what is missing or contradictory.
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

    /// Whether a file has a manifest, valid or not.
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
