//! A layer as one operation of burn's, with its gradient.

use std::sync::Arc;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

use super::ConvolutionAlgorithm;
use super::launch::{GpuBackend, GpuTensor, as_tensor, dims, in_rows, on_gpu};
use super::layer::Layer;

/// A convolution with what follows it at once.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) layer: Arc<Layer>,
    pub(super) algorithm: ConvolutionAlgorithm,
    /// The largest value of the ReLU at the end.
    pub(super) ceiling: Option<f32>,
}

impl Operation {
    /// Its result for `x` and the map that is added, recorded for the gradient where one of them is. `None` where they are
    /// not on a GPU.
    pub(super) fn run(&self, x: &Tensor<4>, residual: Option<&Tensor<4>>) -> Option<Tensor<4>> {
        let is_recorded = x.is_autodiff() || residual.is_some_and(Tensor::is_autodiff);
        match residual {
            _ if !is_recorded => {
                let residual = match residual {
                    Some(residual) => Some(on_gpu(residual.clone())?),
                    None => None,
                };
                let x = on_gpu(x.clone())?;
                Some(as_tensor(self.forward(&x, residual.as_ref())))
            }
            Some(residual) => Some(self.record([tracked(x)?, tracked(residual)?])),
            None => Some(self.record([tracked(x)?])),
        }
    }

    fn forward(&self, x: &GpuTensor, residual: Option<&GpuTensor>) -> GpuTensor {
        self.layer
            .forward(self.algorithm, x, residual, self.ceiling)
    }

    /// Runs it on `x` and the map that is added, if there is one.
    fn record<const N: usize>(&self, inputs: [FloatTensor<Autodiff<GpuBackend>>; N]) -> Tensor<4> {
        let nodes = inputs.each_ref().map(|input| input.node());
        let preparation = OperationBackward::<N>
            .prepare::<NoCheckpointing>(nodes)
            .compute_bound()
            .stateful();
        let inputs = inputs.map(|input| in_rows(input.into_primitive()));
        let result = self.forward(&inputs[0], inputs.get(1));
        let result = match preparation {
            OpsKind::Tracked(preparation) => {
                let made = Made {
                    operation: self.clone(),
                    input: dims(&inputs[0]),
                    result: self.ceiling.map(|_| result.clone()),
                };
                preparation.finish(made, result)
            }
            OpsKind::UnTracked(preparation) => preparation.finish(result),
        };
        Tensor::from_primitive::<Autodiff<GpuBackend>>(result)
    }
}

fn tracked(tensor: &Tensor<4>) -> Option<FloatTensor<Autodiff<GpuBackend>>> {
    let tensor = tensor.clone();
    let tensor = match tensor.is_autodiff() {
        true => tensor,
        false => tensor.autodiff(),
    };
    tensor.try_into_primitive::<Autodiff<GpuBackend>>().ok()
}

/// What the gradient needs of a run.
#[derive(Clone, Debug)]
struct Made {
    operation: Operation,
    /// Lengths of the input.
    input: [usize; 4],
    /// What the ReLU made, where there is one.
    result: Option<GpuTensor>,
}

/// The gradient, of `N` inputs.
#[derive(Debug)]
struct OperationBackward<const N: usize>;

impl<const N: usize> Backward<GpuBackend, N> for OperationBackward<N> {
    type State = Made;

    fn backward(self, ops: Ops<Made, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let Made {
            operation,
            input,
            result,
        } = ops.state;
        let gradient = in_rows(gradients.consume::<GpuBackend>(&ops.node));
        let layer = &operation.layer;
        let gradient = match result.zip(operation.ceiling) {
            Some((values, ceiling)) => layer.relu_backward(&gradient, &values, ceiling),
            None => gradient,
        };
        for (number, parent) in ops.parents.into_iter().enumerate() {
            let Some(parent) = parent else { continue };
            let gradient = match number {
                0 => layer.backward(operation.algorithm, &gradient, input),
                _ => gradient.clone(),
            };
            gradients.register::<GpuBackend>(parent.id, gradient);
        }
    }
}
