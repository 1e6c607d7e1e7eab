//! Networks that normalise before they convolve (He et al. 2016b): PreAct ResNets and WideResNets, in
//! the forms in which RobustBench has them.

use std::collections::BTreeSet;

use burn::tensor::Device;

use super::builder::{Builder, ConvSettings};
use super::{Description, Found, LoadError};
use crate::error::Mismatch;
use crate::model::Weights;
use crate::model::graph::{Activation, Padding};
use crate::model::layers::EPSILON;

/// The families, told apart by their names for things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// kuangliu's PreActResNet: `layer1.0.bn1`.
    PreAct,
    /// Zagoruyko's WideResNet as xternalz wrote it: `block1.layer.0.bn1`.
    Wide,
    /// DeepMind's WideResNet: `layer.0.block.0.batchnorm_0`, padded as TensorFlow does.
    DeepMind,
}

impl Kind {
    /// The family of these tensors.
    pub(super) fn of(weights: &Weights) -> Option<Self> {
        let has = |name: &str| weights.tensors.contains_key(name);
        if has("layer1.0.bn1.weight") {
            Some(Self::PreAct)
        } else if has("block1.layer.0.bn1.weight") {
            Some(Self::Wide)
        } else if has("layer.0.block.0.batchnorm_0.weight") {
            Some(Self::DeepMind)
        } else {
            None
        }
    }

    /// Where the tensors of a block are.
    fn block(self, stage: usize, block: usize) -> String {
        match self {
            Self::PreAct => format!("layer{}.{block}", stage + 1),
            Self::Wide => format!("block{}.layer.{block}", stage + 1),
            Self::DeepMind => format!("layer.{stage}.block.{block}"),
        }
    }

    /// Names of a block's two convolutions, two BatchNorms and projection.
    fn names(self) -> [&'static str; 5] {
        match self {
            Self::PreAct => ["conv1", "conv2", "bn1", "bn2", "downsample.0"],
            Self::Wide => ["conv1", "conv2", "bn1", "bn2", "downsample"],
            Self::DeepMind => [
                "conv_0",
                "conv_1",
                "batchnorm_0",
                "batchnorm_1",
                "downsample",
            ],
        }
    }

    /// Names of the first convolution and the last BatchNorm.
    fn ends(self) -> [&'static str; 2] {
        match self {
            Self::PreAct => ["conv1", "bn"],
            Self::Wide => ["conv1", "bn1"],
            Self::DeepMind => ["init_conv", "batchnorm"],
        }
    }
}

/// Builds the network of that family.
pub(super) fn build(
    kind: Kind,
    weights: &Weights,
    description: &Description,
    device: &Device,
) -> Result<Found, LoadError> {
    let input = description.input.unwrap_or([32; 2]);
    let mut builder = Builder::new(weights, input, device);
    let [conv, ..] = kind.names();
    let counts =
        builder.stages(|stage, block| format!("{}.{conv}.weight", kind.block(stage, block)));
    let title = title(kind, weights, &counts);
    require_all(kind, weights, &counts, &title)?;
    let network = Preactivation {
        kind,
        raw_shortcut: description.raw_shortcut,
        // RobustBench's models of DeepMind's form are all trained with Swish.
        activation: match description.activation {
            Some(said) => said.into(),
            None if kind == Kind::DeepMind => Activation::Silu,
            None => Activation::Relu,
        },
    };
    let built = network.build(&mut builder, &counts);
    let output = built.map_err(|reason| LoadError::tried(&format!("as {title}"), reason))?;
    builder.finish(output, title, input)
}

/// “WideResNet-28-10” and the like.
fn title(kind: Kind, weights: &Weights, counts: &[usize]) -> String {
    let blocks: usize = counts.iter().sum();
    if kind == Kind::PreAct {
        return format!("PreActResNet-{}", 2 * blocks + 2);
    }
    let [conv, ..] = kind.names();
    let name = format!("{}.{conv}.weight", kind.block(0, 0));
    let width = weights
        .tensors
        .get(&name)
        .and_then(|array| array.shape.first());
    let factor = width.map_or(0, |width| width / 16);
    format!("WideResNet-{}-{factor}", 2 * blocks + 4)
}

