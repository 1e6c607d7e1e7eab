//! A running attack of any method, a step at a time.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use super::auto::AutoRun;
use super::mask::AttackMask;
use super::{Attack, PgdRun};
use crate::model::{Classifier, tensor_values};

/// A running attack on a batch.
pub struct AttackRun(Running);

enum Running {
    Pgd(Box<PgdRun>),
    Auto(AutoRuns),
}

/// Attacks without settings, one for each radius.
struct AutoRuns {
    waiting: VecDeque<AutoRun>,
    finished: Vec<Tensor<4>>,
    count: usize,
}

impl AttackRun {
    /// Prepares an attack on `x` (`[n, 3, h, w]`, classes `labels`) within `radii`: one for all pictures
    /// or one for each, which replace the attack's own ε. `noise_ids` select each picture's random numbers.
    pub fn new(
        attack: &Attack,
        model: &Classifier,
        x: Tensor<4>,
        labels: &[usize],
        noise_ids: &[u64],
        radii: &[f32],
    ) -> Self {
        Self(match attack.auto() {
            None => Running::Pgd(Box::new(PgdRun::new(
                attack, model, x, labels, noise_ids, radii,
            ))),
            Some(auto) => {
                let begin = |(index, &epsilon): (usize, &f32)| {
                    let auto = super::AutoAttack {
                        epsilon,
                        ..auto.clone()
                    };
                    if radii.len() == 1 {
                        return auto.begin(model, &x, labels, noise_ids);
                    }
                    let one = index..=index;
                    let (labels, ids) = (&labels[one.clone()], &noise_ids[one]);
                    auto.begin(model, &x.clone().narrow(0, index, 1), labels, ids)
                };
                let waiting: VecDeque<AutoRun> = radii.iter().enumerate().map(begin).collect();
                Running::Auto(AutoRuns {
                    count: waiting.len(),
                    waiting,
                    finished: Vec::new(),
                })
            }
        })
    }

    /// Lets the attack change only the pixels inside a mask, from the start.
    pub fn within(self, mask: &AttackMask) -> Self {
        Self(match self.0 {
            Running::Pgd(run) => Running::Pgd(Box::new(run.within(mask))),
            Running::Auto(runs) => {
                let waiting = runs.waiting.into_iter();
                Running::Auto(AutoRuns {
                    waiting: waiting.map(|run| run.within(mask)).collect(),
                    ..runs
                })
            }
        })
    }

    /// Share of the work done, in [0, 1]; attacks may end early.
    pub fn progress(&self) -> f32 {
        match &self.0 {
            Running::Pgd(run) => run.progress(),
            Running::Auto(runs) => {
                let current = runs.waiting.front().map_or(0.0, AutoRun::progress);
                (runs.finished.len() as f32 + current) / runs.count.max(1) as f32
            }
        }
    }

    /// Takes a step of about one gradient and waits for the device, so that no queue of work delays more urgent
    /// requests; `false`, and no step, once all are done.
    pub fn step(&mut self, model: &Classifier) -> bool {
        match &mut self.0 {
            Running::Pgd(run) => run.step(model).map(tensor_values).is_some(),
            Running::Auto(runs) => runs.step(model),
        }
    }

    /// Each picture's best iterate; of attacks without settings that failed, the picture itself.
    pub fn finish(self, model: &Classifier) -> Tensor<4> {
        match self.0 {
            Running::Pgd(run) => run.finish(model),
            Running::Auto(mut runs) => {
                while runs.step(model) {}
                Tensor::cat(runs.finished, 0)
            }
        }
    }
}

impl AutoRuns {
    fn step(&mut self, model: &Classifier) -> bool {
        let Some(run) = self.waiting.front_mut() else {
            return false;
        };
        if !run.step(model) {
            self.finished.push(run.pictures(model.device()));
            self.waiting.pop_front();
        }
        !self.waiting.is_empty()
    }
}
