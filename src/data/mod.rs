//! Image data sets: labelled pictures for training and evaluation, bundled samples, masks, crops.
//!
//! A [`Dataset`] is an ImageFolder tree (`<split>/<class>/<file>`) or CIFAR-10's or CIFAR-100's batches,
//! decoded once and kept as bytes; [`Batches`] yields its shuffled, augmented minibatches. A
//! [`PictureList`] names the pictures of such a set, or of any folder or list, without decoding them.

mod augmentation;
mod batches;
mod cifar;
mod corruption;
pub mod drawing;
mod folder;
mod jpeg;
pub mod labels;
mod listing;
mod luma;
pub mod mask;
pub mod picture;
pub mod random;
pub mod samples;
pub mod thumbnails;

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

pub use augmentation::Augmentation;
pub use batches::{Batch, Batches};
pub use corruption::{Corruption, CorruptionKind, MAX_SEVERITY};
pub use listing::{PictureList, PictureLocation};
pub use luma::{LUMA, grey_planes};
pub use picture::{Crop, Origin, Picture};

use crate::error::{Error, Result};

/// Training or test split of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Pictures to train on: the folder `train`, or CIFAR's training batches.
    Train,
    /// Pictures to evaluate on: the folder `test`, `val` or `validation`, or CIFAR's test batch.
    Test,
}

impl Split {
    /// The folder names that data sets use for this split.
    fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Train => &["train"],
            Self::Test => &["test", "val", "validation"],
        }
    }
}

/// A data set in memory: labelled pictures, all resized to one size, 8 bits per channel.
#[derive(Debug)]
pub struct Dataset {
    /// Class names, in the order of the labels.
    pub classes: Vec<String>,
    /// Height and width in pixels.
    pub size: [usize; 2],
    /// Class label of each picture: an index into `classes`.
    pub labels: Vec<usize>,
    /// File of each picture; for a record of a binary batch, the batch's path with the record's number.
    pub names: Vec<PathBuf>,
    /// The error of each file that could not be decoded and was left out.
    pub skipped: Vec<Error>,
    /// Files in the folders of classes that are no pictures.
    pub passed_over: Vec<PathBuf>,
    /// Width and height in pixels of each picture before it was cropped and resized.
    pub original_sizes: Vec<[u32; 2]>,
    /// Identity of each picture for random numbers: its place in the listing of all files, broken ones included.
    pub noise_ids: Vec<u64>,
    /// `[labels.len(), 3, h, w]`, row-major.
    pixels: Vec<u8>,
}

impl Dataset {
    /// Opens the `split` of a data set, its pictures resized and centre-cropped to `size`.
    ///
    /// A folder without subfolders named after splits is opened whole, whichever `split` is given.
    ///
    /// # Errors
    /// [`Error::Data`] when there is no picture, or fewer than two classes.
    pub fn open(root: &Path, split: Split, size: [usize; 2]) -> Result<Self> {
        if !root.is_dir() {
            return Err(Error::data(root, "no such folder"));
        }
        let binary = [Split::Train, Split::Test]
            .iter()
            .any(|&split| cifar::holds(root, split));
        let dataset = if binary {
            cifar::open(root, split, size)?
        } else {
            folder::open(&split_folder(root, split)?, size)?
        };
        if dataset.labels.is_empty() {
            return Err(Error::data(root, "it holds no picture that can be opened"));
        }
        let first = dataset.labels[0];
        if !binary && dataset.labels.iter().all(|&label| label == first) {
            return Err(Error::data(
                root,
                "it holds pictures of only one class; a folder for each class is needed",
            ));
        }
        Ok(dataset)
    }

