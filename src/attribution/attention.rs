//! What a transformer's answer reads of each patch: attention rollout (Abnar and Zuidema 2020, equation 1, with
//! equal weight for the residual connection), and the attention of single layers and heads.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::gradcam::enlarge;
use super::{Attribution, Explainer, Input};
use crate::error::{Error, Result};
use crate::model::{Attention, Classifier, TokenGrid, tensor_values};

/// A layer and a head of attention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttentionHead {
    /// The layer, counted from the last one, which is 0.
    pub layer: usize,
    /// The head, from 0 on; `None` for the mean of all heads of the layer.
    pub head: Option<usize>,
}

/// A finished map: attention is computed when it is asked for, in one forward pass.
pub(super) struct AttentionMap {
    values: Vec<f32>,
    size: [usize; 2],
    shown: bool,
}

impl AttentionMap {
    /// Attention rollout: the product over all layers of the mean attention of their heads, averaged with the
    /// identity, which stands for the residual connection.
    ///
    /// # Errors
    /// [`Error::Config`] for a model without global attention.
    pub(super) fn rollout(model: &Classifier, input: &Input) -> Result<Self> {
        let Attention { layers, grid } = attention(model, input)?;
        let mut product: Option<Tensor<2>> = None;
        for layer in layers {
            let mixed = half_identity(mean_of_heads(layer));
            product = Some(match product {
                Some(before) => mixed.matmul(before),
                None => mixed,
            });
        }
        let product = product.ok_or_else(|| none(model))?;
        Ok(Self::of(product, grid, input.size))
    }

    /// The attention of one layer.
    ///
    /// # Errors
    /// [`Error::Config`] for a model without global attention, or without that layer or head.
    pub(super) fn of_head(
        model: &Classifier,
        input: &Input,
        choice: AttentionHead,
    ) -> Result<Self> {
        let Attention { mut layers, grid } = attention(model, input)?;
        let name = &model.manifest().name;
        let count = layers.len();
        let place = count.checked_sub(1);
        let place = place.and_then(|last| last.checked_sub(choice.layer));
        let place = place.ok_or_else(|| {
            let last = choice.layer;
            Error::Config(format!(
                "{name} has {count} layers of attention, none {last} before the last"
            ))
        })?;
        let layer = layers.swap_remove(place);
        let [_, heads, tokens, _] = layer.dims();
        let matrix = match choice.head {
            None => mean_of_heads(layer),
            Some(head) if head < heads => layer.narrow(1, head, 1).reshape([tokens, tokens]),
            Some(head) => {
                let reason = format!(
                    "{name} has {heads} heads in layer {}: 0 to {}; there is no head {head}",
                    place + 1,
                    heads - 1
                );
                return Err(Error::Config(reason));
            }
        };
        Ok(Self::of(matrix, grid, input.size))
    }

    /// The map of what the class token reads, `matrix` `[t, t]`; without one, of what all tokens read.
    fn of(matrix: Tensor<2>, TokenGrid { skipped, size }: TokenGrid, to: [usize; 2]) -> Self {
        let row = if skipped > 0 {
            matrix.narrow(0, 0, 1)
        } else {
            matrix.mean_dim(0)
        };
        let patches = row.narrow(1, skipped, size[0] * size[1]);
        Self {
            values: enlarge(&tensor_values(patches), size, to),
            size: to,
            shown: false,
        }
    }
}

impl Explainer for AttentionMap {
    fn step(&mut self, _: &Classifier) {
        self.shown = true;
    }

    fn progress(&self) -> f32 {
        if self.shown { 1.0 } else { 0.0 }
    }

    fn map(&self) -> Attribution {
        Attribution {
            values: self.values.clone(),
            channels: 1,
            size: self.size,
            gap: None,
            standard_errors: None,
            evaluations: 1,
        }
    }
}

fn attention(model: &Classifier, input: &Input) -> Result<Attention> {
    let [h, w] = input.size;
    let data = TensorData::new(input.pixels.clone(), [1, 3, h, w]);
    let x = Tensor::from_data(data, model.device());
    model.attention(x).ok_or_else(|| none(model))
}

fn none(model: &Classifier) -> Error {
    Error::Config(format!(
        "{} has no attention over all patches: this map is for vision transformers such as ViT and DeiT",
        model.manifest().name
    ))
}

/// The mean `[t, t]` of the heads of a layer `[1, heads, t, t]`.
fn mean_of_heads(layer: Tensor<4>) -> Tensor<2> {
    let [_, _, tokens, _] = layer.dims();
    layer.mean_dim(1).reshape([tokens, tokens])
}

fn half_identity(matrix: Tensor<2>) -> Tensor<2> {
    let [tokens, _] = matrix.dims();
    let identity = Tensor::<2>::eye(tokens, &matrix.device());
    (matrix + identity) / 2.0
}
