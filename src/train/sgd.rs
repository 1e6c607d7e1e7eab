//! Stochastic gradient descent with momentum, as PyTorch's: v ← μv + g + λw, w ← w − ηv.
//!
//! burn's own optimiser restores its state onto the default device, which panics where there is no
//! GPU; this one keeps its velocities by tensor name, so a checkpoint is one file of named tensors.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};

use super::gradients::{arrays, tensors};
use crate::model::{Array, Parameters, Role, Visitor};

/// The optimiser's settings and velocities.
pub struct Sgd {
    momentum: f64,
    weight_decay: f64,
    velocities: BTreeMap<String, Tensor<1>>,
}

impl Sgd {
    /// Starts at rest.
    pub fn new(momentum: f64, weight_decay: f64) -> Self {
        Self {
            momentum,
            weight_decay,
            velocities: BTreeMap::new(),
        }
    }

    /// Moves the parameters of `network` along their gradients.
    pub fn step(
        &mut self,
        network: &mut impl Parameters,
        gradients: BTreeMap<String, Tensor<1>>,
        rate: f64,
    ) {
        network.visit(&mut Update {
            sgd: self,
            gradients,
            rate,
        });
    }

    /// The velocities by tensor name.
    pub fn state(&self) -> BTreeMap<String, Array> {
        arrays(&self.velocities)
    }

    /// Restores [`Sgd::state`] for a network on `device`.
    pub fn restore(&mut self, state: &BTreeMap<String, Array>, device: &Device) {
        self.velocities = tensors(state, device);
    }
}

struct Update<'a> {
    sgd: &'a mut Sgd,
    gradients: BTreeMap<String, Tensor<1>>,
    rate: f64,
}

impl Visitor for Update<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, role: Role, tensor: &mut Tensor<D>) {
        let Some(mut push) = self.gradients.remove(name) else {
            return;
        };
        let weight = tensor.clone().reshape([-1]);
        // Decay shrinks weights; on normalisation and biases it only distorts.
        if role == Role::Weight && self.sgd.weight_decay > 0.0 {
            push = push + weight.clone() * self.sgd.weight_decay;
        }
        let velocity = match self.sgd.velocities.remove(name) {
            Some(velocity) => velocity * self.sgd.momentum + push,
            None => push,
        };
        self.sgd
            .velocities
            .insert(name.to_owned(), velocity.clone());
        *tensor = (weight - velocity * self.rate).reshape(tensor.dims());
    }
}
