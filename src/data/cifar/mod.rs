//! CIFAR-10 and CIFAR-100 as their home page gives them: binary batches, or Python pickles.

mod pickle;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use image::{Rgb, RgbImage};

use super::labels;
use super::{Dataset, PictureList, PictureLocation, Split};
use crate::error::{Error, Result};
use crate::tasks;
use pickle::Value;

const SIDE: usize = 32;
/// Bytes of a picture: three planes.
const PLANES: usize = 3 * SIDE * SIDE;
/// The largest file that is read: six times the largest there is.
const MOST_BYTES: u64 = 1 << 30;

/// How a batch is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Records of label bytes and planes; with two, the second is the fine label.
    Binary {
        labels: usize,
    },
    Pickle,
}

/// Folders inside that of the data set, as the archives have them.
const FOLDERS: [&str; 5] = [
    "",
    "cifar-10-batches-bin",
    "cifar-10-batches-py",
    "cifar-100-binary",
    "cifar-100-python",
];

/// The files that a split may be in, with their formats.
fn candidates(split: Split) -> Vec<(String, Format)> {
    let one = Format::Binary { labels: 1 };
    let two = Format::Binary { labels: 2 };
    match split {
        Split::Train => {
            let batches = (1..=5).flat_map(|number| {
                let name = format!("data_batch_{number}");
                [(format!("{name}.bin"), one), (name, Format::Pickle)]
            });
            let hundred = [("train.bin".into(), two), ("train".into(), Format::Pickle)];
            batches.chain(hundred).collect()
        }
        Split::Test => vec![
            ("test_batch.bin".into(), one),
            ("test_batch".into(), Format::Pickle),
            ("test.bin".into(), two),
            ("test".into(), Format::Pickle),
        ],
    }
}

/// The files of a split, in the first folder that holds any.
fn files(root: &Path, split: Split) -> Vec<(PathBuf, Format)> {
    let in_folder = |folder: &str| -> Vec<(PathBuf, Format)> {
        let folder = if folder.is_empty() {
            root.into()
        } else {
            root.join(folder)
        };
        let all = candidates(split).into_iter();
        all.map(|(name, format)| (folder.join(name), format))
            .filter(|(path, _)| path.is_file())
            .collect()
    };
    let mut found = FOLDERS.iter().map(|folder| in_folder(folder));
    found.find(|files| !files.is_empty()).unwrap_or_default()
}

/// Whether a folder contains batches of a split.
pub fn holds(root: &Path, split: Split) -> bool {
    !files(root, split).is_empty()
}

/// The pictures of one file.
struct Batch {
    labels: Vec<usize>,
    /// Planes of all pictures, one after the other.
    planes: Vec<u8>,
    /// Number of classes: 10 or 100.
    classes: usize,
}

/// The names of so many classes.
fn class_names(classes: usize) -> Vec<String> {
    let known = labels::known(if classes == 100 {
        "cifar100"
    } else {
        "cifar10"
    });
    known.expect("both are bundled")
}

fn read(path: &Path, format: Format) -> Result<Batch> {
    let reading = |error: std::io::Error| Error::io(path, "read", error);
    let length = std::fs::metadata(path).map_err(reading)?.len();
    if length > MOST_BYTES {
        return Err(Error::data(path, "it is too long for a batch of CIFAR"));
    }
    let bytes = std::fs::read(path).map_err(reading)?;
    let batch = match format {
        Format::Binary { labels } => binary(&bytes, labels),
        Format::Pickle => pickled(&bytes),
    };
    let batch = batch.map_err(|reason| Error::data(path, reason))?;
    let mut labels = batch.labels.iter();
    if let Some(number) = labels.position(|&label| label >= batch.classes) {
        let label = batch.labels[number];
        let reason = format!("record {number} has the label {label}");
        return Err(Error::data(path, reason));
    }
    Ok(batch)
}

fn binary(bytes: &[u8], labels: usize) -> Result<Batch, String> {
    let record = labels + PLANES;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        return Err(format!(
            "its length is no multiple of a record's {record} bytes"
        ));
    }
    let records = bytes.chunks_exact(record);
    Ok(Batch {
        labels: records
            .clone()
            .map(|record| usize::from(record[labels - 1]))
            .collect(),
        planes: records
            .flat_map(|record| &record[labels..])
            .copied()
            .collect(),
        classes: if labels == 1 { 10 } else { 100 },
    })
}

