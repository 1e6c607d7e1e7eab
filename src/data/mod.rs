//! Labelled pictures for training and measuring.
//!
//! A [`Dataset`] is an ImageFolder tree (`<split>/<class>/<file>`) or CIFAR-10's binary batches,
//! decoded once and kept as bytes; [`Batches`] deals it out, shuffled and augmented. A [`Listing`] names
//! the pictures of such a set, or of any folder or list, without decoding them.

mod augmentation;
mod batches;
mod cifar;
mod folder;
pub mod labels;
mod listing;
pub mod mask;
pub mod picture;
pub mod random;
pub mod samples;
pub mod thumbnails;

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};

pub use augmentation::Augmentation;
pub use batches::{Batch, Batches};
pub use listing::{Entry, Listing};
pub use picture::{Crop, Origin, Picture};

use crate::error::{Error, Result};

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// The pictures to train on.
    Train,
    /// The pictures to measure on.
    Test,
}

impl Split {
    /// The folder names that data sets use for it.
    fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Train => &["train"],
            Self::Test => &["test", "val", "validation"],
        }
    }
}

/// Labelled pictures of one size.
#[derive(Debug)]
pub struct Dataset {
    /// Class names, in the order of the labels.
    pub classes: Vec<String>,
    /// Height and width in pixels.
    pub size: [usize; 2],
    /// One for each picture.
    pub labels: Vec<usize>,
    /// Where each picture came from.
    pub names: Vec<PathBuf>,
    /// Files that could not be read, and why.
    pub skipped: Vec<Error>,
    /// Width and height of each picture before it was cut and scaled.
    pub originals: Vec<[u32; 2]>,
    /// `labels.len()` pictures of three planes each.
    pixels: Vec<u8>,
}

impl Dataset {
    /// Opens the `split` of a data set, its pictures resized and centre-cropped to `size`.
    ///
    /// A folder without folders named after splits is taken whole, whichever split is asked for.
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

    /// Whether the data set keeps `split` apart from the rest.
    pub fn has_split(root: &Path, split: Split) -> bool {
        cifar::holds(root, split) || split.folders().iter().any(|name| root.join(name).is_dir())
    }

    /// Picture count.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no picture.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Keeps `count` pictures spread evenly over the set, or all if there are fewer.
    pub fn thin(&mut self, count: usize) {
        if count < self.len() && count > 0 {
            *self = self.chosen(&self.spread(count));
        }
    }

    /// Moves `count` pictures, spread evenly over the set, into a set of their own.
    pub fn set_aside(&mut self, count: usize) -> Self {
        let aside = self.spread(count.min(self.len()));
        let mut is_aside = vec![false; self.len()];
        aside.iter().for_each(|&index| is_aside[index] = true);
        let kept: Vec<usize> = (0..self.len()).filter(|&index| !is_aside[index]).collect();
        let set_aside = self.chosen(&aside);
        *self = self.chosen(&kept);
        set_aside
    }

    /// `count` picture numbers spread evenly over the set.
    fn spread(&self, count: usize) -> Vec<usize> {
        (0..count).map(|index| index * self.len() / count).collect()
    }

    /// A set of the pictures `indices` of this one.
    fn chosen(&self, indices: &[usize]) -> Self {
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
            originals: indices.iter().map(|&index| self.originals[index]).collect(),
            pixels: pixels.copied().collect(),
        }
    }

    /// The set at `size`, each picture resized with a triangle filter.
    pub fn resized(&self, size: [usize; 2]) -> Self {
        let pixels = (0..self.len())
            .flat_map(|index| augmentation::resized_planes(self.picture(index), self.size, size));
        Self {
            classes: self.classes.clone(),
            size,
            labels: self.labels.clone(),
            names: self.names.clone(),
            skipped: self.skipped.clone(),
            originals: self.originals.clone(),
            pixels: pixels.collect(),
        }
    }

    /// Says on the log how many files were left out, and why the first was.
    pub fn report_skipped(&self) {
        if let Some(first) = self.skipped.first() {
            tracing::warn!(
                "{} files were left out; the first: {first}",
                self.skipped.len()
            );
        }
    }

    /// Insists that every file could be read and that all pictures had the same size.
    ///
    /// # Errors
    /// Names the first file that is at fault.
    pub fn require_sound(&self) -> Result<()> {
        if let Some(first) = self.skipped.first() {
            return Err(first.clone());
        }
        let first = self.originals.first().copied().unwrap_or_default();
        match self.originals.iter().position(|&size| size != first) {
            None => Ok(()),
            Some(at) => Err(Error::data(
                &self.names[at],
                format!(
                    "it has {}×{} pixels, the first picture of the set {}×{}; all must have the same size",
                    self.originals[at][0], self.originals[at][1], first[0], first[1]
                ),
            )),
        }
    }

    /// Renumbers the labels to a model's order of classes.
    ///
    /// # Errors
    /// Names a class that the model does not know.
    pub fn relabel(&mut self, classes: &[String]) -> Result<(), String> {
        let number = |class: &String| {
            let found = classes.iter().position(|known| same_class(known, class));
            found.ok_or_else(|| {
                format!(
                    "the class {class} is none of the model's: {}",
                    classes.join(", ")
                )
            })
        };
        let numbers = self
            .classes
            .iter()
            .map(number)
            .collect::<Result<Vec<usize>, String>>()?;
        self.labels = self.labels.iter().map(|&label| numbers[label]).collect();
        self.classes = classes.to_vec();
        Ok(())
    }

    /// The three planes of one picture.
    fn picture(&self, index: usize) -> &[u8] {
        let length = 3 * self.size[0] * self.size[1];
        &self.pixels[index * length..][..length]
    }

    /// The planes of one picture in [0, 1].
    pub fn unit_planes(&self, index: usize) -> Vec<f32> {
        let bytes = self.picture(index).iter();
        bytes.map(|&byte| f32::from(byte) / 255.0).collect()
    }

    /// The pictures `indices` as `[n, 3, h, w]` in [0, 1], unchanged.
    pub fn tensor(&self, indices: &[usize], device: &Device) -> Tensor<4> {
        let planes = indices.iter().flat_map(|&index| self.unit_planes(index));
        let values: Vec<f32> = planes.collect();
        let shape = [indices.len(), 3, self.size[0], self.size[1]];
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// Whether two names mean the same class: `chain_saw` is `Chain saw`.
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
