//! Networks as graphs of operations: ONNX models, and published networks other than plain ResNets.
//!
//! All operations and shapes of a [`Graph`] are checked when it is built, so that running it cannot fail.

mod activations;
mod attention;
mod feature_layers;
mod fusion;
mod inference;
mod op;
mod parameters;
mod run;
mod shape;
pub(in crate::model) mod stored;
mod transform;
mod value;

use std::sync::Arc;

use burn::tensor::Tensor;

pub(in crate::model) use op::{Activation, Convolution, Op, Padding, Pooling, QUICK_GELU, Reshape};
pub(in crate::model) use shape::{BatchAxis, MAX_AXES, Shape, broadcast};
pub(in crate::model) use value::Value;

use shape::product;

use super::architecture::GraphSummary;
use crate::model::gpu::{ConvolutionAlgorithm, GpuConvolutions};
use crate::model::network::{Attention, FeatureLayer, Network, TokenGrid};
use attention::AttentionLayers;
pub(in crate::model) use feature_layers::FeatureLayout;
use feature_layers::{FeatureLayers, Stage};
pub(in crate::model) use fusion::ConvolutionRunner;
use fusion::Fusion;

/// An input of an operation.
#[derive(Clone, Debug)]
pub(in crate::model) enum Source {
    /// A computed value: 0 for the picture, n for the output of node n − 1.
    Value(usize),
    /// A constant.
    Constant(Box<Value>),
}

/// An operation with its inputs.
#[derive(Clone, Debug)]
pub(in crate::model) struct Node {
    pub(in crate::model) op: Op,
    pub(in crate::model) inputs: Vec<Source>,
}

impl Node {
    /// Indices of the computed values that it reads.
    pub(in crate::model) fn reads(&self) -> impl Iterator<Item = usize> {
        self.inputs.iter().filter_map(|input| match input {
            Source::Value(place) => Some(*place),
            Source::Constant(_) => None,
        })
    }
}

/// A graph under construction; the shape of every value is inferred as it is added.
pub(in crate::model) struct Draft {
    nodes: Vec<Node>,
    shapes: Vec<Shape>,
}

impl Draft {
    /// An empty graph whose input has this height and width.
    pub(in crate::model) fn new(input: [usize; 2]) -> Self {
        Self {
            nodes: Vec::new(),
            shapes: vec![Shape::maps(vec![1, 3, input[0], input[1]])],
        }
    }

    /// An empty graph of a constant, which is computed without a picture.
    pub(in crate::model) fn of_constant(input: &Value) -> Self {
        Self {
            nodes: Vec::new(),
            shapes: vec![Shape::constant(input.sides())],
        }
    }

    /// Adds an operation and returns the index of its output value.
    ///
    /// # Errors
    /// A message that says why it does not fit its inputs.
    pub(in crate::model) fn push(&mut self, op: Op, inputs: Vec<Source>) -> Result<usize, String> {
        let shapes: Vec<Shape> = inputs
            .iter()
            .map(|input| self.source_shape(input))
            .collect();
        let shape = op.shape(&shapes)?;
        let sides = &shape.sides;
        if sides.len() > MAX_AXES {
            let axes = sides.len();
            return Err(format!(
                "it makes {axes} axes; at most {MAX_AXES} are known"
            ));
        }
        if product(sides) > MAX_VALUES {
            return Err(format!("it would make {sides:?} numbers of one picture"));
        }
        self.nodes.push(Node { op, inputs });
        self.shapes.push(shape);
        Ok(self.nodes.len())
    }

    /// Adds a reshape to these lengths for one picture.
    ///
    /// # Errors
    /// As [`Shape::reshaped_batch`].
    pub(in crate::model) fn reshape(
        &mut self,
        input: Source,
        sides: Vec<usize>,
    ) -> Result<usize, String> {
        let batch = self.source_shape(&input).reshaped_batch(&sides)?;
        self.push(Op::Reshape(Reshape { sides, batch }), vec![input])
    }

    /// Lengths of the axes of a value for one picture.
    pub(in crate::model) fn sides(&self, place: usize) -> &[usize] {
        &self.shapes[place].sides
    }

