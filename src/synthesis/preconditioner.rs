//! Spectral preconditioning of gradients: low spatial frequencies before high ones.

use burn::tensor::{Device, Tensor, TensorData};

/// Weights the frequencies of a gradient by f^−α: gradient descent on the coefficients of a picture in a
/// decorrelated (cosine) basis instead of on its pixels, the preconditioning of Olah et al. 2017. The set
/// of reachable pictures stays the same; only the path changes.
pub(super) struct SpectralPreconditioner {
    /// Discrete cosine transforms `[1, 1, h, h]` and `[1, 1, w, w]`, one frequency a row.
    rows: Tensor<4>,
    columns: Tensor<4>,
    /// f^−α, `[1, 1, h, w]`.
    weights: Tensor<4>,
}

impl SpectralPreconditioner {
    /// The preconditioner of exponent α for pictures of this height and width.
    pub(super) fn new(exponent: f32, [h, w]: [usize; 2], device: &Device) -> Self {
        // In cycles along the longer side, at least one half.
        let longer = h.max(w) as f32;
        let frequency = |k: usize, side: usize| 0.5 * k as f32 * longer / side as f32;
        let weight = |at: usize| {
            let f = frequency(at / w, h).hypot(frequency(at % w, w));
            f.max(0.5).powf(-exponent)
        };
        let weights = (0..h * w).map(weight).collect();
        Self {
            rows: cosines(h, device),
            columns: cosines(w, device),
            weights: Tensor::from_data(TensorData::new::<f32, _>(weights, [1, 1, h, w]), device),
        }
    }

    /// The preconditioned gradient.
    pub(super) fn apply(&self, gradient: Tensor<4>) -> Tensor<4> {
        let (rows, columns) = (self.rows.clone(), self.columns.clone());
        let spectrum = rows
            .clone()
            .matmul(gradient)
            .matmul(columns.clone().transpose());
        let weighed = spectrum * self.weights.clone();
        rows.transpose().matmul(weighed).matmul(columns)
    }
}

/// The orthonormal discrete cosine transform (type II) of `n` values as a matrix.
fn cosines(n: usize, device: &Device) -> Tensor<4> {
    let value = |at: usize| {
        let (k, x) = ((at / n) as f32, (at % n) as f32);
        let scale = if at < n { 1.0 } else { 2.0 } / n as f32;
        scale.sqrt() * (std::f32::consts::PI * k * (x + 0.5) / n as f32).cos()
    };
    let values: Vec<f32> = (0..n * n).map(value).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, n, n]), device)
}
