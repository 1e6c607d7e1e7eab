//! Which published network a file's tensors belong to, by their names and shapes.

use std::collections::BTreeMap;

use burn::tensor::Device;

use super::metadata::Metadata;
use super::tensors::TensorFile;
use super::{
    ChannelOrder, Description, Found, FoundNetwork, LoadError, ONE_OUTPUT, convnext,
    inverted_residual, preactivation, resnet, resnext, transformer,
};
use crate::data::LUMA;
use crate::model::{Array, Normalizer, Weights};

/// The first convolution of each known layout.
const FIRST: [&str; 10] = [
    "conv1.weight",
    "init_conv.weight",
    "resnet.embedder.embedder.convolution.weight",
    "patch_embed.proj.weight",
    "conv_proj.weight",
    "vit.embeddings.patch_embeddings.projection.weight",
    "deit.embeddings.patch_embeddings.projection.weight",
    "stem.0.weight",
    "features.0.0.weight",
    "conv_stem.weight",
];

/// The last layer of each known layout.
const LAST: [&str; 9] = [
    "fc",
    "head",
    "head_dist",
    "head.fc",
    "heads.head",
    "classifier",
    "classifier.2",
    "classifier.3",
    "cls_classifier",
];

/// What is known, for people whose file is something else.
const KNOWN: &str = "known are residual networks as torchvision, timm, Hugging Face, MadryLab \
    robustness and kuangliu name them, WideResNets and PreAct ResNets as RobustBench has them, \
    the CIFAR ResNet-20 to 56 with option A, ResNeXt and SE-ResNets as torchvision and timm name them, \
    ViT and DeiT as timm, torchvision and Hugging Face do, ConvNeXt, EfficientNet, \
    MobileNetV2 and MobileNetV3 as timm and torchvision do, \
    and ONNX graphs of any other network (docs/python.md has a function that writes them)";

/// Shapes of tensors by name.
pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

/// Finds the network in a file and reads its tensors.
pub(super) fn recognise(
    file: &TensorFile,
    description: &Description,
    device: &Device,
) -> Result<Found, LoadError> {
    let all = file.shapes();
    let prefix = state_prefix(&all).ok_or_else(|| {
        let names: Vec<&str> = all.keys().take(5).map(String::as_str).collect();
        let reason = if names.is_empty() {
            "it holds no tensors of a network".into()
        } else if let Some(channels) = other_channels(&all) {
            format!(
                "its first layer reads {channels} channels; pictures here have three, red, green and blue, or are grey"
            )
        } else {
            format!(
                "its tensors ({}, …) are of no layout known here; {KNOWN}",
                names.join(", ")
            )
        };
        LoadError::Reason(reason)
    })?;
    let normalizer = read_normalizer(file, &all)?;
    let inside = all.keys().filter(|name| name.starts_with(&prefix));
    let tensors: BTreeMap<String, Array> = file
        .read(inside)?
        .into_iter()
        .map(|(name, array)| (canonical(&name[prefix.len()..]), array))
        .filter(|(name, _)| !is_bookkeeping(name))
        .collect();
    let mut notes = Vec::new();
    if !prefix.is_empty() {
        notes.push(format!(
            "its tensors are under “{}”",
            prefix.trim_end_matches('.')
        ));
    }
    let outside = all.keys().filter(|name| !name.starts_with(&prefix)).count();
    if outside > 0 {
        notes.push(format!(
            "{outside} tensors elsewhere in the file were passed over"
        ));
    }
    let mut weights = Weights {
        tensors,
        metadata: BTreeMap::new(),
    };
    let grey = read_luma(&mut weights);
    if description.channels == Some(ChannelOrder::Bgr) && !grey {
        reverse_channels(&mut weights);
    }
    if make_two_classes(&mut weights) {
        notes.push(ONE_OUTPUT.into());
    }
    let mut found = if transformer::is_one(&weights) {
        transformer::build(weights, description, device)?
    } else if convnext::is_one(&weights) {
        convnext::build(weights, description, device)?
    } else if inverted_residual::is_one(&weights) {
        inverted_residual::build(&weights, description, device)?
    } else if resnext::is_one(&weights) {
        resnext::build(&weights, description, device)?
    } else if weights.tensors.contains_key("bn1.weight")
        && weights.tensors.contains_key("layer1.0.conv1.weight")
    {
        resnet::find(weights, description)?
    } else if let Some(kind) = preactivation::Kind::of(&weights) {
        preactivation::build(kind, &weights, description, device)?
    } else {
        let reason = format!("its first layer is known, the rest is not; {KNOWN}");
        return Err(reason.into());
    };
    found.normalizer = normalizer;
    found.grey = grey;
    found.notes.splice(0..0, notes);
    if description.input.is_none() {
        let [height, width] = found.input;
        let assumed = format!("its input is {width}×{height} pixels");
        found.assumptions.push(assumed);
    }
    Ok(found)
}

