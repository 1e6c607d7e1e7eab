//! Image classifiers: networks, normalisers, weights and manifests, the bundled models, and importers.
//!
//! Outside this module a picture is a tensor `[n, 3, h, w]` with values in [0, 1];
//! the normaliser is part of the model (paper A, section 3).

mod architecture;
mod budget;
mod classifier;
mod config;
mod cpu;
mod examined;
mod executor;
mod fingerprint;
mod gpu;
mod graph;
pub mod import;
mod layers;
#[cfg(feature = "tch")]
mod libtorch;
mod manifest;
pub mod memory;
mod network;
mod normalizer;
mod reference;
mod resnet;
mod unet;
mod weights;
pub mod zoo;

pub use architecture::{Architecture, GraphSummary};
pub use budget::BatchSize;
pub use classifier::{Classifier, DISCRIMINATOR};
pub use config::{Block, ResNetConfig, Stem};
pub use examined::Examined;
pub use fingerprint::Fingerprint;
pub use gpu::ConvolutionAlgorithm;
pub use graph::Graph;
pub(crate) use layers::repeated;
pub use layers::{Parameters, Pass, Role, Visitor};
pub use manifest::{GENERATOR_MANIFEST, Manifest};
pub use network::{Attention, FeatureLayer, Network, TokenGrid, gradient, predicted_classes};
pub use normalizer::Normalizer;
pub use reference::ModelRef;
pub use resnet::ResNet;
pub use unet::{Decoded, UNet, UNetConfig};
pub(crate) use weights::tensor_values;
pub use weights::{Array, Precision, Weights};
