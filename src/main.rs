//! Parses the command line; opens the window or works headless.

use clap::Parser;
use epsiloscope::app::frame_metrics;
use epsiloscope::cli::Arguments;
use epsiloscope::error::Error;
use epsiloscope::model::memory::Counting;
use tracing_subscriber::EnvFilter;

/// Counts, so that models can be measured.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    frame_metrics::start();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    if let Err(error) = Arguments::parse().run() {
        eprintln!("{error}");
        std::process::exit(if matches!(error, Error::Window(_)) {
            2
        } else {
            1
        });
    }
}
