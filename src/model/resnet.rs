//! Residual networks (ResNet, He et al. 2016), trainable or with BatchNorm folded.
//!
//! The implementation of [`Parameters`] is the only place that names the tensors, as torchvision does.

use burn::tensor::module::{adaptive_avg_pool2d, linear, max_pool2d};
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, FloatDType, Tensor};

use super::config::{Block, ResNetConfig};
use super::graph::{Activation, Convolution, Draft, Graph, Op, Pooling, Source};
use super::layers::{Conv, Parameters, Pass, Role, Visitor, add_and_rectify, rectified};
use crate::model::network::{FeatureLayer, Network};

/// A residual block: two or three convolutions and a shortcut.
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
            Block::Bottleneck | Block::WideBottleneck => vec![
                Conv::new([input, width], 1, 1, device),
                Conv::new([width, width], 3, stride, device),
                Conv::new([width, output], 1, 1, device),
            ],
            Block::BottleneckFirst => vec![
                Conv::new([input, width], 1, stride, device),
                Conv::new([width, width], 3, 1, device),
                Conv::new([width, output], 1, 1, device),
            ],
        };
        let changes = stride != 1 || input != output;
        Self {
            convs,
            downsample: changes.then(|| Conv::new([input, output], 1, stride, device)),
        }
    }

    /// Adds the folded block to a graph, and returns the index of its output.
    fn push_to(self, draft: &mut Draft, from: usize) -> usize {
        let last = self.convs.len() - 1;
        let mut place = from;
        for (index, conv) in self.convs.into_iter().enumerate() {
            place = push_conv(draft, conv, place);
            if index != last {
                place = push_relu(draft, place);
            }
        }
        let shortcut = match self.downsample {
            Some(conv) => push_conv(draft, conv, from),
            None => from,
        };
        let sum = push(draft, Op::Add, &[place, shortcut]);
        push_relu(draft, sum)
    }

    fn forward(&self, x: Tensor<4>, fake_relu: bool, pass: &mut Pass) -> Tensor<4> {
        let last = self.convs.len() - 1;
        let mut y = x.clone();
        for (index, conv) in self.convs.iter().enumerate() {
            y = conv.forward(y, index != last, pass);
        }
        let shortcut = match &self.downsample {
            Some(conv) => conv.forward(x, false, pass),
            None => x,
        };
        add_and_rectify(y, shortcut, fake_relu)
    }
}

/// A residual network; see [`ResNetConfig`].
#[derive(Clone, Debug)]
pub struct ResNet {
    config: ResNetConfig,
    pub(super) stem: Conv,
    pub(super) stages: Vec<Vec<Residual>>,
    /// Weight of the linear layer, `[classes, embedding]`, as in PyTorch.
    fc_weight: Tensor<2>,
    fc_bias: Tensor<1>,
}

impl ResNet {
    /// A network of zero weights, to be initialised by a [`Visitor`].
    pub fn zeros(config: &ResNetConfig, device: &Device) -> Self {
        let mut input = config.stem_width();
        let (kernel, stride) = (config.stem.kernel(), config.stem.stride());
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

    /// Its configuration.
    pub fn config(&self) -> &ResNetConfig {
        &self.config
    }

    /// Folds every BatchNorm into its convolution, which is equivalent at inference.
    ///
    /// The result has no running statistics, and its forward and backward passes each save two passes over
    /// every activation.
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
    fn features_in(&self, x: Tensor<4>, cut: FeatureLayer, pass: &mut Pass) -> Tensor<4> {
        let stages = &self.stages[..cut.stages(self.stages.len())];
        let blocks = stages.iter().map(Vec::len).sum::<usize>();
        let fake_relu = cut.fake_relu && blocks == 0;
        let mut x = self.stem.forward(x, !fake_relu, pass);
        if fake_relu {
            x = rectified(x, true);
        }
        if self.config.stem.is_pooled() {
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

    /// The folded network as a graph of operations on pictures of height and width `input`.
    pub(in crate::model) fn into_graph(self, input: [usize; 2]) -> Graph {
        let title = self.config.to_string();
        let mut draft = Draft::new(input);
        let stem = push_conv(&mut draft, self.stem, 0);
        let mut place = push_relu(&mut draft, stem);
        if self.config.stem.is_pooled() {
            let pooling = Pooling {
                kernel: [3, 3],
                stride: [2, 2],
                padding: [1; 4],
                ceil: false,
                count_padding: false,
            };
            place = push(&mut draft, Op::MaxPool(pooling), &[place]);
        }
        let mut stages = vec![place];
        for blocks in self.stages {
            for block in blocks {
                place = block.push_to(&mut draft, place);
            }
            stages.push(place);
        }
        let axes = vec![2, 3];
        let embedding = push(&mut draft, Op::Mean { axes, keep: false }, &[place]);
        let head = Op::Linear {
            weight: self.fc_weight,
            bias: Some(self.fc_bias),
        };
        push(&mut draft, head, &[embedding]);
        draft.finish_with(&stages, embedding, title)
    }

    /// Logits `[n, classes]` of normalised pixels in training mode: BatchNorm uses batch statistics, which
    /// are appended to `statistics`. All but the last layer compute in the precision of `x`.
    pub fn train_forward(&self, x: Tensor<4>, statistics: &mut Vec<Tensor<1>>) -> Tensor<2> {
        let features = self.features_in(x, FeatureLayer::LAST, &mut Pass::Training(statistics));
        self.logits(self.embed(features).cast(FloatDType::F32))
    }
}

/// Adds an operation whose inputs fit, and returns the index of its value.
fn push(draft: &mut Draft, op: Op, inputs: &[usize]) -> usize {
    let inputs = inputs.iter().map(|&place| Source::Value(place)).collect();
    draft
        .push(op, inputs)
        .expect("layers of a residual network fit each other")
}

fn push_conv(draft: &mut Draft, conv: Conv, from: usize) -> usize {
    let [_, _, kernel, _] = conv.weight.dims();
    let convolution = Convolution {
        weight: conv.weight,
        bias: conv.bias,
        stride: [conv.stride; 2],
        padding: [kernel / 2; 4],
        dilation: [1, 1],
        groups: 1,
    };
    push(draft, Op::Conv(convolution), &[from])
}

fn push_relu(draft: &mut Draft, from: usize) -> usize {
    push(draft, Op::Activation(Activation::Relu), &[from])
}

impl Parameters for ResNet {
    fn visit(&mut self, visitor: &mut impl Visitor) {
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
}

impl Network for ResNet {
    fn features(&self, x: Tensor<4>, cut: FeatureLayer) -> Tensor<4> {
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

    fn activations(&self, input: [usize; 2]) -> usize {
        self.config().activations(input)
    }
}
