//! What opening files does, by their names and, for generators, their headers: one answer for program arguments,
//! drops and dialogs.

use std::path::PathBuf;

use crate::counterfactual::GeneratorEntry;
use crate::error::Result;
use crate::model::import::has_model_name;
use crate::session::has_session_name;
use crate::triage::has_database_name;

/// What is done with files and folders that are opened at once.
#[derive(Debug, Default)]
pub struct Opening {
    /// The session file that is shown: the last.
    pub session: Option<PathBuf>,
    /// The database of scans that is shown: the last.
    pub database: Option<PathBuf>,
    /// Model files, and descriptions of models, in their order.
    pub models: Vec<PathBuf>,
    /// Generators of counterfactuals, each for one classifier.
    pub generators: Vec<Result<GeneratorEntry>>,
    /// Everything else, in its order: pictures, and folders of pictures.
    pub pictures: Vec<PathBuf>,
    /// Sessions and databases that stay closed, as only one of each is shown.
    pub left_out: Vec<PathBuf>,
}

impl Opening {
    /// Every path is in exactly one field. A folder is one of pictures whatever its name; a mask is opened
    /// with its picture, or as a picture where it is named itself.
    pub fn of(paths: Vec<PathBuf>) -> Self {
        let mut opening = Self::default();
        for path in paths {
            if path.is_dir() {
                opening.pictures.push(path);
            } else if has_session_name(&path) {
                opening.left_out.extend(opening.session.replace(path));
            } else if has_database_name(&path) {
                opening.left_out.extend(opening.database.replace(path));
            } else if has_model_name(&path) {
                match GeneratorEntry::of_file(&path) {
                    Some(generator) => opening.generators.push(generator),
                    None => opening.models.push(path),
                }
            } else {
                opening.pictures.push(path);
            }
        }
        opening
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn files_are_sorted_by_what_opens_them() {
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
        let opening = Opening::of(paths(&all));
        assert_eq!(opening.session, Some("c.epsiloscope".into()));
        assert_eq!(opening.database, Some("e.db".into()));
        assert_eq!(
            opening.models,
            paths(&["a.pt", "d.ONNX", "g.safetensors", "h.toml"])
        );
        assert_eq!(opening.pictures, paths(&["b.JPG", "f"]));
        assert!(opening.left_out.is_empty());
    }

    #[test]
    fn of_several_sessions_and_databases_the_last_is_opened_and_none_vanishes() {
        let all = [
            "1.epsiloscope",
            "1.db",
            "2.sqlite",
            "2.epsiloscope",
            "3.epsiloscope",
        ];
        let opening = Opening::of(paths(&all));
        assert_eq!(opening.session, Some("3.epsiloscope".into()));
        assert_eq!(opening.database, Some("2.sqlite".into()));
        let left_out = paths(&["1.db", "1.epsiloscope", "2.epsiloscope"]);
        assert_eq!(opening.left_out, left_out);
    }

    #[test]
    fn a_folder_is_one_of_pictures_whatever_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let named = folder.path().join("checkpoints.pt");
        std::fs::create_dir(&named).expect("a folder within");
        let opening = Opening::of(vec![named.clone()]);
        assert_eq!(opening.pictures, [named]);
        assert!(opening.models.is_empty());
    }
}
