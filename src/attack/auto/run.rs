//! A sequence of attacks on a batch, a step at a time.

use std::collections::VecDeque;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::losses::ranked;
use super::{
    Apgd, ApgdRun, AutoAttack, AutoOutcome, AutoPart, DeepFool, DeepFoolRun, Fab, FabRun, Loss,
    PartOutcome, Square, SquareRun,
};
use crate::attack::{AttackMask, Ball};
use crate::model::{Classifier, tensor_values};

/// A sequence of attacks under way.
pub struct AutoRun {
    attack: AutoAttack,
    mask: Option<AttackMask>,
    x: Tensor<4>,
    labels: Vec<usize>,
    noise_ids: Vec<u64>,
    /// The classes of each clean picture, the likeliest first.
    ranked: Vec<Vec<usize>>,
    /// Pictures that are not misclassified yet, by their places in the batch.
    open: Vec<usize>,
    pictures: Pictures,
    /// The attack under way, and those after it.
    parts: VecDeque<AutoPart>,
    total: usize,
    part: Option<PartRun>,
    outcomes: Vec<PartOutcome>,
}

/// One attack of the sequence on the pictures that withstood those before.
struct PartRun {
    /// Their places in the batch.
    places: Vec<usize>,
    fooled: Vec<bool>,
    without_gradient: Vec<bool>,
    /// Ranks of the target classes that are left, the one under way first; of attacks without targets one.
    ranks: VecDeque<usize>,
    count: usize,
    rank: Option<RankRun>,
}

/// An attack toward one target class of each picture.
struct RankRun {
    /// Places of the pictures in the part.
    open: Vec<usize>,
    run: Running,
}

enum Running {
    Apgd(Box<ApgdRun>),
    Fab(FabRun),
    Square(SquareRun),
    DeepFool(Box<DeepFoolRun>),
}

impl AutoRun {
    pub(super) fn new(
        mut attack: AutoAttack,
        model: &Classifier,
        x: &Tensor<4>,
        labels: &[usize],
        noise_ids: &[u64],
    ) -> Self {
        attack.epsilon *= attack.norm.channel_scale(model.manifest());
        let ranked = ranked(&model.logits(x.clone()));
        // Without a radius nothing is to be found.
        let right = |at: &usize| attack.epsilon > 0.0 && ranked[*at][0] == labels[*at];
        let parts = VecDeque::from(attack.parts_for(model.classes()));
        Self {
            open: (0..labels.len()).filter(right).collect(),
            pictures: Pictures::of(x),
            x: x.clone(),
            labels: labels.to_vec(),
            noise_ids: noise_ids.to_vec(),
            ranked,
            total: parts.len(),
            parts,
            part: None,
            outcomes: Vec::new(),
            attack,
            mask: AttackMask::of_model(model.manifest()),
        }
    }

