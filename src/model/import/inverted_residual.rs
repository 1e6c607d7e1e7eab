//! Networks of inverted residual blocks from the tensors that timm and torchvision write: MobileNetV2 (Sandler et al.
//! 2018), MobileNetV3 (Howard et al. 2019), EfficientNet (Tan and Le 2019).

use burn::tensor::Device;

use super::builder::{Builder, ConvSettings};
use super::inverted_families::{
    Family, LARGE_BLOCKS, SMALL_BLOCKS, SMALL_STAGES, STAGES, V2_BLOCKS, require_published,
};
use super::{Description, Found, LoadError};
use crate::model::Weights;
use crate::model::layers::EPSILON;

/// ε of BatchNorm in torchvision's MobileNetV3 and its EfficientNets from B5 on.
const LARGE_EPSILON: f64 = 1e-3;
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
                Layer::Squeeze([reduce, expand]) => {
                    let parts = [&**reduce, &**expand];
                    y = builder.squeeze_excitation(parts, self.family.squeeze(), y)?;
                }
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
