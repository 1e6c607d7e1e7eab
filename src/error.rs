//! The one error type of what a person can meet.
//!
//! Every message names the file it is about and says what is wrong with it, so
//! that it can be shown as it is, in the window and on the command line.

use std::path::{Path, PathBuf};

/// What can go wrong in ways that a person can do something about.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A file that should be a picture cannot be shown.
    #[error("{}: not a picture that can be opened: {reason}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file or folder cannot be read or written.
    #[error("{}: cannot {action}: {reason}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Completes “cannot …”.
        action: &'static str,
        /// What the system says.
        reason: String,
    },
    /// A file that should hold a model does not.
    #[error("{}: not a model that can be opened: {reason}", path.display())]
    Model {
        /// The file, or a bundled model's id.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The tensors of a file are not those of the architecture it names.
    #[error("{}: the tensors do not fit {architecture}\n{mismatch}", path.display())]
    Tensors {
        /// The file.
        path: PathBuf,
        /// The network it claims to be.
        architecture: String,
        /// Which tensors do not fit.
        mismatch: crate::error::Mismatch,
    },
    /// A data set cannot be used.
    #[error("{}: {reason}", path.display())]
    Data {
        /// The data set's folder, or a file of it.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A configuration that contradicts itself.
    #[error("{0}")]
    Config(String),
    /// Training produced a loss that is no number.
    #[error(
        "the loss became {loss} in epoch {epoch}, step {step}; the checkpoint of the last finished epoch is untouched. A smaller --lr usually helps"
    )]
    Diverged {
        /// Epoch, from 1 on.
        epoch: usize,
        /// Step of the epoch, from 1 on.
        step: usize,
        /// The loss.
        loss: f32,
    },
    /// Somebody asked for the work to stop.
    #[error("cancelled")]
    Cancelled,
    /// Ctrl-C or a termination signal stopped a command: what is kept, and how to go on.
    #[error("stopped: {0}")]
    Stopped(String),
    /// A background task panicked, or could not be started.
    #[error("{task}: failed unexpectedly: {reason}")]
    Task {
        /// The name of the task, or the file that it was about.
        task: String,
        /// The text of the panic, or what the system says.
        reason: String,
    },
    /// The chosen compute device is not there.
    #[error("no usable compute device: {0}")]
    Device(String),
    /// The window cannot be opened.
    #[error("no window can be opened: {0}")]
    Window(String),
}

/// The result of everything that can fail in front of a person.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The exit status of a command that ended with it: 2 when no window can be opened, 130 when the work was asked to
    /// stop, else 1.
    pub fn exit_status(&self) -> i32 {
        match self {
            Self::Window(_) => 2,
            Self::Stopped(_) | Self::Cancelled => 130,
            _ => 1,
        }
    }

    /// An [`Error::Io`] for `path`; `action` completes “cannot …”.
    pub fn io(path: &Path, action: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Io {
            path: path.into(),
            action,
            reason: reason.to_string(),
        }
    }

    /// An [`Error::Data`] for `path`.
    pub fn data(path: &Path, reason: impl Into<String>) -> Self {
        Self::Data {
            path: path.into(),
            reason: reason.into(),
        }
    }

    /// An [`Error::Task`] of the task of this name.
    pub fn task(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::Task {
            task: name.into(),
            reason: reason.to_string(),
        }
    }

    /// An [`Error::Model`] for `path`.
    pub fn model(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Model {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}

/// Which tensors of a file do not fit a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Tensors the network has and the file has not.
    pub missing: Vec<String>,
    /// Tensors the file has and the network has not.
    pub extra: Vec<String>,
    /// Name, shape in the file, shape in the network.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl Mismatch {
    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.misshapen.is_empty()
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 12;
        let mut list = |title: &str, names: Vec<String>| -> std::fmt::Result {
            if names.is_empty() {
                return Ok(());
            }
            let more = names.len().saturating_sub(SHOWN);
            let shown = names[..names.len() - more].join(", ");
            write!(f, "{title} ({}): {shown}", names.len())?;
            writeln!(
                f,
                "{}",
                if more > 0 {
                    format!(" and {more} more")
                } else {
                    String::new()
                }
            )
        };
        list("missing", self.missing.clone())?;
        list("not part of the network", self.extra.clone())?;
        let misshapen = self
            .misshapen
            .iter()
            .map(|(name, found, wanted)| format!("{name} is {found:?} and should be {wanted:?}"));
        list("wrong shape", misshapen.collect())
    }
}
