//! Histograms of a numeric column over the selected pictures.

use super::query::NumberColumn;
use super::table::Table;

/// Number of bins of a histogram.
const BINS: usize = 40;

/// A histogram of 40 bins of equal width, from the smallest value to the largest.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The numeric column.
    pub column: NumberColumn,
    /// Lower edge of the first bin.
    pub low: f64,
    /// Width of each bin, above 0.
    pub width: f64,
    /// Number of pictures in each bin.
    pub counts: Vec<usize>,
}

impl Histogram {
    /// The histogram of the `selected` records; `None` where none of them has a value.
    pub fn of(table: &Table, selected: &[usize], column: NumberColumn) -> Option<Self> {
        let numbers = selected
            .iter()
            .filter_map(|&index| column.of(&table.records[index]));
        let values: Vec<f32> = numbers.filter(|value| value.is_finite()).collect();
        let low = f64::from(values.iter().copied().reduce(f32::min)?);
        let high = f64::from(values.iter().copied().reduce(f32::max)?);
        let width = ((high - low) / BINS as f64).max(1e-6);
        let mut counts = vec![0; BINS];
        for value in values {
            let bin = ((f64::from(value) - low) / width) as usize;
            counts[bin.min(BINS - 1)] += 1;
        }
        Some(Self {
            column,
            low,
            width,
            counts,
        })
    }

    /// Lower edge of the first and upper edge of the last bin.
    pub fn reach(&self) -> [f64; 2] {
        [self.low, self.range(self.counts.len() - 1)[1]]
    }

    /// Lower and upper edge of a bin.
    pub fn range(&self, bin: usize) -> [f64; 2] {
        [bin, bin + 1].map(|edge| self.low + edge as f64 * self.width)
    }
}
