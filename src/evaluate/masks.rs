//! True masks of a data set's pictures, and how maps compare with them.

use std::path::Path;

use image::imageops::FilterType;
use image::{ImageBuffer, Luma};

use crate::counterfactual::{Overlap, otsu, overlap};
use crate::data::Dataset;
use crate::error::Result;
use crate::picture::{Picture, luma_above_half, mask_beside};

/// The true mask of a picture at its own resolution.
#[derive(Clone)]
pub struct TrueMask {
    /// Height and width in pixels.
    pub size: [usize; 2],
    /// Row by row.
    pub inside: Vec<bool>,
}

/// The masks that lie beside the pictures of `data` (see [`mask_beside`]), by picture.
///
/// # Errors
/// Those of a mask file that cannot be opened.
pub fn beside(data: &Dataset) -> Result<Vec<Option<TrueMask>>> {
    let mask = |path: &Path| mask_beside(path).map(|path| open(&path)).transpose();
    data.names.iter().map(|path| mask(path)).collect()
}

fn open(path: &Path) -> Result<TrueMask> {
    let picture = Picture::open(path)?;
    let size = [
        picture.pixels.height() as usize,
        picture.pixels.width() as usize,
    ];
    Ok(TrueMask {
        size,
        inside: luma_above_half(&picture.pixels),
    })
}

/// A map of another size, interpolated linearly.
pub fn resized(map: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    if from == to {
        return map.to_vec();
    }
    let [h, w] = from.map(|side| side as u32);
    let image: ImageBuffer<Luma<f32>, Vec<f32>> =
        ImageBuffer::from_raw(w, h, map.to_vec()).expect("as many values as pixels");
    let [h, w] = to.map(|side| side as u32);
    image::imageops::resize(&image, w, h, FilterType::Triangle).into_raw()
}

/// Cuts a map (values of at least 0 count) at Otsu's threshold, at the mask's resolution, and compares.
pub fn score(map: &[f32], size: [usize; 2], truth: &TrueMask) -> Overlap {
    let map: Vec<f32> = map.iter().map(|value| value.max(0.0)).collect();
    let map = resized(&map, size, truth.size);
    let threshold = otsu(&map);
    overlap(
        map.iter().map(|&value| value > threshold),
        truth.inside.iter().copied(),
    )
}
