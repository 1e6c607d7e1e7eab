//! The generator G of paper B: a conditional encoder–decoder (U-Net) with a classification head.

use std::path::Path;

use burn::tensor::activation::tanh;
use burn::tensor::{Device, Tensor, TensorData};

use crate::error::{Error, Result};
use crate::model::{Classifier, Manifest, Normalizer, UNet, UNetConfig, Weights};

/// Prefix of the generator's tensor names in a file; all others are the discriminator's.
const PREFIX: &str = "generator.";
const KEY: &str = "generator";
/// A shape in the metadata may exceed the file's parameter count by this much before it is refused.
const SLACK: usize = 1 << 20;

/// Output of a generator.
pub struct Translated {
    /// Generated pictures, `[n, 3, h, w]` in [0, 1].
    pub picture: Tensor<4>,
    /// Logits `[n, classes]` of the classification head, which does not depend on the target class.
    pub head: Tensor<2>,
}

/// Translates pictures `[n, 3, h, w]` into target classes, given one-hot as `condition`, `[n, classes]`.
///
/// The network predicts a residual between −1 and 1 for each value, so that the identity is easy to
/// represent and no detail is lost in the bottleneck. With `mixed`, inner activations are bfloat16.
pub fn translate(
    network: &UNet,
    normalizer: &Normalizer,
    x: Tensor<4>,
    condition: &Tensor<2>,
    mixed: bool,
) -> Translated {
    let pixels = normalizer.apply_in(x.clone(), mixed);
    let decoded = network.forward(pixels, Some(condition));
    Translated {
        picture: (x + tanh(decoded.map)).clamp(0.0, 1.0),
        head: decoded.head.expect("a generator has a head"),
    }
}

/// One-hot encoding of class indices: `[n, classes]`.
pub fn one_hot(chosen: &[usize], classes: usize, device: &Device) -> Tensor<2> {
    let mut values = vec![0.0f32; chosen.len() * classes];
    for (row, &class) in chosen.iter().enumerate() {
        values[row * classes + class] = 1.0;
    }
    Tensor::from_data(TensorData::new(values, [chosen.len(), classes]), device)
}

/// A generator with frozen weights.
pub struct Generator {
    network: UNet,
    normalizer: Normalizer,
    device: Device,
}

impl Generator {
    /// Reads the generator from a file's weights; `path` is used in error messages only.
    ///
    /// # Errors
    /// [`Error::Model`] when there is none or it contradicts the discriminator's manifest,
    /// [`Error::Tensors`] when its tensors are not those of its shape.
    pub fn new(weights: &Weights, path: &Path, device: &Device) -> Result<Self> {
        let wrong = |reason: String| Error::model(path, reason);
        let manifest = Manifest::of(weights).map_err(wrong)?;
        let text = weights.metadata.get(KEY);
        let text = text.ok_or_else(|| wrong("it has no generator of counterfactuals".into()))?;
        let config: UNetConfig = serde_json::from_str(text)
            .map_err(|error| wrong(format!("the shape of its generator: {error}")))?;
        config
            .validate()
            .map_err(|error| wrong(error.to_string()))?;
        let fits = manifest
            .input
            .iter()
            .all(|side| side % config.multiple() == 0);
        if config.outputs != 3
            || config.classes < 2
            || config.classes + 1 != manifest.architecture.classes()
            || !fits
        {
            return Err(wrong("its generator does not fit its discriminator".into()));
        }
        if config.parameter_count() > weights.parameter_count().saturating_add(SLACK) {
            return Err(wrong(
                "its generator has more parameters than the file".into(),
            ));
        }
        let mut network = UNet::zeros(&config, device);
        weights
            .under(PREFIX)
            .fill(&mut network)
            .map_err(|mismatch| Error::Tensors {
                path: path.into(),
                architecture: format!("{config:?}"),
                mismatch,
            })?;
        Ok(Self::freeze(network, manifest.normalizer, device))
    }

    /// A frozen copy of a network that may still be in training.
    pub fn freeze(network: UNet, normalizer: Normalizer, device: &Device) -> Self {
        Self {
            network,
            normalizer,
            device: device.clone(),
        }
    }

    /// Whether a file contains a generator.
    pub fn is_in(weights: &Weights) -> bool {
        weights.metadata.contains_key(KEY)
    }

    /// Adds a generator's tensors and shape to `weights`.
    pub fn attach(network: &mut UNet, weights: &mut Weights) {
        let config = serde_json::to_string(network.config()).expect("plain data");
        weights.metadata.insert(KEY.into(), config);
        weights.add_under(PREFIX, Weights::of(network).tensors);
    }

    /// Its encoder and classification head as a classifier of the classes of `discriminator` without “fake”.
    pub fn head(&self, discriminator: &Manifest) -> Classifier {
        let mut manifest = discriminator.clone();
        manifest.name = format!("{}, generator's head", discriminator.name);
        manifest.labels.pop();
        let classes = manifest.architecture.classes();
        manifest.architecture = manifest
            .architecture
            .with_classes(classes.saturating_sub(1));
        Classifier::from_network(Box::new(self.network.clone()), manifest, &self.device)
    }

    /// Number of target classes.
    pub fn classes(&self) -> usize {
        self.network.config().classes
    }

    /// Translates pictures `[n, 3, h, w]` in [0, 1] into the classes `targets`, one for each.
    pub fn translate(&self, x: Tensor<4>, targets: &[usize]) -> Translated {
        let condition = one_hot(targets, self.classes(), &self.device);
        translate(&self.network, &self.normalizer, x, &condition, false)
    }
}
