//! Gradients of a network's parameters by name, and what optimisers remember of them.

use std::collections::BTreeMap;

use burn::tensor::{Device, Gradients, Tensor, TensorData};

use crate::model::{Array, Parameters, Role, Visitor, tensor_values};

/// A copy of `network` of which every parameter asks for its gradient.
pub fn track<N: Parameters>(network: &N) -> N {
    let mut tracked = network.clone();
    tracked.visit(&mut Track);
    tracked
}

/// The gradients of a [`track`]ed network's parameters, flat, by name; none of a parameter that the
/// loss does not depend on.
pub fn collect(
    tracked: &mut impl Parameters,
    gradients: &mut Gradients,
) -> BTreeMap<String, Tensor<1>> {
    let mut collect = Collect {
        gradients,
        found: BTreeMap::new(),
    };
    tracked.visit(&mut collect);
    collect.found
}

/// What an optimiser remembers, ready for a file.
pub fn arrays(state: &BTreeMap<String, Tensor<1>>) -> BTreeMap<String, Array> {
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

/// The reverse of [`arrays`].
pub fn tensors(state: &BTreeMap<String, Array>, device: &Device) -> BTreeMap<String, Tensor<1>> {
    let tensor = |array: &Array| {
        let data = TensorData::new(array.values.clone(), [array.values.len()]);
        Tensor::from_data(data, device)
    };
    let named = state.iter();
    named
        .map(|(name, array)| (name.clone(), tensor(array)))
        .collect()
}

struct Track;

impl Visitor for Track {
    fn tensor<const D: usize>(&mut self, _: &str, role: Role, tensor: &mut Tensor<D>) {
        if role.is_parameter() {
            *tensor = tensor.clone().autodiff().require_grad();
        }
    }
}

struct Collect<'a> {
    gradients: &'a mut Gradients,
    found: BTreeMap<String, Tensor<1>>,
}

impl Visitor for Collect<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, role: Role, tensor: &mut Tensor<D>) {
        if role.is_parameter()
            && let Some(gradient) = tensor.grad_remove(self.gradients)
        {
            self.found.insert(name.to_owned(), gradient.reshape([-1]));
        }
    }
}

/// The parameters of a network on their way into the moving average of a copy.
pub struct Average {
    newest: BTreeMap<String, Tensor<1>>,
    share: f64,
}

impl Average {
    /// Takes the parameters of `network`, to count for `share` in (0, 1].
    pub fn of(network: &mut impl Parameters, share: f64) -> Self {
        let mut gather = Gather(BTreeMap::new());
        network.visit(&mut gather);
        Self {
            newest: gather.0,
            share,
        }
    }

    /// Moves `average` toward them.
    pub fn blend_into(mut self, average: &mut impl Parameters) {
        average.visit(&mut self);
    }
}

struct Gather(BTreeMap<String, Tensor<1>>);

impl Visitor for Gather {
    fn tensor<const D: usize>(&mut self, name: &str, _: Role, tensor: &mut Tensor<D>) {
        self.0.insert(name.to_owned(), tensor.clone().reshape([-1]));
    }
}

impl Visitor for Average {
    fn tensor<const D: usize>(&mut self, name: &str, _: Role, tensor: &mut Tensor<D>) {
        if let Some(newest) = self.newest.remove(name) {
            let newest = newest.reshape(tensor.dims());
            *tensor = tensor.clone() * (1.0 - self.share) + newest * self.share;
        }
    }
}
