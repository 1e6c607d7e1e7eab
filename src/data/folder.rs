//! ImageFolder data sets (torchvision's layout): one folder of pictures for each class.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::picture::{self, Picture};
use super::{Dataset, labels};
use crate::error::{Error, Result};

/// The pictures of a folder of class folders.
pub(super) struct ClassFolders {
    /// Class names, in alphabetical order of the folders.
    pub(super) classes: Vec<String>,
    /// Class index and file of each picture, in alphabetical order.
    pub(super) files: Vec<(usize, PathBuf)>,
    /// Files that are no pictures.
    pub(super) passed_over: Vec<PathBuf>,
}

/// Folders within a class folder that are entered.
const MAX_DEPTH: usize = 16;

/// Names of files and folders that systems and programs leave behind everywhere.
const SERVICE: [&str; 9] = [
    "__macosx",
    "__pycache__",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "thumbs.db",
    "desktop.ini",
];

/// Whether a file or folder is hidden, or of a system and not of a person.
pub(super) fn is_service(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || SERVICE.contains(&name.to_lowercase().as_str())
}

/// Lists a folder of class folders; folders without a picture, hidden ones and those of systems are no classes.
/// Pictures may lie in folders below that of their class.
pub(super) fn list(root: &Path) -> Result<ClassFolders> {
    let mut found = ClassFolders {
        classes: Vec::new(),
        files: Vec::new(),
        passed_over: Vec::new(),
    };
    for folder in entries(root)?.into_iter().filter(|path| path.is_dir()) {
        let mut pictures = Vec::new();
        gather(&folder, 0, &mut pictures, &mut found.passed_over)?;
        if pictures.is_empty() {
            continue;
        }
        pictures.sort();
        let class = found.classes.len();
        found
            .files
            .extend(pictures.into_iter().map(|path| (class, path)));
        let name = folder.file_name().unwrap_or_default();
        found.classes.push(name.to_string_lossy().into_owned());
    }
    labels::name_synsets(&mut found.classes);
    Ok(found)
}

/// Adds the pictures in a folder and below it.
fn gather(
    folder: &Path,
    depth: usize,
    pictures: &mut Vec<PathBuf>,
    passed_over: &mut Vec<PathBuf>,
) -> Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            if depth == MAX_DEPTH {
                return Err(Error::data(&path, "its folders are nested too deeply"));
            }
            gather(&path, depth + 1, pictures, passed_over)?;
        } else if picture::is_picture(&path) {
            pictures.push(path);
        } else {
            passed_over.push(path);
        }
    }
    Ok(())
}

/// Opens a folder of class folders and decodes its pictures in parallel.
pub fn open(root: &Path, size: [usize; 2]) -> Result<Dataset> {
    let ClassFolders {
        classes,
        files,
        passed_over,
    } = list(root)?;
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
        passed_over,
        original_sizes: Vec::new(),
        noise_ids: Vec::new(),
        pixels: Vec::new(),
    };
    for (noise_id, ((label, path), planes)) in (0..).zip(files.into_iter().zip(decoded)) {
        match planes {
            Ok((planes, original)) => {
                dataset.original_sizes.push(original);
                dataset.labels.push(label);
                dataset.names.push(path);
                dataset.noise_ids.push(noise_id);
                dataset.pixels.extend(planes);
            }
            Err(error) => dataset.skipped.push(error),
        }
    }
    Ok(dataset)
}

/// The paths inside a folder, in alphabetical order, but for hidden ones and those of systems.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let reading = |error| Error::io(folder, "read", error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(reading)? {
        paths.push(entry.map_err(reading)?.path());
    }
    paths.retain(|path| !is_service(path));
    paths.sort();
    Ok(paths)
}
