//! Convolutions with what follows them at once, as one step.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::Tensor;

use super::op::{Activation, Convolution, Op};
use super::value::{Value, made};
use super::{Graph, Node, Source};
use crate::model::layers::rectified;

/// Computes convolutions otherwise than burn.
pub(in crate::model) trait ConvolutionRunner: Debug + Send + Sync {
    /// The convolution at a node, plus another map, and the ReLU after it with this largest value. `None` where burn is to
    /// compute it.
    fn run(
        &self,
        node: usize,
        x: &Tensor<4>,
        residual: Option<&Tensor<4>>,
        ceiling: Option<f32>,
    ) -> Option<Tensor<4>>;
}

/// A graph's steps, and what runs its convolutions.
#[derive(Clone, Debug)]
pub(super) struct Fusion {
    runner: Arc<dyn ConvolutionRunner>,
    /// For each node.
    steps: Vec<Step>,
    /// For each value, the index of the last step that reads it.
    pub(super) last_read: Vec<usize>,
}

/// What happens at a node.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The node is computed alone.
    Node,
    /// The node is part of a later step.
    Deferred,
    /// A convolution and all that follows it, up to this node.
    Convolution(FusedConvolution),
}

/// A convolution with what follows it at once.
#[derive(Clone, Debug)]
pub(super) struct FusedConvolution {
    /// Index of its node.
    node: usize,
    /// The value that it reads.
    x: usize,
    /// The value that is added, and the index of the node that adds it.
    residual: Option<usize>,
    activation: Option<Activation>,
}

impl FusedConvolution {
    /// Indices of the values that it reads: its input, and what is added.
    pub(super) fn reads(&self) -> impl Iterator<Item = usize> {
        [Some(self.x), self.residual].into_iter().flatten()
    }

    /// What it reads.
    pub(super) fn values(&self, values: &[Option<Value>]) -> Vec<Value> {
        self.reads().map(|place| made(values, place)).collect()
    }
}

impl Graph {
    /// The same graph whose convolutions `runner` computes.
    pub(super) fn with_runner(mut self, runner: Arc<dyn ConvolutionRunner>) -> Self {
        let steps = self.steps();
        let mut last_read = self.last_read.clone();
        for (index, step) in steps.iter().enumerate() {
            if let Step::Convolution(fused) = step {
                for place in fused.reads() {
                    last_read[place] = last_read[place].max(index);
                }
            }
        }
        self.fusion = Some(Fusion {
            runner,
            steps,
            last_read,
        });
        self
    }

    /// The convolutions, with the indices of their nodes.
    pub(super) fn convolutions(&self) -> impl Iterator<Item = (usize, &Convolution)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(index, node)| match &node.op {
            Op::Conv(convolution) => Some((index, convolution)),
            _ => None,
        })
    }

    fn steps(&self) -> Vec<Step> {
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len() + 1];
        for (index, node) in self.nodes.iter().enumerate() {
            node.reads().for_each(|place| readers[place].push(index));
        }
        // Whatever a part of the network ends with is made on its own.
        let layers = &self.feature_layers;
        let mut is_kept = vec![false; self.nodes.len() + 1];
        let stages = layers.stages.iter().map(|stage| stage.place);
        stages
            .chain([layers.embedding, self.nodes.len()])
            .for_each(|place| is_kept[place] = true);
        let mut steps: Vec<Step> = vec![Step::Node; self.nodes.len()];
        for (node, _) in self.convolutions() {
            let Some(Source::Value(x)) = self.nodes[node].inputs.first() else {
                continue;
            };
            let mut fused = FusedConvolution {
                node,
                x: *x,
                residual: None,
                activation: None,
            };
            let mut last = node;
            while !is_kept[last + 1]
                && let [reader] = readers[last + 1][..]
                && matches!(steps[reader], Step::Node)
                && fused.extend(&self.nodes[reader], last + 1)
            {
                steps[last] = Step::Deferred;
                last = reader;
            }
            steps[last] = Step::Convolution(fused);
        }
        steps
    }
}

impl FusedConvolution {
    /// Takes up a node that reads the value at `place`, if it can.
    fn extend(&mut self, node: &Node, place: usize) -> bool {
        match (&node.op, &node.inputs[..]) {
            _ if self.activation.is_some() => false,
            (Op::Activation(activation), _) if activation.ceiling().is_some() => {
                self.activation = Some(*activation);
                true
            }
            (Op::Add, [Source::Value(one), Source::Value(two)])
                if self.residual.is_none() && one != two =>
            {
                self.residual = Some(if *one == place { *two } else { *one });
                true
            }
            _ => false,
        }
    }
}

impl Fusion {
    /// What happens at a node.
    pub(super) fn step(&self, index: usize) -> &Step {
        &self.steps[index]
    }

    /// Computes a convolution of these nodes, with all that follows it, from the values that it reads; the gradient of its ReLU
    /// is 1 everywhere with `fake_relu`.
    pub(super) fn run(
        &self,
        fused: &FusedConvolution,
        nodes: &[Node],
        inputs: Vec<Value>,
        fake_relu: bool,
    ) -> Value {
        let mut inputs = inputs.into_iter();
        let x = inputs.next().expect("a convolution has an input");
        let (x, residual): (Tensor<4>, _) = (x.tensor(), inputs.next());
        let is_fake = fake_relu && fused.activation == Some(Activation::Relu);
        let activation = fused.activation.filter(|_| !is_fake);
        let map = residual.clone().filter(|residual| residual.rank == 4);
        let map: Option<Tensor<4>> = map.map(Value::tensor);
        let made = match residual.is_some() == map.is_some() {
            true => {
                let ceiling = activation.and_then(Activation::ceiling);
                self.runner.run(fused.node, &x, map.as_ref(), ceiling)
            }
            false => None,
        };
        let made = made.map(Value::new).unwrap_or_else(|| {
            let Op::Conv(convolution) = &nodes[fused.node].op else {
                unreachable!("a fused convolution is one");
            };
            let made = Value::new(convolution.run(x));
            let made = match residual {
                Some(residual) => made.with(residual, |x, y| x + y),
                None => made,
            };
            match activation {
                Some(activation) => made.map(|x| activation.run(x)),
                None => made,
            }
        });
        match is_fake {
            true => made.map(|x| rectified(x, true)),
            false => made,
        }
    }
}
