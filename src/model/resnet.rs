//! Residual networks (He et al. 2016), trainable and folded alike.
//!
//! One [`ResNet::visit`] names every tensor as torchvision does. Initialising, loading, saving
//! and optimising are visitors; there is no second list of the tensors anywhere.

use burn::tensor::module::{
    adaptive_avg_pool2d, batch_norm, batch_norm_train, conv2d, linear, max_pool2d,
};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, activation::relu};

use super::classifier::{Cut, Network};
use super::config::{Block, ResNetConfig, Stem};
use super::convolution::convolve;

/// What a tensor is for, as a [`Visitor`] is told.
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
    /// Whether gradients change it.
    pub fn is_parameter(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVar)
    }
}

/// Called once for every tensor of a network, with its torchvision name.
pub trait Visitor {
    /// Reads or replaces one tensor; a replacement must keep the shape.
    fn tensor<const D: usize>(&mut self, name: &str, role: Role, tensor: &mut Tensor<D>);
}

/// How BatchNorm finds its statistics in a forward pass.
pub enum Pass<'a> {
    /// From the running statistics, which stay as they are.
    Inference,
    /// From the batch; mean and unbiased variance of each layer are collected in the order of
    /// [`ResNet::visit`].
    Training(&'a mut Vec<Tensor<1>>),
}

const EPSILON: f64 = 1e-5;

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

/// A convolution and what follows it: BatchNorm while trainable, a bias once folded.
#[derive(Clone, Debug)]
pub(super) struct Conv {
    pub(super) weight: Tensor<4>,
    pub(super) stride: usize,
    norm: Option<BatchNorm>,
    pub(super) bias: Option<Tensor<1>>,
}

