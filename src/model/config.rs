//! Configuration of residual networks (ResNet, WideResNet): stem, blocks, widths, classes.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// First layers of a residual network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Stem {
    /// 3×3 convolution of stride 1, no pooling: for 32×32 pictures (He et al. 2016, section 4.2).
    Cifar,
    /// 3×3 convolution of stride 2, no pooling: a quarter of the computation of `cifar`.
    CifarHalf,
    /// 3×3 convolution of stride 1, then a 3×3 max-pooling of stride 2.
    CifarPool,
    /// 7×7 convolution of stride 2, then a 3×3 max-pooling of stride 2 (He et al. 2016, table 1).
    Imagenet,
    /// 7×7 convolution of stride 4, no pooling: the same resolution as after `imagenet` at a quarter of
    /// the computation. `cifar-half` after 2×2 mean pooling is a special case of it.
    Quarter,
}

impl Stem {
    /// Side of the convolution's kernel, in pixels.
    pub fn kernel(self) -> usize {
        match self {
            Self::Cifar | Self::CifarHalf | Self::CifarPool => 3,
            Self::Imagenet | Self::Quarter => 7,
        }
    }

    /// Stride of the convolution.
    pub fn stride(self) -> usize {
        match self {
            Self::Cifar | Self::CifarPool => 1,
            Self::CifarHalf | Self::Imagenet => 2,
            Self::Quarter => 4,
        }
    }

    /// Whether a 3×3 max-pooling of stride 2 follows the convolution.
    pub fn is_pooled(self) -> bool {
        matches!(self, Self::Imagenet | Self::CifarPool)
    }
}

/// Type of the residual blocks (He et al. 2016, figure 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Block {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3 (with the stride, as in torchvision) and 1×1 convolutions; expansion 4.
    Bottleneck,
    /// The same with the stride in the first 1×1 convolution, as in the original networks (He et al. 2016).
    #[value(name = "bottleneck-1x1")]
    #[serde(rename = "bottleneck-1x1")]
    BottleneckFirst,
    /// [`Block::Bottleneck`] with twice as many inner channels (Zagoruyko and Komodakis 2016), as in WideResNet-50-2.
    WideBottleneck,
}

impl Block {
    /// Expansion: output channels of a block for each inner channel.
    pub fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck | Self::BottleneckFirst => 4,
            Self::WideBottleneck => 2,
        }
    }
}

/// A residual network: stem, stages of blocks, global average pooling, one linear layer.
///
/// The first stage has the resolution of the stem; each later one halves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResNetConfig {
    /// First layers.
    pub stem: Stem,
    /// Type of the residual blocks.
    pub block: Block,
    /// Inner channels of the blocks of each stage.
    pub widths: Vec<usize>,
    /// Number of blocks of each stage; as long as `widths`.
    pub blocks: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
}

/// Limits on the sizes in untrusted files, far above any published network.
const MAX_WIDTH: usize = 8192;
const MAX_BLOCKS: usize = 256;
const MAX_CLASSES: usize = 1 << 17;

impl ResNetConfig {
    /// The configuration of a published depth: 18, 34, 50, 101 or 152 (four stages, the first of `width`
    /// channels, by default 64) or 20, 32, 44 or 56 (three stages, by default 16).
    ///
    /// # Errors
    /// [`Error::Config`] lists the available depths when `depth` is none of them.
    pub fn of_depth(
        depth: usize,
        stem: Stem,
        width: Option<usize>,
        classes: usize,
    ) -> Result<Self> {
        let (block, blocks) = match depth {
            18 => (Block::Basic, vec![2, 2, 2, 2]),
            34 => (Block::Basic, vec![3, 4, 6, 3]),
            50 => (Block::Bottleneck, vec![3, 4, 6, 3]),
            101 => (Block::Bottleneck, vec![3, 4, 23, 3]),
            152 => (Block::Bottleneck, vec![3, 8, 36, 3]),
            20 | 32 | 44 | 56 => (Block::Basic, vec![(depth - 2) / 6; 3]),
            _ => {
                return Err(Error::Config(format!(
                    "no residual network of depth {depth}: there are 18, 34, 50, 101, 152 and 20, 32, 44, 56"
                )));
            }
        };
        let width = width.unwrap_or(if blocks.len() == 3 { 16 } else { 64 });
        let widths = (0..blocks.len()).map(|stage| width << stage).collect();
        let config = Self {
            stem,
            block,
            widths,
            blocks,
            classes,
        };
        config.validate()?;
        Ok(config)
    }

