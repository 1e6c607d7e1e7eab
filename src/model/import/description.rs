//! What a person says of a model file: a small manifest in TOML.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::LoadError;
use crate::data::labels;
use crate::error::{Error, Result};
use crate::files::path_text;
use crate::model::architecture::Architecture;
use crate::model::graph::Activation;
use crate::model::{Manifest, Normalizer, Stem};

/// The standardisation, by name or in numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NormalizerSource {
    /// One of [`NORMALIZERS`].
    Named(String),
    /// In units of pixels in [0, 1].
    Given(Normalizer),
}

impl NormalizerSource {
    /// What it is compared by: the name, or the bits of the numbers, so that equality is an equivalence
    /// whatever a file claims.
    fn key(&self) -> (Option<&str>, Option<[[u32; 3]; 2]>) {
        match self {
            Self::Named(name) => (Some(name), None),
            Self::Given(given) => {
                let bits = [given.mean, given.std].map(|three| three.map(f32::to_bits));
                (None, Some(bits))
            }
        }
    }
}

impl PartialEq for NormalizerSource {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for NormalizerSource {}

impl std::hash::Hash for NormalizerSource {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// The classes' names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LabelSource {
    /// A known set (`cifar10`, `cifar100`, `imagenet`), a text file with a name on each line, or a
    /// folder with a folder for each class.
    Named(String),
    /// In the order of the logits.
    Given(Vec<String>),
}

/// The activation of networks whose tensors do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationName {
    /// max(x, 0)
    Relu,
    /// x·sigmoid(x), which is called Swish too.
    Silu,
    /// x·Φ(x), Φ the standard normal distribution function.
    Gelu,
    /// x·sigmoid(1.702·x), of some of CLIP's transformers.
    QuickGelu,
}

impl From<ActivationName> for Activation {
    fn from(name: ActivationName) -> Self {
        match name {
            ActivationName::Relu => Self::Relu,
            ActivationName::Silu => Self::Silu,
            ActivationName::Gelu => Self::Gelu,
            ActivationName::QuickGelu => Self::QuickGelu,
        }
    }
}

/// Order of the channels that a network reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelOrder {
    /// Red, green, blue: of nearly all networks.
    Rgb,
    /// Blue, green, red: of networks made with OpenCV or Caffe. The normaliser is in this order, too.
    Bgr,
}

/// Everything that a file may leave open. What is not said is looked for in the file, then assumed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Description {
    /// The weights, beside the description unless the path is absolute.
    #[serde(skip_serializing_if = "Option::is_none", with = "path_text::option")]
    pub file: Option<PathBuf>,
    /// What a person calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it must be recognised as, for instance `ResNet-50`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// The standardisation that belongs before the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalizer: Option<NormalizerSource>,
    /// The classes' names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelSource>,
    /// Height and width it was made for, in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<[usize; 2]>,
    /// Order of the channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<ChannelOrder>,
    /// How it was trained, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<String>,
    /// How a residual network begins, where the size of its first kernel does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stem: Option<Stem>,
    /// Activation of networks that normalise first, of vision transformers and of ConvNeXts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation: Option<ActivationName>,
    /// Whether projections of such networks read what was not yet normalised, as some of RobustBench's
    /// PreAct ResNets do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub raw_shortcut: bool,
    /// Whether the first 1×1 convolution of a bottleneck block has the stride, as in the original networks,
    /// instead of the 3×3 one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stride_in_first: bool,
    /// Number of heads of a vision transformer's attention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<usize>,
    /// Name of the output that is the logits, of an ONNX file with several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// One thing that a person says of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum DescriptionEdit {
    /// The standardisation.
    Normalizer(NormalizerSource),
    /// The labels.
    Labels(LabelSource),
    /// Height and width.
    Input([usize; 2]),
    /// Order of the channels.
    Channels(ChannelOrder),
    /// First layers of a residual network.
    Stem(Stem),
    /// Whether the first convolution of a bottleneck block has the stride.
    StrideInFirst(bool),
    /// Number of heads of a vision transformer's attention.
    Heads(usize),
}

