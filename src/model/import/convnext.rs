//! ConvNeXt (Liu et al. 2022) from the tensors that timm and torchvision write.

use burn::tensor::Device;

use super::builder::{Builder, ConvSettings, assume_epsilon_and_gelu};
use super::{Description, Found, LoadError};
use crate::model::Weights;
use crate::model::graph::{Activation, Op};

/// ε of LayerNorm.
const EPSILON: f64 = 1e-6;

/// Whether these tensors are a ConvNeXt's, under timm's or torchvision's names.
pub(super) fn is_one(weights: &Weights) -> bool {
    let has = |name: &str| weights.tensors.contains_key(name);
    has("stages.0.blocks.0.conv_dw.weight") || has("features.1.0.layer_scale")
}

/// Builds the network.
pub(super) fn build(
    mut weights: Weights,
    description: &Description,
    device: &Device,
) -> Result<Found, LoadError> {
    to_timm_names(&mut weights);
    let input = description.input.unwrap_or([224; 2]);
    let mut builder = Builder::new(&weights, input, device);
    let counts =
        builder.stages(|stage, block| format!("stages.{stage}.blocks.{block}.conv_dw.weight"));
    let activation = description.activation.map_or(Activation::Gelu, Into::into);
    let built = network(&mut builder, &counts, activation);
    let output = built.map_err(|reason| LoadError::tried("as a ConvNeXt", reason))?;
    let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
    let title = format!("ConvNeXt, blocks {}", counts.join("-"));
    let mut found = builder.finish(output, title, input)?;
    assume_epsilon_and_gelu(&mut found, EPSILON, description.activation);
    Ok(found)
}

fn network(
    builder: &mut Builder,
    counts: &[usize],
    activation: Activation,
) -> Result<usize, String> {
    let [.., patch] = builder.shape("stem.0.weight").unwrap_or_default() else {
        return Err("it has no stem".into());
    };
    let mut x = builder.conv("stem.0", 0, unpadded(*patch))?;
    x = channel_norm(builder, "stem.1", x)?;
    for (stage, &count) in counts.iter().enumerate() {
        let downsample = format!("stages.{stage}.downsample");
        if builder.has(&format!("{downsample}.1.weight")) {
            x = channel_norm(builder, &format!("{downsample}.0"), x)?;
            x = builder.conv(&format!("{downsample}.1"), x, unpadded(2))?;
        }
        for block in 0..count {
            let at = format!("stages.{stage}.blocks.{block}");
            x = residual_block(builder, &at, x, activation)?;
        }
    }
    x = builder.global_average(x, false)?;
    x = builder.layer_norm("head.norm", x, EPSILON)?;
    builder.linear("head.fc", x)
}

/// A convolution of windows beside each other.
fn unpadded(stride: usize) -> ConvSettings {
    ConvSettings {
        stride,
        padding: [0; 4],
        groups: 1,
    }
}

fn residual_block(
    builder: &mut Builder,
    at: &str,
    x: usize,
    activation: Activation,
) -> Result<usize, String> {
    let channels = builder.draft.sides(x)[1];
    let settings = ConvSettings {
        stride: 1,
        padding: [3; 4],
        groups: channels,
    };
    let y = builder.conv(&format!("{at}.conv_dw"), x, settings)?;
    let y = builder.push(Op::Transpose(vec![0, 2, 3, 1]), y)?;
    let y = builder.layer_norm(&format!("{at}.norm"), y, EPSILON)?;
    let y = builder.linear(&format!("{at}.mlp.fc1"), y)?;
    let y = builder.activate(activation, y)?;
    let mut y = builder.linear(&format!("{at}.mlp.fc2"), y)?;
    let scale = format!("{at}.gamma");
    if builder.has(&scale) {
        let scale = builder.constant(&scale)?;
        y = builder.push_with(Op::Mul, y, scale)?;
    }
    let y = builder.push(Op::Transpose(vec![0, 3, 1, 2]), y)?;
    builder.add(x, y)
}

/// LayerNorm of the channels of each position of a map.
fn channel_norm(builder: &mut Builder, name: &str, x: usize) -> Result<usize, String> {
    let x = builder.push(Op::Transpose(vec![0, 2, 3, 1]), x)?;
    let x = builder.layer_norm(name, x, EPSILON)?;
    builder.push(Op::Transpose(vec![0, 3, 1, 2]), x)
}

/// Renames torchvision's tensors as timm has them.
fn to_timm_names(weights: &mut Weights) {
    if weights.tensors.contains_key("stem.0.weight") {
        return;
    }
    let old = std::mem::take(&mut weights.tensors);
    for (name, mut array) in old {
        let name = timm_name(&name).unwrap_or(name);
        if name.ends_with(".gamma") {
            // torchvision's `[c, 1, 1]` scales what timm's `[c]` does.
            array.shape = vec![array.values.len()];
        }
        weights.tensors.insert(name, array);
    }
}

/// `features.3.1.block.2.weight` is `stages.1.blocks.1.norm.weight`.
fn timm_name(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("classifier.") {
        let (place, what) = rest.split_once('.')?;
        return match place {
            "0" => Some(format!("head.norm.{what}")),
            "2" => Some(format!("head.fc.{what}")),
            _ => None,
        };
    }
    let (place, rest) = name.strip_prefix("features.")?.split_once('.')?;
    let place: usize = place.parse().ok()?;
    let (block, rest) = rest.split_once('.')?;
    if place == 0 {
        return Some(format!("stem.{block}.{rest}"));
    }
    if place.is_multiple_of(2) {
        return Some(format!("stages.{}.downsample.{block}.{rest}", place / 2));
    }
    let at = format!("stages.{}.blocks.{block}", place / 2);
    if rest == "layer_scale" {
        return Some(format!("{at}.gamma"));
    }
    let (layer, what) = rest.strip_prefix("block.")?.split_once('.')?;
    let layer = match layer {
        "0" => "conv_dw",
        "2" => "norm",
        "3" => "mlp.fc1",
        "5" => "mlp.fc2",
        _ => return None,
    };
    Some(format!("{at}.{layer}.{what}"))
}
