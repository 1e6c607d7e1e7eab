//! Network layers: convolution with BatchNorm or bias, ReLU, upsampling; and visitors of named tensors.

use burn::tensor::activation::relu;
use burn::tensor::module::{batch_norm, batch_norm_train, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

use super::cpu::training::convolve;
#[cfg(feature = "tch")]
use super::libtorch;

/// Role of a tensor in its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Kernel of a convolution `[out, in, height, width]` or a linear layer `[out, in]`.
    Weight,
    /// Bias of a convolution or a linear layer.
    Bias,
    /// γ of a BatchNorm.
    Scale,
    /// β of a BatchNorm.
    Shift,
    /// Running mean of a BatchNorm: a statistic, not a parameter.
    RunningMean,
    /// Running variance of a BatchNorm: a statistic, not a parameter.
    RunningVar,
}

impl Role {
    /// Whether it is a trained parameter, not a statistic.
    pub fn is_parameter(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVar)
    }
}

/// A visitor, called once for every tensor of a network with its torchvision name.
pub trait Visitor {
    /// Reads or replaces one tensor; a replacement must keep the shape.
    fn tensor<const D: usize>(&mut self, name: &str, role: Role, tensor: &mut Tensor<D>);
}

/// A network whose tensors can be visited: initialisation, loading, saving and optimisation are visitors.
pub trait Parameters: Clone {
    /// Calls `visitor` for every tensor, in the order of the forward pass.
    fn visit(&mut self, visitor: &mut impl Visitor);
}

/// Mode of BatchNorm in a forward pass.
pub enum Pass<'a> {
    /// Uses the running statistics, which stay unchanged.
    Inference,
    /// Uses batch statistics; mean and unbiased variance of each layer are collected in the order of
    /// [`Parameters::visit`].
    Training(&'a mut Vec<Tensor<1>>),
}

/// BatchNorm's ε, added to the variance.
pub(super) const EPSILON: f64 = 1e-5;

#[derive(Clone, Debug)]
struct BatchNorm {
    scale: Tensor<1>,
    shift: Tensor<1>,
    mean: Tensor<1>,
    var: Tensor<1>,
}

