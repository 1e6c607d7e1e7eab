//! Networks of inverted residual blocks from the tensors that timm and torchvision write: MobileNetV2 (Sandler et al.
//! 2018), MobileNetV3 (Howard et al. 2019), EfficientNet (Tan and Le 2019).

use burn::tensor::Device;

use super::builder::{Builder, ConvSettings};
use super::{Description, Found, LoadError};
use crate::model::Weights;
use crate::model::graph::{Activation, Op, Source};
use crate::model::layers::EPSILON;

/// ε of BatchNorm in torchvision's MobileNetV3 and its EfficientNets from B5 on.
const LARGE_EPSILON: f64 = 1e-3;
/// Strides of the stages of MobileNetV2, EfficientNet and the large MobileNetV3, and of the small one.
const STAGES: [usize; 7] = [1, 2, 2, 2, 1, 2, 1];
const SMALL_STAGES: [usize; 6] = [2, 2, 2, 1, 2, 1];
/// Blocks of the stages of MobileNetV2, of EfficientNet-B0, and of MobileNetV3 without timm's last block, which is a
/// plain convolution.
const V2_BLOCKS: [usize; 7] = [1, 2, 3, 4, 3, 3, 1];
const B0_BLOCKS: [usize; 7] = [1, 2, 2, 3, 3, 4, 1];
const LARGE_BLOCKS: [usize; 6] = [1, 2, 3, 4, 2, 3];
const SMALL_BLOCKS: [usize; 5] = [1, 2, 3, 2, 3];
/// How many times deeper than B0 the other EfficientNets are.
const DEPTHS: [f64; 10] = [1.0, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1, 3.6, 5.3];
/// The same of timm's deeper MobileNetV2, but for their first and last stages.
const V2_DEPTHS: [f64; 3] = [1.0, 1.2, 1.4];

/// Who names the tensors, and of which network.
#[derive(Clone, Copy, PartialEq)]
enum Naming {
    Timm,
    /// torchvision's EfficientNet, in stages.
    Efficient,
    /// torchvision's MobileNetV3.
    V3,
    /// torchvision's MobileNetV2.
    V2,
}

impl Naming {
    fn of(weights: &Weights) -> Option<Self> {
        let has = |name: &str| weights.tensors.contains_key(name);
        let timm = has("conv_stem.weight")
            && (has("blocks.0.0.conv_dw.weight") || has("blocks.0.0.conv.weight"));
        let known = [
            (timm, Self::Timm),
            (has("features.1.0.block.0.0.weight"), Self::Efficient),
            (has("features.1.block.0.0.weight"), Self::V3),
            (has("features.1.conv.0.0.weight"), Self::V2),
        ];
        known
            .into_iter()
            .find(|(is, _)| *is)
            .map(|(_, naming)| naming)
    }
}

/// What the names of tensors do not say of a network.
#[derive(Clone, Copy, PartialEq)]
enum Family {
    /// SiLU and squeeze-and-excitation.
    EfficientNet,
    /// ReLU6: MobileNetV2 and EfficientNet-Lite.
    MobileNetV2,
    /// ReLU in the first stages, then hard swish.
    MobileNetV3,
}

impl Family {
    fn name(self) -> &'static str {
        match self {
            Self::EfficientNet => "EfficientNet",
            Self::MobileNetV2 => "MobileNetV2 or EfficientNet-Lite",
            Self::MobileNetV3 => "MobileNetV3",
        }
    }

    /// The activation of a block; `is_late` in the stages of MobileNetV3 with hard swish.
    fn activation(self, is_late: bool) -> Activation {
        match self {
            Self::EfficientNet => Activation::Silu,
            Self::MobileNetV2 => Activation::Clip(0.0, 6.0),
            Self::MobileNetV3 if is_late => Activation::HardSwish,
            Self::MobileNetV3 => Activation::Relu,
        }
    }

    /// The activation inside squeeze-and-excitation, and its gate.
    fn squeeze(self) -> [Activation; 2] {
        match self {
            Self::MobileNetV3 => [Activation::Relu, Activation::HardSigmoid(1.0 / 6.0, 0.5)],
            Self::EfficientNet | Self::MobileNetV2 => [Activation::Silu, Activation::Sigmoid],
        }
    }
}

/// A layer of a block, by the names of its parts.
enum Layer {
    /// A convolution and its BatchNorm.
    Conv([String; 2]),
    /// Squeeze-and-excitation: its two convolutions.
    Squeeze([String; 2]),
}

/// A block, its stride, and whether it is in the later stages of MobileNetV3.
struct Block {
    layers: Vec<Layer>,
    stride: usize,
    is_late: bool,
}

