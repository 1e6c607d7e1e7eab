//! A running attack of any method, a step at a time.

use burn::tensor::Tensor;

use super::auto::AutoRun;
use super::mask::AttackMask;
use super::{Attack, AutoAttack, PgdRun};
use crate::model::{Classifier, tensor_values};

/// A running attack on a batch.
pub struct AttackRun(Running);

enum Running {
    Pgd(Box<PgdRun>),
    Auto(Box<AutoRuns>),
}

/// Attacks without settings: one on all pictures within one radius, or one on each picture within its own.
struct AutoRuns {
    attack: AutoAttack,
    x: Tensor<4>,
    labels: Vec<usize>,
    noise_ids: Vec<u64>,
    radii: Vec<f32>,
    mask: Option<AttackMask>,
    current: Option<AutoRun>,
    finished: Vec<Tensor<4>>,
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
            Some(attack) => Running::Auto(Box::new(AutoRuns {
                attack,
                x,
                labels: labels.to_vec(),
                noise_ids: noise_ids.to_vec(),
                radii: radii.to_vec(),
                mask: None,
                current: None,
                finished: Vec::new(),
            })),
        })
    }

    /// Lets the attack change only the pixels inside a mask, if one is given, from the start.
    pub fn within<'a>(self, mask: impl Into<Option<&'a AttackMask>>) -> Self {
        Self(match self.0 {
            Running::Pgd(run) => Running::Pgd(Box::new(run.within(mask))),
            Running::Auto(runs) => Running::Auto(Box::new(AutoRuns {
                mask: mask.into().cloned(),
                ..*runs
            })),
        })
    }

    /// Share of the work done, in [0, 1]; attacks may end early.
    pub fn progress(&self) -> f32 {
        match &self.0 {
            Running::Pgd(run) => run.progress(),
            Running::Auto(runs) => {
                let current = runs.current.as_ref().map_or(0.0, AutoRun::progress);
                (runs.finished.len() as f32 + current) / runs.radii.len().max(1) as f32
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
        if self.finished.len() == self.radii.len() {
            return false;
        }
        let mut run = match self.current.take() {
            Some(run) => run,
            None => self.begin(model),
        };
        if run.step(model) {
            self.current = Some(run);
            return true;
        }
        self.finished.push(run.pictures(model.device()));
        self.finished.len() < self.radii.len()
    }

    /// Begins the attack within the next radius.
    fn begin(&self, model: &Classifier) -> AutoRun {
        let index = self.finished.len();
        let attack = AutoAttack {
            epsilon: self.radii[index],
            ..self.attack.clone()
        };
        let run = if self.radii.len() == 1 {
            attack.begin(model, &self.x, &self.labels, &self.noise_ids)
        } else {
            let one = index..=index;
            let (labels, ids) = (&self.labels[one.clone()], &self.noise_ids[one]);
            attack.begin(model, &self.x.clone().narrow(0, index, 1), labels, ids)
        };
        run.within(self.mask.as_ref())
    }
}
