//! Class labels: the names of CIFAR-10, CIFAR-100 and ImageNet-1k, of text files and of folders.

use std::path::Path;

use crate::error::{Error, Result};

/// Class names of CIFAR-10, in the order of its labels.
pub const CIFAR10: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// Class names, one a line; sources in `assets/labels/LICENSES.md`.
const CIFAR100: &str = include_str!("../../assets/labels/cifar100.txt");
/// WordNet ids of the same classes, in the same order.
const SYNSETS: &str = include_str!("../../assets/labels/imagenet-1k-synsets.txt");
const IMAGENET: &str = include_str!("../../assets/labels/imagenet-1k.txt");

/// Largest text file of labels that is read, in bytes.
const LONGEST: u64 = 16 << 20;

fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The bundled label set of that name: `cifar10`, `cifar100` or `imagenet`.
pub fn known(name: &str) -> Option<Vec<String>> {
    match name {
        "cifar10" => Some(CIFAR10.map(str::to_owned).to_vec()),
        "cifar100" => Some(lines(CIFAR100)),
        "imagenet" => Some(lines(IMAGENET)),
        _ => None,
    }
}

/// Class names from a bundled label set, the lines of a text file, or the sorted names of the
/// subfolders of a folder.
///
/// # Errors
/// [`Error::Io`] where the file or folder cannot be read, [`Error::Data`] where it names no class.
pub fn named(name: &str) -> Result<Vec<String>> {
    if let Some(labels) = known(name) {
        return Ok(labels);
    }
    let path = Path::new(name);
    let reading = |error: std::io::Error| Error::io(path, "read", error);
    let metadata = std::fs::metadata(path).map_err(reading)?;
    let labels = if metadata.is_dir() {
        let entries = std::fs::read_dir(path).map_err(reading)?;
        let folders = entries.filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            (entry.path().is_dir() && !name.starts_with('.')).then_some(name)
        });
        let mut labels: Vec<String> = folders.collect();
        labels.sort();
        labels
    } else if metadata.len() > LONGEST {
        return Err(Error::data(path, "it is too long for a list of labels"));
    } else {
        lines(&std::fs::read_to_string(path).map_err(reading)?)
    };
    if labels.is_empty() {
        return Err(Error::data(path, "it names no class"));
    }
    Ok(labels)
}

/// Replaces class names that are all WordNet ids of ImageNet-1k, as ImageNet's own folders are called, by its labels.
pub(super) fn name_synsets(classes: &mut [String]) {
    let synset = |class: &String| SYNSETS.lines().position(|synset| synset == class);
    let found: Option<Vec<usize>> = classes.iter().map(synset).collect();
    if let Some(found) = found.filter(|found| !found.is_empty()) {
        let names = lines(IMAGENET);
        for (class, at) in classes.iter_mut().zip(found) {
            class.clone_from(&names[at]);
        }
    }
}

/// The label set usual for a model with that many `classes`, and the set's name.
pub(crate) fn usual(classes: usize) -> (Vec<String>, &'static str) {
    let set = match classes {
        10 => known("cifar10").zip(Some("CIFAR-10")),
        100 => known("cifar100").zip(Some("CIFAR-100")),
        1000 => known("imagenet").zip(Some("ImageNet-1k")),
        _ => None,
    };
    set.unwrap_or_else(|| {
        let numbered = (0..classes).map(|class| format!("class {class}"));
        (numbered.collect(), "a number for each class")
    })
}