impl Conv {
    fn new(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Self {
        let [input, output] = channels;
        Self {
            weight: Tensor::zeros([output, input, kernel, kernel], device),
            stride,
            norm: Some(BatchNorm::new(output, device)),
            bias: None,
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let y = if self.bias.is_none()
            && let Some(y) = convolve(&x, &self.weight, self.stride)
        {
            y
        } else {
            let padding = self.weight.dims()[2] / 2;
            let options = ConvOptions::new([self.stride; 2], [padding; 2], [1, 1], 1);
            conv2d(x, self.weight.clone(), self.bias.clone(), options)
        };
        match &self.norm {
            Some(norm) => norm.forward(y, pass),
            None => y,
        }
    }

    /// The same function at inference without the normalisation step: `γ (W·x − μ)/σ + β` is a
    /// convolution with weights `γ W/σ` and bias `β − γ μ/σ`.
    fn fold(self) -> Self {
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

    fn visit(&mut self, conv: &str, norm: &str, visitor: &mut impl Visitor) {
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

/// Two or three convolutions around a shortcut.
#[derive(Clone, Debug)]
pub(super) struct Residual {
    pub(super) convs: Vec<Conv>,
    pub(super) downsample: Option<Conv>,
}

impl Residual {
    fn new(block: Block, input: usize, width: usize, stride: usize, device: &Device) -> Self {
        let output = width * block.expansion();
        let convs = match block {
            Block::Basic => vec![
                Conv::new([input, width], 3, stride, device),
                Conv::new([width, width], 3, 1, device),
            ],
            Block::Bottleneck => vec![
                Conv::new([input, width], 1, 1, device),
                Conv::new([width, width], 3, stride, device),
                Conv::new([width, output], 1, 1, device),
            ],
        };
        let changes = stride != 1 || input != output;
        Self {
            convs,
            downsample: changes.then(|| Conv::new([input, output], 1, stride, device)),
        }
    }

    fn forward(&self, x: Tensor<4>, fake_relu: bool, pass: &mut Pass) -> Tensor<4> {
        let last = self.convs.len() - 1;
        let mut y = x.clone();
        for (index, conv) in self.convs.iter().enumerate() {
            y = conv.forward(y, pass);
            if index != last {
                y = relu(y);
            }
        }
        let shortcut = match &self.downsample {
            Some(conv) => conv.forward(x, pass),
            None => x,
        };
        rectified(y + shortcut, fake_relu)
    }
}

/// ReLU; with `fake`, its gradient is 1 everywhere.
fn rectified(x: Tensor<4>, fake: bool) -> Tensor<4> {
    if fake {
        x.clone() + (relu(x.clone()) - x).detach()
    } else {
        relu(x)
    }
}

/// A residual network; see [`ResNetConfig`].
#[derive(Clone, Debug)]
pub struct ResNet {
    config: ResNetConfig,
    pub(super) stem: Conv,
    pub(super) stages: Vec<Vec<Residual>>,
    /// `[classes, embedding]`, as PyTorch stores it.
    fc_weight: Tensor<2>,
    fc_bias: Tensor<1>,
}

impl ResNet {
    /// A network whose weights are all zero, to be filled by a [`Visitor`].
    pub fn zeros(config: &ResNetConfig, device: &Device) -> Self {
        let kernel = match config.stem {
            Stem::Cifar | Stem::CifarHalf => 3,
            Stem::Imagenet => 7,
        };
        let stride = if config.stem == Stem::Cifar { 1 } else { 2 };
        let mut input = config.widths[0];
        let stem = Conv::new([3, input], kernel, stride, device);
        let mut stages = Vec::new();
        for (stage, (&width, &count)) in config.widths.iter().zip(&config.blocks).enumerate() {
            let mut blocks = Vec::new();
            for index in 0..count {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                blocks.push(Residual::new(config.block, input, width, stride, device));
                input = width * config.block.expansion();
            }
            stages.push(blocks);
        }
        Self {
            config: config.clone(),
            stem,
            stages,
            fc_weight: Tensor::zeros([config.classes, input], device),
            fc_bias: Tensor::zeros([config.classes], device),
        }
    }

    /// Its shape.
    pub fn config(&self) -> &ResNetConfig {
        &self.config
    }

    /// Shows every tensor to `visitor`, in the order of the forward pass.
    pub fn visit(&mut self, visitor: &mut impl Visitor) {
        self.stem.visit("conv1", "bn1", visitor);
        for (stage, blocks) in self.stages.iter_mut().enumerate() {
            for (index, block) in blocks.iter_mut().enumerate() {
                let at = format!("layer{}.{index}", stage + 1);
                for (number, conv) in block.convs.iter_mut().enumerate() {
                    let number = number + 1;
                    conv.visit(
                        &format!("{at}.conv{number}"),
                        &format!("{at}.bn{number}"),
                        visitor,
                    );
                }
                if let Some(conv) = &mut block.downsample {
                    conv.visit(
                        &format!("{at}.downsample.0"),
                        &format!("{at}.downsample.1"),
                        visitor,
                    );
                }
            }
        }
        visitor.tensor("fc.weight", Role::Weight, &mut self.fc_weight);
        visitor.tensor("fc.bias", Role::Bias, &mut self.fc_bias);
    }

    /// The same function at inference with every BatchNorm folded into its convolution.
    ///
    /// What is left has no running statistics to disturb, and the forward and the input-gradient
    /// pass each save two passes over every activation.
    pub fn fold(self) -> Self {
        let fold_block = |block: Residual| Residual {
            convs: block.convs.into_iter().map(Conv::fold).collect(),
            downsample: block.downsample.map(Conv::fold),
        };
        let fold_stage = |stage: Vec<Residual>| stage.into_iter().map(fold_block).collect();
        Self {
            stem: self.stem.fold(),
            stages: self.stages.into_iter().map(fold_stage).collect(),
            ..self
        }
    }

    /// The feature map `[n, c, h, w]` at `cut` of normalised pixels `[n, 3, h, w]`.
    fn features_in(&self, x: Tensor<4>, cut: Cut, pass: &mut Pass) -> Tensor<4> {
        let stages = &self.stages[..cut.stages(self.stages.len())];
        let blocks = stages.iter().map(Vec::len).sum::<usize>();
        let stem = self.stem.forward(x, pass);
        let mut x = rectified(stem, cut.fake_relu && blocks == 0);
        if self.config.stem == Stem::Imagenet {
            let pooling = MaxPoolOptions::new([3, 3])
                .with_stride([2, 2])
                .with_padding([1, 1]);
            x = max_pool2d(x, pooling);
        }
        for (index, block) in stages.iter().flatten().enumerate() {
            x = block.forward(x, cut.fake_relu && index + 1 == blocks, pass);
        }
        x
    }

    /// Logits `[n, classes]` of normalised pixels with BatchNorm on batch statistics, which are
    /// collected in `statistics`.
    pub fn train_forward(&self, x: Tensor<4>, statistics: &mut Vec<Tensor<1>>) -> Tensor<2> {
        let features = self.features_in(x, Cut::LAST, &mut Pass::Training(statistics));
        self.logits(self.embed(features))
    }
}

impl Network for ResNet {
    fn features(&self, x: Tensor<4>, cut: Cut) -> Tensor<4> {
        self.features_in(x, cut, &mut Pass::Inference)
    }

    fn embed(&self, features: Tensor<4>) -> Tensor<2> {
        adaptive_avg_pool2d(features, [1, 1]).flatten(1, 3)
    }

    fn logits(&self, embedding: Tensor<2>) -> Tensor<2> {
        linear(
            embedding,
            self.fc_weight.clone().transpose(),
            Some(self.fc_bias.clone()),
        )
    }
}
