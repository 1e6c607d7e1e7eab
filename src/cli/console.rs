//! What all commands share with whoever runs them: text, the answer as JSON, files that are not overwritten, Ctrl-C.

use std::fmt::{Arguments, Display};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::{ArgAction, Args};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::files::{require_writable, write_atomically};
use crate::tasks::CancelToken;

/// Options of every command.
#[derive(Clone, Debug, Default, Args)]
pub struct ConsoleOptions {
    /// Write the answer as JSON to this file; for `-` to standard output, and the text to standard error.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Replace files that exist already.
    #[arg(long, global = true)]
    overwrite: bool,
    /// Print neither text nor progress, only errors.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Log what is done on standard error; given twice, in detail.
    #[arg(long, short, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
}

static OPTIONS: OnceLock<ConsoleOptions> = OnceLock::new();

impl ConsoleOptions {
    /// What goes to the log on standard error, as `RUST_LOG` says it.
    pub(super) fn log_filter(&self) -> &'static str {
        match (self.quiet, self.verbose) {
            (true, _) => "error",
            (false, 0) => "warn",
            (false, 1) => "warn,epsiloscope=info",
            (false, _) => "info,epsiloscope=debug",
        }
    }

    /// Makes these the options of this process; checks that the answer can be written.
    ///
    /// # Errors
    /// [`Error::Io`] for a file of --json that exists or cannot be written.
    pub(super) fn start(self) -> Result<()> {
        let json = self.json.clone();
        // Each process runs one command, so the first options are the only ones.
        let _ = OPTIONS.set(self);
        require_new(json.filter(|path| !is_standard_output(path)))
    }
}

fn options() -> &'static ConsoleOptions {
    OPTIONS.get_or_init(ConsoleOptions::default)
}

fn is_standard_output(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Prints a line of text on standard output, or on standard error where the answer goes to standard output.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::console::print(format_args!($($text)*)) };
}
pub(super) use say;

/// Prints a line, as [`say`] does.
#[allow(
    clippy::print_stdout,
    reason = "commands answer on standard output, and here alone"
)]
pub(super) fn print(text: Arguments) {
    let options = options();
    match &options.json {
        _ if options.quiet => {}
        Some(path) if is_standard_output(path) => eprintln!("{text}"),
        _ => println!("{text}"),
    }
}

/// Writes the answer of the command to where --json asks for it.
///
/// # Errors
/// [`Error::Io`] where it cannot be written.
pub(super) fn answer(answer: &impl Serialize) -> Result<()> {
    write_answer(&json_of(answer))
}

fn json_of(answer: &impl Serialize) -> String {
    serde_json::to_string_pretty(answer).expect("plain data")
}

#[allow(
    clippy::print_stdout,
    reason = "commands answer on standard output, and here alone"
)]
fn write_answer(json: &str) -> Result<()> {
    let Some(path) = &options().json else {
        return Ok(());
    };
    if is_standard_output(path) {
        println!("{json}");
        return Ok(());
    }
    write_atomically(path, json.as_bytes())
}

/// Writes the answer of the command to `path`, and to where --json asks for it.
///
/// # Errors
/// [`Error::Io`] where it cannot be written.
pub(super) fn answer_in(path: &Path, value: &impl Serialize) -> Result<()> {
    let json = json_of(value);
    write_atomically(path, json.as_bytes())?;
    write_answer(&json)
}

/// Whether only errors are printed.
pub(super) fn is_quiet() -> bool {
    options().quiet
}

/// Whether files that exist may be replaced.
pub(super) fn may_overwrite() -> bool {
    options().overwrite
}

/// Checks, before the work, that files can be written and that none exists, unless --overwrite is given. Creates the
/// folders where they are missing.
///
/// # Errors
/// [`Error::Io`] names the first file that exists or cannot be written.
pub(super) fn require_new(files: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    for path in files {
        if path.exists() && !may_overwrite() {
            let reason = "it exists already; --overwrite replaces it";
            return Err(Error::io(&path, "write", reason));
        }
        match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => require_writable(folder)?,
            _ => require_writable(Path::new("."))?,
        }
    }
    Ok(())
}

/// A progress bar on standard error with this template of indicatif; none with --quiet.
pub(super) fn progress_bar(total: usize, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("a valid template");
    let bar = match options().quiet {
        true => ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden()),
        false => ProgressBar::new(total as u64),
    };
    bar.with_style(style)
}

/// A progress bar over `total` pictures.
pub(super) fn picture_bar(name: &str, total: usize) -> ProgressBar {
    let template = "{msg} {wide_bar} {pos}/{len} {per_sec}, {eta} left";
    progress_bar(total, template).with_message(name.to_owned())
}

/// A token that Ctrl-C and termination signals cancel, so that a command can end with what is done.
pub(super) fn stop_on_signals() -> CancelToken {
    static TOKEN: OnceLock<CancelToken> = OnceLock::new();
    let begin = || {
        let token = CancelToken::default();
        let asked = token.clone();
        if let Err(error) = ctrlc::set_handler(move || asked.cancel()) {
            tracing::warn!("Ctrl-C ends the program at once: {error}");
        }
        token
    };
    TOKEN.get_or_init(begin).clone()
}

/// The error of a command that was stopped; `how` says what is kept and how to go on.
pub(super) fn stopped(how: impl Display) -> Error {
    Error::Stopped(how.to_string())
}
