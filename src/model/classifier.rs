//! The frozen classifier: logits, feature maps and input gradients of pixels in [0, 1].

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::budget::BatchSize;
use super::executor::{Executor, Pixels};
use super::{Graph, Manifest, ResNet, Weights, tensor_values};
use crate::error::{Error, Result};
use crate::model::{Attention, ConvolutionAlgorithm, FeatureLayer, Network, TokenGrid, gradient};

/// A network with its normaliser and labels; its inputs are pixels in [0, 1].
///
/// It is immutable: BatchNorms are folded into the convolutions, no weight requires a gradient, and
/// every method borrows it immutably.
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
    /// What runs a graph of operations on the CPU, several times faster than burn.
    executor: Option<Arc<Executor>>,
    device: Device,
    budget: BatchSize,
}

/// Prefix of a discriminator's tensor names in a file that also contains its generator; part of the file
/// format, so it cannot change.
pub const DISCRIMINATOR: &str = "critic.";

/// A manifest may describe this many parameters more than twice those of its file before it is refused.
const SLACK: usize = 1 << 20;

impl Classifier {
    /// Builds the classifier that `weights` and their manifest describe, on `device`.
    ///
    /// # Errors
    /// [`Error::Model`] without a valid manifest, [`Error::Tensors`] when the tensors are not those
    /// of the architecture; both name `path`, the file the weights came from.
    pub fn from_weights(weights: &Weights, path: &Path, device: &Device) -> Result<Self> {
        let manifest = Manifest::of(weights).map_err(|reason| Error::model(path, reason))?;
        let shape = manifest.architecture.resnet();
        let shape = shape.map_err(|reason| Error::model(path, reason))?.clone();
        let (needed, there) = (shape.parameter_count(), weights.parameter_count());
        // A few missing tensors are listed by name below; nothing is allocated for a manifest that
        // describes far more parameters than its file contains.
        if needed > there.saturating_mul(2).saturating_add(SLACK) {
            let reason = format!(
                "its manifest describes a network of {needed} parameters, the file has {there}"
            );
            return Err(Error::model(path, reason));
        }
        let mut network = ResNet::zeros(&shape, device);
        // A discriminator is stored in one file with its generator, under a prefix.
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
        Ok(Self::from_trained(network, manifest, device))
    }

    /// A frozen copy of a network that may still be in training.
    pub fn from_trained(network: ResNet, manifest: Manifest, device: &Device) -> Self {
        let graph = network.fold().into_graph(manifest.input);
        Self::from_graph(graph, manifest, device)
    }

    /// A classifier of a graph of operations, which `manifest` has to describe.
    pub fn from_graph(graph: Graph, manifest: Manifest, device: &Device) -> Self {
        let on_cpu = *device == Device::flex();
        let executor = on_cpu.then(|| Executor::new(graph.clone(), &manifest.normalizer));
        let executor = executor.map(Arc::new);
        let graph = if on_cpu { graph } else { graph.on_gpu(None) };
        Self {
            executor,
            ..Self::from_network(Box::new(graph), manifest, device)
        }
    }

    /// A classifier of any other frozen network, which `manifest` has to describe.
    pub fn from_network(network: Box<dyn Network>, manifest: Manifest, device: &Device) -> Self {
        let on_cpu = *device == Device::flex();
        Self {
            budget: budget(&*network, &manifest, on_cpu),
            manifest,
            network,
            executor: None,
            device: device.clone(),
        }
    }

    /// The same classifier whose convolutions `algorithm` computes on its GPU, whichever was chosen for all networks; on the
    /// CPU nothing changes.
    #[must_use]
    pub fn by(&self, algorithm: ConvolutionAlgorithm) -> Option<Self> {
        Some(Self {
            manifest: self.manifest.clone(),
            network: self.network.by(algorithm)?,
            executor: self.executor.clone(),
            device: self.device.clone(),
            budget: self.budget.clone(),
        })
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// As [`Weights::read`] and [`Classifier::from_weights`].
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        Self::from_weights(&Weights::read(path)?, path, device)
    }

    /// Name, architecture, normaliser and labels.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The device of its tensors.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Limit on the batch size of gradients.
    pub fn budget(&self) -> &BatchSize {
        &self.budget
    }

