//! Segmentation metrics: overlap of thresholded attribution maps with ground-truth masks.

use image::imageops::FilterType;
use image::{ImageBuffer, Luma};

use crate::counterfactual::{Overlap, otsu, overlap};
use crate::data::Dataset;
use crate::data::mask::{self, GroundTruthMask, MaskFinder};
use crate::error::Result;

/// The ground-truth mask of each picture of `data`, where [`MaskFinder`] finds one.
///
/// # Errors
/// As [`mask::open`].
pub fn masks_of(data: &Dataset) -> Result<Vec<Option<GroundTruthMask>>> {
    let mut finder = MaskFinder::default();
    let pairs = data.names.iter().zip(&data.original_sizes);
    let mask = |(path, &original): (&std::path::PathBuf, &[u32; 2])| {
        let found = finder.find(path);
        let opened = found.map(|path| mask::open(&path, original)).transpose()?;
        Ok(opened.map(|mask| GroundTruthMask::of(&mask, data.size)))
    };
    pairs.map(mask).collect()
}

/// Resizes a map of values in [0, 1] by linear interpolation.
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

/// Overlap of a map, thresholded by Otsu's method at the mask's resolution, with the ground truth;
/// negative values count as 0.
pub fn mask_overlap(map: &[f32], size: [usize; 2], truth: &GroundTruthMask) -> Overlap {
    // `resized` clamps to [0, 1]; Otsu's threshold is invariant to the scale.
    let most = map.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let map: Vec<f32> = map.iter().map(|value| value.max(0.0) / most).collect();
    let map = resized(&map, size, truth.size);
    let threshold = otsu(&map);
    overlap(
        map.iter().map(|&value| value > threshold),
        truth.inside.iter().copied(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_values_are_not_cut_off_before_they_are_compared() {
        // Left half far above the right one, both beyond 1.
        let map = [9.0, 9.0, 2.0, 2.0].repeat(4);
        let truth = GroundTruthMask {
            size: [8, 8],
            inside: (0..64).map(|at| at % 8 < 4).collect(),
        };
        assert!(mask_overlap(&map, [4, 4], &truth).iou > 0.99);
    }
}
