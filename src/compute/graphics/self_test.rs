//! Measures every way to run models: what it computes against the CPU, and how long that takes.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};

use super::{Execution, Measurement, Outcome};
use crate::error::Result;
use crate::model::{Classifier, ModelRef, tensor_values, zoo};
use crate::tasks::catch_expected_panic;

/// Largest distance of logits and of gradients from the CPU's, relative to their length. A few units are at the kink of their
/// ReLU, so that rounding decides on which side they are: right gradients differ by up to 0.5 % (measured).
const TOLERANCES: [f32; 2] = [1e-3, 2e-2];
/// Runs of which the shortest counts, after one that compiles and checks.
const RUNS: usize = 3;
/// Pictures at once of networks for small pictures.
const PICTURES: usize = 8;
/// Height and width of pictures up to which they are small.
const SMALL: usize = 64;

/// A network that every way to run models runs.
pub struct TestNetwork {
    cpu: Classifier,
    gpu: Classifier,
}

impl TestNetwork {
    /// These models, on the CPU and on `device`.
    ///
    /// # Errors
    /// As [`zoo::open`].
    pub fn open(models: &[ModelRef], device: &Device) -> Result<Vec<Self>> {
        let models = models.iter().map(|model| {
            Ok(Self {
                cpu: zoo::open(model, &Device::flex())?,
                gpu: zoo::open(model, device)?,
            })
        });
        models.collect()
    }

    /// The network on the graphics adapter.
    pub fn on_gpu(&self) -> &Classifier {
        &self.gpu
    }

    /// Pictures of noise, and their lengths `[n, 3, h, w]`.
    fn pictures(&self) -> (Vec<f32>, [usize; 4]) {
        let [h, w] = self.cpu.manifest().input;
        let count = if h.max(w) <= SMALL { PICTURES } else { 1 };
        let dims = [count, 3, h, w];
        // Multiples of an irrational number are spread evenly over [0, 1].
        let value = |at: usize| (at as f64 * 0.618_033_988_749_895).fract() as f32;
        ((0..dims.iter().product()).map(value).collect(), dims)
    }
}

/// Makes a network as a way to run models has it; `None` if it has none.
type OpenNetwork<'a> = Box<dyn Fn(&TestNetwork) -> Option<Classifier> + 'a>;

/// One way to run models.
pub struct Candidate<'a> {
    execution: Execution,
    open: OpenNetwork<'a>,
}

impl<'a> Candidate<'a> {
    /// A way to run models on a graphics adapter, or the CPU.
    pub fn new(execution: Execution) -> Self {
        Self::with(execution, move |network| match execution {
            Execution::Cpu => None,
            Execution::Gpu(algorithm) => network.gpu.by(algorithm),
        })
    }

    /// The same with networks made by `open`.
    pub fn with(
        execution: Execution,
        open: impl Fn(&TestNetwork) -> Option<Classifier> + 'a,
    ) -> Self {
        Self {
            execution,
            open: Box::new(open),
        }
    }
}

/// Measures all candidates, within `limit` as far as possible: what has begun is not interrupted.
pub fn measure(
    networks: &[TestNetwork],
    candidates: &[Candidate],
    limit: Duration,
) -> Vec<Measurement> {
    let end = Instant::now() + limit;
    let mut expected: Vec<(Numbers, f64)> = Vec::new();
    for network in networks {
        expected.push(timed(&network.cpu, network, end));
    }
    let rows = candidates.iter().map(|candidate| {
        let outcome = match candidate.execution {
            Execution::Cpu => Outcome::Right {
                seconds: expected.iter().map(|(_, seconds)| seconds).sum(),
                error: 0.0,
            },
            Execution::Gpu(_) => {
                let run = || outcome(candidate, networks, &expected, end);
                catch_expected_panic(run).unwrap_or_else(|reason| Outcome::Failed { reason })
            }
        };
        Measurement {
            execution: candidate.execution,
            outcome,
        }
    });
    rows.collect()
}

/// Logits and the gradients of a sum of them.
type Numbers = [Vec<f32>; 2];

/// What comes of a candidate.
fn outcome(
    candidate: &Candidate,
    networks: &[TestNetwork],
    expected: &[(Numbers, f64)],
    end: Instant,
) -> Outcome {
    let (mut total, mut largest) = (0.0, 0.0_f32);
    for (network, (expected, _)) in networks.iter().zip(expected) {
        let failed = |reason: &str| Outcome::Failed {
            reason: format!("{reason} {}", network.cpu.manifest().name),
        };
        if Instant::now() > end {
            return failed("too slow to come to");
        }
        let Some(model) = (candidate.open)(network) else {
            return failed("does not run");
        };
        let (ours, seconds) = timed(&model, network, end);
        for ((ours, theirs), tolerance) in ours.iter().zip(expected).zip(TOLERANCES) {
            let error = distance(ours, theirs);
            if !error.is_finite() {
                return Outcome::Wrong { error: None };
            }
            if error > tolerance {
                return Outcome::Wrong { error: Some(error) };
            }
            largest = largest.max(error);
        }
        total += seconds;
    }
    Outcome::Right {
        seconds: total,
        error: largest,
    }
}

/// What a model computes of the test's pictures, and the seconds of the shortest run.
fn timed(model: &Classifier, network: &TestNetwork, end: Instant) -> (Numbers, f64) {
    let (pictures, dims) = network.pictures();
    let run = || {
        let start = Instant::now();
        let numbers = numbers(model, &pictures, dims);
        (numbers, start.elapsed().as_secs_f64())
    };
    let (numbers, mut shortest) = run();
    for number in 0..RUNS {
        if Instant::now() > end {
            break;
        }
        let (_, seconds) = run();
        // The first run may have compiled shaders.
        shortest = if number == 0 {
            seconds
        } else {
            seconds.min(shortest)
        };
    }
    (numbers, shortest)
}

fn numbers(model: &Classifier, pictures: &[f32], dims: [usize; 4]) -> Numbers {
    let data = TensorData::new(pictures.to_vec(), dims);
    let x: Tensor<4> = Tensor::from_data(data, model.device());
    let logits = model.logits(x.clone());
    let classes = model.classes();
    // Of no symmetry, so that no class cancels another.
    let weights: Vec<f32> = (0..classes)
        .map(|class| (class as f32 * 0.7).sin())
        .collect();
    let weights = TensorData::new(weights, [1, classes]);
    let weights: Tensor<2> = Tensor::from_data(weights, model.device());
    let (_, gradient) = model.gradient(&x, &|features| {
        let weighted = model.logits_of(features) * weights.clone();
        weighted.sum_dim(1).reshape([-1])
    });
    [tensor_values(logits), tensor_values(gradient)]
}

/// Length of the difference, relative to that of `theirs`.
fn distance(ours: &[f32], theirs: &[f32]) -> f32 {
    let squares = |value: f32| f64::from(value) * f64::from(value);
    let difference: f64 = ours
        .iter()
        .zip(theirs)
        .map(|(our, their)| squares(our - their))
        .sum();
    let length: f64 = theirs.iter().map(|their| squares(*their)).sum();
    (difference / length).sqrt() as f32
}