impl BatchNorm {
    fn new(channels: usize, device: &Device) -> Self {
        Self {
            scale: Tensor::ones([channels], device),
            shift: Tensor::zeros([channels], device),
            mean: Tensor::zeros([channels], device),
            var: Tensor::ones([channels], device),
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let (scale, shift) = (self.scale.clone(), self.shift.clone());
        match pass {
            Pass::Inference => batch_norm(
                x,
                scale,
                shift,
                self.mean.clone(),
                self.var.clone(),
                EPSILON,
            ),
            Pass::Training(statistics) => {
                let [n, _, h, w] = x.dims();
                let count = (n * h * w) as f64;
                let out = batch_norm_train(x, scale, shift, EPSILON);
                statistics.push(out.mean.inner());
                statistics.push(out.variance.inner() * (count / (count - 1.0).max(1.0)));
                out.output
            }
        }
    }
}

/// A convolution, followed by BatchNorm while trainable or by a bias once folded.
#[derive(Clone, Debug)]
pub(super) struct Conv {
    pub(super) weight: Tensor<4>,
    pub(super) stride: usize,
    norm: Option<BatchNorm>,
    pub(super) bias: Option<Tensor<1>>,
}

impl Conv {
    /// A convolution of zero weights with BatchNorm, from `channels[0]` to `channels[1]` channels.
    pub(super) fn new(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Self {
        let [input, output] = channels;
        Self {
            weight: Tensor::zeros([output, input, kernel, kernel], device),
            stride,
            norm: Some(BatchNorm::new(output, device)),
            bias: None,
        }
    }

    /// A convolution of zero weights and biases without BatchNorm.
    pub(super) fn with_bias(
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        device: &Device,
    ) -> Self {
        Self {
            norm: None,
            bias: Some(Tensor::zeros([channels[1]], device)),
            ..Self::new(channels, kernel, stride, device)
        }
    }

    /// The forward pass; with `rectify`, followed by ReLU.
    pub(super) fn forward(&self, x: Tensor<4>, rectify: bool, pass: &mut Pass) -> Tensor<4> {
        #[cfg(feature = "tch")]
        if let (Some(norm), Pass::Training(statistics)) = (&self.norm, &mut *pass)
            && let Some(y) = libtorch::convolve_and_normalize(
                &x,
                &self.weight,
                [&norm.scale, &norm.shift],
                self.stride,
                EPSILON,
                rectify,
            )
        {
            statistics.extend([y.mean, y.variance]);
            return y.output;
        }
        #[cfg(feature = "tch")]
        if self.norm.is_none()
            && let Some(y) =
                libtorch::convolve(&x, &self.weight, self.bias.as_ref(), self.stride, rectify)
        {
            return y;
        }
        let y = match convolve(&x, &self.weight, self.stride) {
            Some(y) => match &self.bias {
                Some(bias) => y + bias.clone().reshape([1, -1, 1, 1]),
                None => y,
            },
            None => {
                let padding = self.weight.dims()[2] / 2;
                let options = ConvOptions::new([self.stride; 2], [padding; 2], [1, 1], 1);
                conv2d(x, self.weight.clone(), self.bias.clone(), options)
            }
        };
        let y = match &self.norm {
            Some(norm) => norm.forward(y, pass),
            None => y,
        };
        if rectify { relu(y) } else { y }
    }

    /// Folds BatchNorm into the convolution, which is equivalent at inference: `γ (W·x − μ)/σ + β` is a
    /// convolution with weights `γ W/σ` and bias `β − γ μ/σ`.
    pub(super) fn fold(self) -> Self {
        let Some(norm) = self.norm else { return self };
        let factor = norm.scale / (norm.var + EPSILON).sqrt();
        let bias = norm.shift - norm.mean * factor.clone();
        let channels = factor.dims()[0];
        Self {
            weight: self.weight * factor.reshape([channels, 1, 1, 1]),
            stride: self.stride,
            norm: None,
            bias: Some(bias),
        }
    }

    /// Calls `visitor` for its tensors, with the names of the convolution and of its BatchNorm.
    pub(super) fn visit(&mut self, conv: &str, norm: &str, visitor: &mut impl Visitor) {
        visitor.tensor(&format!("{conv}.weight"), Role::Weight, &mut self.weight);
        if let Some(bias) = &mut self.bias {
            visitor.tensor(&format!("{conv}.bias"), Role::Bias, bias);
        }
        if let Some(layer) = &mut self.norm {
            visitor.tensor(&format!("{norm}.weight"), Role::Scale, &mut layer.scale);
            visitor.tensor(&format!("{norm}.bias"), Role::Shift, &mut layer.shift);
            visitor.tensor(
                &format!("{norm}.running_mean"),
                Role::RunningMean,
                &mut layer.mean,
            );
            visitor.tensor(
                &format!("{norm}.running_var"),
                Role::RunningVar,
                &mut layer.var,
            );
        }
    }
}

/// `relu(x + y)`; with `fake`, the gradient of ReLU is 1 everywhere.
pub(super) fn add_and_rectify(x: Tensor<4>, y: Tensor<4>, fake: bool) -> Tensor<4> {
    #[cfg(feature = "tch")]
    if !fake && let Some(sum) = libtorch::add_and_rectify(&x, &y) {
        return sum;
    }
    rectified(x + y, fake)
}

/// Nearest-neighbour upsampling of `x` by 2, plus `y`.
pub(super) fn upsample_and_add(x: Tensor<4>, y: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "tch")]
    if let Some(sum) = libtorch::upsample_and_add(&x, &y) {
        return sum;
    }
    repeated(x, 2) + y
}

/// Every pixel of `x`, `[n, c, h, w]`, as a square of `factor` × `factor`.
pub(crate) fn repeated(x: Tensor<4>, factor: usize) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let squares = x
        .reshape([n, c, h, 1, w, 1])
        .expand([n, c, h, factor, w, factor]);
    squares.reshape([n, c, factor * h, factor * w])
}

/// ReLU; with `fake`, its gradient is 1 everywhere (the fake ReLU of paper A).
pub(super) fn rectified<const D: usize>(x: Tensor<D>, fake: bool) -> Tensor<D> {
    if fake {
        x.clone() + (relu(x.clone()) - x).detach()
    } else {
        relu(x)
    }
}