    /// Checks that all sizes are in range, so that an untrusted file cannot exhaust the memory.
    ///
    /// # Errors
    /// [`Error::Config`] names the size that is out of range.
    pub fn validate(&self) -> Result<()> {
        let fits = |value: usize, most: usize| (1..=most).contains(&value);
        let wrong = if self.widths.is_empty() || self.widths.len() != self.blocks.len() {
            "as many stage widths as block counts are needed, and at least one"
        } else if self.widths.len() > 8 {
            "at most 8 stages"
        } else if !self.widths.iter().all(|&width| fits(width, MAX_WIDTH)) {
            "stage widths must be between 1 and 8192"
        } else if !self.blocks.iter().all(|&blocks| fits(blocks, MAX_BLOCKS)) {
            "block counts must be between 1 and 256"
        } else if !fits(self.classes, MAX_CLASSES) {
            "the class count must be between 1 and 131072"
        } else {
            return Ok(());
        };
        Err(Error::Config(format!(
            "impossible network ({self}): {wrong}"
        )))
    }

    /// Number of parameters, running statistics included; for a valid configuration.
    pub fn parameter_count(&self) -> usize {
        let conv =
            |input: usize, output: usize, kernel: usize| output * (input * kernel * kernel + 4);
        let expansion = self.block.expansion();
        let mut input = self.stem_width();
        let mut sum = conv(3, input, self.stem.kernel());
        for (stage, (&width, &blocks)) in self.widths.iter().zip(&self.blocks).enumerate() {
            let output = width * expansion;
            let body = |input: usize| match self.block {
                Block::Basic => conv(input, width, 3) + conv(width, width, 3),
                Block::Bottleneck | Block::BottleneckFirst | Block::WideBottleneck => {
                    conv(input, width, 1) + conv(width, width, 3) + conv(width, output, 1)
                }
            };
            let shortcut = if stage > 0 || input != output {
                conv(input, output, 1)
            } else {
                0
            };
            sum += body(input) + shortcut + (blocks - 1) * body(output);
            input = output;
        }
        sum + (input + 1) * self.classes
    }

    /// Numbers that a forward pass makes of one picture of `input`, height and width: what every
    /// convolution and the ReLU behind it put out, at the resolution of their stage; of a valid config.
    pub fn activations(&self, input: [usize; 2]) -> usize {
        let area = |stride: usize| input[0].div_ceil(stride) * input[1].div_ceil(stride);
        let mut stride = self.stem.stride();
        let mut sum = 2 * self.stem_width() * area(stride);
        if self.stem.is_pooled() {
            stride *= 2;
            sum += self.stem_width() * area(stride);
        }
        for (stage, (&width, &blocks)) in self.widths.iter().zip(&self.blocks).enumerate() {
            if stage > 0 {
                stride *= 2;
            }
            let output = width * self.block.expansion();
            let inside = match self.block {
                Block::Basic => width,
                Block::Bottleneck | Block::BottleneckFirst | Block::WideBottleneck => 2 * width,
            };
            // The shortcut of the stage's first block makes numbers of its own.
            sum += (2 * blocks * (inside + output) + output) * area(stride);
        }
        sum
    }

    /// Number of channels of the feature map after a stage, 0 for the stem; after the last stage without one.
    pub fn channels(&self, stage: Option<usize>) -> usize {
        let stage = stage.unwrap_or(self.widths.len());
        match stage.checked_sub(1) {
            None => self.stem_width(),
            Some(index) => self.widths[index.min(self.widths.len() - 1)] * self.block.expansion(),
        }
    }

    /// Output channels of the first convolution.
    pub fn stem_width(&self) -> usize {
        match self.block {
            Block::Basic | Block::Bottleneck | Block::BottleneckFirst => self.widths[0],
            Block::WideBottleneck => self.widths[0].div_ceil(2),
        }
    }

    /// Depth: convolutions and linear layers on the longest path, the number in “ResNet-18”.
    pub fn depth(&self) -> usize {
        let per_block = match self.block {
            Block::Basic => 2,
            Block::Bottleneck | Block::BottleneckFirst | Block::WideBottleneck => 3,
        };
        let blocks = self
            .blocks
            .iter()
            .fold(0, |sum: usize, &count| sum.saturating_add(count));
        blocks.saturating_mul(per_block).saturating_add(2)
    }
}

impl std::fmt::Display for ResNetConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |values: &[usize]| {
            let words: Vec<String> = values.iter().map(usize::to_string).collect();
            words.join("-")
        };
        write!(
            f,
            "ResNet-{} (stem {:?}, {:?} blocks {}, widths {}, {} classes)",
            self.depth(),
            self.stem,
            self.block,
            list(&self.blocks),
            list(&self.widths),
            self.classes
        )
    }
}
