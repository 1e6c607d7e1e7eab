//! The command line: the window, and commands that work without one.

mod attack;
mod bench;
mod console;
mod corruption;
mod counterfactual;
mod evaluate;
mod explain;
mod graphics;
mod inspect;
mod mask;
mod mean;
mod model_list;
mod pictures;
mod render;
mod report;
mod scan;
mod seeds;
mod shell;
mod synthesis;
mod synthetic_cracks;
mod train;
mod version;

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::attack::{Attack, AttackMethod, Goal, Norm, parse_epsilon};
use crate::compute::{Backend, Compute};
use crate::data::{PictureList, Split, class_indices};
use crate::error::{Error, Result};
use crate::model::{Classifier, ModelRef, zoo};
use console::ConsoleOptions;
use model_list::ModelList;

/// See what a standard and an adversarially robust image classifier see in the same picture.
///
/// Without a command it opens the window.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true, after_help = EXIT_STATUS)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    window: WindowArguments,
    #[command(flatten)]
    console: ConsoleOptions,
}

/// The exit statuses, for the help.
const EXIT_STATUS: &str = "Exit status: 0 when all is done, 1 on an error, 2 when the command line is not \
                           understood or no window can be opened, 130 when Ctrl-C or a termination signal \
                           stopped the work; what was finished is kept then.";

#[derive(Debug, Args)]
struct WindowArguments {
    /// What to open: pictures, folders of pictures, model files, generators, a session, a database of scans.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The two models, one a row: ids of bundled ones or paths of files, with commas between.
    #[arg(long, default_value_t = default_models())]
    models: ModelList,
    /// Where models run: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    backend: Backend,
    /// Write a picture of the window to this PNG file once everything is computed, and close it.
    #[arg(long)]
    screenshot: Option<PathBuf>,
    /// Print version, commit and where models run, and open no window.
    #[arg(long, short = 'V')]
    version: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Attack one picture and write the adversarial pictures.
    Attack(attack::AttackArguments),
    /// Corrupt a picture: noise, blur, weather and compression as in ImageNet-C.
    Corrupt(corruption::CorruptArguments),
    /// Compute the counterfactual of a picture: what it would look like as another class.
    Counterfactual(counterfactual::CounterfactualArguments),
    /// Evaluate accuracy on a data set, clean and under attack.
    Evaluate(evaluate::EvaluateArguments),
    /// Compute attribution maps: which pixels contribute to a class, and how reliable that is.
    Explain(explain::ExplainArguments),
    /// Test what runs models on the graphics adapter, and print or choose it.
    Graphics(graphics::GraphicsArguments),
    /// Print what a model file contains, and what had to be assumed.
    Inspect(inspect::InspectArguments),
    /// Invert representations: make a picture that each model represents as it does another.
    Invert(synthesis::InvertArguments),
    /// Generate pictures of a class by optimisation.
    Generate(synthesis::GenerateArguments),
    /// Visualise a neuron: make pictures that maximise the activation of one unit.
    Neuron(synthesis::NeuronArguments),
    /// Draw figures and films of a session or of pictures, and write the numbers behind them.
    Render(Box<render::RenderArguments>),
    /// Compare models over many pictures, as in the papers.
    Report(report::ReportArguments),
    /// Scan a data set: store predictions, attacks and flip ε of all pictures in a database.
    Scan(scan::ScanArguments),
    /// Fit the class Gaussians from which generation starts.
    Seeds(seeds::SeedsArguments),
    /// Benchmark attacks and training steps on this machine.
    Bench(bench::BenchArguments),
    /// Train a classifier.
    Train(Box<train::TrainArguments>),
    /// Write a synthetic data set of cracked and clean walls, with masks.
    #[command(alias = "walls")]
    SyntheticCracks(synthetic_cracks::SyntheticCracksArguments),
    /// Print completions of the commands for a shell.
    Completions(shell::CompletionsArguments),
    /// Write manual pages.
    Man(shell::ManArguments),
}

