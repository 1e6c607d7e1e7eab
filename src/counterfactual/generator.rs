//! The generator G of paper B: a conditional encoder–decoder (U-Net) with a classification head.

use std::path::Path;

use burn::tensor::activation::tanh;
use burn::tensor::{Device, Tensor, TensorData};

use super::resampling::{enlarged, reduced};
use crate::error::{Error, Result};
use crate::model::{Classifier, Manifest, Normalizer, UNet, UNetConfig, Weights};

/// Prefix of the generator's tensor names in a file; all others are the discriminator's.
pub(super) const PREFIX: &str = "generator.";
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

/// How pictures enter a generator's network and its changes leave it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interface {
    /// Normalisation of the network's input.
    pub normalizer: Normalizer,
    /// Side of the squares of pixels whose mean the network sees and to which one of its changes applies: 1 for
    /// pictures at their own size, 2 for half of it, which also keeps the changes smooth.
    pub reduction: usize,
    /// Whether inner activations are bfloat16.
    pub mixed: bool,
}

/// Translates pictures `[n, 3, h, w]` into target classes, given one-hot as `condition`, `[n, classes]`.
///
/// The network predicts a residual between −1 and 1 for each value, so that the identity is easy to
/// represent and no detail is lost in the bottleneck.
pub fn translate(
    network: &UNet,
    x: Tensor<4>,
    condition: &Tensor<2>,
    interface: &Interface,
) -> Translated {
    let Interface {
        normalizer,
        reduction,
        mixed,
    } = *interface;
    let pixels = normalizer.apply_in(reduced(x.clone(), [reduction; 2]), mixed);
    let decoded = network.forward(pixels, Some(condition));
    let change = enlarged(tanh(decoded.map), reduction);
    Translated {
        picture: (x + change).clamp(0.0, 1.0),
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

/// A generator with frozen weights, for one classifier.
pub struct Generator {
    network: UNet,
    interface: Interface,
    /// For each of its classes the output of the classifier.
    outputs: Vec<usize>,
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
        if config.classes + 1 != manifest.architecture.classes() {
            return Err(wrong("its generator does not fit its discriminator".into()));
        }
        let network = network(&config, weights, manifest.input, path, device)?;
        Ok(Self::freeze(network, manifest.normalizer, device))
    }

    /// A frozen copy of a network that may still be in training, whose classes are the first outputs of its
    /// classifier.
    pub fn freeze(network: UNet, normalizer: Normalizer, device: &Device) -> Self {
        let interface = Interface {
            normalizer,
            reduction: 1,
            mixed: false,
        };
        let outputs = (0..network.config().classes).collect();
        Self::with_interface(network, interface, outputs, device)
    }

    /// A frozen copy of a network whose classes are the `outputs` of its classifier.
    pub fn with_interface(
        network: UNet,
        interface: Interface,
        outputs: Vec<usize>,
        device: &Device,
    ) -> Self {
        Self {
            network,
            interface,
            outputs,
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

    /// Where it runs.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The outputs of the classifier into whose classes it turns pictures.
    pub fn outputs(&self) -> &[usize] {
        &self.outputs
    }

    /// Translates pictures `[n, 3, h, w]` in [0, 1] into the classes of the classifier's outputs `targets`, one
    /// for each; all of them must be among [`Generator::outputs`].
    pub fn translate(&self, x: Tensor<4>, targets: &[usize]) -> Translated {
        let class = |target: &usize| {
            let place = self.outputs.iter().position(|output| output == target);
            place.expect("a class of the generator")
        };
        let targets: Vec<usize> = targets.iter().map(class).collect();
        let condition = one_hot(&targets, self.outputs.len(), &self.device);
        translate(&self.network, x, &condition, &self.interface)
    }
}

/// The network of shape `config` in a file's weights, for pictures of height and width `input`, reduced already.
///
/// # Errors
/// As [`Generator::new`].
pub(super) fn network(
    config: &UNetConfig,
    weights: &Weights,
    input: [usize; 2],
    path: &Path,
    device: &Device,
) -> Result<UNet> {
    let wrong = |reason: String| Error::model(path, reason);
    config
        .validate()
        .map_err(|error| wrong(error.to_string()))?;
    let fits = input.iter().all(|side| side % config.multiple() == 0);
    if config.outputs != 3 || config.classes < 2 || !fits {
        return Err(wrong(
            "its generator does not fit its pictures and classes".into(),
        ));
    }
    if config.parameter_count() > weights.parameter_count().saturating_add(SLACK) {
        return Err(wrong(
            "its generator has more parameters than the file".into(),
        ));
    }
    let mut network = UNet::zeros(config, device);
    weights
        .under(PREFIX)
        .fill(&mut network)
        .map_err(|mismatch| Error::Tensors {
            path: path.into(),
            architecture: format!("{config:?}"),
            mismatch,
        })?;
    Ok(network)
}
