//! Learning rates over a training.

use serde::{Deserialize, Serialize};

/// The shape of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// Half a cosine from the peak to zero (Loshchilov and Hutter 2017).
    Cosine,
    /// Linearly up to the peak over the first 30 %, linearly down to zero (Smith and Topin 2018).
    OneCycle,
    /// Quickly up, level over the first 60 %, linearly down to zero (as Zhu et al. 2017 train
    /// generators and discriminators).
    Plateau,
}

/// A learning rate for each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Its shape.
    pub kind: ScheduleKind,
    /// The highest learning rate.
    pub peak: f64,
    /// Epochs until zero; a training may stop before, as the paper's does.
    pub epochs: usize,
}

const WARM_UP: f64 = 0.3;
/// A plateau's ascent and the beginning of its descent.
const PLATEAU: [f64; 2] = [0.03, 0.6];

impl Schedule {
    /// The rate of step `step` of `steps_per_epoch` in `epoch`, both from 0 on.
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
