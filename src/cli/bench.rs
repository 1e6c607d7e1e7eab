//! `epsiloscope bench`: timings of attacks, attributions, inversions and training steps on this machine.

mod library;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use clap::Args;
use rand::RngExt;
use serde::Serialize;

use super::console::{answer, say};
use super::default_models;
use super::model_list::ModelList;
use crate::attack::{Attack, Norm, PgdRun};
use crate::attribution::{
    Baseline, Fill, Input, IntegratedGradients, Method, Rule, Score, Target, explain,
};
use crate::compute::{Backend, Compute};
use crate::data::Batch;
use crate::data::random::noise_rng;
use crate::error::Result;
use crate::evaluate::predict;
use crate::model::{Classifier, memory, tensor_values, zoo};
use crate::session::TriageTab;
use crate::synthesis::{Synthesis, SynthesisInputs, SynthesisRun};
use crate::train::{Preset, TrainConfig, Training};

/// Prints medians in milliseconds; `benches/pytorch_bench.py` times the same in PyTorch.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// Timed runs of each row, after a fifth as many to warm up.
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Run only the benchmarks whose name starts with this text.
    #[arg(long, default_value = "")]
    only: String,
    /// Models to time: ids of bundled ones or paths of files, with commas between.
    #[arg(long, default_value_t = default_models())]
    models: ModelList,
    /// Instead, time frames of the triage page on a library of synthetic pictures, which is kept in this
    /// folder.
    #[arg(long)]
    library: Option<PathBuf>,
    /// Number of pictures of that library.
    #[arg(long, default_value_t = 100_000)]
    pictures: usize,
    /// Where to compute.
    #[arg(long, default_value_t)]
    backend: Backend,
}

/// One row of the table, in milliseconds.
#[derive(Serialize)]
struct Timing {
    name: String,
    median: f64,
    fastest: f64,
    /// The 99th percentile.
    p99: f64,
    slowest: f64,
}

struct Bench<'a> {
    arguments: &'a BenchArguments,
    device: Device,
    timings: Vec<Timing>,
}

impl BenchArguments {
    /// Runs the benchmarks.
    pub fn run(&self) -> Result<()> {
        let compute = Compute::open(&self.backend)?;
        say!("on {}", compute.label);
        let mut bench = Bench {
            arguments: self,
            device: compute.device,
            timings: Vec::new(),
        };
        match &self.library {
            Some(folder) => bench.library(folder)?,
            None => bench.models()?,
        }
        answer(&bench.timings)
    }
}

