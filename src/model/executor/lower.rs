//! From a network graph to steps on feature maps: activations and residual sums become part of the convolution before
//! them.

use std::collections::HashMap;
use std::sync::Arc;

use super::convolution::{Convolution, Definition};
use super::kernel::Instructions;
use super::pointwise::Pointwise;
use super::program::{Map, MapId, Program, Step};
use crate::model::graph::{self, Activation, Node, Op, Pooling, Shape, Source, Value};
use crate::model::tensor_values;

/// Packed convolutions by the index of their node: all sizes of pictures and all feature layers share them.
pub(super) type Packed = HashMap<usize, Arc<Convolution>>;

impl Program {
    /// The steps of these nodes for pictures of height and width `input`. `None` where one of them is not of feature
    /// maps, or is not known here.
    pub(super) fn lower(
        nodes: &[Node],
        input: [usize; 2],
        instructions: Instructions,
        packed: &mut Packed,
    ) -> Option<Self> {
        let mut lowering = Lowering {
            nodes,
            readers: readers(nodes),
            shapes: vec![Shape::maps(vec![1, 3, input[0], input[1]])],
            places: vec![Some(0)],
            maps: vec![Map {
                sides: [3, input[0], input[1]],
                rectified: false,
            }],
            steps: Vec::new(),
            instructions,
            packed,
        };
        for index in 0..nodes.len() {
            lowering.node(index)?;
        }
        let output = lowering.places[nodes.len()]?;
        Some(Self {
            maps: lowering.maps,
            steps: lowering.steps,
            output,
        })
    }
}

/// How many nodes read each value; the last value is read once more.
fn readers(nodes: &[Node]) -> Vec<usize> {
    let mut readers = vec![0; nodes.len() + 1];
    readers[nodes.len()] = 1;
    for node in nodes {
        node.reads().for_each(|place| readers[place] += 1);
    }
    readers
}

struct Lowering<'a> {
    nodes: &'a [Node],
    readers: Vec<usize>,
    shapes: Vec<Shape>,
    /// For each value of the graph, its map, if it is one.
    places: Vec<Option<MapId>>,
    maps: Vec<Map>,
    steps: Vec<Step>,
    instructions: Instructions,
    packed: &'a mut Packed,
}

impl Lowering<'_> {
    /// Adds the steps of a node. `None` if it is not known.
    fn node(&mut self, index: usize) -> Option<()> {
        let node = &self.nodes[index];
        let shapes: Vec<Shape> = node
            .inputs
            .iter()
            .map(|input| match input {
                Source::Value(place) => self.shapes[*place].clone(),
                Source::Constant(value) => Shape::constant(value.sides()),
            })
            .collect();
        let shape = node.op.shape(&shapes).ok()?;
        let map = if let Some(channels) = self.shuffled(index) {
            // The two nodes before were kept for the third of a shuffle.
            let from = self.places[channels.1]?;
            let to = self.map(&shape)?;
            self.steps.push(Step::Select {
                channels: channels.0,
                from,
                to,
            });
            Some(to)
        } else if self.begins_shuffle(index) {
            None
        } else {
            Some(self.step(index, &shape)?)
        };
        self.shapes.push(shape);
        self.places.push(map);
        Some(())
    }

    /// A new map of this shape; `None` if it is no map.
    fn map(&mut self, shape: &Shape) -> Option<MapId> {
        let &[1, c, h, w] = &shape.sides[..] else {
            return None;
        };
        if !shape.is_batch_first() {
            return None;
        }
        self.maps.push(Map {
            sides: [c, h, w],
            rectified: false,
        });
        Some(self.maps.len() - 1)
    }

    /// The map of an input; `None` for constants and what is no map.
    fn input(&self, source: &Source) -> Option<MapId> {
        match source {
            Source::Value(place) => self.places[*place],
            Source::Constant(_) => None,
        }
    }

    /// The step that writes a map that is read once, by the node that asks; `None` for any other.
    fn only_reader_of(&self, source: &Source) -> Option<usize> {
        let Source::Value(place) = source else {
            return None;
        };
        let map = self.places[*place].filter(|_| self.readers[*place] == 1)?;
        self.steps.iter().position(|step| step.to() == map)
    }

    fn step(&mut self, index: usize, shape: &Shape) -> Option<MapId> {
        let nodes = self.nodes;
        let Node { op, inputs } = &nodes[index];
        let first = inputs.first()?;
        match op {
            Op::Conv(convolution) if is_ordinary(convolution) => {
                let from = self.input(first)?;
                let to = self.map(shape)?;
                let instructions = self.instructions;
                let packed = self.packed.entry(index).or_insert_with(|| {
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
            Op::Activation(Activation::Relu) => {
                let from = self.input(first)?;
                let fused = self.only_reader_of(first).filter(|&step| {
                    matches!(
                        self.steps[step],
                        Step::Convolution { .. } | Step::Add { .. }
                    ) && !self.maps[from].rectified
                });
                if fused.is_some() {
                    self.maps[from].rectified = true;
                    return Some(from);
                }
                let to = self.pointwise(Pointwise::Identity, from, shape)?;
                self.maps[to].rectified = true;
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
                let from = self.input(first)?;
                let to = self.map(shape)?;
                let pooling = *pooling;
                self.steps.push(Step::MaxPool { pooling, from, to });
                Some(to)
            }
            Op::AvgPool(pooling) if !pooling.ceil => {
                let from = self.input(first)?;
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
                let from = self.input(first)?;
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
                let (one, two) = (self.input(first)?, self.input(second)?);
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
            && !self.maps[maps[later]].rectified
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

    /// Whether this is the first or second node of a channel shuffle (Zhang et al. 2018): reshape, transposition, reshape.
    fn begins_shuffle(&self, index: usize) -> bool {
        (1..=2).any(|ahead| self.shuffled(index + ahead).is_some())
    }

    /// If this node ends a channel shuffle, the channels in their new order, and the value that is shuffled.
    fn shuffled(&self, index: usize) -> Option<(Vec<usize>, usize)> {
        let nodes = self.nodes.get(index.checked_sub(2)?..=index)?;
        let read = |node: &Node| match node.inputs[..] {
            [Source::Value(place)] => Some(place),
            _ => None,
        };
        let (Op::Reshape(apart), Op::Transpose(order), Op::Reshape(together)) =
            (&nodes[0].op, &nodes[1].op, &nodes[2].op)
        else {
            return None;
        };
        let &[1, groups, each, h, w] = &apart.sides[..] else {
            return None;
        };
        let is_chain = read(&nodes[1])? == index - 1 && read(&nodes[2])? == index;
        let alone = self.readers[index - 1] == 1 && self.readers[index] == 1;
        let fits = order[..] == [0, 2, 1, 3, 4] && together.sides[..] == [1, groups * each, h, w];
        let channels = (0..groups * each).map(|channel| channel % groups * each + channel / groups);
        (is_chain && alone && fits).then_some((channels.collect(), read(&nodes[0])?))
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
