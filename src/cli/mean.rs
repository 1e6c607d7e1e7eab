//! Means over pictures with 95 % confidence intervals, for tables.

use serde::Serialize;

/// A mean with half the width of its 95 % confidence interval, for two values or more.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Mean {
    mean: f64,
    /// 1.96 standard errors.
    half_width: Option<f64>,
}

impl Mean {
    /// By the normal approximation.
    pub(super) fn of(values: impl Iterator<Item = f32>) -> Self {
        let values: Vec<f64> = values.map(f64::from).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let error = (squares / (count - 1.0).max(1.0) / count).sqrt();
        Self {
            mean,
            half_width: (values.len() > 1).then_some(1.96 * error),
        }
    }
}

impl std::fmt::Display for Mean {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.half_width {
            Some(half) => write!(f, "{:.4} ± {half:.4}", self.mean),
            None => write!(f, "{:.4}", self.mean),
        }
    }
}
