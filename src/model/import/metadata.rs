//! What a model file says of itself besides its numbers: the metadata of ONNX and safetensors files, and the JSON
//! files that Hugging Face and timm keep beside weights.

use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::{Description, LabelSource, NormalizerSource};
use crate::model::Normalizer;

/// Longest JSON file that is read, in bytes.
const LONGEST_FILE: u64 = 8 << 20;

/// File names under which Hugging Face and timm keep weights, with `config.json` beside them.
const HUB_NAMES: [&str; 3] = ["model.safetensors", "pytorch_model.bin", "model.onnx"];

/// Labels, normaliser, size and name that were found, and what could not be read.
#[derive(Clone, Debug, Default)]
pub(in crate::model) struct Metadata {
    pub(super) description: Description,
    pub(super) notes: Vec<String>,
}

impl Metadata {
    /// From the key–value pairs of a file: `name`; `labels`, a JSON list in the order of the logits; `mean` and `std`,
    /// JSON lists of three numbers, in units of pixels in [0, 1]; `input`, a JSON list of height and width; or timm's
    /// `pretrained_cfg`.
    pub(super) fn of_properties<'a>(properties: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut metadata = Self::default();
        let mut object = serde_json::Map::new();
        for (key, text) in properties {
            match (key, serde_json::from_str(text)) {
                ("name", _) => metadata.description.name = Some(text.to_owned()),
                ("labels" | "mean" | "std" | "input" | "pretrained_cfg", Ok(value)) => {
                    object.insert(key.to_owned(), value);
                }
                ("labels" | "mean" | "std" | "input" | "pretrained_cfg", Err(error)) => {
                    let note = format!("“{key}” of its metadata is passed over: {error}");
                    metadata.notes.push(note);
                }
                _ => {}
            }
        }
        metadata.add(&Value::Object(object));
        metadata
    }

    /// From the files beside the weights at `path`, if those are named as in a folder of Hugging Face's or timm's.
    pub(super) fn beside(path: &Path) -> Self {
        let mut metadata = Self::default();
        let name = path.file_name().and_then(|name| name.to_str());
        if !name.is_some_and(|name| HUB_NAMES.contains(&name)) {
            return metadata;
        }
        for name in ["config.json", "preprocessor_config.json"] {
            match read(&path.with_file_name(name)) {
                Ok(Some(value)) => metadata.add(&value),
                Ok(None) => {}
                Err(reason) => {
                    let note = format!("{name} beside it is passed over: {reason}");
                    metadata.notes.push(note);
                }
            }
        }
        metadata
    }

    /// Adds what an object says and is not known yet.
    fn add(&mut self, object: &Value) {
        let timm = &object["pretrained_cfg"];
        let names = [&object["architecture"], &timm["architecture"]];
        let tensorflow = |name: &&str| name.starts_with("tf_");
        if let Some(name) = names.into_iter().filter_map(Value::as_str).find(tensorflow) {
            self.notes.push(format!(
                "config.json calls it {name}: such networks pad their pictures as TensorFlow does, which weights alone \
                 do not tell; read with symmetric padding it answers otherwise, so open it as an ONNX file"
            ));
        }
        let description = Description {
            labels: ["labels", "label_names", "id2label"]
                .iter()
                .find_map(|key| labels(&object[key]))
                .or_else(|| labels(&timm["label_names"]))
                .map(LabelSource::Given),
            normalizer: normalizer(&object["mean"], &object["std"])
                .or_else(|| hugging_face_normalizer(object))
                .or_else(|| normalizer(&timm["mean"], &timm["std"]))
                .map(NormalizerSource::Given),
            input: ["input", "crop_size", "size"]
                .iter()
                .find_map(|key| size(&object[key]))
                .or_else(|| size(&timm["input_size"])),
            heads: object["num_attention_heads"]
                .as_u64()
                .and_then(|heads| usize::try_from(heads).ok()),
            ..Description::default()
        };
        self.description = self.description.clone().or(&description);
    }
}

impl Description {
    /// The same, with name, normaliser, labels, size and heads of `other` where this says nothing of them.
    pub(super) fn or(mut self, other: &Self) -> Self {
        self.name = self.name.or_else(|| other.name.clone());
        self.normalizer = self.normalizer.or_else(|| other.normalizer.clone());
        self.labels = self.labels.or_else(|| other.labels.clone());
        self.input = self.input.or(other.input);
        self.heads = self.heads.or(other.heads);
        self
    }

    /// What of name, normaliser, labels, size and heads it says, in words.
    pub(super) fn said(&self) -> Vec<&'static str> {
        let said = [
            (self.name.is_some(), "name"),
            (self.normalizer.is_some(), "normaliser"),
            (self.labels.is_some(), "labels"),
            (self.input.is_some(), "size of its input"),
            (self.heads.is_some(), "heads of attention"),
        ];
        let said = said.into_iter().filter(|(is_said, _)| *is_said);
        said.map(|(_, what)| what).collect()
    }
}

