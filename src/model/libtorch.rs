//! Fused training operations on libtorch (convolution with BatchNorm, residual addition), with libtorch's
//! own gradients.
//!
//! burn composes each of many small operations. In the layout and precision for which libtorch's CPU
//! kernels are optimised (channels last, bfloat16), the fused ones take a quarter of the time.

#![allow(
    deprecated,
    reason = "burn will drop libtorch; until then it trains fastest on a CPU"
)]

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::libtorch::TchTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, LibTorch};
use burn::tensor::Tensor;

/// Output and batch statistics of a convolution with BatchNorm in training mode.
pub(super) struct Normalized {
    pub(super) output: Tensor<4>,
    pub(super) mean: Tensor<1>,
    /// Unbiased.
    pub(super) variance: Tensor<1>,
}

/// Convolves `[n, c, h, w]` with `[out, c, k, k]`, zero-padded by k/2, applies BatchNorm with batch
/// statistics, and ReLU if `rectify`. Computes in the precision of `x`. `None` unless `weight` requires
/// gradients on libtorch.
pub(super) fn convolve_and_normalize(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    [scale, shift]: [&Tensor<1>; 2],
    stride: usize,
    epsilon: f64,
    rectify: bool,
) -> Option<Normalized> {
    if !weight.is_autodiff() {
        return None;
    }
    let inputs = [
        tracked(x)?,
        tracked(weight)?,
        tracked(scale)?,
        tracked(shift)?,
    ];
    let padding = weight.dims()[2] / 2;
    let mut statistics = None;
    let output = record(inputs, |[x, weight, scale, shift]| {
        let y = convolved(x, weight, None, stride, padding);
        // With a momentum of 1 the running statistics become those of the batch.
        let [mean, variance] = [0, 0].map(|_| tch::no_grad(|| scale.zeros_like()));
        let y = y.batch_norm(
            Some(scale),
            Some(shift),
            Some(&mean),
            Some(&variance),
            true,
            1.0,
            epsilon,
            false,
        );
        statistics = Some([mean, variance]);
        if rectify { y.relu() } else { y }
    });
    let [mean, variance] = statistics?
        .map(|tensor| Tensor::from_primitive::<LibTorch>(TchTensor::new(tensor.detach())));
    Some(Normalized {
        output,
        mean,
        variance,
    })
}

/// Convolves as [`convolve_and_normalize`], adds the bias, and applies ReLU if `rectify`. `None` unless
/// `x` or `weight` requires gradients on libtorch.
pub(super) fn convolve(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    stride: usize,
    rectify: bool,
) -> Option<Tensor<4>> {
    if !(x.is_autodiff() || weight.is_autodiff()) {
        return None;
    }
    let padding = weight.dims()[2] / 2;
    let inputs = [tracked(x)?, tracked(weight)?, tracked(bias?)?];
    Some(record(inputs, |[x, weight, bias]| {
        let y = convolved(x, weight, Some(bias), stride, padding);
        if rectify { y.relu() } else { y }
    }))
}

fn convolved(
    x: &tch::Tensor,
    weight: &tch::Tensor,
    bias: Option<&tch::Tensor>,
    stride: usize,
    padding: usize,
) -> tch::Tensor {
    let bias = bias.map(|bias| bias.to_kind(x.kind()));
    channels_last(x).conv2d(
        &weight.to_kind(x.kind()),
        bias.as_ref(),
        [stride as i64; 2],
        [padding as i64; 2],
        [1, 1],
        1,
    )
}

/// `relu(x + y)`. `None` unless one requires gradients on libtorch.
pub(super) fn add_and_rectify(x: &Tensor<4>, y: &Tensor<4>) -> Option<Tensor<4>> {
    let wanted = x.is_autodiff() || y.is_autodiff();
    let inputs = wanted.then(|| Some([tracked(x)?, tracked(y)?]))??;
    Some(record(inputs, |[x, y]| (x + y.to_kind(x.kind())).relu()))
}

/// Nearest-neighbour upsampling of `x` by 2, plus `y`. `None` unless one requires gradients on libtorch.
pub(super) fn upsample_and_add(x: &Tensor<4>, y: &Tensor<4>) -> Option<Tensor<4>> {
    let wanted = x.is_autodiff() || y.is_autodiff();
    let inputs = wanted.then(|| Some([tracked(x)?, tracked(y)?]))??;
    let [_, _, h, w] = y.dims();
    Some(record(inputs, |[x, y]| {
        channels_last(x).upsample_nearest2d([h as i64, w as i64], None, None) + y
    }))
}

fn tracked<const D: usize>(tensor: &Tensor<D>) -> Option<FloatTensor<Autodiff<LibTorch>>> {
    let tensor = tensor.clone();
    let tensor = if tensor.is_autodiff() {
        tensor
    } else {
        tensor.autodiff()
    };
    tensor.try_into_primitive::<Autodiff<LibTorch>>().ok()
}

