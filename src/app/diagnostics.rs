//! What remains of a run in which something went wrong: a rolling log file and reports of panics, in
//! the folder of the autosave.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

use crate::tasks::expects_panic;

/// Bytes after which a new log file begins; the one before it is kept.
const LOG_BYTES: u64 = 1 << 20;
/// Lines of the log that are kept in memory, for reports and the window.
const LINES: usize = 200;
/// Panic reports that are kept.
const REPORTS: usize = 10;
/// How the names of panic reports begin.
const REPORT_PREFIX: &str = "panic-";

/// The log of this process.
struct Log {
    lines: VecDeque<String>,
    /// Where files go, once it is known.
    folder: Option<PathBuf>,
    file: Option<RollingFile>,
}

static LOG: Mutex<Log> = Mutex::new(Log {
    lines: VecDeque::new(),
    folder: None,
    file: None,
});

impl Log {
    fn add(&mut self, text: &str) {
        for line in text.lines() {
            if self.lines.len() == LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(line.to_owned());
        }
        if let Some(file) = &mut self.file
            && file.append(text.as_bytes()).is_err()
        {
            // A full disk must not end the program; standard error still has every line.
            self.file = None;
        }
    }
}

/// Begins to log, to standard error and in memory, and to report panics. `RUST_LOG` chooses what goes to
/// standard error, `filter` without it.
pub fn start(filter: &str) {
    let asked = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
    let terminal = fmt::layer().with_writer(io::stderr).with_filter(asked);
    let kept = fmt::layer()
        .with_ansi(false)
        .with_writer(|| LogWriter)
        .with_filter(EnvFilter::new("warn,epsiloscope=info"));
    tracing_subscriber::registry()
        .with(terminal)
        .with(kept)
        .init();
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if expects_panic() {
            return;
        }
        // Whoever read the output has gone; as other programs do, it ends quietly.
        let text = panic.payload().downcast_ref::<String>();
        if text.is_some_and(|text| text.starts_with("failed printing to stdout")) {
            std::process::exit(0);
        }
        print(panic);
        if let Some(path) = write_report(panic) {
            eprintln!("a report is in {}", path.display());
        }
    }));
}

/// From now on also writes the log to `epsiloscope.log` in `folder`, and panic reports beside it.
pub fn keep_in(folder: &Path) {
    let file = RollingFile::open(folder.join("epsiloscope.log"), LOG_BYTES);
    let refused = match &file {
        Ok(_) => None,
        Err(error) => Some(format!("{}: no log is kept: {error}", folder.display())),
    };
    if let Ok(mut log) = LOG.lock() {
        log.folder = Some(folder.into());
        log.file = file.ok();
    }
    match refused {
        Some(reason) => tracing::warn!("{reason}"),
        None => tracing::info!("version {}", env!("CARGO_PKG_VERSION")),
    }
}

/// The last lines of the log, oldest first.
pub fn lines() -> Vec<String> {
    LOG.lock()
        .map_or_else(|_| Vec::new(), |log| log.lines.iter().cloned().collect())
}

/// Where the log and the reports are, if they are kept.
pub fn folder() -> Option<PathBuf> {
    LOG.lock().ok()?.folder.clone()
}

/// Adds what is written to [`LOG`].
struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Ok(mut log) = LOG.lock() {
            log.add(&String::from_utf8_lossy(bytes));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that begins anew when it is full; the full one is kept, under the extension `1.log`, until the
/// next is full.
pub struct RollingFile {
    path: PathBuf,
    /// Bytes that it may hold.
    most: u64,
    file: File,
    bytes: u64,
}

impl RollingFile {
    /// Goes on with the file at `path`, or begins it; it holds at most `most` bytes.
    ///
    /// # Errors
    /// When the folder or file cannot be made.
    pub fn open(path: PathBuf, most: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            path,
            most,
            file,
            bytes,
        })
    }

    /// Writes `text` at the end, whole, in a new file where it does not fit.
    ///
    /// # Errors
    /// When the system refuses to write or rename.
    pub fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let length = text.len() as u64;
        if self.bytes > 0 && self.bytes.saturating_add(length) > self.most {
            fs::rename(&self.path, self.path.with_extension("1.log"))?;
            *self = Self::open(self.path.clone(), self.most)?;
        }
        self.file.write_all(text)?;
        self.bytes += length;
        Ok(())
    }
}

/// What is known of a panic.
pub struct PanicReport<'a> {
    /// Name of the thread, if it has one.
    pub thread: Option<&'a str>,
    /// File, line and column.
    pub location: Option<String>,
    /// What it said.
    pub message: &'a str,
    /// The calls that led to it.
    pub backtrace: &'a str,
    /// The last lines of the log, oldest first.
    pub log: &'a [String],
}

impl std::fmt::Display for PanicReport<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let version = env!("CARGO_PKG_VERSION");
        let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
        writeln!(f, "epsiloscope {version} on {system} {processor}")?;
        writeln!(f, "thread: {}", self.thread.unwrap_or("unnamed"))?;
        writeln!(
            f,
            "at: {}",
            self.location.as_deref().unwrap_or("unknown place")
        )?;
        writeln!(f, "message: {}", self.message)?;
        writeln!(f, "\nbacktrace:\n{}", self.backtrace.trim_end())?;
        writeln!(f, "\nlog:")?;
        self.log.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Writes a report of `panic` where reports are kept, and says where.
fn write_report(panic: &PanicHookInfo) -> Option<PathBuf> {
    // The panic may have come while this thread held the log: never wait for it.
    let (folder, log) = {
        let log = LOG.try_lock().ok()?;
        let lines: Vec<String> = log.lines.iter().cloned().collect();
        (log.folder.clone()?, lines)
    };
    let thread = std::thread::current();
    let report = PanicReport {
        thread: thread.name(),
        location: panic.location().map(ToString::to_string),
        message: panic.payload_as_str().unwrap_or("no text"),
        backtrace: &std::backtrace::Backtrace::force_capture().to_string(),
        log: &log,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_millis());
    let path = folder.join(format!("{REPORT_PREFIX}{now}.txt"));
    fs::write(&path, report.to_string()).ok()?;
    remove_old_reports(&folder);
    Some(path)
}

/// Leaves the newest [`REPORTS`] in `folder`.
fn remove_old_reports(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut reports: Vec<PathBuf> = entries
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with(REPORT_PREFIX)
        })
        .map(|entry| entry.path())
        .collect();
    // Their names are times of equally many digits.
    reports.sort();
    let old = reports.len().saturating_sub(REPORTS);
    for path in &reports[..old] {
        // What cannot be removed now is tried again after the next panic.
        let _ = fs::remove_file(path);
    }
}
