//! ResNeXt (Xie et al. 2017), Squeeze-and-Excitation (Hu et al. 2018) and other residual networks that the fast path
//! does not know, from the tensors that torchvision and timm write.

use burn::tensor::Device;

use super::builder::Builder;
use super::{Description, Found, LoadError};
use crate::model::Weights;
use crate::model::graph::{Activation, Op, Pooling};
use crate::model::layers::EPSILON;

/// Whether these tensors are a residual network's with grouped convolutions or squeeze-and-excitation.
pub(super) fn is_one(weights: &Weights) -> bool {
    let shape = |name: &str| weights.tensors.get(name).map(|array| &array.shape[..]);
    let squeezes = weights.tensors.contains_key("layer1.0.se.fc1.weight");
    let is_grouped = match (
        shape("layer1.0.conv1.weight"),
        shape("layer1.0.conv2.weight"),
    ) {
        (Some([out, ..]), Some([_, inside, ..])) => out != inside,
        _ => false,
    };
    weights.tensors.contains_key("bn1.weight") && (squeezes || is_grouped)
}

/// Builds the network.
pub(super) fn build(
    weights: &Weights,
    description: &Description,
    device: &Device,
) -> Result<Found, LoadError> {
    let input = description.input.unwrap_or([224; 2]);
    let mut builder = Builder::new(weights, input, device);
    let counts = builder.stages(|stage, block| format!("layer{}.{block}.conv1.weight", stage + 1));
    let is_bottleneck = builder.has("layer1.0.conv3.weight");
    let groups = groups(&builder, "layer1.0.conv2.weight", "layer1.0.conv1.weight");
    let built = network(&mut builder, &counts);
    let output = built.map_err(|reason| LoadError::tried("as a ResNeXt", reason))?;
    let depth = 2 + counts.iter().sum::<usize>() * if is_bottleneck { 3 } else { 2 };
    let squeezes = builder.has("layer1.0.se.fc1.weight");
    let squeeze = if squeezes { "SE-" } else { "" };
    let title = match groups {
        1 => format!("{squeeze}ResNet-{depth}"),
        groups => format!("{squeeze}ResNeXt-{depth}, {groups} groups"),
    };
    let mut found = builder.finish(output, title, input)?;
    found.assumptions.push("stride 2 and a max-pooling in its stem of 7×7, and stride in the 3×3 convolution of its blocks; the tensors do not tell".into());
    Ok(found)
}

/// Groups of a convolution that reads what another makes.
fn groups(builder: &Builder, reads: &str, makes: &str) -> usize {
    match (builder.shape(reads), builder.shape(makes)) {
        (Some([_, inside, ..]), Some([out, ..])) => out.checked_div(*inside).unwrap_or(1).max(1),
        _ => 1,
    }
}

fn network(builder: &mut Builder, counts: &[usize]) -> Result<usize, String> {
    let kernel = builder.shape("conv1.weight").and_then(|shape| shape.last());
    if kernel != Some(&7) {
        return Err("its first convolution is not 7×7".into());
    }
    let mut x = builder.conv_norm(["conv1", "bn1"], 0, 2, EPSILON)?;
    x = builder.activate(Activation::Relu, x)?;
    let pooling = Pooling {
        kernel: [3; 2],
        stride: [2; 2],
        padding: [1; 4],
        ceil: false,
        count_padding: false,
    };
    x = builder.push(Op::MaxPool(pooling), x)?;
    for (stage, &count) in counts.iter().enumerate() {
        for block in 0..count {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            x = residual_block(builder, &format!("layer{}.{block}", stage + 1), x, stride)?;
        }
    }
    x = builder.global_average(x, false)?;
    builder.linear("fc", x)
}

fn residual_block(
    builder: &mut Builder,
    at: &str,
    x: usize,
    stride: usize,
) -> Result<usize, String> {
    let name = |part: &str| format!("{at}.{part}");
    let is_bottleneck = builder.has(&name("conv3.weight"));
    // The 3×3 convolution of a bottleneck is its second one; it has the groups and the stride.
    let (first, second) = if is_bottleneck {
        (1, stride)
    } else {
        (stride, 1)
    };
    let mut y = builder.conv_norm([&name("conv1"), &name("bn1")], x, first, EPSILON)?;
    y = builder.activate(Activation::Relu, y)?;
    y = builder.conv_norm([&name("conv2"), &name("bn2")], y, second, EPSILON)?;
    if is_bottleneck {
        y = builder.activate(Activation::Relu, y)?;
        y = builder.conv_norm([&name("conv3"), &name("bn3")], y, 1, EPSILON)?;
    }
    if builder.has(&name("se.fc1.weight")) {
        let parts = [&*name("se.fc1"), &*name("se.fc2")];
        y = builder.squeeze_excitation(parts, [Activation::Relu, Activation::Sigmoid], y)?;
    }
    let shortcut = if builder.has(&name("downsample.0.weight")) {
        let names = [&*name("downsample.0"), &*name("downsample.1")];
        builder.conv_norm(names, x, stride, EPSILON)?
    } else {
        x
    };
    let sum = builder.add(y, shortcut)?;
    builder.activate(Activation::Relu, sum)
}
