//! Depth, width, block and stem of a residual network, from its tensors.

use super::{Description, Found, LoadError};
use crate::model::layers::EPSILON;
use crate::model::{Array, Block, ResNetConfig, Stem, Weights};

/// Finds out the shape of a network whose tensors are under torchvision's names.
pub(super) fn find(mut weights: Weights, description: &Description) -> Result<Found, LoadError> {
    let refuse = |reason: &str| LoadError::tried("as a residual network", reason);
    let shape = |name: &str| {
        weights
            .tensors
            .get(name)
            .map(|array| array.shape.as_slice())
    };
    let first = shape("conv1.weight").filter(|shape| shape.len() == 4);
    let kernel = first.map(|shape| shape[2]);
    let (stem, assumed_stem) = match (description.stem, kernel) {
        (Some(said), Some(kernel)) if said.kernel() != kernel => {
            return Err(refuse(&format!(
                "its first convolution is {kernel}×{kernel}, not that of the stem it is said to have"
            )));
        }
        (Some(said), _) => (said, None),
        (None, Some(3)) => (
            Stem::Cifar,
            Some(
                "stride 1 and no max-pooling in its stem of 3×3; the tensors do not tell (stem: cifar, cifar-half or cifar-pool)",
            ),
        ),
        (None, Some(7)) => (
            Stem::Imagenet,
            Some(
                "stride 2 and a max-pooling in its stem of 7×7; the tensors do not tell (stem: imagenet or quarter)",
            ),
        ),
        _ => return Err(refuse("its first convolution is neither 3×3 nor 7×7")),
    };
    let (mut widths, mut blocks, mut inside) = (Vec::new(), Vec::new(), Vec::new());
    for stage in 1.. {
        let Some(first) = shape(&format!("layer{stage}.0.conv1.weight")) else {
            break;
        };
        let in_stage = |block: &usize| {
            let name = format!("layer{stage}.{block}.conv1.weight");
            weights.tensors.contains_key(&name)
        };
        widths.push(first.first().copied().unwrap_or(0));
        blocks.push((0..).take_while(in_stage).count());
        let second = shape(&format!("layer{stage}.0.conv2.weight"));
        inside.push(second.and_then(|shape| shape.get(1).copied()).unwrap_or(0));
    }
    if inside != widths {
        return Err(refuse(
            "its convolutions are in groups (ResNeXt), which are not known here",
        ));
    }
    let expanded = shape("layer1.0.conv3.weight").and_then(|shape| shape.first().copied());
    let block = match expanded.map(|out| (out, out.checked_div(widths[0]))) {
        None => Block::Basic,
        Some((_, Some(4))) if description.stride_in_first => Block::BottleneckFirst,
        Some((_, Some(4))) => Block::Bottleneck,
        Some((_, Some(2))) => Block::WideBottleneck,
        Some((out, _)) => {
            let (inside, reason) = (widths[0], "channels inside a block and");
            return Err(refuse(&format!(
                "{inside} {reason} {out} after it are not known here"
            )));
        }
    };
    let classes = shape("fc.weight").and_then(|shape| shape.first().copied());
    let classes = classes.ok_or_else(|| refuse("it has no last layer (fc.weight)"))?;
    let config = ResNetConfig {
        stem,
        block,
        widths,
        blocks,
        classes,
    };
    config.validate().map_err(|error| error.to_string())?;
    let padded = option_a(&config, &mut weights);
    let wide = if block == Block::WideBottleneck {
        "Wide"
    } else {
        ""
    };
    let note = format!(
        "recognised as {wide}ResNet-{} by the names and shapes of its tensors{}",
        config.depth(),
        if padded {
            ", with shortcuts of option A"
        } else {
            ""
        }
    );
    let input = if kernel == Some(7) { [224; 2] } else { [32; 2] };
    let mut assumptions: Vec<String> = assumed_stem.into_iter().map(String::from).collect();
    if block == Block::Bottleneck {
        assumptions.push("stride in the 3×3 convolution of its blocks, as in torchvision; the tensors do not tell (stride_in_first = true: in the first 1×1)".into());
    }
    Ok(Found {
        assumptions,
        ..Found::tensors(config, weights, input, note)
    })
}

/// Adds the shortcuts of option A (He et al. 2016, section 4.2) where a file has no others: every
/// second pixel, and as many channels of zeros before as after. They are 1×1 convolutions too.
fn option_a(config: &ResNetConfig, weights: &mut Weights) -> bool {
    let projected = |name: &String| name.contains("downsample.");
    if config.block != Block::Basic || weights.tensors.keys().any(projected) {
        return false;
    }
    for (stage, pair) in config.widths.windows(2).enumerate() {
        let [input, output] = [pair[0], pair[1]];
        let before = output.saturating_sub(input) / 2;
        let mut values = vec![0.0; output * input];
        for channel in 0..input.min(output - before) {
            values[(channel + before) * input + channel] = 1.0;
        }
        let at = format!("layer{}.0.downsample", stage + 2);
        let mut add = |name: &str, shape: Vec<usize>, values: Vec<f32>| {
            let array = Array { shape, values };
            weights.tensors.insert(format!("{at}.{name}"), array);
        };
        add("0.weight", vec![output, input, 1, 1], values);
        // A BatchNorm that changes nothing.
        let scale = (1.0 + EPSILON).sqrt() as f32;
        add("1.weight", vec![output], vec![scale; output]);
        add("1.bias", vec![output], vec![0.0; output]);
        add("1.running_mean", vec![output], vec![0.0; output]);
        add("1.running_var", vec![output], vec![1.0; output]);
    }
    true
}