/// The JSON in a file, if there is one.
fn read(path: &Path) -> Result<Option<Value>, String> {
    let Ok(file) = std::fs::File::open(path) else {
        return Ok(None);
    };
    let mut text = String::new();
    let read = file.take(LONGEST_FILE + 1).read_to_string(&mut text);
    read.map_err(|error| error.to_string())?;
    if text.len() as u64 > LONGEST_FILE {
        return Err("it is too long".into());
    }
    let value = serde_json::from_str(&text);
    value.map(Some).map_err(|error| error.to_string())
}

/// Labels as a list, or as an object of their indices.
fn labels(value: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match value {
        Value::Array(all) if !all.is_empty() => all.iter().map(text).collect(),
        Value::Object(all) if !all.is_empty() => {
            let at = |index: usize| all.get(&index.to_string()).and_then(text);
            (0..all.len()).map(at).collect()
        }
        _ => None,
    }
}

/// What Hugging Face's image processors normalise with: nothing where `do_normalize` is off, whatever `image_mean` says.
fn hugging_face_normalizer(object: &Value) -> Option<Normalizer> {
    let found = normalizer(&object["image_mean"], &object["image_std"]);
    match object["do_normalize"] {
        Value::Bool(false) => Some(Normalizer::NONE),
        _ => found,
    }
}

fn normalizer(mean: &Value, std: &Value) -> Option<Normalizer> {
    let three = |value: &Value| -> Option<[f32; 3]> {
        let numbers = value.as_array()?.iter().map(Value::as_f64);
        let numbers: Vec<f32> = numbers
            .map(|number| number.map(|number| number as f32))
            .collect::<Option<_>>()?;
        match numbers[..] {
            // Of a network for grey pictures.
            [one] => Some([one; 3]),
            _ => numbers.try_into().ok(),
        }
    };
    Some(Normalizer {
        mean: three(mean)?,
        std: three(std)?,
    })
}

/// Height and width: one number for both, a list that ends in them, or Hugging Face's `height` and `width` or
/// `shortest_edge`.
fn size(value: &Value) -> Option<[usize; 2]> {
    let side = |value: &Value| usize::try_from(value.as_u64()?).ok();
    match value {
        Value::Number(_) => side(value).map(|side| [side; 2]),
        Value::Array(all) => {
            let [.., height, width] = all.as_slice() else {
                return None;
            };
            Some([side(height)?, side(width)?])
        }
        Value::Object(all) => match (all.get("height"), all.get("width")) {
            (Some(height), Some(width)) => Some([side(height)?, side(width)?]),
            _ => all
                .get("shortest_edge")
                .and_then(side)
                .map(|side| [side; 2]),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Metadata {
        Metadata::of_properties(pairs.iter().copied())
    }

    #[test]
    fn properties_of_a_file_are_read_in_every_form_they_have() {
        let own = of(&[
            ("name", "mine"),
            ("labels", r#"["cat", "dog"]"#),
            ("mean", "[0.1, 0.2, 0.3]"),
            ("std", "[1, 0.5, 0.25]"),
            ("input", "[64, 96]"),
        ]);
        assert!(own.notes.is_empty());
        assert_eq!(own.description.name.as_deref(), Some("mine"));
        assert_eq!(own.description.input, Some([64, 96]));
        let given = Normalizer {
            mean: [0.1, 0.2, 0.3],
            std: [1.0, 0.5, 0.25],
        };
        let given = Some(NormalizerSource::Given(given));
        assert_eq!(own.description.normalizer, given);
        let timm = r#"{"mean": [0.1, 0.2, 0.3], "std": [1, 0.5, 0.25], "input_size": [3, 64, 96]}"#;
        let timm = of(&[("pretrained_cfg", timm)]).description;
        assert_eq!((timm.input, timm.normalizer), (Some([64, 96]), given));
    }

    #[test]
    fn what_makes_no_sense_is_passed_over_and_said() {
        let broken = of(&[
            ("labels", "cat, dog"),
            ("mean", "[1, 2]"),
            ("std", "[1, 2]"),
        ]);
        assert_eq!(broken.description, Description::default());
        assert_eq!(broken.notes.len(), 1, "{:?}", broken.notes);
        assert_eq!(labels(&serde_json::json!({"0": "a", "2": "c"})), None);
        assert_eq!(size(&serde_json::json!(-3)), None);
    }

    #[test]
    fn hugging_face_folders_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("written");
        };
        write("config.json", r#"{"id2label": {"0": "cat", "1": "dog"}}"#);
        write(
            "preprocessor_config.json",
            r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
                "size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}"#,
        );
        let found = Metadata::beside(&folder.path().join("model.safetensors"));
        let labels = LabelSource::Given(vec!["cat".into(), "dog".into()]);
        assert_eq!(found.description.labels, Some(labels));
        let half = Some(NormalizerSource::Given(Normalizer::HALF));
        assert_eq!(found.description.normalizer, half);
        assert_eq!(found.description.input, Some([224, 224]));
        let off = serde_json::json!({"do_normalize": false, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]});
        assert_eq!(hugging_face_normalizer(&off), Some(Normalizer::NONE));
        let other = Metadata::beside(&folder.path().join("other.safetensors"));
        assert_eq!(other.description, Description::default());
    }
}
