//! Grad-CAM (Selvaraju et al. 2017, equations 1 and 2) at the last feature map, signed: without the
//! final ReLU, which the display can apply.

use super::probe::Probe;
use super::{Attribution, Explainer, Input};
use crate::model::{Classifier, gradient, tensor_values};

/// One pass up and one back to the last feature map.
pub(super) struct GradCam {
    probe: Probe,
    picture: Vec<f32>,
    values: Option<Vec<f32>>,
}

impl GradCam {
    pub(super) fn new(probe: Probe, input: &Input) -> Self {
        Self {
            probe,
            picture: input.pixels.clone(),
            values: None,
        }
    }
}

impl Explainer for GradCam {
    fn step(&mut self, model: &Classifier) {
        let x = self.probe.tensor(model, self.picture.clone());
        let features = model.features(x).inner();
        let score = |features| self.probe.target.of_logits(model.logits_of(features));
        let slope = gradient(&features, score).1;
        // α: each channel's gradient, averaged over places.
        let weights = slope.mean_dims(&[2, 3]);
        let cam = (features * weights).sum_dim(1);
        let [_, _, h, w] = cam.dims();
        self.values = Some(enlarge(&tensor_values(cam), [h, w], self.probe.size));
    }

    fn progress(&self) -> f32 {
        if self.values.is_some() { 1.0 } else { 0.0 }
    }

    fn map(&self) -> Attribution {
        let [h, w] = self.probe.size;
        Attribution {
            values: self.values.clone().unwrap_or_else(|| vec![0.0; h * w]),
            channels: 1,
            size: self.probe.size,
            gap: None,
            standard_errors: None,
            evaluations: usize::from(self.values.is_some()),
        }
    }
}

/// Bilinear enlargement with pixel centres aligned, as PyTorch's `interpolate` does it.
fn enlarge(values: &[f32], [h, w]: [usize; 2], [to_h, to_w]: [usize; 2]) -> Vec<f32> {
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
