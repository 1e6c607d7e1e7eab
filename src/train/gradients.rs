//! Parameter gradients by name, optimiser state as arrays, and the moving average of weights.

use std::collections::BTreeMap;

use burn::tensor::{Device, Gradients, Tensor, TensorData};

use crate::model::{Array, Parameters, Role, Visitor, tensor_values};

/// A copy of `network` on the autodiff graph, every parameter of which requires its gradient.
pub fn require_gradients<N: Parameters>(network: &N) -> N {
    require_gradients_under(network, "")
}

/// As [`require_gradients`], for the parameters whose names start with `prefix` alone.
pub fn require_gradients_under<N: Parameters>(network: &N, prefix: &str) -> N {
    let mut tracked = network.clone();
    tracked.visit(&mut RequireGradients(prefix));
    tracked
}

/// The gradients, flattened, by name, of the parameters of a network from [`require_gradients`];
/// parameters that the loss does not depend on are left out.
pub fn take_gradients(
    tracked: &mut impl Parameters,
    gradients: &mut Gradients,
) -> BTreeMap<String, Tensor<1>> {
    let mut taker = TakeGradients {
        gradients,
        found: BTreeMap::new(),
    };
    tracked.visit(&mut taker);
    taker.found
}

/// Optimiser state as arrays, to be written to a file.
pub fn to_arrays(state: &BTreeMap<String, Tensor<1>>) -> BTreeMap<String, Array> {
    let array = |tensor: &Tensor<1>| {
        let values = tensor_values(tensor.clone());
        Array {
            shape: vec![values.len()],
            values,
        }
    };
    let named = state.iter();
    named
        .map(|(name, tensor)| (name.clone(), array(tensor)))
        .collect()
}

/// Optimiser state from the arrays of [`to_arrays`].
pub fn to_tensors(state: &BTreeMap<String, Array>, device: &Device) -> BTreeMap<String, Tensor<1>> {
    let tensor = |array: &Array| {
        let data = TensorData::new(array.values.clone(), [array.values.len()]);
        Tensor::from_data(data, device)
    };
    let named = state.iter();
    named
        .map(|(name, array)| (name.clone(), tensor(array)))
        .collect()
}

struct RequireGradients<'a>(&'a str);

impl Visitor for RequireGradients<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, role: Role, tensor: &mut Tensor<D>) {
        if role.is_parameter() && name.starts_with(self.0) {
            *tensor = tensor.clone().autodiff().require_grad();
        }
    }
}

struct TakeGradients<'a> {
    gradients: &'a mut Gradients,
    found: BTreeMap<String, Tensor<1>>,
}

impl Visitor for TakeGradients<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, role: Role, tensor: &mut Tensor<D>) {
        if role.is_parameter()
            && let Some(gradient) = tensor.grad_remove(self.gradients)
        {
            self.found.insert(name.to_owned(), gradient.reshape([-1]));
        }
    }
}

/// An update of the exponential moving average of a network's weights.
pub struct WeightAverage {
    newest: BTreeMap<String, Tensor<1>>,
    share: f64,
}

impl WeightAverage {
    /// Takes the current weights of `network`, to be averaged in with weight `share`, in (0, 1].
    pub fn of(network: &mut impl Parameters, share: f64) -> Self {
        let mut collected = CollectWeights(BTreeMap::new());
        network.visit(&mut collected);
        Self {
            newest: collected.0,
            share,
        }
    }

    /// Updates the weights of `average`.
    pub fn blend_into(mut self, average: &mut impl Parameters) {
        average.visit(&mut self);
    }
}

struct CollectWeights(BTreeMap<String, Tensor<1>>);

impl Visitor for CollectWeights {
    fn tensor<const D: usize>(&mut self, name: &str, _: Role, tensor: &mut Tensor<D>) {
        self.0.insert(name.to_owned(), tensor.clone().reshape([-1]));
    }
}

impl Visitor for WeightAverage {
    fn tensor<const D: usize>(&mut self, name: &str, _: Role, tensor: &mut Tensor<D>) {
        if let Some(newest) = self.newest.remove(name) {
            let newest = newest.reshape(tensor.dims());
            *tensor = tensor.clone() * (1.0 - self.share) + newest * self.share;
        }
    }
}
