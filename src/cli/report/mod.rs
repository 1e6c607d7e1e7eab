//! `epsiloscope report`: what the papers compare, over many pictures.

mod counterfactual;
mod generation;
mod inversion;

use std::path::Path;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::error::Result;
use crate::files::write_atomically;

/// Measure standard against robust models over many pictures.
#[derive(Debug, Args)]
pub struct ReportArguments {
    #[command(subcommand)]
    report: Report,
}

#[derive(Debug, Subcommand)]
enum Report {
    /// How near inversions come to their pictures, with confidence intervals.
    Inversion(inversion::InversionArguments),
    /// What counterfactuals, their masks and the discriminator's doubt are worth.
    Counterfactual(counterfactual::CounterfactualReportArguments),
    /// How near generated pictures are to real ones, as Fréchet distances.
    Generation(generation::GenerationArguments),
}

impl ReportArguments {
    /// Measures, prints and writes.
    pub fn run(&self) -> Result<()> {
        match &self.report {
            Report::Inversion(arguments) => arguments.run(),
            Report::Counterfactual(arguments) => arguments.run(),
            Report::Generation(arguments) => arguments.run(),
        }
    }
}

fn write_json(folder: Option<&Path>, name: &str, report: &impl Serialize) -> Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    let json = serde_json::to_string_pretty(report).expect("plain data");
    write_atomically(&folder.join(name), json.as_bytes())
}