/// Whether these tensors are such a network's.
pub(super) fn is_one(weights: &Weights) -> bool {
    Naming::of(weights).is_some()
}

/// Builds the network.
pub(super) fn build(
    weights: &Weights,
    description: &Description,
    device: &Device,
) -> Result<Found, LoadError> {
    let tried =
        |reason: String| LoadError::tried("as a network of inverted residual blocks", reason);
    let naming = Naming::of(weights).ok_or_else(|| tried("its names are of none".into()))?;
    let input = description.input.unwrap_or([224; 2]);
    let mut builder = Builder::new(weights, input, device);
    let family = family(&builder, naming);
    let blocks = blocks(&builder, naming).map_err(tried)?;
    let count = blocks.len();
    let squeezes = |block: &Block| {
        block
            .layers
            .iter()
            .any(|layer| matches!(layer, Layer::Squeeze(_)))
    };
    if family == Family::MobileNetV3 && !blocks.iter().any(squeezes) {
        let reason = "it is a MobileNetV3 without squeeze-and-excitation, whose activations are not known; open it as \
                      an ONNX file";
        return Err(tried(reason.into()));
    }
    let epsilon = epsilon(&builder, naming);
    let network = Network {
        naming,
        family,
        epsilon,
    };
    let output = network.build(&mut builder, blocks).map_err(tried)?;
    let title = format!("{}, {count} blocks", family.name());
    let mut found = builder.finish(output, title, input)?;
    let activation = match family {
        Family::EfficientNet => "SiLU",
        Family::MobileNetV2 => "ReLU6",
        Family::MobileNetV3 => "ReLU and hard swish",
    };
    found.assumptions.push(format!(
        "the strides, symmetric padding and {activation} of the published networks, and ε {epsilon} of BatchNorm; the \
         tensors do not tell"
    ));
    Ok(found)
}

fn family(builder: &Builder, naming: Naming) -> Family {
    let squeezes = [
        "blocks.1.0.se.conv_reduce.weight",
        "blocks.0.0.se.conv_reduce.weight",
    ];
    match naming {
        Naming::Efficient => Family::EfficientNet,
        Naming::V2 => Family::MobileNetV2,
        Naming::V3 => Family::MobileNetV3,
        Naming::Timm if builder.has("conv_head.bias") => Family::MobileNetV3,
        Naming::Timm if squeezes.iter().any(|name| builder.has(name)) => Family::EfficientNet,
        Naming::Timm => Family::MobileNetV2,
    }
}

fn epsilon(builder: &Builder, naming: Naming) -> f64 {
    // B5 is the first EfficientNet whose first stage has three blocks.
    let is_large = naming == Naming::Efficient && builder.has("features.1.2.block.0.0.weight");
    if naming == Naming::V3 || is_large {
        LARGE_EPSILON
    } else {
        EPSILON
    }
}

/// All blocks, with their strides.
fn blocks(builder: &Builder, naming: Naming) -> Result<Vec<Block>, String> {
    let at = |stage: usize, block: usize| match naming {
        Naming::Timm => format!("blocks.{stage}.{block}"),
        _ => format!("features.{}.{block}.block", stage + 1),
    };
    let is_block = |at: &str| !layers(builder, naming, at).is_empty();
    let counts: Vec<usize> = if matches!(naming, Naming::Timm | Naming::Efficient) {
        let count = |stage: usize| {
            (0..)
                .take_while(|&block| is_block(&at(stage, block)))
                .count()
        };
        let counts: Vec<usize> = (0..).map(count).take_while(|&count| count > 0).collect();
        require_published(family(builder, naming), &counts)?;
        counts
    } else {
        stages_of(builder, naming)?
    };
    let is_small = match naming {
        Naming::Timm => counts.len() == SMALL_STAGES.len(),
        _ => counts == SMALL_BLOCKS,
    };
    let strides: &[usize] = if is_small { &SMALL_STAGES } else { &STAGES };
    let late = if is_small { 2 } else { 3 };
    let mut blocks = Vec::new();
    for (stage, (&count, &stride)) in counts.iter().zip(strides).enumerate() {
        for block in 0..count {
            let name = match naming {
                Naming::Timm | Naming::Efficient => at(stage, block),
                Naming::V3 => format!("features.{}.block", blocks.len() + 1),
                Naming::V2 => format!("features.{}.conv", blocks.len() + 1),
            };
            blocks.push(Block {
                layers: layers(builder, naming, &name),
                stride: if block == 0 { stride } else { 1 },
                is_late: stage >= late,
            });
        }
    }
    Ok(blocks)
}

