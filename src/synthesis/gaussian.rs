//! Gaussian fits (mean and covariance) of pictures or features, and their Fréchet distance.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// Mean and covariance of samples of dimension `d`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussian {
    /// Mean, `[d]`.
    pub mean: DVector<f64>,
    /// Covariance, `[d, d]`, with n − 1 in its denominator as in numpy and FID.
    pub covariance: DMatrix<f64>,
}

impl Gaussian {
    /// Fits samples of equal length; `None` for fewer than two.
    pub fn fit<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone) -> Option<Self> {
        let width = rows.clone().next()?.len();
        let count = rows.clone().count();
        if count < 2 {
            return None;
        }
        let values = rows.flat_map(|row| row.iter().map(|&value| f64::from(value)));
        // Column-major: each sample is a column here.
        let mut columns = DMatrix::from_iterator(width, count, values);
        let mean = columns.column_mean();
        for mut column in columns.column_iter_mut() {
            column -= &mean;
        }
        let covariance = &columns * columns.transpose() / (count - 1) as f64;
        Some(Self { mean, covariance })
    }

    /// Principal directions of variance at least `least`, scaled by their standard deviation.
    pub fn principal(&self, least: f64) -> Vec<DVector<f64>> {
        let SymmetricEigen {
            eigenvalues,
            eigenvectors,
        } = SymmetricEigen::new(self.covariance.clone());
        let pairs = eigenvalues.iter().zip(eigenvectors.column_iter());
        pairs
            .filter(|(variance, _)| **variance >= least)
            .map(|(variance, direction)| direction * variance.sqrt())
            .collect()
    }
}

/// Fréchet distance of two Gaussians (Dowson and Landau 1982; Heusel et al. 2017, equation 6):
/// |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½), at least 0; in squared units of the features.
///
/// This is FID's formula; it is FID only with the features of the Inception network that FID names.
pub fn frechet(a: &Gaussian, b: &Gaussian) -> f64 {
    let between = (&a.mean - &b.mean).norm_squared();
    let root = square_root(&a.covariance);
    // Σ₁^½ Σ₂ Σ₁^½ has the eigenvalues of Σ₁ Σ₂ and is symmetric.
    let product = &root * &b.covariance * &root;
    let roots: f64 = SymmetricEigen::new(product)
        .eigenvalues
        .iter()
        .map(|value| value.max(0.0).sqrt())
        .sum();
    (between + a.covariance.trace() + b.covariance.trace() - 2.0 * roots).max(0.0)
}

/// The symmetric square root of a covariance.
fn square_root(covariance: &DMatrix<f64>) -> DMatrix<f64> {
    let SymmetricEigen {
        eigenvalues,
        eigenvectors,
    } = SymmetricEigen::new(covariance.clone());
    let roots = eigenvalues.map(|value| value.max(0.0).sqrt());
    &eigenvectors * DMatrix::from_diagonal(&roots) * eigenvectors.transpose()
}
