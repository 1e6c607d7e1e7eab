//! Stochastic gradient descent with momentum, as PyTorch's: v ← μv + g + λw, w ← w − ηv.
//!
//! burn's own optimiser restores its state onto the default device, which panics where there is no
//! GPU; this one keeps its velocities by tensor name, so a checkpoint is one file of named tensors.

use std::collections::BTreeMap;

use burn::tensor::{Gradients, Tensor, TensorData};

use crate::model::{Array, ResNet, Role, Visitor};

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

    /// Makes every parameter of a copy of `network` ask for its gradient.
    pub fn track(network: &ResNet) -> ResNet {
        let mut tracked = network.clone();
        tracked.visit(&mut Track);
        tracked
    }

    /// Moves the parameters of `network` along the gradients of its `tracked` copy.
    pub fn step(
        &mut self,
        network: &mut ResNet,
        mut tracked: ResNet,
        gradients: Gradients,
        rate: f64,
    ) {
        let mut collect = Collect {
            gradients,
            found: BTreeMap::new(),
        };
        tracked.visit(&mut collect);
        network.visit(&mut Update {
            sgd: self,
            gradients: collect.found,
            rate,
        });
    }

    /// The velocities by tensor name.
    pub fn state(&self) -> BTreeMap<String, Array> {
        let array = |velocity: &Tensor<1>| {
            let values = crate::model::tensor_values(velocity.clone());
            Array {
                shape: vec![values.len()],
                values,
            }
        };
        self.velocities
            .iter()
            .map(|(name, velocity)| (name.clone(), array(velocity)))
            .collect()
    }

    /// Restores [`Sgd::state`] for a network on `device`.
    pub fn restore(&mut self, state: &BTreeMap<String, Array>, device: &burn::tensor::Device) {
        let tensor = |array: &Array| {
            Tensor::from_data(
                TensorData::new(array.values.clone(), [array.values.len()]),
                device,
            )
        };
        self.velocities = state
            .iter()
            .map(|(name, array)| (name.clone(), tensor(array)))
            .collect();
    }
}

struct Track;

impl Visitor for Track {
    fn tensor<const D: usize>(&mut self, _: &str, role: Role, tensor: &mut Tensor<D>) {
        if role.is_parameter() {
            *tensor = tensor.clone().autodiff().require_grad();
        }
    }
}

struct Collect {
    gradients: Gradients,
    found: BTreeMap<String, Tensor<1>>,
}

impl Visitor for Collect {
    fn tensor<const D: usize>(&mut self, name: &str, role: Role, tensor: &mut Tensor<D>) {
        if role.is_parameter()
            && let Some(gradient) = tensor.grad_remove(&mut self.gradients)
        {
            self.found.insert(name.to_owned(), gradient.reshape([-1]));
        }
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
