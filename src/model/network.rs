//! The trait of networks: features at a layer, pooled representation, logits; and input gradients.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::gpu::ConvolutionAlgorithm;

/// A feature layer, and whether its ReLU is replaced by the fake ReLU in backward passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureLayer {
    /// The stage whose output it is, 0 for the stem; `None` for the last stage.
    pub stage: Option<usize>,
    /// Whether gradients pass the layer's ReLU unchanged: the “fake ReLU” of paper A, which gives
    /// inactive units a gradient.
    pub fake_relu: bool,
}

impl FeatureLayer {
    /// The last feature layer, with true gradients.
    pub const LAST: Self = Self {
        stage: None,
        fake_relu: false,
    };

    /// Number of stages up to this layer, in a network of `all` stages.
    pub fn stages(self, all: usize) -> usize {
        self.stage.map_or(all, |stage| stage.min(all))
    }
}

/// Where the patches of a picture are among the tokens of a transformer's feature layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenGrid {
    /// Number of tokens before those of patches: class and distillation tokens.
    pub skipped: usize,
    /// Number of rows and columns of patches, in that order among the tokens.
    pub size: [usize; 2],
}

/// The attention of a transformer of global attention: what each token reads of each.
pub struct Attention {
    /// For each layer `[n, heads, t, t]`: shares that sum to 1 over the last axis, the tokens that are read.
    pub layers: Vec<Tensor<4>>,
    /// Where patches are among the tokens.
    pub grid: TokenGrid,
}

/// A network in three parts (features, representation, logits), so that attributions and inversions can
/// use any of them.
pub trait Network: Send + Sync {
    /// The feature map `[n, c, h, w]` at `cut` of normalised pixels `[n, 3, h, w]`; where a transformer has `t`
    /// tokens, `[n, c, t, 1]`.
    fn features(&self, x: Tensor<4>, cut: FeatureLayer) -> Tensor<4>;
    /// Pooled representation `[n, d]` of a feature map.
    fn embed(&self, features: Tensor<4>) -> Tensor<2>;
    /// Logits `[n, k]` of a representation.
    fn logits(&self, embedding: Tensor<2>) -> Tensor<2>;
    /// Where patches are among the tokens of the feature layer at `cut`; `None` where it is a map.
    fn token_grid(&self, _cut: FeatureLayer) -> Option<TokenGrid> {
        None
    }
    /// The attention of normalised pixels `[n, 3, h, w]`; `None` without layers in which every token reads all.
    fn attention(&self, _x: Tensor<4>) -> Option<Attention> {
        None
    }
    /// Numbers that the operations of a forward pass make of one picture of `input`, height and width;
    /// 0 where that is not known. The memory of a gradient is estimated from it.
    fn activations(&self, _input: [usize; 2]) -> usize {
        0
    }
    /// The same network whose convolutions `algorithm` computes on a GPU; `None` of a network that has no choice.
    fn by(&self, _algorithm: ConvolutionAlgorithm) -> Option<Box<dyn Network>> {
        None
    }
    /// Whether it takes pictures of this height and width.
    ///
    /// # Errors
    /// A message that says which of its operations does not.
    fn check_size(&self, _input: [usize; 2]) -> Result<(), String> {
        Ok(())
    }
}

/// Losses `[n]` and their gradients with respect to `x`, both off the autodiff graph.
///
/// As each loss depends only on its own picture, the gradient of the sum is that of each loss.
pub fn gradient(x: &Tensor<4>, loss: impl Fn(Tensor<4>) -> Tensor<1>) -> (Tensor<1>, Tensor<4>) {
    let x = x.clone().inner().autodiff().require_grad();
    let loss = loss(x.clone());
    if !loss.is_tracked() {
        // A loss that does not depend on the pixels has gradient zero.
        return (loss.inner(), x.inner().zeros_like());
    }
    let mut gradients = loss.clone().sum().backward();
    let gradient = x.grad_remove(&mut gradients);
    (
        loss.inner(),
        gradient.unwrap_or_else(|| x.inner().zeros_like()),
    )
}

/// The class of the largest logit of each picture, from logits `[n, k]`.
pub fn predicted_classes(logits: Tensor<2>) -> Vec<usize> {
    let classes = logits.argmax(1).into_data().convert::<i32>();
    let classes = classes.try_into_vec::<i32>().expect("class numbers");
    classes.into_iter().map(|class| class as usize).collect()
}