/// A description, and where the weights are.
pub struct Described {
    /// What was said.
    pub description: Description,
    /// The weights.
    pub file: PathBuf,
}

/// Longest description, in bytes; a thousand long labels take a tenth of it.
const LONGEST: u64 = 1 << 20;

/// The standardisations that models usually have, by the names in descriptions.
pub const NORMALIZERS: [(&str, Normalizer); 5] = [
    ("imagenet", Normalizer::IMAGENET),
    ("cifar10", Normalizer::CIFAR10),
    ("cifar100", Normalizer::CIFAR100),
    ("half", Normalizer::HALF),
    ("none", Normalizer::NONE),
];

/// The standardisation of that name.
///
/// # Errors
/// Lists the names there are.
fn normalizer_of(name: &str) -> Result<Normalizer> {
    let found = NORMALIZERS.iter().find(|(known, _)| *known == name);
    let names = NORMALIZERS.map(|(name, _)| name).join(", ");
    let unknown = || Error::Config(format!("no normaliser is called {name}; there are {names}"));
    found.map(|(_, normalizer)| *normalizer).ok_or_else(unknown)
}

/// What a model of so many classes was probably standardised with.
pub(super) fn usual_normalizer(classes: usize) -> (&'static str, Normalizer) {
    let name = match classes {
        10 => "cifar10",
        100 => "cifar100",
        _ => "imagenet",
    };
    let found = NORMALIZERS.iter().find(|(known, _)| *known == name);
    *found.expect("the names above are in the table")
}

/// Whether a file is a description, by its name.
pub(super) fn is_one(path: &Path) -> bool {
    let extension = path.extension();
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}

impl Description {
    /// Everything that is said of the file at `path`: what `overrides` say, or what the file itself says
    /// if it is a description. [`Description::file`] is the absolute path of the weights. Nothing if the
    /// file is not there.
    pub fn of_file(path: &Path, overrides: &Self) -> Option<Self> {
        if *overrides != Self::default() {
            let file = Some(path.to_path_buf());
            return Some(Self {
                file,
                ..overrides.clone()
            });
        }
        if !path.exists() {
            return None;
        }
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        if is_one(&path) {
            let Described { description, file } = Self::read(&path).ok()?;
            let file = Some(file);
            return Some(Self {
                file,
                ..description
            });
        }
        Some(Self {
            file: Some(path),
            ..Self::default()
        })
    }

    /// Reads a description.
    ///
    /// # Errors
    /// [`Error::Model`] says which line is wrong.
    pub fn read(path: &Path) -> Result<Described> {
        let reading = |error: std::io::Error| Error::io(path, "read", error);
        let length = std::fs::metadata(path).map_err(reading)?.len();
        if length > LONGEST {
            return Err(Error::model(
                path,
                "it is too long for a description of a model",
            ));
        }
        let text = std::fs::read_to_string(path).map_err(reading)?;
        Self::parse(&text, path, path.parent().unwrap_or(Path::new(".")))
    }

    /// Reads the text of a description that is at `path`; files are looked for in `folder`.
    ///
    /// # Errors
    /// As [`Description::read`].
    pub fn parse(text: &str, path: &Path, folder: &Path) -> Result<Described> {
        let description: Self = toml::from_str(text).map_err(|error| Error::model(path, error))?;
        let file = description.file.as_ref();
        let file =
            file.ok_or_else(|| Error::model(path, "it does not say which file it describes"))?;
        let file = folder.join(file);
        if is_one(&file) {
            return Err(Error::model(path, "it describes another description"));
        }
        Ok(Described {
            file,
            description: description.beside(folder),
        })
    }

    /// The same, with the file or folder of its labels found from anywhere.
    fn beside(mut self, folder: &Path) -> Self {
        if let Some(LabelSource::Named(name)) = &mut self.labels
            && labels::known(name).is_none()
        {
            *name = folder.join(&name).to_string_lossy().into_owned();
        }
        self
    }

