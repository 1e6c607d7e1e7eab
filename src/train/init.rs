//! Weight initialisation: random (drawn on the CPU, so that a seed is reproducible on every device) or
//! from another model.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use super::architecture::TrainArchitecture;
use super::config::TrainConfig;
use super::network::TrainableNetwork;
use crate::data::random::noise_rng;
use crate::data::same_class;
use crate::error::{Error, Result};
use crate::model::import::ModelSource;
use crate::model::{
    Architecture, Array, Manifest, ModelRef, Normalizer, Parameters, ResNet, ResNetConfig, Role,
    Stem, UNet, UNetConfig, Visitor, Weights, zoo,
};

/// A randomly initialised ResNet: He initialisation of the convolutions (He et al. 2015, fan out), normal
/// with deviation 0.01 for the linear layer; the last BatchNorm of a block is not set to zero.
pub fn random(config: &ResNetConfig, seed: u64, device: &Device) -> ResNet {
    let mut network = ResNet::zeros(config, device);
    network.visit(&mut RandomInit {
        rng: noise_rng(seed, WEIGHT_STREAM),
        zeroed: None,
    });
    network
}

/// What a training takes over from the model that it starts from.
pub struct InitialModel {
    /// Display name.
    pub name: String,
    /// Architecture, if it is a residual network.
    pub architecture: Option<TrainArchitecture>,
    /// Height and width of its input, in pixels.
    pub input: [usize; 2],
    /// Its normaliser.
    pub normalizer: Normalizer,
}

/// Reads what a training takes over from the model `path`, a file or a bundled model's id.
///
/// # Errors
/// As [`zoo::source`].
pub fn initial_model(path: &Path) -> Result<InitialModel> {
    let (manifest, _) = source(path, &Device::flex())?;
    let architecture = manifest.architecture.resnet().ok();
    Ok(InitialModel {
        name: manifest.name.clone(),
        architecture: architecture.map(TrainArchitecture::of),
        input: manifest.input,
        normalizer: manifest.normalizer,
    })
}

/// The model `path` with its manifest.
fn source(path: &Path, device: &Device) -> Result<(Manifest, ModelSource)> {
    let source = zoo::source(&ModelRef::from(path.as_os_str().to_owned()), device)?;
    let manifest = match &source {
        ModelSource::Weights(weights) => {
            Manifest::of(weights).map_err(|reason| Error::model(path, reason))?
        }
        ModelSource::Graph(source) => source.manifest.clone(),
    };
    Ok((manifest, source))
}

/// The network at the start of a training: of random weights, or those of the model `config.init`.
///
/// # Errors
/// As [`from_model`] and [`zoo::source`]; [`Error::Config`] where an architecture is missing or impossible.
pub(super) fn network(
    config: &TrainConfig,
    classes: &[String],
    device: &Device,
) -> Result<TrainableNetwork> {
    match (&config.architecture, &config.init) {
        (Some(architecture), init) => {
            let architecture = architecture.with_classes(classes.len());
            architecture.validate()?;
            let mut network = random(&architecture, config.seed, device);
            if let Some(path) = init {
                from_model(&mut network, path, config.input, classes)?;
            }
            Ok(TrainableNetwork::ResNet(Box::new(network)))
        }
        (None, Some(path)) => graph(path, config, classes, device),
        (None, None) => Err(Error::Config("an architecture is missing".into())),
    }
}

/// The graph in the file `path` with a last layer for these classes.
fn graph(
    path: &Path,
    config: &TrainConfig,
    classes: &[String],
    device: &Device,
) -> Result<TrainableNetwork> {
    let explain = |reason: String| Error::model(path, reason);
    let (manifest, source) = source(path, device)?;
    let ModelSource::Graph(source) = source else {
        let reason = "it is a residual network, whose architecture the training has to name";
        return Err(explain(reason.into()));
    };
    let (graph, summary) = if manifest.labels == classes {
        source.graph.resized(config.input)
    } else {
        let old = source.graph.last_layer().map_err(explain)?;
        let fresh = random_last_layer(classes.len(), old[0].shape[1], config.seed);
        let layer = transfer_class_rows(&old, &manifest.labels, classes, fresh);
        source.graph.with_last_layer(layer, config.input)
    }
    .map_err(explain)?;
    Ok(TrainableNetwork::Graph {
        graph: Box::new(graph),
        architecture: Architecture::Graph(summary),
    })
}

