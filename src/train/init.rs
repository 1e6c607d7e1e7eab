//! Random weights, drawn on the CPU so that a seed means the same on every device.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::data::random::noise_rng;
use crate::data::same_class;
use crate::error::{Error, Result};
use crate::model::{
    Array, Manifest, ModelRef, Parameters, ResNet, ResNetConfig, Role, Stem, UNet, UNetConfig,
    Visitor, Weights, zoo,
};

/// A fresh network: convolutions by He et al. 2015 (fan out), the linear layer small, the last
/// BatchNorm of every block as it is.
pub fn random(config: &ResNetConfig, seed: u64, device: &Device) -> ResNet {
    let mut network = ResNet::zeros(config, device);
    network.visit(&mut Init {
        rng: noise_rng(seed, STREAM),
        still: None,
    });
    network
}

/// Takes the weights of the model `path`, a file or a bundled model's id, into a fresh network for
/// pictures of `input` and the classes `classes`.
///
/// Of the linear layer the rows of classes that both know are taken. A model with the stem
/// `cifar-half` for pictures of half the size goes into one with the stem `quarter` as the same
/// function of pictures shrunk to that size.
///
/// # Errors
/// As [`zoo::weights`]; [`Error::Tensors`] when the rest of the network is another.
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
            *kernel = on_doubled_pixels(kernel);
        }
        if source.labels != classes {
            take_known_classes(&mut weights, &source.labels, classes, network);
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

/// The 7×7 kernel of stride 4 that does to pictures what a 3×3 `kernel` `[out, in, 3, 3]` of stride 2
/// does to their 2×2 means. With paddings of 3 and 1 the 3×3 windows of means cover the last six
/// rows and columns of the 7×7 windows of pixels.
fn on_doubled_pixels(kernel: &Array) -> Array {
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

/// Makes the linear layer of `weights`, for the classes `known`, one for `classes`: rows of classes
/// that both know stay, the others are those of `network`.
fn take_known_classes(
    weights: &mut Weights,
    known: &[String],
    classes: &[String],
    network: &ResNet,
) {
    let fresh = Weights::of(&mut network.clone());
    for name in HEAD {
        let Some(old) = weights.tensors.remove(name) else {
            continue;
        };
        let mut new = fresh.tensors[name].clone();
        let length = new.values.len() / classes.len();
        if old.values.len() == length * known.len() {
            for (class, row) in classes.iter().zip(new.values.chunks_exact_mut(length)) {
                let same = known.iter().position(|known| same_class(known, class));
                if let Some(at) = same {
                    row.copy_from_slice(&old.values[at * length..][..length]);
                }
            }
        }
        weights.tensors.insert(name.into(), new);
    }
}

/// A fresh encoder–decoder, the last convolution of which is zero: a residual generator begins by
/// leaving every picture as it is.
pub fn random_unet(config: &UNetConfig, seed: u64, device: &Device) -> UNet {
    let mut network = UNet::zeros(config, device);
    network.visit(&mut Init {
        rng: noise_rng(seed, STREAM - 1),
        still: Some("out.weight"),
    });
    network
}

/// The last stream: no picture and no epoch has it.
const STREAM: u64 = u64::MAX;

struct Init {
    rng: ChaCha8Rng,
    /// A tensor that stays zero.
    still: Option<&'static str>,
}

impl Visitor for Init {
    fn tensor<const D: usize>(&mut self, name: &str, role: Role, tensor: &mut Tensor<D>) {
        if role != Role::Weight || self.still == Some(name) {
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
        *kernel = on_doubled_pixels(kernel);
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
