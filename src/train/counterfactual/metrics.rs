//! What a training of counterfactuals reports after every epoch.

use serde::{Deserialize, Serialize};

use super::step::Terms;
use crate::counterfactual::Generator;
use crate::data::Dataset;
use crate::evaluate::classes::Confusion;
use crate::evaluate::{probabilities, top};
use crate::model::{Classifier, tensor_values};

/// One line of `metrics.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CounterfactualMetrics {
    /// Finished epochs.
    pub epoch: usize,
    /// Learning rate of the last step.
    pub rate: f64,
    /// Mean terms of the losses, before their weights, in the order of [`Terms`]; empty where the network
    /// concerned rested.
    pub discriminator_real: Option<f64>,
    /// See [`Terms::discriminator_fake`].
    pub discriminator_fake: Option<f64>,
    /// See [`Terms::fool`].
    pub fool: Option<f64>,
    /// See [`Terms::cycle`].
    pub cycle: Option<f64>,
    /// See [`Terms::identity`].
    pub identity: Option<f64>,
    /// See [`Terms::sparsity`].
    pub sparsity: Option<f64>,
    /// See [`Terms::total_variation`].
    pub total_variation: Option<f64>,
    /// See [`Terms::head`].
    pub head: Option<f64>,
    /// The discriminator's balanced accuracy on the monitored test pictures; empty without a test split.
    pub balanced_accuracy: Option<f64>,
    /// Share of them that the averaged generator turns into the next class, to the discriminator's eye.
    pub flip_rate: Option<f64>,
    /// Mean change of them.
    pub change: Option<f64>,
    /// Mean probability of “fake” that the discriminator gives to them.
    pub fakeness_real: Option<f64>,
    /// The same of their counterfactuals.
    pub fakeness_made: Option<f64>,
    /// Training pictures a second.
    pub throughput: f64,
    /// Seconds of computing since the start.
    pub seconds: f64,
}

impl CounterfactualMetrics {
    /// The mean of summed terms over `steps`; `learning` says whether the discriminator and the generator did.
    pub fn new(epoch: usize, rate: f64, sums: &Terms, steps: usize, learning: [bool; 2]) -> Self {
        let [discriminator, generator] =
            learning.map(|learns| move |sum: f64| learns.then_some(sum / steps.max(1) as f64));
        let both = learning == [true; 2];
        Self {
            epoch,
            rate,
            discriminator_real: discriminator(sums.discriminator_real),
            discriminator_fake: discriminator(sums.discriminator_fake).filter(|_| both),
            fool: generator(sums.fool),
            cycle: generator(sums.cycle),
            identity: generator(sums.identity),
            sparsity: generator(sums.sparsity),
            total_variation: generator(sums.total_variation),
            head: generator(sums.head),
            balanced_accuracy: None,
            flip_rate: None,
            change: None,
            fakeness_real: None,
            fakeness_made: None,
            throughput: 0.0,
            seconds: 0.0,
        }
    }

    /// With what the test pictures say.
    pub fn judged(mut self, judgement: &Judgement) -> Self {
        self.balanced_accuracy = Some(judgement.balanced_accuracy);
        self.flip_rate = Some(judgement.flip_rate);
        self.change = Some(judgement.change);
        self.fakeness_real = Some(judgement.fakeness[0]);
        self.fakeness_made = Some(judgement.fakeness[1]);
        self
    }
}

/// What a discriminator and its generator do to a data set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// Mean over the classes of the share recognised, “fake” not being an answer.
    pub balanced_accuracy: f64,
    /// Share of pictures whose counterfactual the discriminator takes for one of the next class.
    pub flip_rate: f64,
    /// Mean |x − G(x)| in units of pixels in [0, 1].
    pub change: f64,
    /// Mean probability of “fake”: of the pictures, of their counterfactuals.
    pub fakeness: [f64; 2],
}

/// Pictures looked at together.
const BATCH: usize = 64;

/// Turns every picture of `data` into the next class (with two: the other) and looks at both.
pub fn judge(discriminator: &Classifier, generator: &Generator, data: &Dataset) -> Judgement {
    let classes = generator.classes();
    let mut found = Vec::new();
    let (mut flipped, mut change, mut fakeness) = (0.0, 0.0, [0.0; 2]);
    let indices: Vec<usize> = (0..data.len()).collect();
    for chunk in indices.chunks(BATCH) {
        let x = data.tensor(chunk, discriminator.device());
        let labels: Vec<usize> = chunk.iter().map(|&index| data.labels[index]).collect();
        let targets: Vec<usize> = labels.iter().map(|label| (label + 1) % classes).collect();
        let made = generator.translate(x.clone(), &targets).picture;
        let seen = probabilities(discriminator, x.clone());
        let seen_made = probabilities(discriminator, made.clone());
        for (index, &target) in targets.iter().enumerate() {
            found.push(top(&seen[index][..classes]));
            flipped += f64::from(u8::from(top(&seen_made[index]) == target));
            fakeness[0] += f64::from(seen[index][classes]);
            fakeness[1] += f64::from(seen_made[index][classes]);
        }
        let apart = tensor_values((made - x).abs().mean())[0];
        change += f64::from(apart) * chunk.len() as f64;
    }
    let count = data.len().max(1) as f64;
    let confusion = Confusion::of(&data.labels, &found, classes);
    Judgement {
        balanced_accuracy: confusion.balanced_accuracy(),
        flip_rate: flipped / count,
        change: change / count,
        fakeness: fakeness.map(|sum| sum / count),
    }
}
