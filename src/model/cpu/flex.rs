//! Numbers of burn's CPU tensors, for operations that the program computes itself.

use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

/// The numbers of a tensor, row-major.
pub(in crate::model) fn values(tensor: &FlexTensor) -> Vec<f32> {
    let tensor = tensor.to_contiguous();
    tensor.as_slice::<f32>().expect("floats in a row").to_vec()
}

/// A tensor of these numbers.
pub(in crate::model) fn tensor(values: Vec<f32>, dims: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, dims.to_vec()))
}
