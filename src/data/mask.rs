//! Ground-truth segmentation masks: white where a picture shows the damage, black elsewhere.

use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};

use super::picture::{Crop, Picture};
use crate::error::{Error, Result};

/// Finds the ground-truth mask of a picture: a PNG file with the picture's stem in a folder whose name
/// contains “mask” and which lies in one of the picture's three nearest parent folders.
///
/// A picture inside such a folder has no mask: there the word names a class.
#[derive(Default)]
pub struct MaskFinder {
    /// The folder of the last picture, and the mask folders found for it.
    known: Option<(PathBuf, Vec<PathBuf>)>,
}

impl MaskFinder {
    /// Path of the mask of a picture, if there is one.
    pub fn find(&mut self, picture: &Path) -> Option<PathBuf> {
        let name = Path::new(picture.file_stem()?).with_extension("png");
        let parent = picture.parent()?;
        if self.known.as_ref().is_none_or(|(known, _)| known != parent) {
            self.known = Some((parent.into(), folders_around(parent)));
        }
        let (_, folders) = self.known.as_ref()?;
        let mut files = folders.iter().map(|folder| folder.join(&name));
        files.find(|file| file.is_file())
    }
}

fn folders_around(parent: &Path) -> Vec<PathBuf> {
    let around: Vec<&Path> = parent.ancestors().take(3).collect();
    if around.iter().any(|folder| is_named_mask(folder)) {
        return Vec::new();
    }
    let listed = around
        .into_iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok());
    let entries = listed.flat_map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())));
    entries
        .filter(|path| is_named_mask(path) && path.is_dir())
        .collect()
}

fn is_named_mask(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.to_ascii_lowercase().contains("mask"))
}

/// Opens the mask of a picture whose original width and height are `size`.
///
/// # Errors
/// As [`Picture::open`]; [`Error::Data`] when the mask has another size.
pub fn open(path: &Path, size: [u32; 2]) -> Result<Picture> {
    let mask = Picture::open(path)?;
    if mask.original == size {
        return Ok(mask);
    }
    let [w, h] = mask.original;
    let reason = format!(
        "the mask has {w}×{h} pixels, its picture {}×{}",
        size[0], size[1]
    );
    Err(Error::data(path, reason))
}

/// The part of a ground-truth mask inside a model's centre crop, at the mask's own resolution.
#[derive(Clone)]
pub struct GroundTruthMask {
    /// Height and width in pixels.
    pub size: [usize; 2],
    /// Whether each pixel is inside the mask, row by row, `[h, w]`.
    pub inside: Vec<bool>,
}

impl GroundTruthMask {
    /// The largest centre crop of `mask` with the aspect ratio of an input of height and width `input`.
    pub fn of(mask: &Picture, input: [usize; 2]) -> Self {
        let [_, _, w, h] = mask.crop_rectangle(Crop::default(), input);
        let size = [h as usize, w as usize];
        Self {
            size,
            inside: binary_mask(mask, Crop::default(), size),
        }
    }
}

/// The binary mask, `[h, w]` for the height and width `size`, of a crop of `mask`: true where the mean
/// of the channels exceeds 127.
pub fn binary_mask(mask: &Picture, crop: Crop, size: [usize; 2]) -> Vec<bool> {
    let image: RgbImage = mask.cropped(crop, size);
    image.pixels().map(is_inside).collect()
}

/// Whether a pixel of a mask is inside: where the mean of the channels exceeds 127.
pub fn is_inside(pixel: &Rgb<u8>) -> bool {
    let sum: u32 = pixel.0.iter().map(|&value| u32::from(value)).sum();
    sum > 3 * 127
}

/// Share of the pixels that are inside, in [0, 1].
pub fn share_inside(inside: impl ExactSizeIterator<Item = bool>) -> f32 {
    let all = inside.len().max(1);
    inside.filter(|inside| *inside).count() as f32 / all as f32
}
