//! The network that a training updates: a residual network with BatchNorm, or any other as a graph.

use burn::tensor::{Device, Tensor};

use crate::model::{
    Architecture, Classifier, FeatureLayer, Graph, Manifest, Network, Parameters, ResNet, Visitor,
    Weights,
};

/// A network in training.
#[derive(Clone, Debug)]
pub enum TrainableNetwork {
    /// A residual network: BatchNorm uses batch statistics and updates its running ones.
    ResNet(Box<ResNet>),
    /// Any other network: BatchNorms are frozen, that is, part of the convolutions before them.
    Graph {
        /// The operations.
        graph: Box<Graph>,
        /// Its summary, for the manifest.
        architecture: Architecture,
    },
}

impl TrainableNetwork {
    /// Its architecture.
    pub fn architecture(&self) -> Architecture {
        match self {
            Self::ResNet(network) => network.config().clone().into(),
            Self::Graph { architecture, .. } => architecture.clone(),
        }
    }

    /// Logits `[n, classes]` of normalised pixels in training mode; batch statistics of BatchNorm, if it has
    /// any, are appended to `statistics`.
    pub fn train_forward(&self, x: Tensor<4>, statistics: &mut Vec<Tensor<1>>) -> Tensor<2> {
        match self {
            Self::ResNet(network) => network.train_forward(x, statistics),
            Self::Graph { graph, .. } => {
                let features = graph.features(x, FeatureLayer::LAST);
                graph.logits(graph.embed(features))
            }
        }
    }

    /// Logits `[n, classes]` of representations `[n, d]`.
    pub fn logits(&self, representation: Tensor<2>) -> Tensor<2> {
        match self {
            Self::ResNet(network) => network.logits(representation),
            Self::Graph { graph, .. } => graph.logits(representation),
        }
    }

    /// A frozen copy, which `manifest` has to describe.
    pub fn classifier(&self, manifest: Manifest, device: &Device) -> Classifier {
        match self {
            Self::ResNet(network) => {
                Classifier::from_trained((**network).clone(), manifest, device)
            }
            Self::Graph { graph, .. } => {
                Classifier::from_graph((**graph).clone(), manifest, device)
            }
        }
    }

    /// Its tensors and whatever else a file needs to build it again.
    pub fn weights(&mut self) -> Weights {
        match self {
            Self::ResNet(network) => Weights::of(&mut **network),
            Self::Graph { graph, .. } => graph.to_weights(),
        }
    }

    /// Prefix of the names of the last layer's tensors, if there is a linear last layer.
    pub fn head(&self) -> Option<String> {
        match self {
            Self::ResNet(_) => Some("fc.".into()),
            Self::Graph { graph, .. } => graph.head(),
        }
    }
}

impl Parameters for TrainableNetwork {
    fn visit(&mut self, visitor: &mut impl Visitor) {
        match self {
            Self::ResNet(network) => network.visit(visitor),
            Self::Graph { graph, .. } => graph.visit(visitor),
        }
    }
}