    /// Lets the attacks change only the pixels inside a mask, if one is given.
    pub fn within<'a>(mut self, mask: impl Into<Option<&'a AttackMask>>) -> Self {
        if let Some(mask) = mask.into() {
            self.mask = Some(mask.with_channels_of(self.mask.as_ref()));
        }
        self
    }

    /// The attack under way, or the next one.
    pub fn part(&self) -> Option<AutoPart> {
        self.parts.front().copied()
    }

    /// What the attacks that ran to their end made of the batch.
    pub fn outcomes(&self) -> &[PartOutcome] {
        &self.outcomes
    }

    /// Number of pictures that are not misclassified so far.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Share of the sequence that is done, in [0, 1]; attacks may end early.
    pub fn progress(&self) -> f32 {
        if self.is_finished() {
            return 1.0;
        }
        let part = self.part.as_ref().map_or(0.0, PartRun::progress);
        (self.outcomes.len() as f32 + part) / self.total.max(1) as f32
    }

    fn is_finished(&self) -> bool {
        self.parts.is_empty() || self.open.is_empty()
    }

    /// Takes a step, of one gradient or one prediction at most two; `false`, and none, once all is done.
    pub fn step(&mut self, model: &Classifier) -> bool {
        let Some(&part) = self.parts.front().filter(|_| !self.is_finished()) else {
            return false;
        };
        let mut run = match self.part.take() {
            Some(run) => run,
            None => self.begin_part(part, model),
        };
        if run.rank.is_none() {
            run.rank = self.begin_rank(part, &run, model);
        }
        let goes_on = run.rank.as_mut().is_some_and(|rank| rank.run.step(model));
        if goes_on {
            self.part = Some(run);
            return true;
        }
        if let Some(rank) = run.rank.take() {
            self.finish_rank(&mut run, rank, model.device());
            run.ranks.pop_front();
        }
        if run.ranks.is_empty() || !run.fooled.contains(&false) {
            self.finish_part(part, &run);
        } else {
            self.part = Some(run);
        }
        true
    }

    /// The pictures so far: misclassified ones where they were found, else the pictures themselves, `[n, 3, h, w]`.
    pub fn pictures(&self, device: &Device) -> Tensor<4> {
        self.pictures.clone().tensor(device)
    }

    /// The outcome so far.
    pub fn finish(self, device: &Device) -> AutoOutcome {
        AutoOutcome {
            pictures: self.pictures.tensor(device),
            clean: self.ranked.iter().map(|order| order[0]).collect(),
            parts: self.outcomes,
        }
    }

    fn begin_part(&self, part: AutoPart, model: &Classifier) -> PartRun {
        let targets = self.attack.targets.min(model.classes() - 1);
        let ranks: VecDeque<usize> = match part {
            AutoPart::ApgdT | AutoPart::FabT => (1..=targets).collect(),
            AutoPart::ApgdCe | AutoPart::ApgdDlr | AutoPart::Square | AutoPart::DeepFool => {
                VecDeque::from([1])
            }
        };
        PartRun {
            places: self.open.clone(),
            fooled: vec![false; self.open.len()],
            without_gradient: vec![false; self.open.len()],
            count: ranks.len(),
            ranks,
            rank: None,
        }
    }

    /// Begins the attack toward the next target classes, on the pictures that the part has not fooled yet.
    fn begin_rank(&self, part: AutoPart, run: &PartRun, model: &Classifier) -> Option<RankRun> {
        let rank = *run.ranks.front()?;
        let open: Vec<usize> = (0..run.places.len())
            .filter(|&at| !run.fooled[at])
            .collect();
        let places: Vec<usize> = open.iter().map(|&at| run.places[at]).collect();
        let x = selected(&self.x, &places);
        let labels: Vec<usize> = places.iter().map(|&at| self.labels[at]).collect();
        let targets: Vec<usize> = places.iter().map(|&at| self.ranked[at][rank]).collect();
        let ids: Vec<u64> = places.iter().map(|&at| self.noise_ids[at]).collect();
        let AutoAttack {
            norm,
            epsilon,
            steps,
            queries,
            seed,
            ..
        } = self.attack;
        let mask = || self.mask.clone();
        let apgd = |loss| {
            let ball = Ball::new(norm, &[epsilon], model.device()).within(self.mask.as_ref());
            let start = ball.random_start(&x, seed, &ids);
            let apgd = Apgd {
                model,
                norm,
                epsilon,
                steps,
                loss,
                mask: mask(),
            };
            Running::Apgd(Box::new(apgd.begin(&x, start, &labels, &targets)))
        };
        let running = match part {
            AutoPart::ApgdCe => apgd(Loss::CrossEntropy),
            AutoPart::ApgdDlr => apgd(Loss::Dlr),
            AutoPart::ApgdT => apgd(Loss::TargetedDlr),
            AutoPart::FabT => {
                let fab = Fab {
                    model,
                    norm,
                    steps,
                    mask: mask(),
                };
                Running::Fab(fab.begin(&x, &labels, &targets))
            }
            AutoPart::DeepFool => {
                let deepfool = DeepFool {
                    model,
                    norm,
                    mask: mask(),
                };
                Running::DeepFool(Box::new(deepfool.begin(&x, &labels)))
            }
            AutoPart::Square => {
                let square = Square {
                    model,
                    norm,
                    epsilon,
                    queries,
                    seed,
                    mask: mask(),
                };
                Running::Square(square.begin(&x, &labels, &ids))
            }
        };
        Some(RankRun { open, run: running })
    }

    /// Keeps what an attack toward one target class found.
    fn finish_rank(&mut self, part: &mut PartRun, rank: RankRun, device: &Device) {
        let epsilon = self.attack.epsilon;
        let (made, fooled) = match rank.run {
            Running::Apgd(run) => {
                let outcome = run.finish();
                for (&at, none) in rank.open.iter().zip(outcome.no_gradient) {
                    part.without_gradient[at] |= none;
                }
                (outcome.pictures, outcome.fooled)
            }
            Running::Fab(run) => within(epsilon, run.finish(device)),
            Running::DeepFool(run) => within(epsilon, run.finish(device)),
            Running::Square(run) => run.finish(device),
        };
        let places: Vec<usize> = rank.open.iter().map(|&at| part.places[at]).collect();
        self.pictures.replace(&places, &fooled, made);
        for at in where_true(&rank.open, &fooled) {
            part.fooled[at] = true;
        }
    }

    fn finish_part(&mut self, part: AutoPart, run: &PartRun) {
        let outcome = PartOutcome {
            part,
            fooled: where_true(&run.places, &run.fooled),
            without_gradient: where_true(&run.places, &run.without_gradient),
            attacked: run.places.clone(),
        };
        self.open.retain(|at| !outcome.fooled.contains(at));
        self.outcomes.push(outcome);
        self.parts.pop_front();
    }
}

