//! Lists of picture files and records: paths and labels of a data set, decoded on demand.

use std::io::Read;
use std::path::{Path, PathBuf};

use image::DynamicImage;

use super::folder::{self, ClassFolders};
use super::picture::{self, Picture, is_picture};
use super::{Split, cifar, split_folder};
use crate::error::{Error, Result};

/// Largest text file of paths that is read, in bytes.
const LONGEST_LIST: u64 = 256 << 20;

/// Locations and labels of pictures, in the order in which [`super::Dataset`] indexes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PictureList {
    /// Class names, in the order of the labels; empty where nothing is labelled.
    pub classes: Vec<String>,
    /// Location and label of each picture.
    pub entries: Vec<PictureLocation>,
    /// Files in the folder that are no pictures.
    pub passed_over: Vec<PathBuf>,
}

/// Location of one picture: a file, or a record inside a larger file.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureLocation {
    /// Path of the file; for a record, the path of the file that contains it joined with its index.
    pub path: PathBuf,
    /// True class as an index into [`PictureList::classes`], where it is known.
    pub label: Option<usize>,
    /// Whether it is a record inside a larger file.
    record: bool,
}

impl PictureList {
    /// Lists a folder of pictures, the `split` of an ImageFolder tree or of CIFAR-10's binary batches,
    /// or a text file of paths, one a line, each with its class after a tab where that is known.
    ///
    /// # Errors
    /// [`Error::Io`] where a folder or list cannot be read, [`Error::Data`] where it names no picture.
    pub fn open(source: &Path, split: Split) -> Result<Self> {
        let listing = if source.is_file() {
            list_file(source)?
        } else if !source.is_dir() {
            return Err(Error::data(source, "no such file or folder"));
        } else if [Split::Train, Split::Test].map(|split| cifar::holds(source, split)) != [false; 2]
        {
            cifar::list(source, split)?
        } else {
            let root = split_folder(source, split)?;
            let ClassFolders {
                classes,
                files,
                passed_over,
            } = folder::list(&root)?;
            if files.is_empty() {
                flat(&root)?
            } else {
                let entries = files.into_iter();
                Self {
                    classes,
                    entries: entries
                        .map(|(label, path)| PictureLocation::file(path, Some(label)))
                        .collect(),
                    passed_over,
                }
            }
        };
        if listing.entries.is_empty() {
            return Err(Error::data(source, "it names no picture"));
        }
        Ok(listing)
    }
}

impl PictureLocation {
    /// A picture in a file of its own.
    pub fn file(path: PathBuf, label: Option<usize>) -> Self {
        Self {
            path,
            label,
            record: false,
        }
    }

    pub(super) fn record(path: PathBuf, label: usize) -> Self {
        Self {
            path,
            label: Some(label),
            record: true,
        }
    }

    /// Restores a location, without its label, from its `path`.
    pub fn at(path: PathBuf) -> Self {
        let record = !path.exists() && path.parent().is_some_and(Path::is_file);
        Self {
            path,
            label: None,
            record,
        }
    }

    /// Whether it is a record inside a larger file, which other programs cannot open as a picture.
    pub fn is_record(&self) -> bool {
        self.record
    }

    /// The encoded bytes of the file, or of the record without its label byte.
    ///
    /// # Errors
    /// [`Error::Io`] where they cannot be read, [`Error::Picture`] where the file is too large.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        if !self.record {
            return picture::read(&self.path);
        }
        let reading = |error: &dyn std::fmt::Display| Error::io(&self.path, "read", error);
        let number = self.path.file_name().and_then(|name| name.to_str());
        let number = number.and_then(|name| name.parse::<usize>().ok());
        let number = number.ok_or_else(|| reading(&"its name is no record's number"))?;
        let file = self.path.parent().unwrap_or(Path::new(""));
        cifar::planes(file, number)
    }

    /// Decodes what [`PictureLocation::bytes`] read.
    ///
    /// # Errors
    /// As [`Picture::decode`].
    pub fn decode(&self, bytes: &[u8]) -> Result<Picture> {
        if !self.record {
            return Picture::decode(&self.path, bytes);
        }
        let image = cifar::image(bytes).ok_or_else(|| Error::data(&self.path, "no record"))?;
        Ok(Picture::from_image(
            self.path.clone(),
            DynamicImage::ImageRgb8(image),
        ))
    }
}

/// The unlabelled pictures directly inside a folder.
fn flat(root: &Path) -> Result<PictureList> {
    let paths = folder::entries(root)?.into_iter();
    let files = paths.filter(|path| path.is_file());
    let (pictures, passed_over): (Vec<PathBuf>, _) = files.partition(|path| is_picture(path));
    let entries = pictures.into_iter();
    Ok(PictureList {
        classes: Vec::new(),
        entries: entries
            .map(|path| PictureLocation::file(path, None))
            .collect(),
        passed_over,
    })
}

/// Reads a text file of paths; relative paths start at the file's own folder.
fn list_file(path: &Path) -> Result<PictureList> {
    let reading = |error: std::io::Error| Error::io(path, "read", error);
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(reading)?;
    let mut file = file.take(LONGEST_LIST + 1);
    file.read_to_string(&mut text).map_err(reading)?;
    if text.len() as u64 > LONGEST_LIST {
        return Err(Error::data(path, "the list is too long"));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    // Some editors begin text files with a byte-order mark.
    let text = text.trim_start_matches('\u{feff}');
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let lines: Vec<(&str, Option<&str>)> = lines
        .map(|line| match line.split_once('\t') {
            Some((path, label)) => (path, Some(label.trim()).filter(|label| !label.is_empty())),
            None => (line.trim_end(), None),
        })
        .collect();
    let mut classes: Vec<String> = lines
        .iter()
        .filter_map(|(_, label)| Some((*label)?.to_owned()))
        .collect();
    classes.sort();
    classes.dedup();
    let number = |label: &str| {
        let found = classes.binary_search_by(|class| class.as_str().cmp(label));
        found.ok()
    };
    let entries = lines
        .iter()
        .map(|(path, label)| PictureLocation::file(folder.join(path), label.and_then(number)));
    Ok(PictureList {
        entries: entries.collect(),
        classes,
        passed_over: Vec::new(),
    })
}