/// Checks that a network of a family with so many blocks in its stages was published: the strides of others are not
/// known.
fn require_published(family: Family, counts: &[usize]) -> Result<(), String> {
    let deeper = |base: &[usize], depth: f64| -> Vec<usize> {
        let blocks = base
            .iter()
            .map(|&count| (count as f64 * depth).ceil() as usize);
        blocks.collect()
    };
    let is_b = || {
        DEPTHS
            .iter()
            .any(|&depth| deeper(&B0_BLOCKS, depth) == counts)
    };
    let is_v2 = || {
        V2_DEPTHS.iter().any(|&depth| {
            let mut blocks = deeper(&V2_BLOCKS, depth);
            (blocks[0], blocks[6]) = (1, 1);
            blocks == counts
        })
    };
    let is_known = match family {
        Family::EfficientNet => is_b(),
        Family::MobileNetV2 => is_b() || is_v2(),
        Family::MobileNetV3 => counts.split_last().is_some_and(|(&last, others)| {
            last == 1 && (others == LARGE_BLOCKS || others == SMALL_BLOCKS)
        }),
    };
    if is_known {
        return Ok(());
    }
    let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
    Err(format!(
        "its stages have {} blocks, as no published {} has, so its strides are not known; open it as an ONNX file",
        counts.join("-"),
        family.name()
    ))
}

/// Blocks of each stage where the names only number blocks: known for the published networks.
fn stages_of(builder: &Builder, naming: Naming) -> Result<Vec<usize>, String> {
    let inside = if naming == Naming::V3 {
        "block"
    } else {
        "conv"
    };
    let name = |block: usize| format!("features.{}.{inside}.0.0.weight", block + 1);
    let count = builder.count(name);
    let known: [&[usize]; 3] = [&V2_BLOCKS, &LARGE_BLOCKS, &SMALL_BLOCKS];
    let known = if naming == Naming::V3 {
        &known[1..]
    } else {
        &known[..1]
    };
    let found = known
        .iter()
        .find(|stages| stages.iter().sum::<usize>() == count);
    let found = found.map(|stages| stages.to_vec());
    found.ok_or_else(|| format!("it has {count} blocks, as none of the published networks"))
}

/// The layers of a block, in their order; none where there is no block.
fn layers(builder: &Builder, naming: Naming, at: &str) -> Vec<Layer> {
    let has = |name: &str| builder.has(&format!("{at}.{name}.weight"));
    let conv =
        |conv: &str, norm: &str| Layer::Conv([conv, norm].map(|part| format!("{at}.{part}")));
    let squeeze =
        |at: &str, parts: [&str; 2]| Layer::Squeeze(parts.map(|part| format!("{at}.{part}")));
    if naming == Naming::Timm {
        let se = has("se.conv_reduce")
            .then(|| squeeze(&format!("{at}.se"), ["conv_reduce", "conv_expand"]));
        return if has("conv_pwl") {
            let first = [conv("conv_pw", "bn1"), conv("conv_dw", "bn2")];
            first
                .into_iter()
                .chain(se)
                .chain([conv("conv_pwl", "bn3")])
                .collect()
        } else if has("conv_dw") {
            let first = [conv("conv_dw", "bn1")];
            first
                .into_iter()
                .chain(se)
                .chain([conv("conv_pw", "bn2")])
                .collect()
        } else if has("conv") {
            vec![conv("conv", "bn1")]
        } else {
            Vec::new()
        };
    }
    let mut layers = Vec::new();
    for place in 0.. {
        if has(&format!("{place}.0")) {
            layers.push(conv(&format!("{place}.0"), &format!("{place}.1")));
        } else if has(&format!("{place}.fc1")) {
            layers.push(squeeze(&format!("{at}.{place}"), ["fc1", "fc2"]));
        } else {
            // The last convolution of MobileNetV2 stands beside its BatchNorm.
            if has(&format!("{place}")) {
                layers.push(conv(&format!("{place}"), &format!("{}", place + 1)));
            }
            return layers;
        }
    }
    layers
}

/// What the layers of a network have in common.
struct Network {
    naming: Naming,
    family: Family,
    epsilon: f64,
}

impl Network {
    fn build(&self, builder: &mut Builder, blocks: Vec<Block>) -> Result<usize, String> {
        let stem = match self.naming {
            Naming::Timm => ["conv_stem", "bn1"],
            _ => ["features.0.0", "features.0.1"],
        };
        let mut x = builder.conv_norm(stem, 0, 2, self.epsilon)?;
        x = builder.activate(self.family.activation(true), x)?;
        for block in &blocks {
            x = self.block(builder, block, x)?;
        }
        self.head(builder, x)
    }

