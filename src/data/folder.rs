//! ImageFolder trees: a folder for each class, pictures inside.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::Dataset;
use crate::error::{Error, Result};
use crate::picture::{self, Picture};

/// Opens a folder of class folders, in alphabetical order.
pub fn open(root: &Path, size: [usize; 2]) -> Result<Dataset> {
    let folders: Vec<PathBuf> = entries(root)?
        .into_iter()
        .filter(|path| path.is_dir())
        .collect();
    let mut classes = Vec::new();
    let mut files: Vec<(usize, PathBuf)> = Vec::new();
    for folder in &folders {
        let pictures: Vec<PathBuf> = entries(folder)?
            .into_iter()
            .filter(|path| picture::has_picture_name(path))
            .collect();
        if pictures.is_empty() {
            continue;
        }
        files.extend(pictures.into_iter().map(|path| (classes.len(), path)));
        classes.push(
            folder
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        );
    }
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
        originals: Vec::new(),
        pixels: Vec::new(),
    };
    for ((label, path), planes) in files.into_iter().zip(decoded) {
        match planes {
            Ok((planes, original)) => {
                dataset.originals.push(original);
                dataset.labels.push(label);
                dataset.names.push(path);
                dataset.pixels.extend(planes);
            }
            Err(error) => dataset.skipped.push(error),
        }
    }
    Ok(dataset)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let reading = |error| Error::io(folder, "read", error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(reading)? {
        paths.push(entry.map_err(reading)?.path());
    }
    paths.sort();
    Ok(paths)
}