/// A linear layer as [`random`] initialises it.
fn random_last_layer(classes: usize, inside: usize, seed: u64) -> [Array; 2] {
    let normal = Normal::new(0.0, 0.01).expect("a finite deviation");
    let values = normal.sample_iter(noise_rng(seed, WEIGHT_STREAM));
    [
        Array {
            shape: vec![classes, inside],
            values: values.take(classes * inside).collect(),
        },
        Array {
            shape: vec![classes],
            values: vec![0.0; classes],
        },
    ]
}

/// Initialises a network for pictures of height and width `input` and the given `classes` with the
/// weights of the model `path`, a file or a bundled model's id.
///
/// Of the linear layer, the rows of classes in both models are copied. The stem `cifar-half` of a model
/// for pictures of half the size is converted to the stem `quarter`, such that the network computes the
/// same function of pictures downsampled by 2.
///
/// # Errors
/// As [`zoo::weights`]; [`Error::Tensors`] when the architectures differ otherwise.
pub fn from_model(
    network: &mut ResNet,
    path: &Path,
    input: [usize; 2],
    classes: &[String],
) -> Result<()> {
    let device = Device::flex();
    let mut weights = zoo::weights(&ModelRef::from(path.as_os_str().to_owned()), &device)?;
    if let Ok(source) = Manifest::of(&weights) {
        let shape = source.architecture.resnet();
        let halves = shape.is_ok_and(|shape| shape.stem == Stem::CifarHalf)
            && network.config().stem == Stem::Quarter
            && source.input.map(|side| 2 * side) == input;
        if halves && let Some(kernel) = weights.tensors.get_mut(STEM) {
            *kernel = quarter_stem_kernel(kernel);
        }
        if source.labels != classes {
            replace_last_layer(&mut weights, &source.labels, classes, network);
        }
    }
    let filled = weights.fill(network);
    filled.map_err(|mismatch| Error::Tensors {
        path: path.into(),
        architecture: network.config().to_string(),
        mismatch,
    })
}

const STEM: &str = "conv1.weight";
const HEAD: [&str; 2] = ["fc.weight", "fc.bias"];

/// The 7×7 kernel of stride 4 that is equivalent to 2×2 mean pooling followed by the 3×3 `kernel`
/// `[out, in, 3, 3]` of stride 2. With paddings of 3 and 1, the 3×3 windows of means cover the last six
/// rows and columns of the 7×7 windows of pixels.
fn quarter_stem_kernel(kernel: &Array) -> Array {
    let [out, input] = [kernel.shape[0], kernel.shape[1]];
    let mut values = vec![0.0; out * input * 49];
    for (plane, window) in values
        .chunks_exact_mut(49)
        .zip(kernel.values.chunks_exact(9))
    {
        for (at, value) in plane.iter_mut().enumerate() {
            let (y, x) = (at / 7, at % 7);
            if y > 0 && x > 0 {
                *value = window[(y - 1) / 2 * 3 + (x - 1) / 2] / 4.0;
            }
        }
    }
    Array {
        shape: vec![out, input, 7, 7],
        values,
    }
}

/// Converts the linear layer of `weights` from the classes `known` to `classes`: rows of classes in both
/// are kept, the others are those of `network`.
fn replace_last_layer(
    weights: &mut Weights,
    known: &[String],
    classes: &[String],
    network: &ResNet,
) {
    let fresh = Weights::of(&mut network.clone());
    let [Some(weight), Some(bias)] = HEAD.map(|name| weights.tensors.remove(name)) else {
        return;
    };
    let fresh = HEAD.map(|name| fresh.tensors[name].clone());
    let layer = transfer_class_rows(&[weight, bias], known, classes, fresh);
    weights
        .tensors
        .extend(HEAD.map(String::from).into_iter().zip(layer));
}