impl Bench<'_> {
    /// Benchmarks of models and training.
    fn models(&mut self) -> Result<()> {
        let names = self.arguments.models.iter();
        let models = names.map(|name| zoo::open(name, &self.device));
        let models = models.collect::<Result<Vec<_>>>()?;
        for model in &models {
            self.pgd(model);
            self.integrated_gradients(model);
            self.inversion(model)?;
            self.batches(model);
        }
        if let [first, second, ..] = &models[..] {
            self.pgd_of_both(first, second);
        }
        self.training()
    }

    /// Frames of the triage page: time on the window's thread, without rendering.
    fn library(&mut self, folder: &Path) -> Result<()> {
        let count = self.arguments.pictures;
        let begun = Instant::now();
        let database = library::make(folder, count)?;
        say!(
            "{count} pictures made and scanned in {:.0} s",
            begun.elapsed().as_secs_f32()
        );
        let mut grid = library::Window::open(folder, &database, TriageTab::Grid)?;
        self.note("grid, wheel", grid.wheel());
        self.note("grid, a page down in every frame", grid.pages());
        self.note("grid, pointer", grid.moves(false));
        say!("{} MB of memory", memory::resident() / 1_000_000);
        drop(grid);
        for (name, tab, pressed) in [
            ("matrices, pointer", TriageTab::Matrices, false),
            ("histograms, drag", TriageTab::Histograms, true),
        ] {
            let mut window = library::Window::open(folder, &database, tab)?;
            self.note(name, window.moves(pressed));
        }
        say!("{} MB of memory", memory::resident() / 1_000_000);
        Ok(())
    }

    fn time(&mut self, name: &str, mut work: impl FnMut()) {
        if !name.starts_with(&self.arguments.only) {
            return;
        }
        let runs = self.arguments.runs.max(1);
        let mut once = || {
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64() * 1e3
        };
        for _ in 0..runs.div_ceil(5) {
            once();
        }
        let times = (0..runs).map(|_| once()).collect();
        self.note(name, times);
    }

    /// Prints and records the timings of a benchmark, in milliseconds.
    fn note(&mut self, name: &str, mut times: Vec<f64>) {
        times.sort_by(f64::total_cmp);
        let last = times.len() - 1;
        let timing = Timing {
            name: name.into(),
            median: times[times.len() / 2],
            fastest: times[0],
            p99: times[last * 99 / 100],
            slowest: times[last],
        };
        say!(
            "{name:<44} median {:9.2} ms  ({:.2} to {:.2}, p99 {:.2})",
            timing.median,
            timing.fastest,
            timing.slowest,
            timing.p99
        );
        self.timings.push(timing);
    }

    /// PGD-10 on one picture with the final forward pass: the latency of the ε slider.
    fn pgd(&mut self, model: &Classifier) {
        let x = pictures(model, 1, &self.device);
        self.time(&format!("pgd_b1 {}", model.manifest().name), || {
            attacked(model, &x);
        });
    }

    /// The same for two models at the same time, as the window's worker steps the jobs of both rows.
    fn pgd_of_both(&mut self, first: &Classifier, second: &Classifier) {
        let inputs = [first, second].map(|model| pictures(model, 1, &self.device));
        self.time("pgd_b1_both, first two models", || {
            rayon::join(
                || attacked(first, &inputs[0]),
                || attacked(second, &inputs[1]),
            );
        });
    }

    /// Integrated gradients of one picture's logit: 50 Gauss–Legendre steps from black.
    fn integrated_gradients(&mut self, model: &Classifier) {
        let method = Method::IntegratedGradients(IntegratedGradients {
            steps: 50,
            rule: Rule::GaussLegendre,
            baseline: Baseline::Fill(Fill::Black),
            seed: 0,
        });
        let target = Target {
            score: Score::Logit,
            class: 0,
            against: None,
        };
        let input = Input {
            pixels: tensor_values(pictures(model, 1, &self.device)),
            size: model.manifest().input,
            reference: None,
            background: Arc::default(),
        };
        self.time(&format!("ig50_b1 {}", model.manifest().name), || {
            explain(model, &method, target, &input).expect("a map of noise");
        });
    }

    /// Twenty steps of the paper's representation inversion of one picture, each recorded as in the
    /// window.
    fn inversion(&mut self, model: &Classifier) -> Result<()> {
        let target = tensor_values(pictures(model, 1, &self.device));
        let material = SynthesisInputs {
            target: Some(&target),
            ..SynthesisInputs::default()
        };
        let config = Synthesis {
            iterations: usize::MAX,
            ..Synthesis::paper_inversion()
        };
        let mut run = SynthesisRun::new(&config, model, &material)?;
        self.time(&format!("invert20_b1 {}", model.manifest().name), || {
            for _ in 0..20 {
                run.step(model).expect("noise can be inverted");
            }
        });
        Ok(())
    }

    /// One input gradient of some pictures, and a forward pass of 64.
    fn batches(&mut self, model: &Classifier) {
        let name = model.manifest().name.clone();
        for count in [1, 4, 64] {
            let x = pictures(model, count, &self.device);
            let numbers: Vec<u64> = (0..count as u64).collect();
            let attack = Attack::pgd(Norm::L2, 0.5, usize::MAX);
            let mut run = PgdRun::new(&attack, model, x, &vec![0; count], &numbers, &[0.5]);
            self.time(&format!("gradient_b{count} {name}"), || {
                run.step(model).map(Tensor::into_data);
            });
        }
        let x = pictures(model, 64, &self.device);
        self.time(&format!("forward_b64 {name}"), || {
            predict(model, x.clone());
        });
    }

    fn training(&mut self) -> Result<()> {
        let classes: Vec<String> = (0..10).map(|class| class.to_string()).collect();
        for (name, preset) in [
            ("train_b64", Preset::FastStandard),
            ("adversarial_train_b64", Preset::FastRobust),
        ] {
            let config = TrainConfig::preset(preset, PathBuf::new());
            let mut training = Training::new(&config, &classes, &self.device)?;
            let pictures = pictures(&training.classifier(), 64, &self.device);
            let labels = TensorData::new(vec![0_i32; 64], [64, 1]);
            let device = self.device.clone();
            self.time(name, || {
                let batch = Batch {
                    pictures: pictures.clone(),
                    labels: Tensor::from_data(labels.clone(), &device),
                    classes: vec![0; 64],
                    indices: (0..64).collect(),
                };
                training.step(batch, 0.01, 1.0);
            });
        }
        Ok(())
    }
}

/// What a model predicts for `x` after ten steps of PGD.
fn attacked(model: &Classifier, x: &Tensor<4>) {
    let attack = Attack::pgd(Norm::L2, 0.5, 10);
    predict(model, attack.run(model, x, &[0], &[0]));
}

/// Uniform noise in [0, 1] of the input size of `model`.
fn pictures(model: &Classifier, count: usize, device: &Device) -> Tensor<4> {
    let [h, w] = model.manifest().input;
    let mut rng = noise_rng(0, 0);
    let values: Vec<f32> = (0..count * 3 * h * w).map(|_| rng.random()).collect();
    Tensor::from_data(TensorData::new(values, [count, 3, h, w]), device)
}
