//! Graphs of published networks from the named tensors of a file.

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor, TensorData};

use super::metadata::Metadata;
use super::{ActivationName, Found, FoundNetwork, LoadError};
use crate::error::Mismatch;
use crate::model::graph::{Activation, Convolution, Draft, Op, Padding, Reshape, Source, Value};
use crate::model::{Architecture, Array, Weights};

/// Lists the ε of a network's LayerNorms, and its GELU where nobody named its activation, as assumed.
pub(super) fn assume_epsilon_and_gelu(
    found: &mut Found,
    epsilon: f64,
    named: Option<ActivationName>,
) {
    found.assumptions.push(format!(
        "ε of LayerNorm: {epsilon:e}; the tensors do not tell"
    ));
    if named.is_none() {
        let assumed = "its activation is GELU; the tensors do not tell (activation = …)";
        found.assumptions.push(assumed.into());
    }
}

/// A network under construction from named tensors.
pub(super) struct Builder<'a> {
    weights: &'a Weights,
    pub(super) draft: Draft,
    device: &'a Device,
    /// Names of the tensors that the network has taken.
    used: BTreeSet<String>,
}

/// Stride, padding and groups of a convolution.
#[derive(Clone, Copy)]
pub(super) struct ConvSettings {
    pub(super) stride: usize,
    pub(super) padding: Padding,
    pub(super) groups: usize,
}

impl ConvSettings {
    /// A 1×1 convolution.
    pub(super) const ONE: Self = Self {
        stride: 1,
        padding: [0; 4],
        groups: 1,
    };
}

impl<'a> Builder<'a> {
    /// An empty network for pictures of height and width `input`.
    pub(super) fn new(weights: &'a Weights, input: [usize; 2], device: &'a Device) -> Self {
        Self {
            weights,
            draft: Draft::new(input),
            device,
            used: BTreeSet::new(),
        }
    }

    /// The network that ends in the value `output`.
    ///
    /// # Errors
    /// Lists the tensors that belong to nothing; a message, if it is no classifier.
    pub(super) fn finish(
        self,
        output: usize,
        title: String,
        input: [usize; 2],
    ) -> Result<Found, LoadError> {
        let names = self.weights.tensors.keys();
        let extra: Vec<String> = names
            .filter(|name| !self.used.contains(*name))
            .cloned()
            .collect();
        if !extra.is_empty() {
            return Err(LoadError::Tensors {
                architecture: title,
                mismatch: Mismatch {
                    extra,
                    ..Mismatch::default()
                },
            });
        }
        let note = format!("recognised as {title} by the names and shapes of its tensors");
        let (graph, summary) = self.draft.finish(output, title)?;
        Ok(Found {
            architecture: Architecture::Graph(summary),
            network: FoundNetwork::Graph(Box::new(graph), Vec::new()),
            input,
            normalizer: None,
            grey: false,
            notes: vec![note],
            assumptions: Vec::new(),
            metadata: Metadata::default(),
        })
    }

    /// Whether the file has this tensor.
    pub(super) fn has(&self, name: &str) -> bool {
        self.weights.tensors.contains_key(name)
    }