    /// Shape of an input.
    pub(in crate::model) fn source_shape(&self, source: &Source) -> Shape {
        match source {
            Source::Value(place) => self.shapes[*place].clone(),
            Source::Constant(value) => Shape::constant(value.sides()),
        }
    }

    /// Name and index of the input of the operation that squeezes this value without changing the order of the
    /// classes, if one computes it: softmax, its logarithm, or a bounded activation.
    pub(in crate::model) fn before_squashing(&self, place: usize) -> Option<(&'static str, usize)> {
        let node = self.nodes.get(place.checked_sub(1)?)?;
        let [Source::Value(before)] = node.inputs[..] else {
            return None;
        };
        let name = match node.op {
            Op::Softmax(_) => "softmax",
            Op::Activation(Activation::Sigmoid) => "sigmoid",
            Op::Activation(Activation::HardSigmoid(..)) => "hard sigmoid",
            Op::Activation(Activation::Tanh) => "tanh",
            Op::Activation(Activation::Log) => {
                let of_softmax = self.before_squashing(before)?.0 == "softmax";
                return of_softmax.then_some(("logarithm", before));
            }
            // Neither does another shape.
            Op::Reshape(_) => return self.before_squashing(before),
            _ => return None,
        };
        Some((name, before))
    }

    /// Adds a first row of zeros to the linear layer of one output that computes this value, if it is the last
    /// node. Whether it was.
    pub(in crate::model) fn make_two_rows(&mut self, place: usize) -> bool {
        let last = place == self.nodes.len();
        let Some(Op::Linear { weight, bias }) = self.nodes.last_mut().map(|node| &mut node.op)
        else {
            return false;
        };
        if !last || weight.dims()[0] != 1 {
            return false;
        }
        *weight = Tensor::cat(vec![weight.zeros_like(), weight.clone()], 0);
        *bias = bias
            .take()
            .map(|bias| Tensor::cat(vec![bias.zeros_like(), bias], 0));
        *self.shapes[place].sides.last_mut().expect("a linear layer") = 2;
        true
    }

    /// Adds a bias to the linear layer that computes this value, if it is the last node. Whether it was.
    pub(in crate::model) fn add_bias(&mut self, place: usize, added: Tensor<1>) -> bool {
        let last = place == self.nodes.len();
        match self.nodes.last_mut().map(|node| &mut node.op) {
            Some(Op::Linear { weight, bias }) if last && weight.dims()[..1] == added.dims() => {
                *bias = Some(match bias.take() {
                    Some(bias) => bias + added,
                    None => added,
                });
                true
            }
            _ => false,
        }
    }

    /// Completes the graph with the value at `output` as logits.
    ///
    /// # Errors
    /// A message that says why it is no image classifier.
    pub(in crate::model) fn finish(
        mut self,
        output: usize,
        title: String,
    ) -> Result<(Graph, GraphSummary), String> {
        self.nodes.truncate(output);
        self.shapes.truncate(output + 1);
        let shape = &self.shapes[output];
        let classes = match shape.sides[..] {
            [1, classes] if classes > 0 && shape.is_batch_first() => classes,
            _ => {
                let sides = &shape.sides;
                return Err(format!("its output is {sides:?}, not one row of logits"));
            }
        };
        let (nodes, shapes, _) = transform::fold((self.nodes, self.shapes, output));
        let feature_layers = FeatureLayers::find(&nodes, &shapes)?;
        let channels = feature_layers
            .stages
            .iter()
            .map(|stage| stage.channels(&shapes));
        let summary = GraphSummary {
            title,
            channels: channels.collect(),
            classes,
        };
        let title = summary.title.clone();
        Ok((Graph::new(nodes, &shapes, feature_layers, title), summary))
    }

    /// Completes a graph of which the feature layers and the representation are known, and which has nothing to fold;
    /// its last value is the logits.
    pub(in crate::model) fn finish_with(
        self,
        stages: &[usize],
        embedding: usize,
        title: String,
    ) -> Graph {
        let stages = stages.iter().map(|&place| Stage {
            place,
            layout: FeatureLayout::ChannelsFirst,
        });
        let feature_layers = FeatureLayers {
            stages: stages.collect(),
            embedding,
        };
        Graph::new(self.nodes, &self.shapes, feature_layers, title)
    }
}