/// Lists the tensors that are missing and those that belong to nothing.
fn require_all(
    kind: Kind,
    weights: &Weights,
    counts: &[usize],
    title: &str,
) -> Result<(), LoadError> {
    let norm = |name: String| {
        ["weight", "bias", "running_mean", "running_var"].map(|part| format!("{name}.{part}"))
    };
    let [first, last] = kind.ends();
    let mut wanted = BTreeSet::from([
        format!("{first}.weight"),
        "fc.weight".into(),
        "fc.bias".into(),
    ]);
    let mut may_be = BTreeSet::new();
    let ending = if kind == Kind::PreAct {
        &mut may_be
    } else {
        &mut wanted
    };
    ending.extend(norm(last.into()));
    for (stage, &count) in counts.iter().enumerate() {
        for block in 0..count {
            let at = kind.block(stage, block);
            let [conv1, conv2, norm1, norm2, projection] = kind.names();
            wanted.extend([conv1, conv2].map(|conv| format!("{at}.{conv}.weight")));
            wanted.extend(
                [norm1, norm2]
                    .into_iter()
                    .flat_map(|name| norm(format!("{at}.{name}"))),
            );
            may_be.insert(format!("{at}.{projection}.weight"));
        }
    }
    let there: BTreeSet<String> = weights.tensors.keys().cloned().collect();
    let mismatch = Mismatch {
        missing: wanted.difference(&there).cloned().collect(),
        extra: there
            .difference(&wanted)
            .filter(|name| !may_be.contains(*name))
            .cloned()
            .collect(),
        misshapen: Vec::new(),
    };
    if mismatch.is_empty() {
        return Ok(());
    }
    Err(LoadError::Tensors {
        architecture: title.into(),
        mismatch,
    })
}

/// The settings of a network that normalises first.
struct Preactivation {
    kind: Kind,
    activation: Activation,
    /// Whether projections read what was not yet normalised.
    raw_shortcut: bool,
}

/// A convolution without groups.
fn conv(
    builder: &mut Builder,
    name: &str,
    x: usize,
    stride: usize,
    padding: Padding,
) -> Result<usize, String> {
    let settings = ConvSettings {
        stride,
        padding,
        groups: 1,
    };
    builder.conv(name, x, settings)
}

impl Preactivation {
    fn build(&self, builder: &mut Builder, counts: &[usize]) -> Result<usize, String> {
        let [first, last] = self.kind.ends();
        let mut x = conv(builder, first, 0, 1, [1; 4])?;
        for (stage, &count) in counts.iter().enumerate() {
            for block in 0..count {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                x = self.block(builder, &self.kind.block(stage, block), x, stride)?;
            }
        }
        // kuangliu's own network has no BatchNorm at the end.
        if self.kind != Kind::PreAct || builder.has("bn.weight") {
            x = builder.batch_norm(last, x, EPSILON)?;
            x = builder.activate(self.activation, x)?;
        }
        let x = builder.global_average(x, false)?;
        builder.linear("fc", x)
    }

    fn block(
        &self,
        builder: &mut Builder,
        at: &str,
        x: usize,
        stride: usize,
    ) -> Result<usize, String> {
        let [conv1, conv2, norm1, norm2, projection] =
            self.kind.names().map(|name| format!("{at}.{name}"));
        let active = builder.batch_norm(&norm1, x, EPSILON)?;
        let active = builder.activate(self.activation, active)?;
        let shortcut = if builder.has(&format!("{projection}.weight")) {
            let from = if self.raw_shortcut { x } else { active };
            conv(builder, &projection, from, stride, [0; 4])?
        } else {
            x
        };
        // TensorFlow's “same” padding of an even size with stride 2 is on one side only.
        let lopsided = self.kind == Kind::DeepMind && stride == 2;
        let padding = if lopsided { [0, 0, 1, 1] } else { [1; 4] };
        let y = conv(builder, &conv1, active, stride, padding)?;
        let y = builder.batch_norm(&norm2, y, EPSILON)?;
        let y = builder.activate(self.activation, y)?;
        let y = conv(builder, &conv2, y, 1, [1; 4])?;
        builder.add(y, shortcut)
    }
}
