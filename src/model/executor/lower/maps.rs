//! Steps on feature maps: convolutions, pooling, and what is computed for each pixel or channel.

use std::sync::Arc;

use super::super::convolution::{Convolution, Definition};
use super::super::layout::MapId;
use super::super::pointwise::Pointwise;
use super::super::program::Step;
use super::Lowering;
use crate::model::graph::{self, Node, Op, Pooling, Shape, Source, Value};
use crate::model::tensor_values;

impl Lowering<'_> {
    /// The map that a node makes, with the step that computes it; `None` if it is none of maps.
    pub(super) fn step(&mut self, index: usize, shape: &Shape) -> Option<MapId> {
        let nodes = self.nodes;
        let Node { op, inputs } = &nodes[index];
        let first = inputs.first()?;
        match op {
            Op::Conv(convolution) if is_ordinary(convolution) => {
                let from = self.input_as_map(first)?;
                let to = self.map(shape)?;
                let instructions = self.instructions;
                let packed = self.packed.convolutions.entry(index).or_insert_with(|| {
                    let bias = convolution.bias.clone().map(tensor_values);
                    let [above, left, ..] = convolution.padding;
                    let definition = Definition {
                        weight: &tensor_values(convolution.weight.clone()),
                        dims: convolution.weight.dims(),
                        bias: bias.as_deref(),
                        stride: convolution.stride,
                        padding: [above, left],
                        dilation: convolution.dilation,
                        groups: convolution.groups,
                    };
                    Arc::new(Convolution::new(&definition, instructions))
                });
                self.steps.push(Step::Convolution {
                    packed: packed.clone(),
                    from,
                    to,
                    residual: None,
                });
                Some(to)
            }
            Op::Activation(activation) if activation.ceiling().is_some() => {
                let ceiling = activation.ceiling();
                let from = match self.is_last_relu(index) {
                    true => self.input_as_map(first)?,
                    false => self.input(first)?,
                };
                let fused = self.only_reader_of(first).filter(|&step| {
                    matches!(
                        self.steps[step],
                        Step::Convolution { .. } | Step::Add { .. }
                    ) && self.maps[from].ceiling.is_none()
                });
                if fused.is_some() {
                    self.maps[from].ceiling = ceiling;
                    return Some(from);
                }
                let to = self.pointwise(Pointwise::Identity, from, shape)?;
                self.maps[to].ceiling = ceiling;
                Some(to)
            }
            Op::Activation(activation) => {
                let function = Pointwise::of(*activation)?;
                self.pointwise(function, self.input(first)?, shape)
            }
            Op::Affine { scale, shift } => {
                let function = Pointwise::Affine {
                    scale: tensor_values(scale.clone()),
                    shift: tensor_values(shift.clone()),
                };
                self.pointwise(function, self.input(first)?, shape)
            }
            Op::Add | Op::Sub | Op::Mul | Op::Div => self.combination(op, inputs, shape),
            // The place of a maximum in its window is a byte.
            Op::MaxPool(pooling) if pooling.kernel[0].saturating_mul(pooling.kernel[1]) <= 256 => {
                let from = self.input_as_map(first)?;
                let to = self.map(shape)?;
                let pooling = *pooling;
                self.steps.push(Step::MaxPool { pooling, from, to });
                Some(to)
            }
            Op::AvgPool(pooling) if !pooling.ceil => {
                let from = self.input_as_map(first)?;
                let to = self.map(shape)?;
                let pooling = *pooling;
                self.steps.push(Step::AveragePool { pooling, from, to });
                Some(to)
            }
            Op::Mean { axes, keep: true }
                if axes.len() == 2 && axes.iter().all(|axis| [2, 3].contains(axis)) =>
            {
                let from = self.input(first)?;
                let to = self.map(shape)?;
                let [_, h, w] = self.maps[from].sides;
                let pooling = Pooling {
                    kernel: [h, w],
                    stride: [1, 1],
                    padding: [0; 4],
                    ceil: false,
                    count_padding: true,
                };
                self.steps.push(Step::AveragePool { pooling, from, to });
                Some(to)
            }
            Op::Pad {
                padding,
                value: 0.0,
            } => {
                let from = self.input_as_map(first)?;
                let to = self.map(shape)?;
                let before = [padding[0], padding[1]];
                self.steps.push(Step::Pad { before, from, to });
                Some(to)
            }
            Op::Concat(1) => {
                let from: Option<Vec<MapId>> =
                    inputs.iter().map(|input| self.input(input)).collect();
                let from = from?;
                let to = self.map(shape)?;
                self.steps.push(Step::Concatenate { from, to });
                Some(to)
            }
            Op::Slice {
                axis: 1,
                start,
                end,
                step,
            } => self.select((*start..*end).step_by(*step).collect(), first, shape),
            Op::Select { axis: 1, indices } => self.select(indices.clone(), first, shape),
            _ => None,
        }
    }

    fn select(&mut self, channels: Vec<usize>, from: &Source, shape: &Shape) -> Option<MapId> {
        let from = self.input(from)?;
        let to = self.map(shape)?;
        self.steps.push(Step::Select { channels, from, to });
        Some(to)
    }

    fn pointwise(&mut self, function: Pointwise, from: MapId, shape: &Shape) -> Option<MapId> {
        let to = self.map(shape)?;
        self.steps.push(Step::Pointwise { function, from, to });
        Some(to)
    }

    /// A sum, difference, product or quotient of two inputs.
    fn combination(&mut self, op: &Op, inputs: &[Source], shape: &Shape) -> Option<MapId> {
        let [first, second] = inputs else { return None };
        let constant_second = matches!(second, Source::Constant(_));
        match (first, second) {
            (value @ Source::Value(_), Source::Constant(constant))
            | (Source::Constant(constant), value @ Source::Value(_)) => {
                let from = self.input(value)?;
                let values = per_channel(constant, self.maps[from].sides[0])?;
                let count = values.len();
                let (scale, shift) = match op {
                    Op::Add => (vec![1.0; count], values),
                    Op::Sub if constant_second => (
                        vec![1.0; count],
                        values.iter().map(|value| -value).collect(),
                    ),
                    Op::Sub => (vec![-1.0; count], values),
                    Op::Mul => (values, vec![0.0; count]),
                    _ if constant_second => {
                        let inverse = values.iter().map(|value| 1.0 / value).collect();
                        (inverse, vec![0.0; count])
                    }
                    _ => return None,
                };
                self.pointwise(Pointwise::Affine { scale, shift }, from, shape)
            }
            (Source::Value(_), Source::Value(_)) => {
                // One of them is a map already.
                self.input(first).or(self.input(second))?;
                let (one, two) = (self.input_as_map(first)?, self.input_as_map(second)?);
                let [a, b] = [one, two].map(|map| self.maps[map].sides);
                match op {
                    Op::Add if a == b => self.sum([first, second], [one, two], shape),
                    Op::Mul if a == b || b == [a[0], 1, 1] => self.product([one, two], shape),
                    Op::Mul if a == [b[0], 1, 1] => self.product([two, one], shape),
                    _ => None,
                }
            }
            (Source::Constant(_), Source::Constant(_)) => None,
        }
    }

    fn product(&mut self, from: [MapId; 2], shape: &Shape) -> Option<MapId> {
        let to = self.map(shape)?;
        self.steps.push(Step::Multiply { from, to });
        Some(to)
    }

    /// A sum of two maps: part of the convolution that makes the later one, where nothing else reads that.
    fn sum(&mut self, inputs: [&Source; 2], maps: [MapId; 2], shape: &Shape) -> Option<MapId> {
        let written = |map: MapId| self.steps.iter().position(|step| step.to() == map);
        let later = usize::from(written(maps[1]) > written(maps[0]));
        if maps[0] != maps[1]
            && let Some(step) = self.only_reader_of(inputs[later])
            && self.maps[maps[later]].ceiling.is_none()
            && let Step::Convolution {
                residual: residual @ None,
                to,
                ..
            } = &mut self.steps[step]
        {
            *residual = Some(maps[1 - later]);
            return Some(*to);
        }
        let to = self.map(shape)?;
        self.steps.push(Step::Add { from: maps, to });
        Some(to)
    }
}