/// Most output values of one operation for one picture: 1 GiB.
const MAX_VALUES: usize = 1 << 28;

/// A frozen network as a graph of operations.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Display name of the architecture.
    title: String,
    nodes: Vec<Node>,
    feature_layers: FeatureLayers,
    /// For each value, the index of the last node that reads it.
    last_read: Vec<usize>,
    attention: Option<AttentionLayers>,
    /// What computes its convolutions, if not burn.
    fusion: Option<Fusion>,
    /// Numbers that all values of one picture are made of.
    activations: usize,
}

impl Graph {
    fn new(
        nodes: Vec<Node>,
        shapes: &[Shape],
        feature_layers: FeatureLayers,
        title: String,
    ) -> Self {
        let mut last_read = vec![0; nodes.len() + 1];
        for (index, node) in nodes.iter().enumerate() {
            node.reads().for_each(|place| last_read[place] = index);
        }
        let activations = shapes.iter().fold(0_usize, |sum, shape| {
            sum.saturating_add(product(&shape.sides))
        });
        Self {
            title,
            attention: AttentionLayers::find(&nodes, shapes),
            nodes,
            feature_layers,
            last_read,
            fusion: None,
            activations,
        }
    }

    /// The nodes that compute the feature layer at `cut`, and its layout.
    pub(in crate::model) fn nodes_to(&self, cut: FeatureLayer) -> (&[Node], FeatureLayout) {
        let stage = self.stage(cut);
        (&self.nodes[..stage.place], stage.layout)
    }

    /// The nodes that compute the representation, with the index of the last feature layer and its layout.
    pub(in crate::model) fn nodes_to_embedding(&self) -> (&[Node], usize, FeatureLayout) {
        let stage = self.stage(FeatureLayer::LAST);
        let nodes = &self.nodes[..self.feature_layers.embedding];
        (nodes, stage.place, stage.layout)
    }

    /// The same graph whose convolutions an algorithm computes where tensors are on a GPU: the one that is chosen for all
    /// networks if none is given.
    pub(in crate::model) fn on_gpu(self, algorithm: Option<ConvolutionAlgorithm>) -> Self {
        let convolutions = GpuConvolutions::new(self.convolutions(), algorithm);
        self.with_runner(Arc::new(convolutions))
    }

    /// The feature layer at `cut`.
    fn stage(&self, cut: FeatureLayer) -> &Stage {
        let stages = &self.feature_layers.stages;
        &stages[cut.stages(stages.len() - 1)]
    }
}

impl Network for Graph {
    fn features(&self, x: Tensor<4>, cut: FeatureLayer) -> Tensor<4> {
        let stage = self.stage(cut);
        let value = self.run(0, Value::new(x), stage.place, cut.fake_relu);
        stage.layout.to_map(value)
    }

    fn embed(&self, features: Tensor<4>) -> Tensor<2> {
        let stage = self.stage(FeatureLayer::LAST);
        let value = stage.layout.to_value(features);
        let to = self.feature_layers.embedding;
        self.run(stage.place, value, to, false).tensor()
    }

    fn token_grid(&self, cut: FeatureLayer) -> Option<TokenGrid> {
        match self.stage(cut).layout {
            FeatureLayout::Tokens(grid) => Some(grid),
            FeatureLayout::ChannelsFirst | FeatureLayout::ChannelsLast => None,
        }
    }

    fn attention(&self, x: Tensor<4>) -> Option<Attention> {
        self.attention_layers(x)
    }

    fn logits(&self, embedding: Tensor<2>) -> Tensor<2> {
        let from = self.feature_layers.embedding;
        let value = Value::new(embedding);
        self.run(from, value, self.nodes.len(), false).tensor()
    }

    fn by(&self, algorithm: ConvolutionAlgorithm) -> Option<Box<dyn Network>> {
        Some(Box::new(self.clone().on_gpu(Some(algorithm))))
    }

    /// Of the input that it was made for: its shapes are fixed.
    fn activations(&self, _: [usize; 2]) -> usize {
        self.activations
    }

    fn check_size(&self, input: [usize; 2]) -> Result<(), String> {
        self.resized(input).map(drop)
    }
}
