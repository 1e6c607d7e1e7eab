//! Network architectures: a residual network's configuration, or the summary of an operation graph.

use serde::{Deserialize, Serialize};

use super::config::ResNetConfig;
use crate::error::Result;

/// Summary of a network that is a graph of operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphSummary {
    /// Display name of the architecture, for instance `WideResNet-28-10`.
    pub title: String,
    /// Number of channels of each available feature layer, from the stem to the last.
    pub channels: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
}

/// Architecture of a classifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
// Files of residual networks, the first that there were, do not name the kind.
#[serde(untagged)]
pub enum Architecture {
    /// A residual network.
    ResNet(ResNetConfig),
    /// Any other network.
    Graph(GraphSummary),
}

impl Architecture {
    /// Number of classes.
    pub fn classes(&self) -> usize {
        match self {
            Self::ResNet(config) => config.classes,
            Self::Graph(graph) => graph.classes,
        }
    }

    /// The configuration of a residual network.
    ///
    /// # Errors
    /// A message naming the architecture, if it is another one.
    pub fn resnet(&self) -> Result<&ResNetConfig, String> {
        match self {
            Self::ResNet(config) => Ok(config),
            Self::Graph(graph) => Err(format!("{} is no plain residual network", graph.title)),
        }
    }

    /// The same architecture with another number of classes.
    pub fn with_classes(mut self, classes: usize) -> Self {
        match &mut self {
            Self::ResNet(config) => config.classes = classes,
            Self::Graph(graph) => graph.classes = classes,
        }
        self
    }

    /// Number of stages, that is, of feature layers after the stem.
    pub fn stages(&self) -> usize {
        match self {
            Self::ResNet(config) => config.blocks.len(),
            Self::Graph(graph) => graph.channels.len().saturating_sub(1),
        }
    }

    /// Number of channels of the feature map after a stage, 0 for the stem; after the last stage without one.
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

    /// Checks that all sizes are in range.
    ///
    /// # Errors
    /// As [`ResNetConfig::validate`].
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