/// Makes a first convolution of one channel read the luma of three; whether there was one.
fn read_luma(weights: &mut Weights) -> bool {
    let mut is_grey = false;
    for name in FIRST {
        let Some(Array { shape, values }) = weights.tensors.get_mut(name) else {
            continue;
        };
        if shape.len() != 4 || shape[1] != 1 {
            continue;
        }
        let area = shape[2] * shape[3];
        let kernels = values.chunks_exact(area.max(1));
        let of_three = |kernel: &[f32]| -> Vec<f32> {
            let planes = LUMA.iter();
            planes
                .flat_map(|share| kernel.iter().map(move |value| share * value))
                .collect()
        };
        *values = kernels.flat_map(of_three).collect();
        shape[1] = 3;
        is_grey = true;
    }
    is_grey
}

/// Reverses the channels that the first convolution reads.
fn reverse_channels(weights: &mut Weights) {
    for name in FIRST {
        if let Some(Array { shape, values }) = weights.tensors.get_mut(name) {
            let area: usize = shape[2..].iter().product();
            for kernel in values.chunks_exact_mut(3 * area) {
                for place in 0..area {
                    kernel.swap(place, 2 * area + place);
                }
            }
        }
    }
}

/// Makes two classes of a last layer with the one output z: their logits are 0 and z, of which softmax makes
/// 1 − sigmoid(z) and sigmoid(z). Whether it had one output.
fn make_two_classes(weights: &mut Weights) -> bool {
    let mut is_one = false;
    for layer in LAST {
        let weight = weights.tensors.get(&format!("{layer}.weight"));
        if weight.is_none_or(|weight| weight.shape.first() != Some(&1)) {
            continue;
        }
        is_one = true;
        for part in ["weight", "bias"] {
            if let Some(array) = weights.tensors.get_mut(&format!("{layer}.{part}")) {
                array.shape[0] = 2;
                let zeros = vec![0.0; array.values.len()];
                array.values.splice(0..0, zeros);
            }
        }
    }
    is_one
}

/// What is before the names of the network's tensors; the shortest where there are several.
fn state_prefix(all: &Shapes) -> Option<String> {
    let prefixes = all.iter().flat_map(|(name, shape)| {
        let pictures = shape.len() == 4 && matches!(shape[1], 1 | 3);
        FIRST.iter().filter_map(move |first| {
            let prefix = name.strip_suffix(first).filter(|_| pictures)?;
            let whole = prefix.is_empty() || prefix.ends_with('.');
            whole.then(|| prefix.to_owned())
        })
    });
    prefixes.min_by_key(|prefix| (prefix.len(), prefix.clone()))
}

/// Number of channels that the first layer of a known layout reads, if it is not three.
fn other_channels(all: &Shapes) -> Option<usize> {
    let mut first = all.iter().filter(|(name, shape)| {
        shape.len() == 4 && FIRST.iter().any(|first| name.ends_with(first))
    });
    first.next().map(|(_, shape)| shape[1])
}

