//! U-Net (Ronneberger et al. 2015): an encoder–decoder with skip connections, conditioned on a class.
//!
//! Skip connections are added, not concatenated, and upsampling repeats pixels: half the computation of
//! the original at these sizes. There is no BatchNorm, so that the output for a picture depends only on
//! that picture, in training too.

use burn::tensor::module::{adaptive_avg_pool2d, linear};
use burn::tensor::{Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use super::layers::{Conv, Parameters, Pass, Role, Visitor, add_and_rectify, upsample_and_add};
use crate::error::{Error, Result};
use crate::model::network::{FeatureLayer, Network};

/// Configuration of a [`UNet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UNetConfig {
    /// Number of channels at full resolution, doubled at each lower one up to eight times as many.
    pub width: usize,
    /// Number of times that the resolution is halved.
    pub levels: usize,
    /// Number of output channels.
    pub outputs: usize,
    /// Number of classes of the decoder's condition and of the classification head at the bottleneck; 0
    /// for neither.
    pub classes: usize,
}

const MAX_WIDTH: usize = 512;
const MAX_LEVELS: usize = 6;
const MAX_CLASSES: usize = 4096;

impl UNetConfig {
    /// Checks that all sizes are in range, so that an untrusted file cannot exhaust the memory.
    ///
    /// # Errors
    /// [`Error::Config`] names the size that is out of range.
    pub fn validate(&self) -> Result<()> {
        let fits = |value: usize, most: usize| (1..=most).contains(&value);
        let wrong = if !fits(self.width, MAX_WIDTH) {
            "its width must be between 1 and 512"
        } else if !fits(self.levels, MAX_LEVELS) {
            "it must halve the resolution between 1 and 6 times"
        } else if !fits(self.outputs, 64) || self.classes > MAX_CLASSES {
            "between 1 and 64 channels out and at most 4096 classes"
        } else {
            return Ok(());
        };
        Err(Error::Config(format!("impossible U-Net: {wrong}")))
    }

    /// Height and width of the input, in pixels, must be multiples of this.
    pub fn multiple(&self) -> usize {
        1 << self.levels
    }

    /// Number of channels after `level` halvings.
    fn channels(&self, level: usize) -> usize {
        self.width << level.min(3)
    }

    /// Number of parameters; for a valid configuration.
    pub fn parameter_count(&self) -> usize {
        let conv = |input: usize, output: usize| output * (9 * input + 1);
        let deepest = self.channels(self.levels);
        let mut sum = conv(3, self.width) + conv(self.width, self.width);
        sum += conv(self.width, self.outputs) + conv(deepest, deepest);
        sum += 2 * self.classes * deepest + self.classes;
        for level in 0..self.levels {
            let (wide, narrow) = (self.channels(level + 1), self.channels(level));
            sum += conv(narrow, wide) + conv(wide, wide) + conv(wide, narrow);
            sum += conv(narrow, narrow) + self.classes * narrow;
        }
        sum
    }
}

/// Two convolutions at the same resolution.
#[derive(Clone, Debug)]
struct DoubleConv(Conv, Conv);

impl DoubleConv {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.0.forward(x, true, &mut Pass::Inference);
        self.1.forward(x, true, &mut Pass::Inference)
    }

    fn visit(&mut self, at: &str, visitor: &mut impl Visitor) {
        self.0.visit(&format!("{at}.0"), "", visitor);
        self.1.visit(&format!("{at}.1"), "", visitor);
    }
}

/// A level of the decoder: convolution, class condition, upsampling, skip connection, convolution.
#[derive(Clone, Debug)]
struct DecoderLevel {
    narrow: Conv,
    /// A bias for each class, `[classes, channels]`.
    condition: Option<Tensor<2>>,
    smooth: Conv,
}

/// Output of a [`UNet`].
pub struct Decoded {
    /// Output map, `[n, outputs, h, w]`.
    pub map: Tensor<4>,
    /// Logits `[n, classes]` of the classification head, which does not depend on the condition.
    pub head: Option<Tensor<2>>,
}

/// A conditional encoder–decoder; see [`UNetConfig`].
#[derive(Clone, Debug)]
pub struct UNet {
    config: UNetConfig,
    stem: DoubleConv,
    down: Vec<DoubleConv>,
    /// Weight `[classes, channels]` and bias `[classes]` of the classification head.
    head: Option<(Tensor<2>, Tensor<1>)>,
    middle: Conv,
    /// A bias for each class at the bottleneck, `[classes, channels]`.
    condition: Option<Tensor<2>>,
    up: Vec<DecoderLevel>,
    out: Conv,
}

