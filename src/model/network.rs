//! What every network can do: run to a feature map and from there to logits.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Which feature map is meant, and how gradients come back from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureLayer {
    /// The stage whose output it is, 0 for the stem; without one, the last stage.
    pub stage: Option<usize>,
    /// Whether gradients pass the last ReLU before the cut as if it were not there: the "fake
    /// ReLU" of paper A, which revives what a dead unit hides.
    pub fake_relu: bool,
}

impl FeatureLayer {
    /// The last feature map, with true gradients.
    pub const LAST: Self = Self {
        stage: None,
        fake_relu: false,
    };

    /// How many of a network's `all` stages are passed.
    pub fn stages(self, all: usize) -> usize {
        self.stage.map_or(all, |stage| stage.min(all))
    }
}

/// A network cut in three, so that attributions and inversions can stop at either cut.
pub trait Network: Send + Sync {
    /// The feature map `[n, c, h, w]` at `cut` of normalised pixels `[n, 3, h, w]`.
    fn features(&self, x: Tensor<4>, cut: FeatureLayer) -> Tensor<4>;
    /// Pooled representation `[n, d]` of a feature map.
    fn embed(&self, features: Tensor<4>) -> Tensor<2>;
    /// Logits `[n, k]` of a representation.
    fn logits(&self, embedding: Tensor<2>) -> Tensor<2>;
    /// Numbers that the operations of a forward pass make of one picture of `input`, height and width;
    /// 0 where that is not known. The memory of a gradient is estimated from it.
    fn activations(&self, _input: [usize; 2]) -> usize {
        0
    }
}

/// Losses `[n]` and their gradients with respect to `x`, both off the autodiff graph.
///
/// Each loss depends on its own picture alone, so the gradient of the sum is each one's own.
pub fn gradient(x: &Tensor<4>, loss: impl Fn(Tensor<4>) -> Tensor<1>) -> (Tensor<1>, Tensor<4>) {
    let x = x.clone().inner().autodiff().require_grad();
    let loss = loss(x.clone());
    if !loss.is_tracked() {
        // A loss that does not depend on the pixels has no gradient: nothing moves.
        return (loss.inner(), x.inner().zeros_like());
    }
    let mut gradients = loss.clone().sum().backward();
    let gradient = x.grad_remove(&mut gradients);
    (
        loss.inner(),
        gradient.unwrap_or_else(|| x.inner().zeros_like()),
    )
}
