//! Random weights, drawn on the CPU so that a seed means the same on every device.

use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::descent::generator;
use crate::model::{ResNet, ResNetConfig, Role, Visitor};

/// A fresh network: convolutions by He et al. 2015 (fan out), the linear layer small, the last
/// BatchNorm of every block as it is.
pub fn random(config: &ResNetConfig, seed: u64, device: &Device) -> ResNet {
    let mut network = ResNet::zeros(config, device);
    // The last stream: no picture and no epoch has it.
    network.visit(&mut Init(generator(seed, u64::MAX)));
    network
}

struct Init(ChaCha8Rng);

impl Visitor for Init {
    fn tensor<const D: usize>(&mut self, _: &str, role: Role, tensor: &mut Tensor<D>) {
        if role != Role::Weight {
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
        let values: Vec<f32> = normal.sample_iter(&mut self.0).take(count).collect();
        *tensor = Tensor::from_data(TensorData::new(values, shape), &tensor.device());
    }
}