fn pickled(bytes: &[u8]) -> Result<Batch, String> {
    let value = pickle::read(bytes).map_err(|reason| format!("as a Python pickle: {reason}"))?;
    let Some(Value::Bytes(planes)) = value.get("data") else {
        return Err("as a Python pickle: it has no array of pictures".into());
    };
    let fine = value.get("fine_labels");
    let Some(Value::List(labels)) = fine.or(value.get("labels")) else {
        return Err("as a Python pickle: it has no labels".into());
    };
    let labels: Option<Vec<usize>> = labels
        .iter()
        .map(|label| match label {
            Value::Integer(label) => usize::try_from(*label).ok(),
            _ => None,
        })
        .collect();
    let labels = labels.ok_or("as a Python pickle: a label is no number")?;
    if planes.len() != labels.len() * PLANES || labels.is_empty() {
        let (bytes, count) = (planes.len(), labels.len());
        return Err(format!(
            "as a Python pickle: {bytes} bytes for {count} pictures"
        ));
    }
    Ok(Batch {
        labels,
        planes: planes.clone(),
        classes: if fine.is_some() { 100 } else { 10 },
    })
}

/// Opens those batches of a split that exist.
pub fn open(root: &Path, split: Split, size: [usize; 2]) -> Result<Dataset> {
    if size != [SIDE; 2] {
        return Err(Error::data(
            root,
            format!("CIFAR's pictures are 32×32, not {}×{}", size[1], size[0]),
        ));
    }
    let mut dataset = Dataset {
        classes: Vec::new(),
        size,
        labels: Vec::new(),
        names: Vec::new(),
        skipped: Vec::new(),
        passed_over: Vec::new(),
        original_sizes: Vec::new(),
        noise_ids: Vec::new(),
        pixels: Vec::new(),
    };
    for (path, format) in files(root, split) {
        let batch = read(&path, format)?;
        let classes = class_names(batch.classes);
        if dataset.classes.is_empty() {
            dataset.classes = classes;
        } else if dataset.classes != classes {
            return Err(Error::data(root, "it holds CIFAR-10 and CIFAR-100"));
        }
        let numbers = 0..batch.labels.len();
        dataset
            .names
            .extend(numbers.map(|number| path.join(number.to_string())));
        dataset
            .original_sizes
            .extend(batch.labels.iter().map(|_| [SIDE as u32; 2]));
        dataset.labels.extend(batch.labels);
        dataset.pixels.extend(batch.planes);
    }
    dataset.noise_ids = (0..dataset.labels.len() as u64).collect();
    Ok(dataset)
}

/// Lists the pictures of a split.
pub(super) fn list(root: &Path, split: Split) -> Result<PictureList> {
    let mut dataset = open(root, split, [SIDE; 2])?;
    let names = std::mem::take(&mut dataset.names).into_iter();
    let entries = names.zip(&dataset.labels);
    Ok(PictureList {
        entries: entries
            .map(|(name, &label)| PictureLocation::record(name, label))
            .collect(),
        classes: dataset.classes,
        passed_over: Vec::new(),
    })
}

/// The file that was read last, as neighbouring records are usually asked for one after the other.
static LAST: Mutex<Option<(PathBuf, Arc<Batch>)>> = Mutex::new(None);

/// The planes of the picture `number` in the file `path`.
pub(super) fn planes(path: &Path, number: usize) -> Result<Vec<u8>> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let candidates = [Split::Train, Split::Test].into_iter().flat_map(candidates);
    let mut formats = candidates.filter(|(known, _)| known == name);
    let (_, format) = formats
        .next()
        .ok_or_else(|| Error::data(path, "it is no batch of CIFAR"))?;
    let mut last = tasks::lock(&LAST);
    let batch = match &*last {
        Some((known, batch)) if known == path => batch.clone(),
        _ => {
            let batch = Arc::new(read(path, format)?);
            *last = Some((path.into(), batch.clone()));
            batch
        }
    };
    drop(last);
    let planes = batch.planes.chunks_exact(PLANES).nth(number);
    planes
        .map(<[u8]>::to_vec)
        .ok_or_else(|| Error::data(path, format!("it has no record {number}")))
}

/// Decodes the planes of a record.
pub(super) fn image(planes: &[u8]) -> Option<RgbImage> {
    const PLANE: usize = SIDE * SIDE;
    let planes: &[u8; 3 * PLANE] = planes.try_into().ok()?;
    Some(RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        let at = y as usize * SIDE + x as usize;
        Rgb([0, 1, 2].map(|channel| planes[channel * PLANE + at]))
    }))
}
