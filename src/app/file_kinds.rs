//! What a file is, by its name: one answer for program arguments, drops and dialogs.

use std::path::PathBuf;

use crate::model::import::has_model_name;
use crate::session::has_session_name;
use crate::triage::has_database_name;

/// Files by what opens them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FilesByKind {
    /// Session files.
    pub sessions: Vec<PathBuf>,
    /// Databases of scans.
    pub databases: Vec<PathBuf>,
    /// Model files and descriptions of models.
    pub models: Vec<PathBuf>,
    /// Everything else: pictures and folders.
    pub pictures: Vec<PathBuf>,
}

impl FilesByKind {
    /// Sorts files, keeping their order.
    pub fn of(paths: Vec<PathBuf>) -> Self {
        let mut kinds = Self::default();
        for path in paths {
            let kind = if path.is_dir() {
                &mut kinds.pictures
            } else if has_session_name(&path) {
                &mut kinds.sessions
            } else if has_database_name(&path) {
                &mut kinds.databases
            } else if has_model_name(&path) {
                &mut kinds.models
            } else {
                &mut kinds.pictures
            };
            kind.push(path);
        }
        kinds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sorted_by_what_opens_them() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let all = [
            "a.pt",
            "b.JPG",
            "c.epsiloscope",
            "d.ONNX",
            "e.db",
            "f",
            "g.safetensors",
            "h.toml",
        ];
        let kinds = FilesByKind::of(paths(&all));
        assert_eq!(kinds.sessions, paths(&["c.epsiloscope"]));
        assert_eq!(kinds.databases, paths(&["e.db"]));
        assert_eq!(
            kinds.models,
            paths(&["a.pt", "d.ONNX", "g.safetensors", "h.toml"])
        );
        assert_eq!(kinds.pictures, paths(&["b.JPG", "f"]));
    }
}
