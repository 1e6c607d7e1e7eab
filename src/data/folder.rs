//! ImageFolder data sets (torchvision's layout): one folder of pictures for each class.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::Dataset;
use super::picture::{self, Picture};
use crate::error::{Error, Result};

/// Class names, and pairs of class index and file; both in alphabetical order.
pub(super) type Listed = (Vec<String>, Vec<(usize, PathBuf)>);

/// Lists a folder of class folders; folders without a picture are skipped.
pub(super) fn list(root: &Path) -> Result<Listed> {
    let (mut classes, mut files) = (Vec::new(), Vec::new());
    let folders = entries(root)?.into_iter().filter(|path| path.is_dir());
    for folder in folders {
        let mut pictures = entries(&folder)?;
        pictures.retain(|path| picture::has_picture_name(path));
        if pictures.is_empty() {
            continue;
        }
        files.extend(pictures.into_iter().map(|path| (classes.len(), path)));
        let name = folder.file_name().unwrap_or_default();
        classes.push(name.to_string_lossy().into_owned());
    }
    Ok((classes, files))
}

/// Opens a folder of class folders and decodes its pictures in parallel.
pub fn open(root: &Path, size: [usize; 2]) -> Result<Dataset> {
    let (classes, files) = list(root)?;
    let decoded: Vec<Result<(Vec<u8>, [u32; 2])>> = files
        .par_iter()
        .map(|(_, path)| {
            let picture = Picture::open(path)?;
            Ok((picture.planes(size), picture.original))
        })
        .collect();
    let mut dataset = Dataset {
        classes,
        size,
        labels: Vec::new(),
        names: Vec::new(),
        skipped: Vec::new(),
        original_sizes: Vec::new(),
        pixels: Vec::new(),
    };
    for ((label, path), planes) in files.into_iter().zip(decoded) {
        match planes {
            Ok((planes, original)) => {
                dataset.original_sizes.push(original);
                dataset.labels.push(label);
                dataset.names.push(path);
                dataset.pixels.extend(planes);
            }
            Err(error) => dataset.skipped.push(error),
        }
    }
    Ok(dataset)
}

/// The paths inside a folder, in alphabetical order.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let reading = |error| Error::io(folder, "read", error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(reading)? {
        paths.push(entry.map_err(reading)?.path());
    }
    paths.sort();
    Ok(paths)
}
