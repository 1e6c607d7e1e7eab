//! CIFAR-10's binary batches: records of one label byte and three planes of 32×32 bytes.

use std::path::Path;

use image::{Rgb, RgbImage};

use super::labels::CIFAR10;
use super::{Dataset, PictureList, PictureLocation, Split};
use crate::error::{Error, Result};

const SIDE: usize = 32;
/// Bytes of a record: its label and three planes.
pub(super) const RECORD: usize = 1 + 3 * SIDE * SIDE;

fn file_names(split: Split) -> Vec<String> {
    match split {
        Split::Train => (1..=5)
            .map(|number| format!("data_batch_{number}.bin"))
            .collect(),
        Split::Test => vec!["test_batch.bin".into()],
    }
}

/// Whether a folder contains binary batches of a split.
pub fn holds(root: &Path, split: Split) -> bool {
    file_names(split)
        .iter()
        .any(|name| root.join(name).is_file())
}

/// Opens those batches of a split that exist.
pub fn open(root: &Path, split: Split, size: [usize; 2]) -> Result<Dataset> {
    if size != [SIDE; 2] {
        return Err(Error::data(
            root,
            format!("CIFAR-10's pictures are 32×32, not {}×{}", size[1], size[0]),
        ));
    }
    let mut dataset = Dataset {
        classes: CIFAR10.map(String::from).to_vec(),
        size,
        labels: Vec::new(),
        names: Vec::new(),
        skipped: Vec::new(),
        original_sizes: Vec::new(),
        pixels: Vec::new(),
    };
    for name in file_names(split) {
        let path = root.join(name);
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).map_err(|error| Error::io(&path, "read", error))?;
        read_batch(&path, &bytes, &mut dataset)?;
    }
    Ok(dataset)
}

fn read_batch(path: &Path, bytes: &[u8], dataset: &mut Dataset) -> Result<()> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(RECORD) {
        let reason = format!("its length is no multiple of a record's {RECORD} bytes");
        return Err(Error::data(path, reason));
    }
    for (number, record) in bytes.chunks_exact(RECORD).enumerate() {
        let label = usize::from(record[0]);
        if label >= CIFAR10.len() {
            return Err(Error::data(
                path,
                format!("record {number} has the label {label}"),
            ));
        }
        dataset.labels.push(label);
        dataset.original_sizes.push([SIDE as u32; 2]);
        dataset.names.push(path.join(number.to_string()));
        dataset.pixels.extend(&record[1..]);
    }
    Ok(())
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
    })
}

/// Decodes a record whose label byte was removed.
pub(super) fn image(planes: &[u8]) -> Option<RgbImage> {
    const PLANE: usize = SIDE * SIDE;
    let planes: &[u8; 3 * PLANE] = planes.try_into().ok()?;
    Some(RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        let at = y as usize * SIDE + x as usize;
        Rgb([0, 1, 2].map(|channel| planes[channel * PLANE + at]))
    }))
}
