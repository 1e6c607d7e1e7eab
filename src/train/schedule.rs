//! Learning-rate schedules: cosine, one-cycle, plateau.

use serde::{Deserialize, Serialize};

/// Shape of a learning-rate schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// Cosine annealing from the peak to zero (Loshchilov and Hutter 2017).
    Cosine,
    /// One cycle (Smith and Topin 2018): linear warm-up to the peak over the first 30 %, linear decay to
    /// zero.
    OneCycle,
    /// Warm-up over 3 %, constant until 60 %, linear decay to zero (as Zhu et al. 2017 train generators and
    /// discriminators).
    Plateau,
}

/// A learning-rate schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Shape of the schedule.
    pub kind: ScheduleKind,
    /// Peak learning rate, above 0.
    pub peak: f64,
    /// Epochs until the rate is zero; a training may stop before, as the paper's does.
    pub epochs: usize,
}

const WARM_UP: f64 = 0.3;
/// End of the warm-up and start of the decay of [`ScheduleKind::Plateau`], as shares of the schedule.
const PLATEAU: [f64; 2] = [0.03, 0.6];

impl Schedule {
    /// Learning rate of step `step` (of `steps_per_epoch`) in `epoch`, both counted from 0.
    pub fn rate(&self, epoch: usize, step: usize, steps_per_epoch: usize) -> f64 {
        let done = epoch as f64 + (step as f64 + 0.5) / steps_per_epoch as f64;
        let share = (done / self.epochs as f64).min(1.0);
        self.peak
            * match self.kind {
                ScheduleKind::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * share).cos()),
                ScheduleKind::OneCycle if share < WARM_UP => share / WARM_UP,
                ScheduleKind::OneCycle => (1.0 - share) / (1.0 - WARM_UP),
                ScheduleKind::Plateau => {
                    let [up, down] = PLATEAU;
                    (share / up).min((1.0 - share) / (1.0 - down)).min(1.0)
                }
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_peak_and_end_where_they_should() {
        let schedule = |kind| Schedule {
            kind,
            peak: 0.2,
            epochs: 10,
        };
        let cosine = schedule(ScheduleKind::Cosine);
        assert!((cosine.rate(0, 0, 100) - 0.2).abs() < 1e-4);
        assert!((cosine.rate(5, 0, 1_000_000) - 0.1).abs() < 1e-6);
        assert!(cosine.rate(9, 99, 100) < 1e-5);
        let cycle = schedule(ScheduleKind::OneCycle);
        assert!(cycle.rate(0, 0, 100) < 0.001);
        assert!((cycle.rate(3, 0, 1_000_000) - 0.2).abs() < 1e-6);
        assert!(cycle.rate(9, 99, 100) < 0.001);
        let plateau = schedule(ScheduleKind::Plateau);
        assert!(plateau.rate(0, 0, 100) < 0.005);
        assert!((plateau.rate(3, 0, 100) - 0.2).abs() < 1e-6);
        assert!((plateau.rate(8, 0, 1_000_000) - 0.1).abs() < 1e-6);
        assert!(plateau.rate(9, 99, 100) < 0.001);
    }
}
