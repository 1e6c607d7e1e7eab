//! Classification metrics from a confusion matrix: accuracy, balanced accuracy, macro F1.

use serde::Serialize;

/// A confusion matrix, `[true class][predicted class]`; predictions of an additional class (“fake”) are
/// always wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Confusion {
    counts: Vec<Vec<usize>>,
}

impl Confusion {
    /// Counts predictions; `classes` is the number of true classes.
    pub fn of(labels: &[usize], predictions: &[usize], classes: usize) -> Self {
        let widest = predictions
            .iter()
            .map(|&found| found + 1)
            .max()
            .unwrap_or(0);
        let mut counts = vec![vec![0; classes.max(widest)]; classes];
        for (&label, &found) in labels.iter().zip(predictions) {
            counts[label][found] += 1;
        }
        Self { counts }
    }

    /// Recall of the class `label`; `None` where it does not occur.
    fn recall(&self, label: usize) -> Option<f64> {
        let all: usize = self.counts[label].iter().sum();
        (all > 0).then(|| self.counts[label][label] as f64 / all as f64)
    }

    /// Share of correct predictions.
    pub fn accuracy(&self) -> f64 {
        let all: usize = self.counts.iter().flatten().sum();
        let right: usize = (0..self.counts.len())
            .map(|class| self.counts[class][class])
            .sum();
        right as f64 / all.max(1) as f64
    }

    /// Mean recall over the classes that occur.
    pub fn balanced_accuracy(&self) -> f64 {
        mean((0..self.counts.len()).filter_map(|class| self.recall(class)))
    }

    /// Mean of F1 = 2·TP / (2·TP + FN + FP) over the classes that occur.
    pub fn macro_f1(&self) -> f64 {
        let f1 = |class: usize| {
            let recalled: usize = self.counts[class].iter().sum();
            let claimed: usize = self.counts.iter().map(|row| row[class]).sum();
            let right = self.counts[class][class];
            (recalled > 0).then(|| 2.0 * right as f64 / (recalled + claimed) as f64)
        };
        mean((0..self.counts.len()).filter_map(f1))
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_counted() {
        // Three of class 0 (two found, one called fake), one of class 1 (called 0).
        let confusion = Confusion::of(&[0, 0, 0, 1], &[0, 0, 2, 0], 2);
        assert!((confusion.accuracy() - 0.5).abs() < 1e-12);
        assert!((confusion.balanced_accuracy() - 1.0 / 3.0).abs() < 1e-12);
        // F1 of class 0: 4 / (3 + 3); of class 1: 0.
        assert!((confusion.macro_f1() - 1.0 / 3.0).abs() < 1e-12);
    }
}