/// Whether memory and time are in proportion to a convolution's weights and maps: strides, borders and what groups are
/// filled up with are small. A file may ask for anything.
fn is_ordinary(convolution: &graph::Convolution) -> bool {
    let [output, input, h, w] = convolution.weight.dims();
    let reach = h
        .max(w)
        .saturating_mul(convolution.dilation.into_iter().max().unwrap_or(1));
    let is_depthwise = input == 1 && output == convolution.groups;
    let is_grouped = convolution.groups > 1 && !is_depthwise;
    reach <= MOST_PIXELS
        && convolution.padding.iter().all(|&side| side <= MOST_PIXELS)
        && convolution
            .stride
            .iter()
            .all(|&stride| stride <= MOST_STRIDE)
        && (!is_grouped || output.max(input * convolution.groups) <= MOST_GROUPED)
}

/// Widest border, in pixels.
const MOST_PIXELS: usize = 64;
/// Largest stride: the gradient takes a pass for each position within it.
const MOST_STRIDE: usize = 16;
/// Most channels of a convolution of groups, which may have to be made together.
const MOST_GROUPED: usize = 4096;

/// A constant as a number for each channel; `None` if it differs among positions.
fn per_channel(constant: &Value, channels: usize) -> Option<Vec<f32>> {
    let sides = constant.sides();
    let values = constant.clone().values();
    if values.len() == 1 {
        return Some(vec![values[0]; channels]);
    }
    let from_end = sides.len().checked_sub(3)?;
    let is_channels = sides[from_end] == channels && values.len() == channels;
    is_channels.then_some(values)
}
