//! Networks that normalise before they convolve (He et al. 2016b): PreAct ResNets and WideResNets, in
//! the forms in which RobustBench has them.

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor, TensorData};

use super::metadata::Metadata;
use super::{Description, Found, FoundNetwork, LoadError};
use crate::error::Mismatch;
use crate::model::Weights;
use crate::model::graph::{Activation, Convolution, Draft, Op, Padding, Source};
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

/// A network under construction from named tensors.
struct Builder<'a> {
    weights: &'a Weights,
    draft: Draft,
    device: &'a Device,
    activation: Activation,
}

/// Builds the network of that family.
pub(super) fn build(
    kind: Kind,
    weights: &Weights,
    description: &Description,
    device: &Device,
) -> Result<Found, LoadError> {
    let input = description.input.unwrap_or([32; 2]);
    let has_block = |stage: usize, block: usize| {
        let name = format!("{}.{}.weight", kind.block(stage, block), kind.names()[0]);
        weights.tensors.contains_key(&name)
    };
    let counts = (0..).map(|stage| (0..).take_while(|&block| has_block(stage, block)).count());
    let counts: Vec<usize> = counts.take_while(|&count| count > 0).collect();
    let title = title(kind, weights, &counts);
    require_all(kind, weights, &counts, &title)?;
    let mut builder = Builder {
        weights,
        draft: Draft::new(input),
        device,
        // RobustBench's models of DeepMind's form are all trained with Swish.
        activation: match description.activation {
            Some(said) => said.into(),
            None if kind == Kind::DeepMind => Activation::Silu,
            None => Activation::Relu,
        },
    };
    let built = builder.network(kind, &counts, description.raw_shortcut);
    let output = built.map_err(|reason| LoadError::tried(&format!("as {title}"), reason))?;
    let note = format!("recognised as {title} by the names and shapes of its tensors");
    let finished = builder.draft.finish(output, title);
    let (graph, summary) = finished?;
    Ok(Found {
        architecture: crate::model::Architecture::Graph(summary),
        network: FoundNetwork::Graph(Box::new(graph), Vec::new()),
        input,
        normalizer: None,
        notes: vec![note],
        assumptions: Vec::new(),
        metadata: Metadata::default(),
    })
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

impl Builder<'_> {
    fn network(
        &mut self,
        kind: Kind,
        counts: &[usize],
        raw_shortcut: bool,
    ) -> Result<usize, String> {
        let [first, last] = kind.ends();
        let mut x = self.conv(first, 0, 1, [1; 4])?;
        for (stage, &count) in counts.iter().enumerate() {
            for block in 0..count {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                x = self.block(kind, &kind.block(stage, block), x, stride, raw_shortcut)?;
            }
        }
        // kuangliu's own network has no BatchNorm at the end.
        if kind != Kind::PreAct || self.weights.tensors.contains_key("bn.weight") {
            x = self.norm(last, x)?;
            x = self.activate(x)?;
        }
        let axes = vec![2, 3];
        let mean = Op::Mean { axes, keep: false };
        let x = self.draft.push(mean, vec![Source::Value(x)])?;
        let weight = self.tensor::<2>("fc.weight")?;
        let bias = Some(self.tensor::<1>("fc.bias")?);
        self.draft
            .push(Op::Linear { weight, bias }, vec![Source::Value(x)])
    }

    fn block(
        &mut self,
        kind: Kind,
        at: &str,
        x: usize,
        stride: usize,
        raw_shortcut: bool,
    ) -> Result<usize, String> {
        let [conv1, conv2, norm1, norm2, projection] =
            kind.names().map(|name| format!("{at}.{name}"));
        let projects = self
            .weights
            .tensors
            .contains_key(&format!("{projection}.weight"));
        let active = self.norm(&norm1, x)?;
        let active = self.activate(active)?;
        let shortcut = if projects {
            let from = if raw_shortcut { x } else { active };
            self.conv(&projection, from, stride, [0; 4])?
        } else {
            x
        };
        // TensorFlow's “same” padding of an even size with stride 2 is on one side only.
        let lopsided = kind == Kind::DeepMind && stride == 2;
        let padding = if lopsided { [0, 0, 1, 1] } else { [1; 4] };
        let y = self.conv(&conv1, active, stride, padding)?;
        let y = self.norm(&norm2, y)?;
        let y = self.activate(y)?;
        let y = self.conv(&conv2, y, 1, [1; 4])?;
        self.draft
            .push(Op::Add, vec![Source::Value(y), Source::Value(shortcut)])
    }

    fn conv(
        &mut self,
        name: &str,
        x: usize,
        stride: usize,
        padding: Padding,
    ) -> Result<usize, String> {
        let op = Op::Conv(Convolution {
            weight: self.tensor(&format!("{name}.weight"))?,
            bias: None,
            stride: [stride; 2],
            padding,
            dilation: [1; 2],
            groups: 1,
        });
        let pushed = self.draft.push(op, vec![Source::Value(x)]);
        pushed.map_err(|reason| format!("{name}: {reason}"))
    }

    fn norm(&mut self, name: &str, x: usize) -> Result<usize, String> {
        let part = ["weight", "bias", "running_mean", "running_var"];
        let [scale, shift, mean, var] =
            part.map(|part| self.tensor::<1>(&format!("{name}.{part}")));
        let scale = scale? / (var? + EPSILON).sqrt();
        let shift = shift? - mean? * scale.clone();
        let pushed = self
            .draft
            .push(Op::Affine { scale, shift }, vec![Source::Value(x)]);
        pushed.map_err(|reason| format!("{name}: {reason}"))
    }

    fn activate(&mut self, x: usize) -> Result<usize, String> {
        let op = Op::Activation(self.activation);
        self.draft.push(op, vec![Source::Value(x)])
    }

    fn tensor<const D: usize>(&mut self, name: &str) -> Result<Tensor<D>, String> {
        let Some(array) = self.weights.tensors.get(name) else {
            return Err(format!("the tensor {name} is missing"));
        };
        if array.shape.len() != D || array.values.is_empty() {
            return Err(format!(
                "the tensor {name} is {:?}, of other axes than it should be",
                array.shape
            ));
        }
        let data = TensorData::new(array.values.clone(), array.shape.clone());
        Ok(Tensor::from_data(data, self.device))
    }
}
