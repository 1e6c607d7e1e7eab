//! Random weights, drawn on the CPU so that a seed means the same on every device.

use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::descent::generator;
use crate::model::{Parameters, ResNet, ResNetConfig, Role, UNet, UNetConfig, Visitor};

/// A fresh network: convolutions by He et al. 2015 (fan out), the linear layer small, the last
/// BatchNorm of every block as it is.
pub fn random(config: &ResNetConfig, seed: u64, device: &Device) -> ResNet {
    let mut network = ResNet::zeros(config, device);
    network.visit(&mut Init {
        rng: generator(seed, STREAM),
        still: None,
    });
    network
}

/// A fresh encoder–decoder, the last convolution of which is zero: a residual generator begins by
/// leaving every picture as it is.
pub fn random_unet(config: &UNetConfig, seed: u64, device: &Device) -> UNet {
    let mut network = UNet::zeros(config, device);
    network.visit(&mut Init {
        rng: generator(seed, STREAM - 1),
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