impl PartRun {
    fn progress(&self) -> f32 {
        let done = self.count - self.ranks.len();
        let rank = self.rank.as_ref().map_or(0.0, |rank| rank.run.progress());
        (done as f32 + rank) / self.count.max(1) as f32
    }
}

impl Running {
    fn step(&mut self, model: &Classifier) -> bool {
        match self {
            // Whatever the loss, more is not to be found.
            Self::Apgd(run) if run.has_fooled_all() => false,
            Self::Apgd(run) => run.step(model),
            Self::Fab(run) => run.step(model),
            Self::Square(run) => run.step(model),
            Self::DeepFool(run) => run.step(model),
        }
    }

    fn progress(&self) -> f32 {
        match self {
            Self::Apgd(run) => run.progress(),
            Self::Fab(run) => run.progress(),
            Self::Square(run) => run.progress(),
            Self::DeepFool(run) => run.progress(),
        }
    }
}

/// Of the nearest misclassified pictures with their distances, which are within the radius.
fn within(epsilon: f32, (nearest, distances): (Tensor<4>, Vec<f32>)) -> (Tensor<4>, Vec<bool>) {
    let within = distances.iter().map(|&distance| distance <= epsilon);
    (nearest, within.collect())
}

/// Pictures of a batch, some of which are replaced by adversarial ones.
#[derive(Clone)]
struct Pictures {
    values: Vec<f32>,
    shape: [usize; 4],
}

impl Pictures {
    fn of(x: &Tensor<4>) -> Self {
        Self {
            values: tensor_values(x.clone()),
            shape: x.dims(),
        }
    }

    /// Replaces those of the pictures at `places` for which `mask` is true by their place in `made`.
    fn replace(&mut self, places: &[usize], mask: &[bool], made: Tensor<4>) {
        let length = self.shape[1..].iter().product();
        let made = tensor_values(made);
        let made = places.iter().zip(mask).zip(made.chunks_exact(length));
        for ((&at, _), made) in made.filter(|((_, replaced), _)| **replaced) {
            self.values[at * length..(at + 1) * length].copy_from_slice(made);
        }
    }

    fn tensor(self, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.values, self.shape), device)
    }
}

/// Those of `places` for which `mask` is true.
fn where_true(places: &[usize], mask: &[bool]) -> Vec<usize> {
    let pairs = places.iter().zip(mask);
    pairs
        .filter_map(|(&at, &chosen)| chosen.then_some(at))
        .collect()
}

/// Some of the pictures `[n, 3, h, w]`.
fn selected(x: &Tensor<4>, places: &[usize]) -> Tensor<4> {
    let indices: Vec<i32> = places.iter().map(|&place| place as i32).collect();
    let data = TensorData::new(indices, [places.len()]);
    x.clone()
        .select(0, Tensor::<1, Int>::from_data(data, &x.device()))
}
