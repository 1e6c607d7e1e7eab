//! Parses the command line; opens the window or works headless.

use clap::Parser;
use epsiloscope::app::{diagnostics, frame_metrics};
use epsiloscope::cli::Arguments;

fn main() {
    frame_metrics::start();
    let arguments = Arguments::parse();
    diagnostics::start(arguments.log_filter());
    if let Err(error) = arguments.run() {
        eprintln!("{error}");
        std::process::exit(error.exit_status());
    }
}
