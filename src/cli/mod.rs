//! The command line: the window, and its headless twins.

#![allow(clippy::print_stdout, reason = "commands answer on standard output")]

mod attack;
mod bench;
mod counterfactual;
mod evaluate;
mod explain;
mod inspect;
mod mean;
mod render;
mod report;
mod scan;
mod seeds;
mod synthesis;
mod synthetic_cracks;
mod train;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::attack::{Attack, Goal, Norm, parse_epsilon};
use crate::compute::{Backend, Compute};
use crate::error::{Error, Result};
use crate::model::{Classifier, ModelRef, zoo};

/// See what a standard and an adversarially robust image classifier see in the same picture.
///
/// Without a command it opens the window.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    window: WindowArguments,
}

#[derive(Debug, Args)]
struct WindowArguments {
    /// Pictures, or folders of pictures, to open.
    pictures: Vec<PathBuf>,
    /// The two models, one a row: ids of bundled ones or paths of files, with commas between.
    #[arg(long, value_delimiter = ',', default_values_t = default_models())]
    models: Vec<ModelRef>,
    /// Where models run: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    backend: Backend,
    /// Write a picture of the window to this PNG file once everything is computed, and close it.
    #[arg(long)]
    screenshot: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Attack one picture and write what the window would show.
    Attack(attack::AttackArguments),
    /// Say what a picture would be were it of another class.
    Counterfactual(counterfactual::CounterfactualArguments),
    /// Measure accuracy on a data set, clean and under attack.
    Evaluate(evaluate::EvaluateArguments),
    /// Say which pixels speak for a class, and how far to trust that.
    Explain(explain::ExplainArguments),
    /// Say what a model file holds, and what had to be assumed.
    Inspect(inspect::InspectArguments),
    /// Make a picture that each model represents as it does another.
    Invert(synthesis::InvertArguments),
    /// Make pictures of a class.
    Generate(synthesis::GenerateArguments),
    /// Make pictures that excite one unit.
    Neuron(synthesis::NeuronArguments),
    /// Draw figures and films of a session or of pictures, and write the numbers behind them.
    Render(Box<render::RenderArguments>),
    /// Compare models over many pictures, as the papers do.
    Report(report::ReportArguments),
    /// Look at a whole set of pictures and keep what models make of it.
    Scan(scan::ScanArguments),
    /// Fit the class Gaussians at which generation begins.
    Seeds(seeds::SeedsArguments),
    /// Time attacks and training steps on this machine.
    Bench(bench::BenchArguments),
    /// Train a classifier.
    Train(train::TrainArguments),
    /// Make up a data set of cracked and clean walls, with masks, to try things on.
    Walls(synthetic_cracks::WallsArguments),
}

/// The attack, as the headless commands take it.
#[derive(Debug, Args)]
struct AttackOptions {
    /// Norm of the perturbation.
    #[arg(long, value_enum, default_value_t = Norm::L2)]
    norm: Norm,
    /// Largest perturbation, in units of pixels in [0, 1]; 8/255 can be written so.
    #[arg(long, value_parser = parse_epsilon, default_value = "0.5")]
    eps: f32,
    /// Gradient steps; 1 with --no-random-start is FGSM.
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Step size; by default 2.5·ε/steps.
    #[arg(long, value_parser = parse_epsilon)]
    step_size: Option<f32>,
    /// Begin at the picture itself.
    #[arg(long)]
    no_random_start: bool,
    /// Independent runs, of which each picture keeps its best.
    #[arg(long, default_value_t = 1)]
    restarts: usize,
    /// Seed of the random starts.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl AttackOptions {
    fn attack(&self, goal: Goal) -> Attack {
        Attack {
            norm: self.norm,
            epsilon: self.eps,
            steps: self.steps,
            step_size: self.step_size,
            goal,
            random_start: !self.no_random_start,
            restarts: self.restarts,
            seed: self.seed,
        }
    }
}

/// The number of the class called `name`.
fn class_number(model: &Classifier, name: &str) -> Result<usize> {
    let labels = &model.manifest().labels;
    let unknown = || {
        Error::Config(format!(
            "{name} is no class of {}; there are {}",
            model.manifest().name,
            labels.join(", ")
        ))
    };
    let found = labels.iter().position(|label| label == name);
    found.ok_or_else(unknown)
}

/// A model's name as the beginning of file names.
fn file_stem(name: &str) -> String {
    name.to_lowercase()
        .replace(|c: char| !c.is_alphanumeric(), "-")
}

fn default_models() -> Vec<ModelRef> {
    zoo::SETS[0].references()
}

impl Arguments {
    /// Does what was asked for.
    pub fn run(self) -> Result<()> {
        match self.command {
            Some(Command::Attack(arguments)) => arguments.run(),
            Some(Command::Bench(arguments)) => arguments.run(),
            Some(Command::Counterfactual(arguments)) => arguments.run(),
            Some(Command::Evaluate(arguments)) => arguments.run(),
            Some(Command::Explain(arguments)) => arguments.run(),
            Some(Command::Generate(arguments)) => arguments.run(),
            Some(Command::Inspect(arguments)) => arguments.run(),
            Some(Command::Invert(arguments)) => arguments.run(),
            Some(Command::Neuron(arguments)) => arguments.run(),
            Some(Command::Render(arguments)) => arguments.run(),
            Some(Command::Report(arguments)) => arguments.run(),
            Some(Command::Scan(arguments)) => arguments.run(),
            Some(Command::Seeds(arguments)) => arguments.run(),
            Some(Command::Train(arguments)) => arguments.run(),
            Some(Command::Walls(arguments)) => arguments.run(),
            None => self.window.open(),
        }
    }
}

impl WindowArguments {
    fn open(self) -> Result<()> {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if cfg!(all(unix, not(target_os = "macos"))) && !set("DISPLAY") && !set("WAYLAND_DISPLAY") {
            return Err(Error::Window(
                "neither DISPLAY nor WAYLAND_DISPLAY is set".into(),
            ));
        }
        crate::app::open_window(
            Compute::open(&self.backend)?,
            self.models,
            self.pictures,
            self.screenshot,
        )
    }
}
