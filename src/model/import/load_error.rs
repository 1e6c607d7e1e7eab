//! What is wrong with a model file, before it is said which file: the path is added once, where the file is opened.

use std::path::Path;

use crate::error::{Error, Mismatch};

/// An error without the path of the file.
#[derive(Debug)]
pub(super) enum LoadError {
    /// The file cannot be read; what the system says.
    Read(std::io::Error),
    /// The file is no model that can be opened; what is wrong with it.
    Reason(String),
    /// Its tensors are not those of the architecture that it was recognised as.
    Tensors {
        /// Display name of that architecture.
        architecture: String,
        /// Which tensors do not fit.
        mismatch: Mismatch,
    },
    /// An error that names a file already, such as that of a list of labels.
    Other(Error),
}

impl LoadError {
    /// A reason with what was tried before it, for instance `as an ONNX file`.
    pub(super) fn tried(what: &str, reason: impl std::fmt::Display) -> Self {
        Self::Reason(format!("{what}: {reason}"))
    }

    /// The error of the file `path`.
    pub(super) fn of(self, path: &Path) -> Error {
        match self {
            Self::Read(error) => Error::io(path, "read", error),
            Self::Reason(reason) => Error::model(path, reason),
            Self::Tensors {
                architecture,
                mismatch,
            } => Error::Tensors {
                path: path.into(),
                architecture,
                mismatch,
            },
            Self::Other(error) => error,
        }
    }
}

impl From<String> for LoadError {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

impl From<&str> for LoadError {
    fn from(reason: &str) -> Self {
        Self::Reason(reason.into())
    }
}

impl From<std::io::Error> for LoadError {
    fn from(error: std::io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}
