//! Parses the command line; opens the window or works headless.

use clap::Parser;
use epsiloscope::app::{diagnostics, frame_metrics};
use epsiloscope::cli::Arguments;
use epsiloscope::error::Error;

fn main() {
    frame_metrics::start();
    diagnostics::start();
    if let Err(error) = Arguments::parse().run() {
        eprintln!("{error}");
        std::process::exit(if matches!(error, Error::Window(_)) {
            2
        } else {
            1
        });
    }
}
