//! `epsiloscope report`: what the papers compare, over many pictures.

mod generation;
mod inversion;

use std::path::Path;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::error::Result;
use crate::model::write_atomically;

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
    /// How near generated pictures are to real ones, as Fréchet distances.
    Generation(generation::GenerationArguments),
}

impl ReportArguments {
    /// Measures, prints and writes.
    pub fn run(&self) -> Result<()> {
        match &self.report {
            Report::Inversion(arguments) => arguments.run(),
            Report::Generation(arguments) => arguments.run(),
        }
    }
}

/// A mean with half the width of its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Mean {
    mean: f64,
    /// 1.96 standard errors.
    half_width: f64,
}

impl Mean {
    fn of(values: &[f64]) -> Self {
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let error = (squares / (count - 1.0).max(1.0) / count).sqrt();
        Self {
            mean,
            half_width: 1.96 * error,
        }
    }
}

impl std::fmt::Display for Mean {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.4} ± {:.4}", self.mean, self.half_width)
    }
}

fn write_json(folder: Option<&Path>, name: &str, report: &impl Serialize) -> Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    let json = serde_json::to_string_pretty(report).expect("plain data");
    write_atomically(&folder.join(name), json.as_bytes())
}
