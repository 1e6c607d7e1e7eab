//! Metrics of a counterfactual training: mean loss terms, balanced accuracy, flip rate.

use serde::{Deserialize, Serialize};

use super::frozen::Frozen;
use super::losses::LossTerms;
use crate::counterfactual::Generator;
use crate::data::Dataset;
use crate::evaluate::classes::Confusion;
use crate::evaluate::{predict, probabilities, top};
use crate::model::{Classifier, tensor_values};

/// Metrics of one epoch, a row of `metrics.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CounterfactualMetrics {
    /// Number of finished epochs.
    pub epoch: usize,
    /// Learning rate of the epoch's last step.
    pub rate: f64,
    /// Mean of [`LossTerms::discriminator_real`]; as all terms, empty where the network was not trained.
    pub discriminator_real: Option<f64>,
    /// Mean of [`LossTerms::discriminator_fake`].
    pub discriminator_fake: Option<f64>,
    /// Mean of [`LossTerms::fool`].
    pub fool: Option<f64>,
    /// Mean of [`LossTerms::cycle`].
    pub cycle: Option<f64>,
    /// Mean of [`LossTerms::identity`].
    pub identity: Option<f64>,
    /// Mean of [`LossTerms::sparsity`].
    pub sparsity: Option<f64>,
    /// Mean of [`LossTerms::total_variation`].
    pub total_variation: Option<f64>,
    /// Mean of [`LossTerms::head`].
    pub head: Option<f64>,
    /// Mean of [`LossTerms::flip`]; 0 without a frozen classifier.
    #[serde(default)]
    pub flip: Option<f64>,
    /// Mean of [`LossTerms::diversity`].
    #[serde(default)]
    pub diversity: Option<f64>,
    /// The discriminator's balanced accuracy on the monitored test pictures; empty without a test split.
    pub balanced_accuracy: Option<f64>,
    /// Share of them whose counterfactual of the next class the frozen classifier, or else the discriminator,
    /// predicts as that class.
    pub flip_rate: Option<f64>,
    /// Mean |x − G(x)| of them, in units of pixels in [0, 1].
    pub change: Option<f64>,
    /// Mean predicted probability of “fake” of the real pictures.
    pub fakeness_real: Option<f64>,
    /// Mean predicted probability of “fake” of their counterfactuals.
    pub fakeness_made: Option<f64>,
    /// Training pictures per second.
    pub throughput: f64,
    /// Training time in seconds since the start, resumed runs included.
    pub seconds: f64,
}

impl CounterfactualMetrics {
    /// Means of summed terms over `steps` steps; `learning` says whether the discriminator and whether the
    /// generator were trained.
    pub fn new(
        epoch: usize,
        rate: f64,
        sums: &LossTerms,
        steps: usize,
        learning: [bool; 2],
    ) -> Self {
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
            flip: generator(sums.flip),
            diversity: generator(sums.diversity),
            balanced_accuracy: None,
            flip_rate: None,
            change: None,
            fakeness_real: None,
            fakeness_made: None,
            throughput: 0.0,
            seconds: 0.0,
        }
    }

    /// Adds the metrics on the test pictures.
    pub fn with_evaluation(mut self, evaluation: &PairEvaluation) -> Self {
        self.balanced_accuracy = Some(evaluation.balanced_accuracy);
        self.flip_rate = Some(evaluation.flip_rate);
        self.change = Some(evaluation.change);
        self.fakeness_real = Some(evaluation.fakeness[0]);
        self.fakeness_made = Some(evaluation.fakeness[1]);
        self
    }
}

/// Evaluation of a discriminator–generator pair on a data set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairEvaluation {
    /// Balanced accuracy of the discriminator, with the output “fake” ignored.
    pub balanced_accuracy: f64,
    /// Share of pictures whose counterfactual the frozen classifier, or else the discriminator, predicts as the
    /// target class.
    pub flip_rate: f64,
    /// Mean |x − G(x)| in units of pixels in [0, 1].
    pub change: f64,
    /// Mean probability of “fake” of the pictures and of their counterfactuals.
    pub fakeness: [f64; 2],
}

/// Batch size of the evaluation.
const BATCH: usize = 64;

/// Translates every picture of `data` into the next class (with two classes, the other one) and evaluates
/// the discriminator on both, the frozen classifier of the training, if there is one, on the latter.
pub fn evaluate_pair(
    discriminator: &Classifier,
    frozen: Option<&Frozen>,
    generator: &Generator,
    data: &Dataset,
) -> PairEvaluation {
    let outputs = generator.outputs();
    let classes = outputs.len();
    let mut found = Vec::new();
    let (mut flipped, mut change, mut fakeness) = (0.0, 0.0, [0.0; 2]);
    let indices: Vec<usize> = (0..data.len()).collect();
    for chunk in indices.chunks(BATCH) {
        let x = data.tensor(chunk, discriminator.device());
        let labels: Vec<usize> = chunk.iter().map(|&index| data.labels[index]).collect();
        let targets: Vec<usize> = labels.iter().map(|label| (label + 1) % classes).collect();
        let wanted: Vec<usize> = targets.iter().map(|&class| outputs[class]).collect();
        let made = generator.translate(x.clone(), &wanted).picture;
        let seen = probabilities(discriminator, x.clone());
        let seen_made = probabilities(discriminator, made.clone());
        let flips = match frozen {
            Some(frozen) => predict(&frozen.classifier, made.clone()),
            None => seen_made.iter().map(|seen| top(seen)).collect(),
        };
        for (index, &target) in wanted.iter().enumerate() {
            found.push(top(&seen[index][..classes]));
            flipped += f64::from(u8::from(flips[index] == target));
            fakeness[0] += f64::from(seen[index][classes]);
            fakeness[1] += f64::from(seen_made[index][classes]);
        }
        let apart = tensor_values((made - x).abs().mean())[0];
        change += f64::from(apart) * chunk.len() as f64;
    }
    let count = data.len().max(1) as f64;
    let confusion = Confusion::of(&data.labels, &found, classes);
    PairEvaluation {
        balanced_accuracy: confusion.balanced_accuracy(),
        flip_rate: flipped / count,
        change: change / count,
        fakeness: fakeness.map(|sum| sum / count),
    }
}
