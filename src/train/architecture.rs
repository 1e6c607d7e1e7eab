//! Architecture of the residual network that a training trains.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::{Block, ResNetConfig, Stem};

/// Architecture of a ResNet without its number of classes, which comes from the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainArchitecture {
    /// First layers of the network.
    pub stem: Stem,
    /// Residual block type.
    pub block: Block,
    /// Number of channels of each stage.
    pub widths: Vec<usize>,
    /// Number of blocks of each stage.
    pub blocks: Vec<usize>,
}

impl TrainArchitecture {
    /// The architecture of a published depth.
    ///
    /// # Errors
    /// As [`ResNetConfig::of_depth`].
    pub fn of_depth(depth: usize, stem: Stem, width: Option<usize>) -> Result<Self> {
        Ok(Self::of(&ResNetConfig::of_depth(depth, stem, width, 1)?))
    }

    /// The architecture of a residual network.
    pub fn of(config: &ResNetConfig) -> Self {
        Self {
            stem: config.stem,
            block: config.block,
            widths: config.widths.clone(),
            blocks: config.blocks.clone(),
        }
    }

    /// The complete architecture for `classes` classes.
    pub fn with_classes(&self, classes: usize) -> ResNetConfig {
        ResNetConfig {
            stem: self.stem,
            block: self.block,
            widths: self.widths.clone(),
            blocks: self.blocks.clone(),
            classes,
        }
    }
}
