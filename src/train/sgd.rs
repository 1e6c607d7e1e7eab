//! SGD, stochastic gradient descent with momentum, as in PyTorch: v ← μv + g + λw, w ← w − ηv.
//!
//! burn's own optimiser restores its state onto the default device, which panics where there is no
//! GPU; this one keeps its velocities by tensor name, so a checkpoint is one file of named tensors.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};

use super::gradients::{to_arrays, to_tensors};
use crate::model::{Array, Parameters, Role, Visitor};

/// SGD's settings and velocities.
pub struct Sgd {
    momentum: f64,
    weight_decay: f64,
    velocities: BTreeMap<String, Tensor<1>>,
}

impl Sgd {
    /// An optimiser with zero velocities.
    pub fn new(momentum: f64, weight_decay: f64) -> Self {
        Self {
            momentum,
            weight_decay,
            velocities: BTreeMap::new(),
        }
    }

    /// Takes a step with the learning rate `rate`; weight decay applies to weights only.
    pub fn step(
        &mut self,
        network: &mut impl Parameters,
        gradients: BTreeMap<String, Tensor<1>>,
        rate: f64,
    ) {
        network.visit(&mut SgdUpdate {
            sgd: self,
            gradients,
            rate,
        });
    }

    /// Velocities by tensor name.
    pub fn state(&self) -> BTreeMap<String, Array> {
        to_arrays(&self.velocities)
    }

    /// Restores [`Sgd::state`] for a network on `device`.
    pub fn restore(&mut self, state: &BTreeMap<String, Array>, device: &Device) {
        self.velocities = to_tensors(state, device);
    }
}

struct SgdUpdate<'a> {
    sgd: &'a mut Sgd,
    gradients: BTreeMap<String, Tensor<1>>,
    rate: f64,
}

impl Visitor for SgdUpdate<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, role: Role, tensor: &mut Tensor<D>) {
        let Some(mut gradient) = self.gradients.remove(name) else {
            return;
        };
        let weight = tensor.clone().reshape([-1]);
        // Weight decay does not regularise biases and normalisation parameters.
        if role == Role::Weight && self.sgd.weight_decay > 0.0 {
            gradient = gradient + weight.clone() * self.sgd.weight_decay;
        }
        let velocity = match self.sgd.velocities.remove(name) {
            Some(velocity) => velocity * self.sgd.momentum + gradient,
            None => gradient,
        };
        self.sgd
            .velocities
            .insert(name.to_owned(), velocity.clone());
        *tensor = (weight - velocity * self.rate).reshape(tensor.dims());
    }
}
