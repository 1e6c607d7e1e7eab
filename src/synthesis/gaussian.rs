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
        let (mean, columns) = centred(rows)?;
        let covariance = &columns * columns.transpose() / (columns.ncols() - 1) as f64;
        Some(Self { mean, covariance })
    }
}

/// Mean of samples of equal length, and their principal directions of variance at least `least`, each as long as its
/// standard deviation, the largest first; `None` for fewer than two samples.
pub(super) fn principal_directions<'a>(
    rows: impl Iterator<Item = &'a [f32]> + Clone,
    least: f64,
) -> Option<(DVector<f64>, Vec<DVector<f64>>)> {
    let (mean, columns) = centred(rows)?;
    let count = (columns.ncols() - 1) as f64;
    // X Xᵀ and Xᵀ X have the same eigenvalues; the smaller of the two is decomposed.
    let by_samples = columns.ncols() < columns.nrows();
    let product = if by_samples {
        columns.tr_mul(&columns) / count
    } else {
        &columns * columns.transpose() / count
    };
    let SymmetricEigen {
        eigenvalues,
        eigenvectors,
    } = SymmetricEigen::new(product);
    let mut pairs: Vec<_> = eigenvalues.iter().zip(eigenvectors.column_iter()).collect();
    pairs.retain(|(variance, _)| **variance >= least);
    pairs.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let direction = |(variance, vector): (&f64, nalgebra::DVectorView<f64>)| {
        if by_samples {
            &columns * vector / count.sqrt()
        } else {
            vector * variance.sqrt()
        }
    };
    let directions = pairs.into_iter().map(direction).collect();
    Some((mean, directions))
}

/// Mean of samples of equal length, and a matrix whose columns are their differences from it; `None` for fewer than two.
fn centred<'a>(
    rows: impl Iterator<Item = &'a [f32]> + Clone,
) -> Option<(DVector<f64>, DMatrix<f64>)> {
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
    Some((mean, columns))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principal_directions_of_few_or_many_samples_make_up_the_covariance() {
        for count in [3, 5, 40] {
            let value = |at: usize| ((at * 7919) % 1009) as f32 / 1009.0;
            let rows: Vec<Vec<f32>> = (0..count)
                .map(|row| {
                    (0..6)
                        .map(|at| value(row * row + 31 * at + at * row))
                        .collect()
                })
                .collect();
            let slices = || rows.iter().map(Vec::as_slice);
            let fitted = Gaussian::fit(slices()).expect("two samples or more");
            let (mean, directions) = principal_directions(slices(), 1e-12).expect("likewise");
            assert!((&mean - &fitted.mean).norm() < 1e-12);
            let sum = directions
                .iter()
                .map(|direction| direction * direction.transpose());
            let sum = sum.fold(DMatrix::zeros(6, 6), |sum, part| sum + part);
            assert!((sum - &fitted.covariance).norm() < 1e-9, "{count} samples");
            assert!(directions.len() <= count.min(6));
            let lengths: Vec<f64> = directions
                .iter()
                .map(|direction| direction.norm())
                .collect();
            assert!(lengths.is_sorted_by(|a, b| a >= b), "{lengths:?}");
        }
        assert!(principal_directions([[0.0_f32; 2].as_slice()].into_iter(), 0.0).is_none());
    }
}
