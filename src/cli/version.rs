//! `epsiloscope --version`: version, commit, and where models run on this machine.

use serde::Serialize;

use super::console::{answer, say};
use crate::compute::{Backend, Compute};
use crate::error::Result;

/// The answer of `--version`.
#[derive(Serialize)]
struct Version {
    version: &'static str,
    /// Abbreviated hash and date; empty for a development build or outside of a clone.
    commit: &'static str,
    /// The graphics adapter, or the CPU and why.
    models_on: String,
}

/// Prints version, commit, and where models would run.
pub(super) fn run(backend: &Backend) -> Result<()> {
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("EPSILOSCOPE_COMMIT"),
        models_on: Compute::open_untested(backend)?.label,
    };
    let commit = match version.commit {
        "" => "development build".to_owned(),
        commit => format!("commit {commit}"),
    };
    say!("epsiloscope {} ({commit})", version.version);
    say!("models on {}", version.models_on);
    answer(&version)
}