/// The linear layer `fresh` for `classes` with the rows of `old`, a layer for the classes `known`, where a
/// class is in both.
fn transfer_class_rows(
    old: &[Array; 2],
    known: &[String],
    classes: &[String],
    mut fresh: [Array; 2],
) -> [Array; 2] {
    for (new, old) in fresh.iter_mut().zip(old) {
        let length = new.values.len() / classes.len();
        if old.values.len() != length * known.len() {
            continue;
        }
        for (class, row) in classes.iter().zip(new.values.chunks_exact_mut(length)) {
            let same = known.iter().position(|known| same_class(known, class));
            if let Some(at) = same {
                row.copy_from_slice(&old.values[at * length..][..length]);
            }
        }
    }
    fresh
}

/// A randomly initialised U-Net whose last convolution is zero, so that a residual generator starts as the
/// identity.
pub fn random_unet(config: &UNetConfig, seed: u64, device: &Device) -> UNet {
    let mut network = UNet::zeros(config, device);
    network.visit(&mut RandomInit {
        rng: noise_rng(seed, WEIGHT_STREAM - 1),
        zeroed: Some("out.weight"),
    });
    network
}

/// Random stream of the weights: the last one, which no picture and no epoch uses.
const WEIGHT_STREAM: u64 = u64::MAX;

struct RandomInit {
    rng: ChaCha8Rng,
    /// Name of a tensor that is initialised with zeros.
    zeroed: Option<&'static str>,
}

impl Visitor for RandomInit {
    fn tensor<const D: usize>(&mut self, name: &str, role: Role, tensor: &mut Tensor<D>) {
        if role != Role::Weight || self.zeroed == Some(name) {
            return;
        }
        let shape = tensor.dims();
        let fan_out: usize = shape[0] * shape[2..].iter().product::<usize>();
        let deviation = if D == 4 {
            (2.0 / fan_out as f32).sqrt()
        } else {
            0.01
        };
        let normal = Normal::new(0.0, deviation).expect("a finite deviation");
        let count = shape.iter().product();
        let values: Vec<f32> = normal.sample_iter(&mut self.rng).take(count).collect();
        *tensor = Tensor::from_data(TensorData::new(values, shape), &tensor.device());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Block, FeatureLayer, Network, tensor_values};

    #[test]
    fn a_quarter_stem_sees_what_a_half_stem_sees_of_halved_pictures() {
        let device = Device::flex();
        let half = ResNetConfig {
            stem: Stem::CifarHalf,
            block: Block::Basic,
            widths: vec![4, 6],
            blocks: vec![1, 1],
            classes: 3,
        };
        let quarter = ResNetConfig {
            stem: Stem::Quarter,
            ..half.clone()
        };
        let mut small = random(&half, 1, &device);
        let mut weights = Weights::of(&mut small);
        let kernel = weights.tensors.get_mut(STEM).expect("a stem");
        *kernel = quarter_stem_kernel(kernel);
        let mut large = random(&quarter, 2, &device);
        weights
            .fill(&mut large)
            .expect("the same network but for the stem");
        let picture: Vec<f32> = (0..3 * 16 * 24).map(|at| (at as f32 * 0.7).sin()).collect();
        let x = Tensor::<4>::from_data(TensorData::new(picture, [1, 3, 16, 24]), &device);
        let halved = x.clone().reshape([1, 3, 8, 2, 12, 2]);
        let halved = halved.mean_dim(3).mean_dim(5).reshape([1, 3, 8, 12]);
        let large = tensor_values(large.features(x, FeatureLayer::LAST));
        let small = tensor_values(small.features(halved, FeatureLayer::LAST));
        assert_eq!(large.len(), small.len());
        for (large, small) in large.iter().zip(&small) {
            assert!((large - small).abs() < 1e-5, "{large} and {small}");
        }
    }
}
