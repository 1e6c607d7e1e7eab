//! The shape of any classifier's network.

use serde::{Deserialize, Serialize};

use super::config::ResNetConfig;
use crate::error::Result;

/// A network that is a list of operations, in words and sizes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GraphSummary {
    /// What it is, for instance `WideResNet-28-10`.
    pub title: String,
    /// Channels of the feature maps at which it can be cut, from the stem to the last.
    pub channels: Vec<usize>,
    /// Classes, that is: logits.
    pub classes: usize,
}

/// The network behind a classifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
// Files hold the first kind alone.
#[serde(untagged, from = "ResNetConfig")]
pub enum Architecture {
    /// A residual network, which this program also trains.
    ResNet(ResNetConfig),
    /// Anything else that could be opened.
    Graph(GraphSummary),
}

impl Architecture {
    /// Class count.
    pub fn classes(&self) -> usize {
        match self {
            Self::ResNet(config) => config.classes,
            Self::Graph(graph) => graph.classes,
        }
    }

    /// The residual network.
    ///
    /// # Errors
    /// Says what else it is.
    pub fn resnet(&self) -> Result<&ResNetConfig, String> {
        match self {
            Self::ResNet(config) => Ok(config),
            Self::Graph(graph) => Err(format!("{} is no plain residual network", graph.title)),
        }
    }

    /// The same with another number of classes.
    pub fn with_classes(mut self, classes: usize) -> Self {
        match &mut self {
            Self::ResNet(config) => config.classes = classes,
            Self::Graph(graph) => graph.classes = classes,
        }
        self
    }

    /// How many feature maps after the stem's it can be cut at.
    pub fn stages(&self) -> usize {
        match self {
            Self::ResNet(config) => config.blocks.len(),
            Self::Graph(graph) => graph.channels.len().saturating_sub(1),
        }
    }

    /// Channels of the map after a stage, 0 for the stem; without one, after the last.
    pub fn channels(&self, stage: Option<usize>) -> usize {
        match self {
            Self::ResNet(config) => config.channels(stage),
            Self::Graph(graph) => {
                let last = self.stages();
                let stage = stage.map_or(last, |stage| stage.min(last));
                graph.channels.get(stage).copied().unwrap_or(0)
            }
        }
    }

    /// Refuses sizes that no network has.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::ResNet(config) => config.validate(),
            Self::Graph(_) => Ok(()),
        }
    }
}

impl From<ResNetConfig> for Architecture {
    fn from(config: ResNetConfig) -> Self {
        Self::ResNet(config)
    }
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ResNet(config) => config.fmt(f),
            Self::Graph(graph) => write!(f, "{} ({} classes)", graph.title, graph.classes),
        }
    }
}
