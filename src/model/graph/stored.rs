//! Graphs in this program's own model files: the operations as JSON in the metadata, the numbers as tensors.
//!
//! A file is untrusted: every operation goes through [`Draft::push`], which infers and checks its shape.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::op::{Convolution, Op};
use super::{Draft, Graph, MAX_AXES, Node, Source, Value};
use crate::model::architecture::GraphSummary;
use crate::model::{Array, Weights, tensor_values};

/// Metadata key of the operations.
const KEY: &str = "graph";

/// Most operations that a file may have.
const MAX_NODES: usize = 100_000;

/// The operations of a graph without their numbers.
#[derive(Serialize, Deserialize)]
struct StoredGraph {
    title: String,
    nodes: Vec<StoredNode>,
}

#[derive(Serialize, Deserialize)]
struct StoredNode {
    op: Op,
    /// Index of each value that it reads; `None` for a constant, which is a tensor of the file.
    inputs: Vec<Option<usize>>,
}

/// Names of the tensors of the operation with this index.
pub(super) fn tensor_name(node: usize, part: &str) -> String {
    format!("node{node}.{part}")
}

fn input_name(node: usize, input: usize) -> String {
    tensor_name(node, &format!("input{input}"))
}

/// Whether a file has a graph, valid or not.
pub(in crate::model) fn is_in(weights: &Weights) -> bool {
    weights.metadata.contains_key(KEY)
}

impl Graph {
    /// All its numbers, and its operations in the metadata.
    pub fn to_weights(&self) -> Weights {
        let mut weights = Weights::of(&mut self.clone());
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for (index, node) in self.nodes.iter().enumerate() {
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for (number, input) in node.inputs.iter().enumerate() {
                inputs.push(match input {
                    Source::Value(place) => Some(*place),
                    Source::Constant(value) => {
                        let array = Array {
                            shape: value.sides(),
                            values: tensor_values(value.tensor.clone()),
                        };
                        weights.tensors.insert(input_name(index, number), array);
                        None
                    }
                });
            }
            let op = node.op.clone();
            nodes.push(StoredNode { op, inputs });
        }
        let stored = StoredGraph {
            title: self.title.clone(),
            nodes,
        };
        let text = serde_json::to_string(&stored).expect("operations are plain data");
        weights.metadata.insert(KEY.into(), text);
        weights
    }

    /// The graph in `weights` for pictures of height and width `input`.
    ///
    /// # Errors
    /// A message that says what is missing or does not fit.
    pub fn from_weights(
        weights: &Weights,
        input: [usize; 2],
        device: &Device,
    ) -> Result<(Self, GraphSummary), String> {
        let text = weights.metadata.get(KEY).ok_or("it has no graph")?;
        let stored: StoredGraph =
            serde_json::from_str(text).map_err(|error| format!("its graph: {error}"))?;
        if stored.nodes.len() > MAX_NODES {
            return Err(format!("its graph has {} operations", stored.nodes.len()));
        }
        let tensors = Tensors { weights, device };
        let nodes = stored.nodes.into_iter().enumerate();
        let nodes = nodes.map(|(index, node)| {
            let read = tensors.node(index, node);
            read.map_err(|reason| format!("operation {index} of its graph: {reason}"))
        });
        rebuild(nodes.collect::<Result<_, String>>()?, stored.title, input)
    }

    /// The same operations for pictures of another height and width.
    ///
    /// # Errors
    /// A message that says which operation does not fit that size.
    pub fn resized(&self, input: [usize; 2]) -> Result<(Self, GraphSummary), String> {
        rebuild(self.nodes.clone(), self.title.clone(), input)
    }
}

/// A graph of these operations, checked afresh.
pub(super) fn rebuild(
    nodes: Vec<Node>,
    title: String,
    input: [usize; 2],
) -> Result<(Graph, GraphSummary), String> {
    let mut draft = Draft::new(input);
    for (index, node) in nodes.into_iter().enumerate() {
        let pushed = draft.push(node.op, node.inputs);
        pushed.map_err(|reason| format!("operation {index} of its graph: {reason}"))?;
    }
    let output = draft.nodes.len();
    draft.finish(output, title)
}

/// The tensors of a file.
struct Tensors<'a> {
    weights: &'a Weights,
    device: &'a Device,
}

impl Tensors<'_> {
    /// An operation with the numbers of the file.
    fn node(&self, index: usize, stored: StoredNode) -> Result<Node, String> {
        let StoredNode { mut op, inputs } = stored;
        self.fill(index, &mut op)?;
        let inputs = inputs.into_iter().enumerate();
        let inputs = inputs.map(|(number, place)| match place {
            Some(place) if place <= index => Ok(Source::Value(place)),
            Some(place) => Err(format!("it reads value {place}, which is made later")),
            None => self
                .constant(&input_name(index, number))
                .map(Box::new)
                .map(Source::Constant),
        });
        let inputs = inputs.collect::<Result<_, String>>()?;
        Ok(Node { op, inputs })
    }

    /// Replaces the placeholders of an operation by the file's tensors.
    fn fill(&self, index: usize, op: &mut Op) -> Result<(), String> {
        let name = |part| tensor_name(index, part);
        match op {
            Op::Conv(Convolution { weight, bias, .. }) => {
                *weight = self.tensor(&name("weight"))?;
                *bias = self.optional(&name("bias"))?;
            }
            Op::Linear { weight, bias } => {
                *weight = self.tensor(&name("weight"))?;
                *bias = self.optional(&name("bias"))?;
            }
            Op::Affine { scale, shift } => {
                *scale = self.tensor(&name("scale"))?;
                *shift = self.tensor(&name("shift"))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn array(&self, name: &str) -> Result<&Array, String> {
        let found = self.weights.tensors.get(name);
        found.ok_or_else(|| format!("its tensor {name} is missing"))
    }

    fn tensor<const D: usize>(&self, name: &str) -> Result<Tensor<D>, String> {
        let array = self.array(name)?;
        let shape: Result<[usize; D], _> = array.shape.clone().try_into();
        let shape =
            shape.map_err(|shape| format!("{name} has the shape {shape:?}, not {D} axes"))?;
        let data = TensorData::new(array.values.clone(), shape);
        Ok(Tensor::from_data(data, self.device))
    }

    fn optional(&self, name: &str) -> Result<Option<Tensor<1>>, String> {
        let is_there = self.weights.tensors.contains_key(name);
        is_there.then(|| self.tensor(name)).transpose()
    }

    fn constant(&self, name: &str) -> Result<Value, String> {
        let Array { shape, values } = self.array(name)?;
        if shape.len() > MAX_AXES {
            let axes = shape.len();
            return Err(format!("{name} has {axes} axes, at most {MAX_AXES} fit"));
        }
        Ok(Value::constant(values.clone(), shape, self.device))
    }
}