    /// Checks that its network takes pictures of this height and width, which need not be those it was trained on:
    /// features of one network are compared over pictures of another's size.
    ///
    /// # Errors
    /// [`Error::Config`] names the model and the operation that does not.
    pub fn require_size(&self, size: [usize; 2]) -> Result<()> {
        let checked = self.network.check_size(size);
        checked.map_err(|reason| {
            let ([h, w], name) = (size, &self.manifest.name);
            Error::Config(format!(
                "{name} takes no pictures of {w}×{h} pixels: {reason}"
            ))
        })
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.manifest.architecture.classes()
    }

    /// Dimension of the pooled representation, or number of channels of the feature map after a stage.
    pub fn channels(&self, stage: Option<usize>) -> usize {
        self.manifest.architecture.channels(stage)
    }

    /// Last feature map `[n, c, h, w]` of pixels `[n, 3, h, w]` in [0, 1].
    pub fn features(&self, x: Tensor<4>) -> Tensor<4> {
        self.features_at(x, FeatureLayer::LAST)
    }

    /// The feature map `[n, c, h, w]` at `cut` of pixels.
    pub fn features_at(&self, x: Tensor<4>, cut: FeatureLayer) -> Tensor<4> {
        let features = self
            .executor
            .as_ref()
            .filter(|_| !x.is_autodiff())
            .and_then(|executor| executor.forward(&pixels(x.clone()), cut, false));
        match features {
            Some(features) => {
                let data = TensorData::new(features.values, features.shape);
                Tensor::from_data(data, &self.device)
            }
            None => {
                let x = self.manifest.normalizer.apply(x);
                self.network.features(x, cut)
            }
        }
    }

    /// Where patches are among the tokens of the last feature layer; `None` where that is a map.
    pub fn token_grid(&self) -> Option<TokenGrid> {
        self.network.token_grid(FeatureLayer::LAST)
    }

    /// What each token of a transformer reads of each, for pixels `[n, 3, h, w]` in [0, 1]; `None` for other
    /// networks, and for attention in windows.
    pub fn attention(&self, x: Tensor<4>) -> Option<Attention> {
        self.network.attention(self.manifest.normalizer.apply(x))
    }

    /// Pooled representation `[n, d]` of a feature map.
    pub fn embed(&self, features: Tensor<4>) -> Tensor<2> {
        let executor = self.executor.as_ref();
        let represented = executor.and_then(|executor| Executor::represent(executor, &features));
        represented.unwrap_or_else(|| self.network.embed(features))
    }

    /// Pooled representation `[n, d]` of pixels: R(x) of paper A, section 3.
    pub fn representation(&self, x: Tensor<4>) -> Tensor<2> {
        self.embed(self.features(x))
    }

    /// Logits `[n, k]` of pixels.
    pub fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        self.logits_of(self.features(x))
    }

    /// Logits `[n, k]` of a feature map.
    pub fn logits_of(&self, features: Tensor<4>) -> Tensor<2> {
        self.network.logits(self.embed(features))
    }

    /// Losses `[n]` and their gradients `[n, 3, h, w]` with respect to the pixels, for a loss that is a
    /// function of the last feature map; each picture's loss must depend only on that picture.
    pub fn gradient(
        &self,
        x: &Tensor<4>,
        loss: &dyn Fn(Tensor<4>) -> Tensor<1>,
    ) -> (Tensor<1>, Tensor<4>) {
        self.gradient_at(x, FeatureLayer::LAST, loss)
    }

    /// As [`Classifier::gradient`], for a loss that is a function of the feature map at `cut`.
    pub fn gradient_at(
        &self,
        x: &Tensor<4>,
        cut: FeatureLayer,
        loss: &dyn Fn(Tensor<4>) -> Tensor<1>,
    ) -> (Tensor<1>, Tensor<4>) {
        let x = x.clone().inner();
        let kept = self.executor.as_ref().and_then(|executor| {
            Some((executor, executor.forward(&pixels(x.clone()), cut, true)?))
        });
        let Some((executor, mut features)) = kept else {
            return gradient(&x, |x| {
                let x = self.manifest.normalizer.apply(x);
                loss(self.network.features(x, cut))
            });
        };
        let values = std::mem::take(&mut features.values);
        let at = Tensor::from_data(TensorData::new(values, features.shape), &self.device);
        let (losses, gradient) = gradient(&at, loss);
        let values = executor.backward(features, &tensor_values(gradient));
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