/// A tensor's name as torchvision would have it.
fn canonical(name: &str) -> String {
    let name = name
        .replace("shortcut.", "downsample.")
        .replace(".convShortcut.", ".downsample.");
    for head in ["linear.", "classifier.1.", "logits."] {
        if let Some(rest) = name.strip_prefix(head) {
            return format!("fc.{rest}");
        }
    }
    hugging_face(&name).unwrap_or(name)
}

/// `resnet.encoder.stages.0.layers.1.layer.2.convolution.weight` is `layer1.1.conv3.weight`.
fn hugging_face(name: &str) -> Option<String> {
    let part = |rest: &str, number: usize| {
        let (kind, what) = rest.split_once('.')?;
        match kind {
            "convolution" => Some(format!("conv{number}.{what}")),
            "normalization" => Some(format!("bn{number}.{what}")),
            _ => None,
        }
    };
    let name = name.strip_prefix("resnet.")?;
    if let Some(rest) = name.strip_prefix("embedder.embedder.") {
        return part(rest, 1);
    }
    let rest = name.strip_prefix("encoder.stages.")?;
    let (stage, rest) = rest.split_once(".layers.")?;
    let (block, rest) = rest.split_once('.')?;
    let stage = stage.parse::<usize>().ok()?.checked_add(1)?;
    let inner = if let Some(rest) = rest.strip_prefix("layer.") {
        let (number, rest) = rest.split_once('.')?;
        part(rest, number.parse::<usize>().ok()?.checked_add(1)?)?
    } else {
        // The module is called `shortcut`, which has been renamed already.
        let (kind, what) = rest.strip_prefix("downsample.")?.split_once('.')?;
        let place = if kind == "convolution" { 0 } else { 1 };
        format!("downsample.{place}.{what}")
    };
    Some(format!("layer{stage}.{block}.{inner}"))
}

/// Counters, normalisers and layers that are made but never used.
fn is_bookkeeping(name: &str) -> bool {
    let normalizer = ["normalizer.", "normalize.", "normalization."];
    name.ends_with("num_batches_tracked")
        || name.starts_with("sub_block1.")
        || ["mean", "std", "mu", "sigma"].contains(&name)
        || normalizer.iter().any(|prefix| name.starts_with(prefix))
}

/// Mean and deviation where the file keeps them: `normalizer.new_mean`, `normalize.mean`, `mu`, ….
fn read_normalizer(file: &TensorFile, all: &Shapes) -> Result<Option<Normalizer>, LoadError> {
    const PAIRS: [[&str; 2]; 3] = [["new_mean", "new_std"], ["mean", "std"], ["mu", "sigma"]];
    let three = |name: &String| {
        let shape = all.get(name)?;
        (shape.iter().product::<usize>() == 3).then(|| name.clone())
    };
    for name in all.keys() {
        let (parent, last) = name
            .rsplit_once('.')
            .map_or(("", name.as_str()), |parts| parts);
        let Some([_, std]) = PAIRS.iter().find(|[mean, _]| *mean == last) else {
            continue;
        };
        let dot = if parent.is_empty() { "" } else { "." };
        let pair = three(name).zip(three(&format!("{parent}{dot}{std}")));
        let Some((mean, std)) = pair else { continue };
        let values = file.read([&mean, &std].into_iter())?;
        let rgb = |name: &String| <[f32; 3]>::try_from(values.get(name)?.values.as_slice()).ok();
        let found = rgb(&mean).zip(rgb(&std));
        let found = found.map(|(mean, std)| Normalizer { mean, std });
        if let Some(normalizer) = found.filter(Normalizer::is_valid) {
            return Ok(Some(normalizer));
        }
    }
    Ok(None)
}

impl Found {
    /// A residual network's tensors.
    pub(super) fn tensors(
        config: crate::model::ResNetConfig,
        weights: Weights,
        input: [usize; 2],
        note: String,
    ) -> Self {
        Self {
            architecture: config.into(),
            network: FoundNetwork::Tensors(weights),
            input,
            normalizer: None,
            grey: false,
            notes: vec![note],
            assumptions: Vec::new(),
            metadata: Metadata::default(),
        }
    }
}