impl UNet {
    /// A network of zero weights, to be initialised by a [`Visitor`].
    pub fn zeros(config: &UNetConfig, device: &Device) -> Self {
        let conv = |input, output| Conv::with_bias([input, output], 3, 1, device);
        let halving = |input, output| Conv::with_bias([input, output], 3, 2, device);
        let classes = config.classes;
        let class_bias =
            |channels: usize| (classes > 0).then(|| Tensor::zeros([classes, channels], device));
        let up = |level: usize| {
            let (wide, narrow) = (config.channels(level + 1), config.channels(level));
            DecoderLevel {
                narrow: conv(wide, narrow),
                condition: class_bias(narrow),
                smooth: conv(narrow, narrow),
            }
        };
        let down = |level: usize| {
            let (narrow, wide) = (config.channels(level), config.channels(level + 1));
            DoubleConv(halving(narrow, wide), conv(wide, wide))
        };
        let deepest = config.channels(config.levels);
        Self {
            config: *config,
            stem: DoubleConv(conv(3, config.width), conv(config.width, config.width)),
            down: (0..config.levels).map(down).collect(),
            head: class_bias(deepest).map(|weight| (weight, Tensor::zeros([classes], device))),
            middle: conv(deepest, deepest),
            condition: class_bias(deepest),
            up: (0..config.levels).rev().map(up).collect(),
            out: conv(config.width, config.outputs),
        }
    }

    /// Its configuration.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// The encoder's feature maps of normalised pixels `[n, 3, h, w]`, from full resolution down.
    fn encode(&self, x: Tensor<4>) -> Vec<Tensor<4>> {
        let mut maps = vec![self.stem.forward(x)];
        for pair in &self.down {
            let next = pair.forward(maps.last().expect("the stem").clone());
            maps.push(next);
        }
        maps
    }

    /// The forward pass on normalised pixels `[n, 3, h, w]`, h and w multiples of
    /// [`UNetConfig::multiple`]; `target` `[n, classes]` is the one-hot target class. All but the results
    /// are computed in the precision of `x`.
    pub fn forward(&self, x: Tensor<4>, target: Option<&Tensor<2>>) -> Decoded {
        let mut skips = self.encode(x);
        let deepest = skips.pop().expect("the last");
        let headed = self.head.is_some();
        let head = headed.then(|| self.logits(self.embed(deepest.clone())));
        let mut y = conditioned(&self.middle, deepest, self.condition.as_ref(), target);
        for (up, skip) in self.up.iter().zip(skips.into_iter().rev()) {
            y = conditioned(&up.narrow, y, up.condition.as_ref(), target);
            y = upsample_and_add(y, skip);
            y = up.smooth.forward(y, true, &mut Pass::Inference);
        }
        let map = self.out.forward(y, false, &mut Pass::Inference);
        Decoded {
            map: map.cast(FloatDType::F32),
            head,
        }
    }
}

/// ReLU of a convolution with a class-dependent bias for each channel.
fn conditioned(
    conv: &Conv,
    x: Tensor<4>,
    condition: Option<&Tensor<2>>,
    target: Option<&Tensor<2>>,
) -> Tensor<4> {
    match (condition, target) {
        (Some(condition), Some(target)) => {
            let y = conv.forward(x, false, &mut Pass::Inference);
            let constant = target.clone().matmul(condition.clone());
            let [n, channels] = constant.dims();
            let constant = constant.cast(y.dtype()).reshape([n, channels, 1, 1]);
            add_and_rectify(y, constant, false)
        }
        _ => conv.forward(x, true, &mut Pass::Inference),
    }
}

/// The encoder and the classification head as a classifier. Its only feature layer is the bottleneck,
/// without fake ReLU.
impl Network for UNet {
    fn features(&self, x: Tensor<4>, _: FeatureLayer) -> Tensor<4> {
        self.encode(x).pop().expect("the last")
    }

    fn embed(&self, features: Tensor<4>) -> Tensor<2> {
        let pooled = adaptive_avg_pool2d(features, [1, 1]).flatten(1, 3);
        pooled.cast(FloatDType::F32)
    }

    fn logits(&self, embedding: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = self
            .head
            .as_ref()
            .expect("a conditional network has a head");
        linear(embedding, weight.clone().transpose(), Some(bias.clone()))
    }
}

impl Parameters for UNet {
    fn visit(&mut self, visitor: &mut impl Visitor) {
        self.stem.visit("stem", visitor);
        for (level, pair) in self.down.iter_mut().enumerate() {
            pair.visit(&format!("down{level}"), visitor);
        }
        if let Some((weight, bias)) = &mut self.head {
            visitor.tensor("head.weight", Role::Weight, weight);
            visitor.tensor("head.bias", Role::Bias, bias);
        }
        self.middle.visit("middle", "", visitor);
        if let Some(condition) = &mut self.condition {
            visitor.tensor("condition", Role::Bias, condition);
        }
        for (index, up) in self.up.iter_mut().enumerate() {
            let at = format!("up{index}");
            up.narrow.visit(&format!("{at}.narrow"), "", visitor);
            if let Some(condition) = &mut up.condition {
                visitor.tensor(&format!("{at}.condition"), Role::Bias, condition);
            }
            up.smooth.visit(&format!("{at}.smooth"), "", visitor);
        }
        self.out.visit("out", "", visitor);
    }
}