/// The same tensor in channels-last memory layout.
fn channels_last(x: &tch::Tensor) -> tch::Tensor {
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// Runs `forward` on libtorch's autograd tape and registers it as one operation of burn's.
fn record<const N: usize>(
    inputs: [FloatTensor<Autodiff<LibTorch>>; N],
    forward: impl FnOnce(&[tch::Tensor; N]) -> tch::Tensor,
) -> Tensor<4> {
    let nodes = inputs.each_ref().map(|input| input.node());
    let preparation = RecordedOperation::<N>
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful();
    let inputs = inputs.map(|input| input.into_primitive());
    let leaf = |input: &TchTensor| input.tensor.detach().set_requires_grad(true);
    let leaves = inputs.each_ref().map(leaf);
    let output = tch::with_grad(|| forward(&leaves));
    let result = TchTensor::new(output.detach());
    let result = match preparation {
        OpsKind::Tracked(preparation) => {
            let recorded = Recorded {
                inputs,
                leaves: leaves.map(TchTensor::new),
                output: TchTensor::new(output),
                shared: result.clone(),
            };
            preparation.finish(recorded, result)
        }
        OpsKind::UnTracked(preparation) => preparation.finish(result),
    };
    Tensor::from_primitive::<Autodiff<LibTorch>>(result)
}

/// A computation recorded on libtorch's autograd tape.
#[derive(Clone, Debug)]
#[expect(
    dead_code,
    reason = "what burn sees shared it does not change in place"
)]
struct Recorded<const N: usize> {
    inputs: [TchTensor; N],
    leaves: [TchTensor; N],
    output: TchTensor,
    shared: TchTensor,
}

#[derive(Debug)]
struct RecordedOperation<const N: usize>;

impl<const N: usize> Backward<LibTorch, N> for RecordedOperation<N> {
    type State = Recorded<N>;

    fn backward(self, ops: Ops<Recorded<N>, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let Recorded { leaves, output, .. } = ops.state;
        let gradient = channels_last(&gradients.consume::<LibTorch>(&ops.node).tensor);
        let wanted = ops.parents.into_iter().zip(leaves);
        let wanted: Vec<_> = wanted
            .filter_map(|(node, leaf)| Some((node?, leaf.tensor)))
            .collect();
        let leaves: Vec<&tch::Tensor> = wanted.iter().map(|(_, leaf)| leaf).collect();
        let product = tch::with_grad(|| (&output.tensor * gradient).sum(None));
        let found = tch::Tensor::run_backward(&[product], &leaves, false, false);
        for ((node, _), gradient) in wanted.iter().zip(found) {
            gradients.register::<LibTorch>(node.id, TchTensor::new(gradient));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, TensorData};

    use super::*;
    use crate::model::layers::{Conv, Pass, add_and_rectify as added, upsample_and_add as doubled};
    use crate::model::{Role, Visitor, tensor_values};

    /// Sets every tensor to a deterministic function of its indices.
    struct FillByIndex;

    impl Visitor for FillByIndex {
        fn tensor<const D: usize>(&mut self, _: &str, _: Role, tensor: &mut Tensor<D>) {
            let shape = tensor.dims();
            let count: usize = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|at| 0.3 + (at as f32 * 0.7).sin()).collect();
            let filled = Tensor::from_data(TensorData::new(values, shape), &tensor.device());
            *tensor = filled.autodiff().require_grad();
        }
    }

    /// Output, batch statistics and the gradient with respect to the picture and the kernel of a small
    /// network of every step there is.
    fn results(device: &Device, picture: &[f32]) -> Vec<Vec<f32>> {
        let mut normal = Conv::new([3, 4], 3, 2, device);
        normal.visit("a", "b", &mut FillByIndex);
        let mut plain = Conv::with_bias([4, 4], 3, 1, device);
        plain.visit("c", "", &mut FillByIndex);
        let data = TensorData::new(picture.to_vec(), [2, 3, 8, 6]);
        let x = Tensor::<4>::from_data(data, device)
            .autodiff()
            .require_grad();
        let mut statistics = Vec::new();
        let y = normal.forward(x.clone(), true, &mut Pass::Training(&mut statistics));
        let z = plain.forward(y.clone(), false, &mut Pass::Inference);
        let sum = added(z, y, false);
        let loss = doubled(sum.clone(), x.clone().mean_dim(1).expand([2, 4, 8, 6]));
        let loss = (loss.clone() * loss.sin()).sum();
        let mut gradients = loss.backward();
        let to_x = x.grad_remove(&mut gradients).expect("a gradient");
        let to_kernel = normal
            .weight
            .grad_remove(&mut gradients)
            .expect("a gradient");
        let mut all = vec![
            tensor_values(sum),
            tensor_values(to_x),
            tensor_values(to_kernel),
        ];
        all.extend(statistics.into_iter().map(tensor_values));
        all
    }

    #[test]
    fn the_same_as_on_the_other_cpu_back_end() {
        let flex = Device::flex();
        let picture = Tensor::<1>::random([2 * 3 * 8 * 6], Distribution::Default, &flex);
        let picture = tensor_values(picture);
        let (ours, theirs) = (
            results(&Device::libtorch(), &picture),
            results(&flex, &picture),
        );
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let scale = theirs
                .iter()
                .fold(1e-3_f32, |most, value| most.max(value.abs()));
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert!((ours - theirs).abs() < 1e-4 * scale, "{ours} and {theirs}");
            }
        }
    }
}