/// Options of the attack, shared by several commands.
#[derive(Debug, Args)]
struct AttackOptions {
    /// How the attack searches; steps, step size, random start and restarts are PGD's.
    #[arg(long = "attack-method", value_enum, default_value_t = AttackMethod::Pgd)]
    attack_method: AttackMethod,
    /// Norm of the perturbation.
    #[arg(long, value_enum, default_value_t = Norm::L2)]
    norm: Norm,
    /// Radius ε of the perturbation, in units of pixels in [0, 1], for instance 0.5 or 8/255.
    #[arg(long, value_parser = parse_epsilon, default_value = "0.5")]
    eps: f32,
    /// Number of gradient steps; 1 with --no-random-start is FGSM.
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Step size; by default 2.5·ε/steps.
    #[arg(long, value_parser = parse_epsilon)]
    step_size: Option<f32>,
    /// Start from the picture itself.
    #[arg(long)]
    no_random_start: bool,
    /// Number of independent runs, of which each picture's best result is kept.
    #[arg(long, default_value_t = 1)]
    restarts: usize,
    /// Seed of the random starts.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl AttackOptions {
    fn attack(&self, goal: Goal) -> Attack {
        Attack {
            method: self.attack_method,
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

/// Index of the class called `name`.
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

/// Checks, before the work, that every model knows all classes of the test pictures in `root`.
///
/// # Errors
/// As [`PictureList::open`], and [`Error::Data`] naming a class that a model does not know.
fn require_classes<'a>(
    root: &Path,
    models: impl IntoIterator<Item = &'a Classifier>,
) -> Result<()> {
    let listed = PictureList::open(root, Split::Test)?;
    for model in models {
        class_indices(&listed.classes, &model.manifest().labels)
            .map_err(|reason| Error::data(root, reason))?;
    }
    Ok(())
}

/// Models' names as stems of file names; a name that several models have gets a number.
fn file_stems<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut stems: Vec<String> = Vec::new();
    for name in names {
        let stem = file_stem(name);
        let taken = |stem: &String| stems.contains(stem);
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        let free = std::iter::once(stem.clone()).chain(numbered);
        stems.extend(free.into_iter().find(|stem| !taken(stem)));
    }
    stems
}

/// A model's name as the stem of file names.
fn file_stem(name: &str) -> String {
    name.to_lowercase()
        .replace(|c: char| !c.is_alphanumeric(), "-")
}

fn default_models() -> ModelList {
    zoo::SETS[0].references().into()
}

/// The default models and the independent judge: in whose features distances are measured.
fn default_feature_models() -> ModelList {
    let judge = ModelRef::from(zoo::JUDGE);
    [&default_models()[..], &[judge]].concat().into()
}

impl Arguments {
    /// What goes to the log on standard error, as `RUST_LOG` says it.
    pub fn log_filter(&self) -> &'static str {
        self.console.log_filter()
    }

    /// Runs the command, or the window without one.
    ///
    /// # Errors
    /// What went wrong, in words; [`Error::exit_status`] has the status to end with.
    pub fn run(self) -> Result<()> {
        self.console.start()?;
        match self.command {
            Some(Command::Attack(arguments)) => arguments.run(),
            Some(Command::Bench(arguments)) => arguments.run(),
            Some(Command::Corrupt(arguments)) => arguments.run(),
            Some(Command::Counterfactual(arguments)) => arguments.run(),
            Some(Command::Evaluate(arguments)) => arguments.run(),
            Some(Command::Explain(arguments)) => arguments.run(),
            Some(Command::Generate(arguments)) => arguments.run(),
            Some(Command::Graphics(arguments)) => arguments.run(),
            Some(Command::Inspect(arguments)) => arguments.run(),
            Some(Command::Invert(arguments)) => arguments.run(),
            Some(Command::Neuron(arguments)) => arguments.run(),
            Some(Command::Render(arguments)) => arguments.run(),
            Some(Command::Report(arguments)) => arguments.run(),
            Some(Command::Scan(arguments)) => arguments.run(),
            Some(Command::Seeds(arguments)) => arguments.run(),
            Some(Command::Train(arguments)) => arguments.run(),
            Some(Command::SyntheticCracks(arguments)) => arguments.run(),
            Some(Command::Completions(arguments)) => arguments.run(),
            Some(Command::Man(arguments)) => arguments.run(),
            None if self.window.version => version::run(&self.window.backend),
            None => self.window.open(),
        }
    }
}

/// Names of the commands that need no window, as the help lists them.
fn headless_commands() -> Vec<String> {
    Arguments::command()
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect()
}

impl WindowArguments {
    fn open(self) -> Result<()> {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if cfg!(all(unix, not(target_os = "macos"))) && !set("DISPLAY") && !set("WAYLAND_DISPLAY") {
            return Err(Error::Window(format!(
                "neither DISPLAY nor WAYLAND_DISPLAY is set. Without a display, use a headless command: epsiloscope {} (see epsiloscope --help)",
                headless_commands().join(", ")
            )));
        }
        crate::app::open_window(
            Compute::open(&self.backend)?,
            self.models.to_vec(),
            self.files,
            self.screenshot,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::file_stems;

    #[test]
    fn results_of_models_of_one_name_do_not_overwrite_each_other() {
        let names = ["A b", "a-b", "A b", "a b 2"];
        assert_eq!(
            file_stems(names.into_iter()),
            ["a-b", "a-b-2", "a-b-3", "a-b-2-2"]
        );
    }
}
