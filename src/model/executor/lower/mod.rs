//! From a network graph to steps: on feature maps, where activations and residual sums become part of the convolution before
//! them, and on tensors of any axes for all else.

mod maps;
mod tensors;

use std::collections::HashMap;
use std::sync::Arc;

use super::convolution::Convolution;
use super::instructions::Instructions;
use super::layout::MapId;
use super::linear::Linear;
use super::program::{Map, Program, Step};
use super::view::View;
use crate::model::graph::{BatchAxis, FeatureLayout, Node, Op, Shape, Source};

/// Weights by the index of their node: all sizes of pictures and all feature layers share them.
#[derive(Default)]
pub(super) struct Packed {
    convolutions: HashMap<usize, Arc<Convolution>>,
    linear: HashMap<usize, Arc<Linear>>,
    /// By the index of the node and of the input.
    constants: HashMap<(usize, usize), Arc<Vec<f32>>>,
}

/// A part of a network.
pub(super) struct Part<'a> {
    /// The nodes up to its end.
    pub(super) nodes: &'a [Node],
    /// Index of the value that it begins with, and that value's layout.
    pub(super) from: usize,
    pub(super) layout: FeatureLayout,
    pub(super) result: PartResult,
}

/// What a part of a network computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartResult {
    /// A feature layer.
    Map(FeatureLayout),
    /// A row `[1, d]`, as a map of one pixel.
    Row,
}

impl Program {
    /// The steps of a part that begins with maps of these sides. `None` where a node is not known here.
    pub(super) fn lower(
        part: &Part,
        input: [usize; 3],
        instructions: Instructions,
        packed: &mut Packed,
    ) -> Option<Self> {
        let &Part { nodes, from, .. } = part;
        let mut lowering = Lowering {
            nodes,
            readers: readers(nodes, from),
            shapes: vec![Shape::constant(Vec::new()); from],
            places: vec![None; from],
            views: vec![None; from],
            maps: vec![Map {
                sides: input,
                ceiling: None,
            }],
            steps: Vec::new(),
            instructions,
            packed,
        };
        lowering.begin(part.layout, input)?;
        for index in from..nodes.len() {
            lowering.node(index)?;
        }
        let output = match part.result {
            PartResult::Map(layout) => lowering.feature_layer(layout)?,
            PartResult::Row => lowering.row()?,
        };
        Some(Self {
            maps: lowering.maps,
            steps: lowering.steps,
            output,
        })
    }
}

