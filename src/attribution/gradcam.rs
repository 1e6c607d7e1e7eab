//! Grad-CAM (Selvaraju et al. 2017, equations 1 and 2) at the last feature map, signed: without the
//! final ReLU, which the display can apply. In a transformer, at the patches' tokens of the last layer from which all
//! of them reach the output.

use burn::tensor::Tensor;

use super::target_score::TargetScore;
use super::{Attribution, Explainer, Input};
use crate::model::{Classifier, TokenGrid, gradient, tensor_values};

/// Grad-CAM as an explainer of one step: a forward pass and a backward pass to the last feature map.
pub(super) struct GradCam {
    target_score: TargetScore,
    picture: Vec<f32>,
    values: Option<Vec<f32>>,
}

impl GradCam {
    pub(super) fn new(target_score: TargetScore, input: &Input) -> Self {
        Self {
            target_score,
            picture: input.pixels.clone(),
            values: None,
        }
    }
}

impl Explainer for GradCam {
    fn step(&mut self, model: &Classifier) {
        let x = self.target_score.tensor(model, self.picture.clone());
        let features = model.features(x).inner();
        let score = |features| {
            self.target_score
                .target
                .of_logits(model.logits_of(features))
        };
        let slope = gradient(&features, score).1;
        let (features, slope) = match model.token_grid() {
            Some(grid) => (patches(features, grid), patches(slope, grid)),
            None => (features, slope),
        };
        // α: each channel's gradient, averaged over positions.
        let weights = slope.mean_dims(&[2, 3]);
        let cam = (features * weights).sum_dim(1);
        let [_, _, h, w] = cam.dims();
        self.values = Some(enlarge(&tensor_values(cam), [h, w], self.target_score.size));
    }

    fn progress(&self) -> f32 {
        if self.values.is_some() { 1.0 } else { 0.0 }
    }

    fn map(&self) -> Attribution {
        let [h, w] = self.target_score.size;
        Attribution {
            values: self.values.clone().unwrap_or_else(|| vec![0.0; h * w]),
            channels: 1,
            size: self.target_score.size,
            gap: None,
            standard_errors: None,
            evaluations: usize::from(self.values.is_some()),
        }
    }
}

/// The map `[n, c, h, w]` of the patches among tokens `[n, c, t, 1]`.
fn patches(tokens: Tensor<4>, TokenGrid { skipped, size }: TokenGrid) -> Tensor<4> {
    let [n, channels, _, _] = tokens.dims();
    let patches = tokens.narrow(2, skipped, size[0] * size[1]);
    patches.reshape([n, channels, size[0], size[1]])
}

/// Bilinear upsampling of `[h, w]` with half-pixel centres, as PyTorch's `interpolate` without
/// `align_corners`.
pub(super) fn enlarge(values: &[f32], [h, w]: [usize; 2], [to_h, to_w]: [usize; 2]) -> Vec<f32> {
    let place = |at: usize, to: usize, from: usize| {
        let place = ((at as f32 + 0.5) * from as f32 / to as f32 - 0.5).max(0.0);
        let low = (place as usize).min(from - 1);
        (low, (low + 1).min(from - 1), place - low as f32)
    };
    let mut out = Vec::with_capacity(to_h * to_w);
    for y in 0..to_h {
        let (top, bottom, down) = place(y, to_h, h);
        for x in 0..to_w {
            let (left, right, across) = place(x, to_w, w);
            let mix = |a: f32, b: f32, share: f32| a + share * (b - a);
            let along = |row: usize| mix(values[row * w + left], values[row * w + right], across);
            out.push(mix(along(top), along(bottom), down));
        }
    }
    out
}
