//! Convolutions of frozen networks on a GPU: as burn computes them, as matrix products, or by shaders of the program's own.
//!
//! Without its feature `autotune` burn runs every convolution on a GPU, and every gradient of one, by its slowest kernel. All
//! algorithms here run the same graphs on burn's tensors and burn's queue: between a picture and the gradient of a loss
//! nothing waits for the host.

mod header;
mod launch;
mod layer;
mod matrix;
mod operation;
mod pass;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::graph::{Convolution, ConvolutionRunner};
use layer::Layer;
use operation::Operation;
use pass::MOST_STRIDE;

/// How convolutions of frozen networks are computed on a GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConvolutionAlgorithm {
    /// By burn: its direct convolution, or with the feature `autotune` the fastest that it finds for each layer.
    #[default]
    Burn,
    /// As matrix products, which burn computes.
    MatrixProduct,
    /// By the shaders of this program: implicit matrix products.
    Shaders,
}

/// The algorithm of all networks that have none of their own, by its place in [`ConvolutionAlgorithm::ALL`]; the default until
/// one is chosen.
static CHOSEN: AtomicU8 = AtomicU8::new(u8::MAX);

impl ConvolutionAlgorithm {
    /// All of them, what should be fastest first.
    pub const ALL: [Self; 3] = [Self::Shaders, Self::MatrixProduct, Self::Burn];

    /// Name in commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Burn => "burn",
            Self::MatrixProduct => "matrix-product",
            Self::Shaders => "shaders",
        }
    }

    /// The one that networks use from now on.
    pub fn chosen() -> Self {
        let place = usize::from(CHOSEN.load(Ordering::Relaxed));
        Self::ALL.get(place).copied().unwrap_or_default()
    }

    /// Makes all networks on a GPU use it from now on, those that are open as well.
    pub fn choose(self) {
        let place = Self::ALL.iter().position(|known| *known == self);
        let place = place.and_then(|place| u8::try_from(place).ok());
        CHOSEN.store(place.unwrap_or(u8::MAX), Ordering::Relaxed);
    }
}

impl std::str::FromStr for ConvolutionAlgorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|known| known.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("“{text}” is none of {names}")
        })
    }
}

/// The convolutions of a network.
#[derive(Debug)]
pub(in crate::model) struct GpuConvolutions {
    /// By the index of the node.
    layers: HashMap<usize, Arc<Layer>>,
    /// Instead of the one that was chosen for all.
    algorithm: Option<ConvolutionAlgorithm>,
}

impl GpuConvolutions {
    /// The convolutions of a network, by the indices of their nodes; with the algorithm that was chosen for all if none is
    /// given.
    pub(in crate::model) fn new<'a>(
        convolutions: impl Iterator<Item = (usize, &'a Convolution)>,
        algorithm: Option<ConvolutionAlgorithm>,
    ) -> Self {
        let sizes = Arc::default();
        let layer = |convolution| Arc::new(Layer::new(convolution, Arc::clone(&sizes)));
        Self {
            layers: convolutions
                .filter(|(_, convolution)| {
                    convolution
                        .stride
                        .iter()
                        .all(|&stride| stride <= MOST_STRIDE)
                })
                .map(|(node, convolution)| (node, layer(convolution)))
                .collect(),
            algorithm,
        }
    }
}

impl ConvolutionRunner for GpuConvolutions {
    fn run(
        &self,
        node: usize,
        x: &Tensor<4>,
        residual: Option<&Tensor<4>>,
        ceiling: Option<f32>,
    ) -> Option<Tensor<4>> {
        let algorithm = self.algorithm.unwrap_or_else(ConvolutionAlgorithm::chosen);
        if algorithm == ConvolutionAlgorithm::Burn {
            return None;
        }
        let layer = self.layers.get(&node)?;
        if residual.is_some_and(|residual| residual.dims() != layer.output_dims(x.dims())) {
            return None;
        }
        let operation = Operation {
            layer: Arc::clone(layer),
            algorithm,
            ceiling,
        };
        operation.run(x, residual)
    }
}
