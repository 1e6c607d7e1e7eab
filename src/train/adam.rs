//! AdamW: Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019), as in
//! PyTorch.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};

use super::gradients::{to_arrays, to_tensors};
use crate::model::{Array, Parameters, Role, Visitor};

/// PyTorch's default ε of Adam's denominator.
const EPSILON: f64 = 1e-8;

/// Adam's settings and state.
pub struct Adam {
    betas: [f64; 2],
    weight_decay: f64,
    steps: usize,
    /// First and second moments by parameter name.
    moments: [BTreeMap<String, Tensor<1>>; 2],
}

impl Adam {
    /// An optimiser with decay rates `betas` of the moments and no state.
    pub fn new(betas: [f64; 2], weight_decay: f64) -> Self {
        Self {
            betas,
            weight_decay,
            steps: 0,
            moments: Default::default(),
        }
    }

    /// Takes a step with the learning rate `rate`; weight decay applies to weights only.
    pub fn step(
        &mut self,
        network: &mut impl Parameters,
        gradients: BTreeMap<String, Tensor<1>>,
        rate: f64,
    ) {
        self.steps += 1;
        network.visit(&mut AdamUpdate {
            adam: self,
            gradients,
            rate,
        });
    }

    /// Number of steps and moments by parameter name.
    pub fn state(&self) -> (usize, [BTreeMap<String, Array>; 2]) {
        (self.steps, self.moments.each_ref().map(to_arrays))
    }

    /// Restores [`Adam::state`] for a network on `device`.
    pub fn restore(&mut self, steps: usize, state: &[BTreeMap<String, Array>; 2], device: &Device) {
        self.steps = steps;
        self.moments = state.each_ref().map(|moments| to_tensors(moments, device));
    }
}

struct AdamUpdate<'a> {
    adam: &'a mut Adam,
    gradients: BTreeMap<String, Tensor<1>>,
    rate: f64,
}

impl Visitor for AdamUpdate<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, role: Role, tensor: &mut Tensor<D>) {
        let Some(gradient) = self.gradients.remove(name) else {
            return;
        };
        let Adam {
            betas,
            weight_decay,
            steps,
            moments: [means, squares],
        } = &mut *self.adam;
        let average = |moments: &mut BTreeMap<String, Tensor<1>>, beta: f64, value: Tensor<1>| {
            let moment = match moments.remove(name) {
                Some(moment) => moment * beta + value * (1.0 - beta),
                None => value * (1.0 - beta),
            };
            moments.insert(name.to_owned(), moment.clone());
            moment / (1.0 - beta.powi(*steps as i32))
        };
        let mean = average(means, betas[0], gradient.clone());
        let square = average(squares, betas[1], gradient.clone() * gradient);
        let mut weight = tensor.clone().reshape([-1]);
        if role == Role::Weight && *weight_decay > 0.0 {
            weight = weight * (1.0 - self.rate * *weight_decay);
        }
        let step = mean / (square.sqrt() + EPSILON);
        *tensor = (weight - step * self.rate).reshape(tensor.dims());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tensor_values;

    /// A network of one weight and one bias.
    #[derive(Clone)]
    struct Two(Tensor<1>, Tensor<1>);

    impl Parameters for Two {
        fn visit(&mut self, visitor: &mut impl Visitor) {
            visitor.tensor("weight", Role::Weight, &mut self.0);
            visitor.tensor("bias", Role::Bias, &mut self.1);
        }
    }

    #[test]
    fn two_steps_by_hand() {
        let device = Device::flex();
        let one = || Tensor::<1>::ones([1], &device);
        let mut network = Two(one(), one());
        let mut adam = Adam::new([0.5, 0.99], 0.01);
        let mut step = |network: &mut Two, gradient: f64| {
            let gradient = |name: &str| (name.to_owned(), one() * gradient);
            let gradients = ["weight", "bias"].map(gradient).into();
            adam.step(network, gradients, 0.1);
            [&network.0, &network.1].map(|tensor| tensor_values(tensor.clone())[0])
        };
        // Means 0.25 / 0.5, squares 0.0025 / 0.01: a step of 0.1; the weight also decays by 0.001.
        let [weight, bias] = step(&mut network, 0.5);
        assert!((weight - 0.899).abs() < 1e-6 && (bias - 0.9).abs() < 1e-6);
        // The mean is now 0: only decay is left.
        let [weight, bias] = step(&mut network, -0.25);
        assert!((weight - 0.898_101).abs() < 1e-6 && (bias - 0.9).abs() < 1e-6);
    }
}
