//! `epsiloscope report`: comparisons of models over many pictures, as in the papers.

mod counterfactual;
mod generation;
pub(super) mod inversion;

use std::path::Path;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::console::{answer, require_new, stopped};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::tasks::CancelToken;

/// Compare standard and robust models over many pictures.
#[derive(Debug, Args)]
pub struct ReportArguments {
    #[command(subcommand)]
    report: ReportCommand,
}

#[derive(Debug, Subcommand)]
enum ReportCommand {
    /// Distances of representation inversions to their pictures, with confidence intervals.
    Inversion(inversion::InversionArguments),
    /// Quality of counterfactuals and their masks, robustness and uncertainty of the discriminator.
    Counterfactual(counterfactual::CounterfactualReportArguments),
    /// Fréchet distances of generated to real pictures.
    Generation(generation::GenerationArguments),
}

impl ReportArguments {
    /// Computes, prints and writes the report.
    pub fn run(&self) -> Result<()> {
        match &self.report {
            ReportCommand::Inversion(arguments) => arguments.run(),
            ReportCommand::Counterfactual(arguments) => arguments.run(),
            ReportCommand::Generation(arguments) => arguments.run(),
        }
    }
}

/// Checks before the work that these files of a report can be written.
fn require_new_in(folder: Option<&Path>, names: &[&str]) -> Result<()> {
    let folder = folder.into_iter();
    require_new(folder.flat_map(|folder| names.iter().map(|name| folder.join(name))))
}

/// Writes a report to its file in the folder, if there is one.
fn write_json(folder: Option<&Path>, name: &str, report: &impl Serialize) -> Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    let json = serde_json::to_string_pretty(report).expect("plain data");
    write_atomically(&folder.join(name), json.as_bytes())
}

/// Writes a report, of some models if it was stopped.
///
/// # Errors
/// [`Error::Stopped`] with what is kept, for a report that was stopped.
fn finish(
    folder: Option<&Path>,
    name: &str,
    report: &impl Serialize,
    stop: &CancelToken,
) -> Result<()> {
    write_json(folder, name, report)?;
    answer(report)?;
    if stop.is_cancelled() {
        let measured = "the models that were measured to the end";
        return Err(stopped_in(folder, measured));
    }
    Ok(())
}

/// The error of a report that was stopped; what was measured until then is kept in the folder, if there is one.
fn stopped_in(folder: Option<&Path>, measured: &str) -> Error {
    stopped(match folder {
        Some(folder) => format!(
            "{} has {measured}; the command begins anew",
            folder.display()
        ),
        None => format!("above is {measured}; with --out it is also written"),
    })
}
