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

/// Linear warm-up of ε over a training, in shares of its steps: 0 until `from`, then growing linearly to
/// the attack's own ε at `full` (as arXiv 2509.23325 does for weights that are not robust).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpsilonSchedule {
    /// Share of the training without attack, in [0, 1].
    pub from: f64,
    /// Share of the training after which ε has its full value, at least `from` and at most 1.
    pub full: f64,
}

impl EpsilonSchedule {
    /// Scale of ε, in [0, 1], at the share `done` of the training.
    pub fn share(&self, done: f64) -> f64 {
        if done >= self.full {
            1.0
        } else if done <= self.from {
            0.0
        } else {
            (done - self.from) / (self.full - self.from)
        }
    }

    pub(super) fn is_valid(&self) -> bool {
        (0.0..=1.0).contains(&self.from) && (self.from..=1.0).contains(&self.full)
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

    #[test]
    fn epsilon_is_nothing_then_grows_then_is_whole() {
        let schedule = EpsilonSchedule {
            from: 0.2,
            full: 0.6,
        };
        let shares = [0.0, 0.2, 0.4, 0.6, 1.0].map(|done| schedule.share(done));
        for (share, expected) in shares.into_iter().zip([0.0, 0.0, 0.5, 1.0, 1.0]) {
            assert!((share - expected).abs() < 1e-12, "{shares:?}");
        }
        let at_once = EpsilonSchedule {
            from: 0.0,
            full: 0.0,
        };
        assert_eq!(at_once.share(0.0), 1.0);
    }
}
