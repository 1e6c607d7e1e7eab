//! A frozen classifier: pixels in, logits out, nothing inside ever changes.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use super::budget::BatchSize;
use super::cpu::{Compiled, Pixels};
use super::{Manifest, ResNet, Weights, tensor_values};
use crate::error::{Error, Result};
use crate::model::{FeatureLayer, Network, gradient};

/// A network with its normaliser and labels; pixels are in [0, 1] outside.
///
/// It is inert: its BatchNorms are folded into the convolutions, no weight requires a gradient,
/// and every method borrows it immutably.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use epsiloscope::model::zoo;
///
/// let device = Device::flex();
/// let model = zoo::open(&"cifar10-robust".into(), &device)?;
/// let grey = Tensor::<4>::full([1, 3, 32, 32], 0.5, &device);
/// let logits = model.logits(grey);
/// assert_eq!(logits.dims(), [1, model.manifest().labels.len()]);
/// # Ok::<(), epsiloscope::error::Error>(())
/// ```
pub struct Classifier {
    manifest: Manifest,
    network: Box<dyn Network>,
    /// The same network packed for the CPU, where it is several times faster.
    compiled: Option<Compiled>,
    device: Device,
    budget: BatchSize,
}

/// Begins the names of a discriminator's tensors in a file that also holds its generator; part of the
/// file format, so that files and their content hashes stay what they are.
pub const DISCRIMINATOR: &str = "critic.";

/// Numbers that a manifest may claim without a file to show for it.
const SLACK: usize = 1 << 20;

impl Classifier {
    /// Builds the network that `weights` describe on `device`.
    ///
    /// # Errors
    /// [`Error::Model`] without a valid manifest, [`Error::Tensors`] when the tensors are not those
    /// of the architecture; both name `path`, the file the weights came from.
    pub fn new(weights: &Weights, path: &Path, device: &Device) -> Result<Self> {
        let manifest = Manifest::of(weights).map_err(|reason| Error::model(path, reason))?;
        let shape = manifest.architecture.resnet();
        let shape = shape.map_err(|reason| Error::model(path, reason))?.clone();
        let (needed, there) = (shape.numbers(), weights.numbers());
        // A few missing tensors are listed by name below; a manifest that claims far more than its
        // file holds must not be believed with memory.
        if needed > there.saturating_mul(2).saturating_add(SLACK) {
            let reason = format!(
                "its manifest claims a network of {needed} numbers, the file holds {there}"
            );
            return Err(Error::model(path, reason));
        }
        let mut network = ResNet::zeros(&shape, device);
        // A discriminator of counterfactuals shares its file with its generator.
        let discriminator = weights.under(DISCRIMINATOR);
        let part = if discriminator.tensors.is_empty() {
            weights
        } else {
            &discriminator
        };
        part.fill(&mut network).map_err(|mismatch| Error::Tensors {
            path: path.into(),
            architecture: shape.to_string(),
            mismatch,
        })?;
        Ok(Self::freeze(network, manifest, device))
    }

    /// The frozen twin of a network that may still be in training.
    pub fn freeze(network: ResNet, manifest: Manifest, device: &Device) -> Self {
        let network = network.fold();
        let on_cpu = *device == Device::flex();
        Self {
            budget: budget(&network, &manifest, on_cpu),
            compiled: on_cpu.then(|| Compiled::new(&network, &manifest.normalizer)),
            manifest,
            network: Box::new(network),
            device: device.clone(),
        }
    }

    /// Any frozen network; its shape is not taken from `manifest`.
    pub fn of(network: Box<dyn Network>, manifest: Manifest, device: &Device) -> Self {
        let on_cpu = *device == Device::flex();
        Self {
            budget: budget(&*network, &manifest, on_cpu),
            manifest,
            network,
            compiled: None,
            device: device.clone(),
        }
    }

    /// Reads a model file.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        Self::new(&Weights::read(path)?, path, device)
    }

    /// What its file says of it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where its tensors live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How many pictures it takes at once.
    pub fn budget(&self) -> &BatchSize {
        &self.budget
    }

    /// Class count.
    pub fn classes(&self) -> usize {
        self.manifest.architecture.classes()
    }

    /// Coordinates of the pooled representation, or channels of the map after a stage.
    pub fn channels(&self, stage: Option<usize>) -> usize {
        self.manifest.architecture.channels(stage)
    }

    /// Last feature map `[n, c, h, w]` of pixels `[n, 3, h, w]` in [0, 1].
    pub fn features(&self, x: Tensor<4>) -> Tensor<4> {
        self.features_at(x, FeatureLayer::LAST)
    }

    /// The feature map `[n, c, h, w]` at `cut` of pixels.
    pub fn features_at(&self, x: Tensor<4>, cut: FeatureLayer) -> Tensor<4> {
        match &self.compiled {
            Some(compiled) if !x.is_autodiff() => {
                let features = compiled.forward(&pixels(x), cut, false);
                Tensor::from_data(
                    TensorData::new(features.values, features.shape),
                    &self.device,
                )
            }
            _ => self
                .network
                .features(self.manifest.normalizer.apply(x), cut),
        }
    }

    /// Pooled representation `[n, d]` of a feature map.
    pub fn embed(&self, features: Tensor<4>) -> Tensor<2> {
        self.network.embed(features)
    }

    /// Pooled representation `[n, d]` of pixels: R(x) of paper A, section 3.
    pub fn representation(&self, x: Tensor<4>) -> Tensor<2> {
        self.network.embed(self.features(x))
    }

    /// Logits `[n, k]` of pixels.
    pub fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        self.logits_of(self.features(x))
    }

    /// Logits `[n, k]` of a feature map.
    pub fn logits_of(&self, features: Tensor<4>) -> Tensor<2> {
        self.network.logits(self.network.embed(features))
    }

    /// Losses `[n]` and their gradients `[n, 3, h, w]` with respect to the pixels, for a loss that
    /// looks at the last feature map; each picture's loss must depend on that picture alone.
    pub fn gradient(
        &self,
        x: &Tensor<4>,
        loss: &dyn Fn(Tensor<4>) -> Tensor<1>,
    ) -> (Tensor<1>, Tensor<4>) {
        self.gradient_at(x, FeatureLayer::LAST, loss)
    }

    /// As [`Classifier::gradient`], for a loss that looks at the feature map at `cut`.
    pub fn gradient_at(
        &self,
        x: &Tensor<4>,
        cut: FeatureLayer,
        loss: &dyn Fn(Tensor<4>) -> Tensor<1>,
    ) -> (Tensor<1>, Tensor<4>) {
        let x = x.clone().inner();
        let Some(compiled) = &self.compiled else {
            return gradient(&x, |x| loss(self.features_at(x, cut)));
        };
        let features = compiled.forward(&pixels(x.clone()), cut, true);
        let data = TensorData::new(features.values.clone(), features.shape);
        let at = Tensor::from_data(data, &self.device);
        let (losses, gradient) = gradient(&at, loss);
        let values = compiled.backward(&features, &tensor_values(gradient));
        let gradient = Tensor::from_data(TensorData::new(values, x.dims()), &self.device);
        (losses, gradient)
    }
}

/// How many pictures a network takes at once.
fn budget(network: &dyn Network, manifest: &Manifest, on_cpu: bool) -> BatchSize {
    let budget = BatchSize::new(manifest.input, on_cpu);
    budget.estimate(network.activations(manifest.input));
    budget
}

fn pixels(x: Tensor<4>) -> Pixels {
    let [_, _, h, w] = x.dims();
    Pixels {
        values: tensor_values(x),
        size: [h, w],
    }
}