    /// Whether the data set has a separate `split`.
    pub fn has_split(root: &Path, split: Split) -> bool {
        cifar::holds(root, split) || split.folders().iter().any(|name| root.join(name).is_dir())
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no picture.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Keeps a subset of `count` pictures evenly spaced over the set, or all if there are fewer.
    pub fn subsample(&mut self, count: usize) {
        if count < self.len() && count > 0 {
            *self = self.subset(&self.evenly_spaced(count));
        }
    }

    /// Splits off a validation set of `count` pictures, evenly spaced over the set, and removes them here.
    pub fn split_off(&mut self, count: usize) -> Self {
        let aside = self.evenly_spaced(count.min(self.len()));
        let mut is_aside = vec![false; self.len()];
        aside.iter().for_each(|&index| is_aside[index] = true);
        let kept: Vec<usize> = (0..self.len()).filter(|&index| !is_aside[index]).collect();
        let split_off = self.subset(&aside);
        *self = self.subset(&kept);
        split_off
    }

    /// `count` evenly spaced picture indices.
    pub(crate) fn evenly_spaced(&self, count: usize) -> Vec<usize> {
        (0..count).map(|index| index * self.len() / count).collect()
    }

    /// The subset of the pictures `indices`, whose random numbers are those of a set of them alone.
    fn subset(&self, indices: &[usize]) -> Self {
        let pixels = indices.iter().flat_map(|&index| self.picture(index));
        Self {
            classes: self.classes.clone(),
            size: self.size,
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
            names: indices
                .iter()
                .map(|&index| self.names[index].clone())
                .collect(),
            skipped: self.skipped.clone(),
            passed_over: self.passed_over.clone(),
            original_sizes: indices
                .iter()
                .map(|&index| self.original_sizes[index])
                .collect(),
            noise_ids: (0..indices.len() as u64).collect(),
            pixels: pixels.copied().collect(),
        }
    }

    /// The same set with each picture resized to `size` by a triangle filter.
    pub fn resized(&self, size: [usize; 2]) -> Self {
        let resized = |index| augmentation::resized_planes(self.picture(index), self.size, size);
        self.with_pixels(size, (0..self.len()).flat_map(resized).collect())
    }

    /// The same set with each picture corrupted.
    pub fn corrupted(&self, corruption: Corruption) -> Self {
        let corrupted = |index: usize| {
            corruption.apply_to_bytes(self.picture(index), self.size, self.noise_ids[index])
        };
        let pixels = (0..self.len()).into_par_iter().flat_map_iter(corrupted);
        self.with_pixels(self.size, pixels.collect())
    }

    /// The same set with other pictures, `[len, 3, h, w]`, of height and width `size`.
    fn with_pixels(&self, size: [usize; 2], pixels: Vec<u8>) -> Self {
        Self {
            classes: self.classes.clone(),
            size,
            labels: self.labels.clone(),
            names: self.names.clone(),
            skipped: self.skipped.clone(),
            passed_over: self.passed_over.clone(),
            original_sizes: self.original_sizes.clone(),
            noise_ids: self.noise_ids.clone(),
            pixels,
        }
    }

    /// Logs warnings with the numbers of files left out, broken ones and those that are no pictures, and the first
    /// of each.
    pub fn log_skipped(&self) {
        log_passed_over(&self.passed_over);
        if let Some(first) = self.skipped.first() {
            tracing::warn!(
                "{} pictures could not be opened and were left out; the first: {first}",
                self.skipped.len()
            );
        }
    }

    /// Requires that every file could be decoded and that all pictures had the same original size.
    ///
    /// # Errors
    /// The first decoding error, or [`Error::Data`] naming the first file of another size.
    pub fn require_uniform(&self) -> Result<()> {
        if let Some(first) = self.skipped.first() {
            return Err(first.clone());
        }
        let first = self.original_sizes.first().copied().unwrap_or_default();
        match self.original_sizes.iter().position(|&size| size != first) {
            None => Ok(()),
            Some(at) => Err(Error::data(
                &self.names[at],
                format!(
                    "it has {}×{} pixels, the first picture of the set {}×{}; all must have the same size",
                    self.original_sizes[at][0], self.original_sizes[at][1], first[0], first[1]
                ),
            )),
        }
    }

    /// Maps the labels to the indices of `classes`, a model's list of class names.
    ///
    /// # Errors
    /// Names the first class that the model does not have.
    pub fn relabel(&mut self, classes: &[String]) -> Result<(), String> {
        let numbers = class_indices(&self.classes, classes)?;
        self.labels = self.labels.iter().map(|&label| numbers[label]).collect();
        self.classes = classes.to_vec();
        Ok(())
    }

    /// The bytes `[3, h, w]` of one picture.
    fn picture(&self, index: usize) -> &[u8] {
        let length = 3 * self.size[0] * self.size[1];
        &self.pixels[index * length..][..length]
    }

    /// The values `[3, h, w]` of one picture, scaled to [0, 1].
    pub fn unit_planes(&self, index: usize) -> Vec<f32> {
        let bytes = self.picture(index).iter();
        bytes.map(|&byte| f32::from(byte) / 255.0).collect()
    }

    /// The pictures `indices` as a tensor `[n, 3, h, w]` in [0, 1], without augmentation.
    pub fn tensor(&self, indices: &[usize], device: &Device) -> Tensor<4> {
        let planes = indices.iter().flat_map(|&index| self.unit_planes(index));
        let values: Vec<f32> = planes.collect();
        let shape = [indices.len(), 3, self.size[0], self.size[1]];
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// Logs a warning with the number of files that are no pictures, and the first of them.
pub(crate) fn log_passed_over(paths: &[PathBuf]) {
    if let Some(first) = paths.first() {
        let (count, first) = (paths.len(), first.display());
        tracing::warn!("{count} files are no pictures and were passed over; the first: {first}");
    }
}

/// Most names of classes in a message.
const MOST_NAMES: usize = 5;

/// The index of each of `classes` among `known`, a model's list of class names: by name, or, where all classes are
/// called by numbers and no known one is, by that number.
///
/// # Errors
/// Names the first class that is not known.
pub fn class_indices(classes: &[String], known: &[String]) -> Result<Vec<usize>, String> {
    let number = |class: &String| class.parse::<usize>().ok().filter(|&at| at < known.len());
    let are_named = known.iter().all(|known| known.parse::<usize>().is_err());
    if let (true, Some(numbers)) = (are_named, classes.iter().map(number).collect()) {
        return Ok(numbers);
    }
    let index = |class: &String| {
        let found = known.iter().position(|known| same_class(known, class));
        found.ok_or_else(|| {
            let names: Vec<&str> = known.iter().take(MOST_NAMES).map(String::as_str).collect();
            let more = known.len().saturating_sub(MOST_NAMES);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            let names = names.join(", ");
            format!("the class {class} is none of the model's: {names}{more}")
        })
    };
    classes.iter().map(index).collect()
}

/// Whether two class names are equal up to case, underscores and outer spaces: `chain_saw` is
/// `Chain saw`.
pub fn same_class(a: &str, b: &str) -> bool {
    let words = |name: &str| name.replace('_', " ").trim().to_lowercase();
    words(a) == words(b)
}

fn split_folder(root: &Path, split: Split) -> Result<PathBuf> {
    let holds = |split: Split| {
        let folders = split.folders().iter().map(|name| root.join(name));
        folders.into_iter().find(|folder| folder.is_dir())
    };
    match (holds(split), holds(Split::Train).or(holds(Split::Test))) {
        (Some(folder), _) => Ok(folder),
        (None, None) => Ok(root.into()),
        (None, Some(_)) => Err(Error::data(
            root,
            format!("it has no folder named {}", split.folders().join(" or ")),
        )),
    }
}
