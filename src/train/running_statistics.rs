//! Running statistics (mean and variance) of BatchNorm layers.

use burn::tensor::Tensor;

use crate::model::{Parameters, Role, Visitor};

/// PyTorch's default momentum of running statistics.
const MOMENTUM: f64 = 0.1;

/// Updates the running statistics of `network` with those of a batch, given in the order of
/// [`Parameters::visit`].
pub fn update_running_statistics(network: &mut impl Parameters, batch: Vec<Tensor<1>>) {
    network.visit(&mut UpdateRunningStatistics(batch.into_iter()));
}

struct UpdateRunningStatistics(std::vec::IntoIter<Tensor<1>>);

impl Visitor for UpdateRunningStatistics {
    fn tensor<const D: usize>(&mut self, _: &str, role: Role, tensor: &mut Tensor<D>) {
        if role.is_parameter() {
            return;
        }
        if let Some(batch) = self.0.next() {
            let batch = batch.reshape(tensor.dims());
            *tensor = tensor.clone() * (1.0 - MOMENTUM) + batch * MOMENTUM;
        }
    }
}