    /// The same with one thing more, or another instead.
    pub fn with(mut self, saying: DescriptionEdit) -> Self {
        match saying {
            DescriptionEdit::Normalizer(normalizer) => self.normalizer = Some(normalizer),
            DescriptionEdit::Labels(labels) => self.labels = Some(labels),
            DescriptionEdit::Input(input) => self.input = Some(input),
            DescriptionEdit::Channels(order) => self.channels = Some(order),
            DescriptionEdit::Stem(stem) => self.stem = Some(stem),
            DescriptionEdit::StrideInFirst(first) => self.stride_in_first = first,
            DescriptionEdit::Heads(heads) => self.heads = Some(heads),
        }
        self
    }

    /// Refuses what says how to read tensors, for a file that says so itself.
    pub(super) fn require_none_of_tensors(&self) -> Result<(), LoadError> {
        let said = [
            (self.stem.is_some(), "stem"),
            (self.activation.is_some(), "activation"),
            (self.raw_shortcut, "raw_shortcut"),
            (self.stride_in_first, "stride_in_first"),
            (self.channels == Some(ChannelOrder::Bgr), "channels"),
            (self.heads.is_some(), "heads"),
            (self.output.is_some(), "output"),
        ];
        match said.iter().find(|(is_said, _)| *is_said) {
            Some((_, name)) => Err(format!(
                "it is of this program's own format, which leaves nothing open that {name} could say"
            )
            .into()),
            None => Ok(()),
        }
    }

    /// As text that [`Description::read`] understands.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("plain data")
    }

    /// The standardisation, if it was said.
    fn normalizer(&self) -> Result<Option<Normalizer>> {
        Ok(match &self.normalizer {
            Some(NormalizerSource::Named(name)) => Some(normalizer_of(name)?),
            Some(NormalizerSource::Given(given)) => Some(*given),
            None => None,
        })
    }

    /// The labels, if they were said.
    fn labels(&self) -> Result<Option<Vec<String>>, LoadError> {
        Ok(match &self.labels {
            Some(LabelSource::Named(name)) => {
                Some(labels::named(name).map_err(|error| LoadError::tried("its labels", error))?)
            }
            Some(LabelSource::Given(given)) => Some(given.clone()),
            None => None,
        })
    }

    /// Refuses a network that is not what it was said to be.
    fn check_architecture(&self, found: &Architecture) -> Result<(), LoadError> {
        let Some(said) = &self.architecture else {
            return Ok(());
        };
        let plain = |text: &str| {
            text.to_lowercase()
                .replace(|c: char| !c.is_alphanumeric(), "")
        };
        if plain(&found.to_string()).starts_with(&plain(said)) {
            return Ok(());
        }
        let reason = format!("it is said to be {said} and was recognised as {found}");
        Err(reason.into())
    }

    /// Puts what was said over what is known without it.
    ///
    /// # Errors
    /// Where the two contradict each other, or what was said is not there.
    pub(super) fn put_over(&self, manifest: &mut Manifest) -> Result<(), LoadError> {
        self.check_architecture(&manifest.architecture)?;
        if let Some(name) = &self.name {
            manifest.name.clone_from(name);
        }
        if let Some(normalizer) = self.normalizer()? {
            manifest.normalizer = normalizer;
        }
        if self.channels == Some(ChannelOrder::Bgr) {
            // Pictures are in the order red, green, blue, and so is what they are normalised with.
            manifest.normalizer.mean.reverse();
            manifest.normalizer.std.reverse();
        }
        if let Some(labels) = self.labels()? {
            manifest.labels = labels;
        }
        if let Some(input) = self.input {
            manifest.input = input;
        }
        if let Some(training) = &self.training {
            manifest.training.clone_from(training);
        }
        let valid = manifest.validate();
        Ok(valid.map_err(|error| error.to_string())?)
    }
}