    /// Shape of a tensor, if the file has it.
    pub(super) fn shape(&self, name: &str) -> Option<&'a [usize]> {
        self.weights
            .tensors
            .get(name)
            .map(|array| array.shape.as_slice())
    }

    /// How many of `name(0)`, `name(1)`, … the file has.
    pub(super) fn count(&self, name: impl Fn(usize) -> String) -> usize {
        (0..).take_while(|&at| self.has(&name(at))).count()
    }

    /// Number of blocks of each stage, of which the file has a tensor called `name(stage, block)`.
    pub(super) fn stages(&self, name: impl Fn(usize, usize) -> String) -> Vec<usize> {
        let blocks = (0..).map(|stage| self.count(|block| name(stage, block)));
        blocks.take_while(|&count| count > 0).collect()
    }

    fn array(&mut self, name: &str) -> Result<&'a Array, String> {
        let found = self.weights.tensors.get(name);
        let array = found.ok_or_else(|| format!("the tensor {name} is missing"))?;
        if array.values.is_empty() {
            return Err(format!("the tensor {name} is empty"));
        }
        self.used.insert(name.to_owned());
        Ok(array)
    }

    /// A tensor; axes of length 1 at its end are dropped if it has more than `D`.
    pub(super) fn tensor<const D: usize>(&mut self, name: &str) -> Result<Tensor<D>, String> {
        let array = self.array(name)?;
        let is_fitting = array.shape.len() >= D && array.shape[D..].iter().all(|&side| side == 1);
        if !is_fitting {
            let shape = &array.shape;
            return Err(format!(
                "the tensor {name} is {shape:?}, of other axes than it should be"
            ));
        }
        let data = TensorData::new(array.values.clone(), array.shape[..D].to_vec());
        Ok(Tensor::from_data(data, self.device))
    }

    /// A tensor as a constant that operations broadcast.
    pub(super) fn constant(&mut self, name: &str) -> Result<Source, String> {
        let array = self.array(name)?;
        let value = Value::constant(array.values.clone(), &array.shape, self.device);
        Ok(Source::Constant(Box::new(value)))
    }

    /// A number as a constant.
    pub(super) fn number(&self, number: f32) -> Source {
        Source::Constant(Box::new(Value::constant(vec![number], &[], self.device)))
    }

    /// Adds an operation on one value.
    pub(super) fn push(&mut self, op: Op, x: usize) -> Result<usize, String> {
        self.draft.push(op, vec![Source::Value(x)])
    }

    /// Adds an operation on a value and a constant or value.
    pub(super) fn push_with(&mut self, op: Op, x: usize, y: Source) -> Result<usize, String> {
        self.draft.push(op, vec![Source::Value(x), y])
    }

    /// Adds the sum of two values.
    pub(super) fn add(&mut self, x: usize, y: usize) -> Result<usize, String> {
        self.push_with(Op::Add, x, Source::Value(y))
    }

    /// Adds the mean of each channel of a feature map.
    pub(super) fn global_average(&mut self, x: usize, keep: bool) -> Result<usize, String> {
        let axes = vec![2, 3];
        self.push(Op::Mean { axes, keep }, x)
    }

    /// Adds an activation.
    pub(super) fn activate(&mut self, activation: Activation, x: usize) -> Result<usize, String> {
        self.push(Op::Activation(activation), x)
    }

    /// Adds a convolution, with its bias if the file has one.
    pub(super) fn conv(
        &mut self,
        name: &str,
        x: usize,
        settings: ConvSettings,
    ) -> Result<usize, String> {
        let bias = format!("{name}.bias");
        let op = Op::Conv(Convolution {
            weight: self.tensor(&format!("{name}.weight"))?,
            bias: self.optional(&bias)?,
            stride: [settings.stride; 2],
            padding: settings.padding,
            dilation: [1; 2],
            groups: settings.groups,
        });
        let pushed = self.push(op, x);
        pushed.map_err(|reason| format!("{name}: {reason}"))
    }

    /// Adds a convolution that keeps the size but for its stride, in as many groups as its tensor says, and its
    /// BatchNorm.
    pub(super) fn conv_norm(
        &mut self,
        [conv, norm]: [&str; 2],
        x: usize,
        stride: usize,
        epsilon: f64,
    ) -> Result<usize, String> {
        let shape = self.shape(&format!("{conv}.weight"));
        let (inside, kernel) = match shape {
            Some(&[_, inside, kernel, _]) => (inside, kernel),
            _ => {
                return Err(format!(
                    "the tensor {conv}.weight is missing or no convolution's"
                ));
            }
        };
        let channels = self.channels(x);
        let settings = ConvSettings {
            stride,
            padding: [kernel / 2; 4],
            groups: channels.checked_div(inside).unwrap_or(1).max(1),
        };
        let x = self.conv(conv, x, settings)?;
        self.batch_norm(norm, x, epsilon)
    }

    /// Adds squeeze-and-excitation (Hu et al. 2018): each channel scaled by what two 1×1 convolutions make of the means of
    /// all, with an activation between them and a gate at the end.
    pub(super) fn squeeze_excitation(
        &mut self,
        [reduce, expand]: [&str; 2],
        [inside, gate]: [Activation; 2],
        x: usize,
    ) -> Result<usize, String> {
        let y = self.global_average(x, true)?;
        let y = self.conv(reduce, y, ConvSettings::ONE)?;
        let y = self.activate(inside, y)?;
        let y = self.conv(expand, y, ConvSettings::ONE)?;
        let y = self.activate(gate, y)?;
        self.push_with(Op::Mul, x, Source::Value(y))
    }

    /// Whether a convolution reads every channel of a value by itself.
    pub(super) fn is_depthwise(&self, conv: &str, x: usize) -> bool {
        let channels = self.channels(x);
        let shape = self.shape(&format!("{conv}.weight"));
        matches!(shape, Some(&[out, 1, kernel, _]) if out == channels && kernel > 1)
    }

    /// Channels of a feature map.
    fn channels(&self, x: usize) -> usize {
        self.draft.sides(x).get(1).copied().unwrap_or(0)
    }

    /// Adds a linear layer along the last axis, with its bias if the file has one.
    pub(super) fn linear(&mut self, name: &str, x: usize) -> Result<usize, String> {
        let op = Op::Linear {
            weight: self.tensor(&format!("{name}.weight"))?,
            bias: self.optional(&format!("{name}.bias"))?,
        };
        let pushed = self.push(op, x);
        pushed.map_err(|reason| format!("{name}: {reason}"))
    }

    /// Adds a BatchNorm.
    pub(super) fn batch_norm(
        &mut self,
        name: &str,
        x: usize,
        epsilon: f64,
    ) -> Result<usize, String> {
        let part = ["weight", "bias", "running_mean", "running_var"];
        let [scale, shift, mean, var] =
            part.map(|part| self.tensor::<1>(&format!("{name}.{part}")));
        let scale = scale? / (var? + epsilon).sqrt();
        let shift = shift? - mean? * scale.clone();
        let pushed = self.push(Op::Affine { scale, shift }, x);
        pushed.map_err(|reason| format!("{name}: {reason}"))
    }

    /// Adds a LayerNorm along the last axis.
    pub(super) fn layer_norm(
        &mut self,
        name: &str,
        x: usize,
        epsilon: f64,
    ) -> Result<usize, String> {
        let last = self.draft.sides(x).len() - 1;
        let normalized = Op::Normalize {
            axes: vec![last],
            epsilon,
        };
        let mut x = self.push(normalized, x)?;
        for (op, part) in [(Op::Mul, "weight"), (Op::Add, "bias")] {
            let constant = self.constant(&format!("{name}.{part}"))?;
            let pushed = self.push_with(op, x, constant);
            x = pushed.map_err(|reason| format!("{name}: {reason}"))?;
        }
        Ok(x)
    }

    /// Takes index `at` of an axis, which is dropped.
    pub(super) fn index(&mut self, x: usize, axis: usize, at: usize) -> Result<usize, String> {
        let slice = Op::Slice {
            axis,
            start: at,
            end: at + 1,
            step: 1,
        };
        let one = self.push(slice, x)?;
        let shape = self.draft.source_shape(&Source::Value(one));
        let mut sides = shape.sides.clone();
        sides.remove(axis);
        let dropped = shape.moved(sides, |other| {
            (other != axis).then_some(other - usize::from(other > axis))
        });
        let reshape = Op::Reshape(Reshape {
            sides: dropped.sides,
            batch: dropped.batch,
        });
        self.push(reshape, one)
    }

    fn optional<const D: usize>(&mut self, name: &str) -> Result<Option<Tensor<D>>, String> {
        self.has(name).then(|| self.tensor(name)).transpose()
    }
}
