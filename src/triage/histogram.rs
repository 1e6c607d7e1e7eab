//! How often which numbers occur.

use super::query::NumberColumn;
use super::table::Table;

/// Bins of a histogram.
const BINS: usize = 40;

/// How many pictures have which number: 40 bins from the least to the greatest.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Which number.
    pub column: NumberColumn,
    /// Where the first bin begins.
    pub low: f64,
    /// How broad each bin is.
    pub width: f64,
    /// Pictures in each.
    pub counts: Vec<usize>,
}

impl Histogram {
    /// Counts the `selected` records, or says nothing where none of them has the number.
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

    /// From where to where all bins reach.
    pub fn reach(&self) -> [f64; 2] {
        [self.low, self.range(self.counts.len() - 1)[1]]
    }

    /// From where to where a bin reaches.
    pub fn range(&self, bin: usize) -> [f64; 2] {
        [bin, bin + 1].map(|edge| self.low + edge as f64 * self.width)
    }
}
