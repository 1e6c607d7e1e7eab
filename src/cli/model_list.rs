//! Several models in one argument.

use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::str::FromStr;

use burn::tensor::Device;

use crate::compute::{CachedModel, Models};
use crate::error::Result;
use crate::model::{Classifier, ModelRef, zoo};

/// Models: ids of bundled ones or paths of files, with commas between. A file whose own name contains commas
/// may be among them.
#[derive(Clone, Debug, Default)]
pub struct ModelList(Vec<ModelRef>);

impl From<Vec<ModelRef>> for ModelList {
    fn from(models: Vec<ModelRef>) -> Self {
        Self(models)
    }
}

impl ModelList {
    /// All of them, opened.
    ///
    /// # Errors
    /// As [`crate::model::zoo::open`].
    pub fn open(&self, models: &Models) -> Result<Vec<CachedModel>> {
        self.iter().map(|model| models.get(model)).collect()
    }

    /// The classifiers of all of them, on `device`.
    ///
    /// # Errors
    /// As [`zoo::open`].
    pub fn classifiers(&self, device: &Device) -> Result<Vec<Classifier>> {
        self.iter().map(|model| zoo::open(model, device)).collect()
    }
}

impl Deref for ModelList {
    type Target = [ModelRef];

    fn deref(&self) -> &[ModelRef] {
        &self.0
    }
}

impl FromStr for ModelList {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let pieces: Vec<&str> = text.split(',').collect();
        let mut models = Vec::new();
        let mut at = 0;
        while at < pieces.len() {
            // The longest run of pieces that is a file's name, else one piece.
            let joined = |end: usize| pieces[at..end].join(",");
            let file = (at + 2..=pieces.len())
                .rev()
                .find(|&end| Path::new(&joined(end)).exists());
            let end = file.unwrap_or(at + 1);
            models.push(ModelRef::from(joined(end).as_str()));
            at = end;
        }
        Ok(Self(models))
    }
}

impl fmt::Display for ModelList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let models: Vec<String> = self.0.iter().map(ModelRef::to_string).collect();
        f.write_str(&models.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_part_models_but_not_the_names_of_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("best,eps=8,final.pt");
        std::fs::write(&file, []).expect("a file");
        let text = format!("cifar10-robust,{},other.pt", file.display());
        let list: ModelList = text.parse().expect("never fails");
        let expected = [
            ModelRef::from("cifar10-robust"),
            ModelRef::file(&file),
            ModelRef::from("other.pt"),
        ];
        assert_eq!(list[..], expected);
        assert_eq!(
            list.to_string().parse::<ModelList>().expect("never fails")[..],
            expected
        );
    }
}
