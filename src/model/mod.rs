//! Classifiers: the network, its normaliser and its labels in one frozen whole.
//!
//! Outside this module a picture is a tensor `[n, 3, h, w]` with values in [0, 1];
//! the normaliser is part of the model (paper A, section 3).

mod architecture;
mod budget;
mod classifier;
mod compiled;
mod config;
mod convolution;
pub mod foreign;
mod graph;
pub mod labels;
mod layers;
#[cfg(feature = "tch")]
mod libtorch;
mod manifest;
mod normalizer;
mod onnx;
mod product;
mod resnet;
mod unet;
mod weights;
pub mod zoo;

pub use architecture::{Architecture, GraphSummary};
pub use budget::Budget;
pub use classifier::{CRITIC, Classifier, Cut, Network};
pub use config::{Block, ResNetConfig, Stem};
pub use graph::Graph;
pub use layers::{Parameters, Pass, Role, Visitor};
pub use manifest::Manifest;
pub use normalizer::Normalizer;
pub(crate) use onnx::beside as numbers_beside;
pub use resnet::ResNet;
pub use unet::{Decoded, UNet, UNetConfig};
pub use weights::{Array, Mismatch, Precision, Weights};
pub(crate) use weights::{tensor_values, write_atomically};
