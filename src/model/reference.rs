//! Which model is meant: one that comes with the program, or a file with what a person says of it.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::import::{Description, DescriptionEdit};
use super::zoo::BundledId;
use crate::files::path_text;

/// A model, before it is opened.
///
/// In files it is one string: the id of a bundled model, a path ([`path_text`] says how), or, where a
/// person overrides something, a description in TOML that begins with the path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ModelRef {
    /// One that comes with the program.
    Bundled(BundledId),
    /// A model file.
    File {
        /// The weights, an ONNX graph, or a description of either in TOML.
        path: PathBuf,
        /// What a person says of the file in the window; [`Description::file`] is always empty here.
        overrides: Box<Description>,
    },
}

/// How a description begins where it takes the place of a path.
const INLINE: &str = "file = ";

impl ModelRef {
    /// The model in a file, with nothing overridden.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File {
            path: path.into(),
            overrides: Box::default(),
        }
    }

    /// The model that a text means if the text is no path: a bundled id or a description. Nothing else
    /// in the program looks into such texts.
    fn special(text: &str) -> Option<Self> {
        if let Some(id) = BundledId::find(text) {
            return Some(Self::Bundled(id));
        }
        if !text.starts_with(INLINE) {
            return None;
        }
        let mut description: Description = toml::from_str(text).ok()?;
        let path = description.file.take()?;
        let overrides = Box::new(description);
        Some(Self::File { path, overrides })
    }

    /// The file; nothing for a bundled model.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Bundled(_) => None,
            Self::File { path, .. } => Some(path),
        }
    }

    /// The file, to be put elsewhere.
    pub fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Bundled(_) => None,
            Self::File { path, .. } => Some(path),
        }
    }

    /// What errors name: the file, or the id in place of one.
    pub fn origin(&self) -> &Path {
        match self {
            Self::Bundled(id) => Path::new(id.as_str()),
            Self::File { path, .. } => path,
        }
    }

    /// The same from wherever the program is started: the path of a file that is there becomes absolute.
    pub fn absolute(mut self) -> Self {
        if let Some(path) = self.path_mut().filter(|path| path.exists())
            && let Ok(absolute) = std::path::absolute(&*path)
        {
            *path = absolute;
        }
        self
    }

    /// What to call it before it is open: the id, or the name of the file.
    pub fn title(&self) -> String {
        let origin = self.origin();
        let name = origin.file_name().unwrap_or(origin.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Everything that a person says of it, with the absolute path of its weights; nothing of bundled
    /// models and of files that are not there.
    pub fn description(&self) -> Option<Description> {
        let Self::File { path, overrides } = self else {
            return None;
        };
        Description::of_file(path, overrides)
    }

    /// The same file with one thing more said of it; nothing for what has no [`ModelRef::description`].
    pub fn edited(&self, edit: DescriptionEdit) -> Option<Self> {
        let mut description = self.description()?.with(edit);
        let path = description.file.take()?;
        let overrides = Box::new(description);
        Some(Self::File { path, overrides })
    }

    /// As it is written to files.
    fn to_text(&self) -> String {
        match self {
            Self::Bundled(id) => id.as_str().into(),
            Self::File { path, overrides } if **overrides == Description::default() => {
                let text = path_text::encode(path);
                match Self::special(&text) {
                    // A file that is called as a bundled model is.
                    Some(_) => path_text::escape(path),
                    None => text.into_owned(),
                }
            }
            Self::File { path, overrides } => Description {
                file: Some(path.clone()),
                ..(**overrides).clone()
            }
            .to_toml(),
        }
    }
}

/// As a person types it; never fails, as anything may be a path.
impl FromStr for ModelRef {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::special(text).unwrap_or_else(|| Self::file(text)))
    }
}

impl From<&str> for ModelRef {
    fn from(text: &str) -> Self {
        Self::special(text).unwrap_or_else(|| Self::file(text))
    }
}

/// As the command line has it: paths need not be UTF-8.
impl From<OsString> for ModelRef {
    fn from(text: OsString) -> Self {
        let special = text.to_str().and_then(Self::special);
        special.unwrap_or_else(|| Self::file(text))
    }
}

impl From<BundledId> for ModelRef {
    fn from(id: BundledId) -> Self {
        Self::Bundled(id)
    }
}

/// For people: the id or the path.
impl std::fmt::Display for ModelRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.origin().display().fmt(f)
    }
}

impl Serialize for ModelRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for ModelRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self::special(&text).unwrap_or_else(|| Self::file(path_text::decode(&text))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Normalizer;
    use crate::model::import::{LabelSource, NormalizerSource};

    fn written(model: &ModelRef) -> String {
        serde_json::to_string(model).expect("plain data")
    }

    fn read(text: &str) -> ModelRef {
        serde_json::from_str(text).expect("any string is a model")
    }

    #[test]
    fn what_older_programs_wrote_is_read_and_written_the_same() {
        let toml = "file = \"/models/a b.pt\"\nnormalizer = \"half\"\ninput = [64, 64]\n";
        for text in ["cifar10-robust", "/models/a b.pt", "missing.onnx", toml] {
            let json = serde_json::to_string(text).expect("plain data");
            assert_eq!(written(&read(&json)), json);
        }
        let ModelRef::File { path, overrides } = ModelRef::from(toml) else {
            panic!("a file");
        };
        assert_eq!(path, Path::new("/models/a b.pt"));
        assert_eq!(
            overrides.normalizer,
            Some(NormalizerSource::Named("half".into()))
        );
        assert!(matches!(read("\"cifar10-robust\""), ModelRef::Bundled(_)));
        // What cannot be read as a description can still be shown, and refused, as a path.
        assert_eq!(
            read("\"file = nonsense\"").path(),
            Some(Path::new("file = nonsense"))
        );
    }

    #[test]
    fn overrides_are_part_of_what_a_model_is() {
        let plain = ModelRef::file("a.pt");
        let given = |mean: f32| ModelRef::File {
            path: "a.pt".into(),
            overrides: Box::new(Description {
                normalizer: Some(NormalizerSource::Given(Normalizer {
                    mean: [mean; 3],
                    std: [1.0; 3],
                })),
                labels: Some(LabelSource::Given(vec!["one".into()])),
                ..Description::default()
            }),
        };
        let all: std::collections::HashSet<_> = [plain, given(0.0), given(0.5), given(0.5)]
            .into_iter()
            .collect();
        assert_eq!(all.len(), 3);
        assert_eq!(read(&written(&given(0.5))), given(0.5));
    }

    #[test]
    fn a_file_called_as_a_bundled_model_stays_a_file() {
        let file = ModelRef::file("cifar10-robust");
        assert_eq!(read(&written(&file)), file);
    }

    #[cfg(unix)]
    #[test]
    fn paths_that_are_not_utf8_survive() {
        use std::os::unix::ffi::OsStringExt as _;
        let path = OsString::from_vec(b"/models/\xff%.pt".to_vec());
        let model = ModelRef::from(path.clone());
        assert_eq!(model.path(), Some(Path::new(&path)));
        assert_eq!(read(&written(&model)), model);
        let overridden = ModelRef::File {
            path: path.into(),
            overrides: Box::new(Description {
                input: Some([32, 32]),
                ..Description::default()
            }),
        };
        assert_eq!(read(&written(&overridden)), overridden);
    }
}