/// How many nodes from the one of an index on read each value; the last value is read once more.
fn readers(nodes: &[Node], from: usize) -> Vec<usize> {
    let mut readers = vec![0; nodes.len() + 1];
    readers[nodes.len()] = 1;
    for node in &nodes[from..] {
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
    /// For each value of the graph, its view, if it is a tensor.
    views: Vec<Option<View>>,
    maps: Vec<Map>,
    steps: Vec<Step>,
    instructions: Instructions,
    packed: &'a mut Packed,
}

impl Lowering<'_> {
    /// Adds the value that the part begins with, which map 0 holds.
    fn begin(&mut self, layout: FeatureLayout, [c, h, w]: [usize; 3]) -> Option<()> {
        if layout == FeatureLayout::ChannelsFirst {
            self.shapes.push(Shape::maps(vec![1, c, h, w]));
            self.places.push(Some(0));
            self.views.push(None);
            return Some(());
        }
        let pixels = self.unpack(0)?;
        let view = match layout {
            FeatureLayout::Tokens(_) => pixels.reshaped(&[1, h * w, c])?,
            _ => pixels,
        };
        self.shapes.push(Shape {
            batch: Some(BatchAxis::FIRST),
            ..Shape::constant(view.sides.clone())
        });
        self.places.push(None);
        self.views.push(Some(view));
        Some(())
    }

    /// The value of the last node, `[1, d]`, as a map of one pixel.
    fn row(&mut self) -> Option<MapId> {
        let view = self.view_of(self.nodes.len())?;
        let &[1, channels] = &view.sides[..] else {
            return None;
        };
        self.pack(view.reshaped(&[1, channels, 1, 1])?)
    }

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
        let (mut map, mut view) = (None, None);
        if let Some((channels, from)) = self.shuffled(index) {
            // The two nodes before were kept for the third of a shuffle.
            let from = self.map_of(from)?;
            let to = self.map(&shape)?;
            self.steps.push(Step::Select { channels, from, to });
            map = Some(to);
        } else if !self.begins_shuffle(index) {
            map = self.step(index, &shape);
            if map.is_none() {
                view = Some(self.tensor(index, &shape)?);
            }
        }
        self.shapes.push(shape);
        self.places.push(map);
        self.views.push(view);
        Some(())
    }

    /// The value of the last node as a map.
    fn feature_layer(&mut self, layout: FeatureLayout) -> Option<MapId> {
        let last = self.nodes.len();
        if layout == FeatureLayout::ChannelsFirst {
            return self.map_of(last);
        }
        let view = self.view_of(last)?;
        let view = match layout {
            FeatureLayout::ChannelsFirst => view,
            FeatureLayout::ChannelsLast => view.permuted(&[0, 3, 1, 2]),
            FeatureLayout::Tokens(_) => {
                let [one, tokens, channels] = view.sides[..] else {
                    return None;
                };
                let apart = view.reshaped(&[one, tokens, 1, channels])?;
                apart.permuted(&[0, 3, 1, 2])
            }
        };
        self.pack(view)
    }

    /// Whether a node is the ReLU of the feature layer, or of what that pools: its gradient may be asked to be 1, which is
    /// known of maps only.
    fn is_last_relu(&self, index: usize) -> bool {
        let after = &self.nodes[index + 1..];
        let is_pooled = matches!(after, [pool] if matches!(pool.op, Op::MaxPool(_)));
        after.is_empty() || is_pooled
    }

    /// A tensor `[1, c, h, w]` as a map.
    fn pack(&mut self, from: View) -> Option<MapId> {
        let &[1, c, h, w] = &from.sides[..] else {
            return None;
        };
        self.maps.push(Map {
            sides: [c, h, w],
            ceiling: None,
        });
        let to = self.maps.len() - 1;
        self.steps.push(Step::Pack { from, to });
        Some(to)
    }

    /// A value as a map, which it is made if it is a tensor of the axes of one.
    fn map_of(&mut self, place: usize) -> Option<MapId> {
        if self.places[place].is_none() && self.shapes[place].is_batch_first() {
            let view = self.views[place].clone()?;
            self.places[place] = self.pack(view);
        }
        self.places[place]
    }

    /// A value as a tensor.
    fn view_of(&mut self, place: usize) -> Option<View> {
        if self.views[place].is_none() {
            let unpacked = self.unpack(self.places[place]?)?;
            self.views[place] = Some(unpacked.permuted(&[0, 3, 1, 2]));
        }
        self.views[place].clone()
    }

    /// A map as a tensor `[1, h, w, c]`.
    fn unpack(&mut self, from: MapId) -> Option<View> {
        let [c, h, w] = self.maps[from].sides;
        let unpacked = self.new_tensor(vec![1, h, w, c]);
        let to = unpacked.map()?;
        self.steps.push(Step::Unpack { from, to });
        Some(unpacked)
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
            ceiling: None,
        });
        Some(self.maps.len() - 1)
    }

    /// The map of an input; `None` for constants and tensors.
    fn input(&self, source: &Source) -> Option<MapId> {
        match source {
            Source::Value(place) => self.places[*place],
            Source::Constant(_) => None,
        }
    }

    /// The map of an input, which it is made if it is a tensor; `None` for constants.
    fn input_as_map(&mut self, source: &Source) -> Option<MapId> {
        match source {
            Source::Value(place) => self.map_of(*place),
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