    fn block(&self, builder: &mut Builder, block: &Block, x: usize) -> Result<usize, String> {
        let activation = self.family.activation(block.is_late);
        // The only block without a depthwise convolution is a plain one, with its activation and no shortcut.
        let is_plain = block.layers.len() == 1;
        let last = block.layers.len() - 1;
        let mut y = x;
        for (at, layer) in block.layers.iter().enumerate() {
            match layer {
                Layer::Squeeze(parts) => y = self.squeezed(builder, parts, y)?,
                Layer::Conv([conv, norm]) => {
                    let stride = if builder.is_depthwise(conv, y) {
                        block.stride
                    } else {
                        1
                    };
                    y = builder.conv_norm([conv, norm], y, stride, self.epsilon)?;
                    if is_plain || at != last {
                        y = builder.activate(activation, y)?;
                    }
                }
            }
        }
        let same = builder.draft.sides(x) == builder.draft.sides(y);
        if same && block.stride == 1 && !is_plain {
            y = builder.add(x, y)?;
        }
        Ok(y)
    }

    /// Squeeze-and-excitation: each channel scaled by what the means of all say.
    fn squeezed(
        &self,
        builder: &mut Builder,
        [reduce, expand]: &[String; 2],
        x: usize,
    ) -> Result<usize, String> {
        let [inside, gate] = self.family.squeeze();
        let y = builder.global_average(x, true)?;
        let y = builder.conv(reduce, y, ConvSettings::ONE)?;
        let y = builder.activate(inside, y)?;
        let y = builder.conv(expand, y, ConvSettings::ONE)?;
        let y = builder.activate(gate, y)?;
        builder.push_with(Op::Mul, x, Source::Value(y))
    }

    fn head(&self, builder: &mut Builder, x: usize) -> Result<usize, String> {
        let activation = self.family.activation(true);
        let is_v3 = self.family == Family::MobileNetV3;
        if self.naming == Naming::Timm && is_v3 {
            // The last convolution is a layer on the means.
            let x = builder.global_average(x, true)?;
            let x = builder.conv("conv_head", x, ConvSettings::ONE)?;
            let x = builder.activate(activation, x)?;
            let x = builder.global_average(x, false)?;
            return builder.linear("classifier", x);
        }
        let last = match self.naming {
            Naming::Timm => ["conv_head", "bn2"].map(String::from),
            // The one plain convolution besides the stem.
            _ => {
                let place = (1..100).find(|at| builder.has(&format!("features.{at}.0.weight")));
                let place = place.ok_or("its last convolution is missing")?;
                [0, 1].map(|part| format!("features.{place}.{part}"))
            }
        };
        let x = builder.conv_norm([&last[0], &last[1]], x, 1, self.epsilon)?;
        let x = builder.activate(activation, x)?;
        let x = builder.global_average(x, false)?;
        match (self.naming, is_v3) {
            (Naming::Timm, _) => builder.linear("classifier", x),
            (_, false) => builder.linear("fc", x),
            (_, true) => {
                let x = builder.linear("classifier.0", x)?;
                let x = builder.activate(activation, x)?;
                builder.linear("classifier.3", x)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_published_numbers_of_blocks_have_known_strides() {
        let known: [(Family, &[usize]); 8] = [
            (Family::EfficientNet, &[1, 2, 2, 3, 3, 4, 1]),
            (Family::EfficientNet, &[2, 3, 3, 4, 4, 5, 2]),
            (Family::EfficientNet, &[4, 7, 7, 10, 10, 13, 4]),
            (Family::MobileNetV2, &[1, 2, 2, 3, 3, 4, 1]),
            (Family::MobileNetV2, &[1, 2, 3, 4, 3, 3, 1]),
            (Family::MobileNetV2, &[1, 3, 5, 6, 5, 5, 1]),
            (Family::MobileNetV3, &[1, 2, 3, 4, 2, 3, 1]),
            (Family::MobileNetV3, &[1, 2, 3, 2, 3, 1]),
        ];
        for (family, counts) in known {
            assert_eq!(require_published(family, counts), Ok(()), "{counts:?}");
        }
        // EfficientNetV2-S, FBNet-C, LCNet, MnasNet, and nothing at all.
        let others: [(Family, &[usize]); 5] = [
            (Family::EfficientNet, &[2, 4, 4, 6, 9, 15]),
            (Family::MobileNetV2, &[1, 3, 4, 4, 4, 4, 1]),
            (Family::MobileNetV3, &[1, 2, 2, 2, 4, 2]),
            (Family::MobileNetV2, &[1, 3, 3, 3, 2, 4, 1]),
            (Family::MobileNetV3, &[]),
        ];
        for (family, counts) in others {
            let refused = require_published(family, counts).expect_err("its strides are not known");
            assert!(refused.contains("ONNX"), "{refused}");
        }
    }
}
