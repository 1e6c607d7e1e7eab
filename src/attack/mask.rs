//! Where an attack may change a picture.

use burn::tensor::{Device, Tensor, TensorData};

use crate::error::{Error, Result};
use crate::model::Manifest;

/// The pixels of a model's input that an attack may change; the same for all pictures of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct AttackMask {
    size: [usize; 2],
    inside: Vec<bool>,
    /// Whether all channels change alike.
    grey: bool,
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::attack) struct Bounds {
    pub(in crate::attack) top: usize,
    pub(in crate::attack) left: usize,
    pub(in crate::attack) height: usize,
    pub(in crate::attack) width: usize,
}

impl Bounds {
    /// All pixels of pictures of this height and width.
    pub(in crate::attack) fn all([height, width]: [usize; 2]) -> Self {
        Self {
            top: 0,
            left: 0,
            height,
            width,
        }
    }
}

impl AttackMask {
    /// The mask `[h, w]` of pictures of height and width `size`, row by row.
    ///
    /// # Errors
    /// [`Error::Config`] when it is of another size, or when no pixel is inside.
    pub fn new(inside: Vec<bool>, size: [usize; 2]) -> Result<Self> {
        let [h, w] = size;
        if inside.len() != h * w {
            let pixels = inside.len();
            return Err(Error::Config(format!(
                "the mask of the attack has {pixels} pixels, the pictures have {h} times {w}"
            )));
        }
        if !inside.contains(&true) {
            let reason = "no pixel of what the model sees is inside the mask of the attack";
            return Err(Error::Config(reason.into()));
        }
        Ok(Self {
            size,
            inside,
            grey: false,
        })
    }

    /// What a model itself allows: of one for grey pictures, changes of all channels alike; nothing for others.
    pub(in crate::attack) fn of_model(manifest: &Manifest) -> Option<Self> {
        let [h, w] = manifest.input;
        manifest.grey.then(|| Self {
            size: manifest.input,
            inside: vec![true; h * w],
            grey: true,
        })
    }

    /// The same pixels, with all channels changing alike where they do in `other`.
    pub(in crate::attack) fn with_channels_of(&self, other: Option<&Self>) -> Self {
        Self {
            grey: self.grey || other.is_some_and(|other| other.grey),
            ..self.clone()
        }
    }

    /// Whether all channels change alike.
    pub(in crate::attack) fn is_grey(&self) -> bool {
        self.grey
    }

    /// Whether each pixel is inside, row by row, `[h, w]`.
    pub fn inside(&self) -> &[bool] {
        &self.inside
    }

    /// 1 inside and 0 outside, `[1, 1, h, w]`.
    pub(super) fn tensor(&self, device: &Device) -> Tensor<4> {
        let [h, w] = self.size;
        let values: Vec<f32> = self
            .inside
            .iter()
            .map(|&inside| f32::from(u8::from(inside)))
            .collect();
        Tensor::from_data(TensorData::new(values, [1, 1, h, w]), device)
    }

    /// Pictures `[n, c, h, w]` that are `changed` inside the mask and `original` outside.
    pub fn compose(&self, original: &Tensor<4>, changed: Tensor<4>) -> Tensor<4> {
        let delta = changed - original.clone();
        original.clone() + delta * self.tensor(&original.device())
    }

    /// Makes a change or gradient `[c, h, w]`, or several, one that the mask allows: 0 outside, and where channels
    /// change alike their mean.
    pub(in crate::attack) fn constrain(&self, change: &mut [f32]) {
        let pixels = self.inside.len();
        for picture in change.chunks_exact_mut(3 * pixels).filter(|_| self.grey) {
            for at in 0..pixels {
                let sum: f32 = (0..3).map(|channel| picture[channel * pixels + at]).sum();
                (0..3).for_each(|channel| picture[channel * pixels + at] = sum / 3.0);
            }
        }
        for plane in change.chunks_exact_mut(self.inside.len()) {
            for (value, inside) in plane.iter_mut().zip(&self.inside) {
                if !inside {
                    *value = 0.0;
                }
            }
        }
    }

    /// Gives the values of pictures `[c, h, w]` outside the mask those of the `original`.
    pub(in crate::attack) fn restore_outside(&self, picture: &mut [f32], original: &[f32]) {
        let pixels = self.inside.len();
        for (at, value) in picture.iter_mut().enumerate() {
            if !self.inside[at % pixels] {
                *value = original[at];
            }
        }
    }

    /// The smallest rectangle that holds all pixels inside.
    pub(in crate::attack) fn bounds(&self) -> Bounds {
        let [h, w] = self.size;
        let row_has = |row: &usize| self.inside[row * w..(row + 1) * w].contains(&true);
        let column_has = |column: &usize| (0..h).any(|row| self.inside[row * w + column]);
        let extent = |mut along: Vec<usize>| {
            let first = along.first().copied().unwrap_or(0);
            let last = along.pop().unwrap_or(0);
            (first, last + 1 - first)
        };
        let (top, height) = extent((0..h).filter(row_has).collect());
        let (left, width) = extent((0..w).filter(column_has).collect());
        Bounds {
            top,
            left,
            height,
            width,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_of_another_size_or_of_no_pixel_are_refused() {
        for (inside, size) in [
            (vec![true; 5], [2, 3]),
            (vec![false; 6], [2, 3]),
            (Vec::new(), [0, 0]),
        ] {
            assert!(AttackMask::new(inside, size).is_err());
        }
    }

    #[test]
    fn bounds_hold_all_that_is_inside() {
        let mut inside = vec![false; 20];
        (inside[6], inside[13]) = (true, true);
        let mask = AttackMask::new(inside, [4, 5]).expect("two pixels");
        let bounds = Bounds {
            top: 1,
            left: 1,
            height: 2,
            width: 3,
        };
        assert_eq!(mask.bounds(), bounds);
    }
}
