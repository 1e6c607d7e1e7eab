//! Data augmentation for training: crops, flips, cutout, rotations, colour jitter, class balance.

use std::borrow::Cow;

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma};
use rand::{Rng, RngExt};

/// Pictures are stored this many times larger than the input where random crops are enlarged.
const RESERVE: usize = 2;
/// Largest aspect ratio of a random resized crop; its inverse is the smallest.
const FLATTEST: f32 = 4.0 / 3.0;

/// Settings of the random data augmentation of training pictures.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Augmentation {
    /// Padding of the random crop: black pixels added on each side before cropping; 0 for none.
    pub padding: usize,
    /// Random resized crop: the smallest share of a picture's area that is kept, in [0, 1]; 0 for none.
    /// The crop's aspect ratio lies between 3/4 and 4/3 (Szegedy et al. 2015, as torchvision's
    /// `RandomResizedCrop`).
    #[serde(default)]
    pub resized_crop: f32,
    /// Whether to mirror pictures horizontally with probability ½.
    pub flip: bool,
    /// Cutout (DeVries and Taylor 2017): side in pixels of a grey square at a random position, which may
    /// extend past the border; 0 for none.
    #[serde(default)]
    pub cutout: usize,
    /// Whether to rotate the picture by a random multiple of 90°, for textures without an upright
    /// orientation; square pictures only.
    #[serde(default)]
    pub turn: bool,
    /// Colour jitter: contrast varies by up to this share, brightness and each channel's gain by half of
    /// it; 0 for none.
    #[serde(default)]
    pub jitter: f32,
    /// Class-balanced sampling: whether every class is drawn equally often, whatever its size.
    #[serde(default)]
    pub balance: bool,
}

impl Augmentation {
    /// No augmentation.
    pub const NONE: Self = Self {
        padding: 0,
        resized_crop: 0.0,
        flip: false,
        cutout: 0,
        turn: false,
        jitter: 0.0,
        balance: false,
    };

    /// Height and width at which pictures are stored for a network's `input`: `RESERVE` times larger
    /// where random crops are enlarged from them.
    pub fn stored_size(&self, input: [usize; 2]) -> [usize; 2] {
        input.map(|side| {
            if self.resized_crop > 0.0 {
                side * RESERVE
            } else {
                side
            }
        })
    }

    /// Height and width of the batches from pictures stored at `size`: the inverse of
    /// [`Self::stored_size`].
    pub(super) fn output_size(&self, size: [usize; 2]) -> [usize; 2] {
        size.map(|side| {
            if self.resized_crop > 0.0 {
                side / RESERVE
            } else {
                side
            }
        })
    }

    /// The planes of a picture of `size`, or of a random crop of it, at the size of the batches.
    pub(super) fn resized_crop<'a>(
        &self,
        planes: &'a [u8],
        size: [usize; 2],
        rng: &mut impl Rng,
    ) -> Cow<'a, [u8]> {
        if self.resized_crop <= 0.0 {
            return planes.into();
        }
        let window = CropRectangle::draw(self.resized_crop, size, rng);
        window
            .resized_planes(planes, size, self.output_size(size))
            .into()
    }
}

/// The planes of a picture of `size`, resized `to` another with a triangle filter.
pub(super) fn resized_planes(planes: &[u8], size: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    let whole = CropRectangle {
        top: 0,
        left: 0,
        height: size[0] as u32,
        width: size[1] as u32,
    };
    whole.resized_planes(planes, size, to)
}

/// A crop rectangle, in pixels.
struct CropRectangle {
    top: u32,
    left: u32,
    height: u32,
    width: u32,
}

impl CropRectangle {
    /// A random rectangle of at least the share `smallest` of the area.
    fn draw(smallest: f32, size: [usize; 2], rng: &mut impl Rng) -> Self {
        let area = rng.random_range(smallest.min(1.0)..=1.0);
        let aspect = rng.random_range(-FLATTEST.ln()..=FLATTEST.ln()).exp();
        // A side that does not fit is clamped, so that elongated crops of nearly the whole picture occur.
        let side = |length: usize, share: f32| {
            let side = (length as f32 * share.sqrt()).round() as u32;
            side.clamp(1, length as u32)
        };
        let (height, width) = (side(size[0], area / aspect), side(size[1], area * aspect));
        Self {
            top: rng.random_range(0..=size[0] as u32 - height),
            left: rng.random_range(0..=size[1] as u32 - width),
            height,
            width,
        }
    }

    /// Crops every plane of a picture of `size` and resizes the crop to `to`.
    fn resized_planes(&self, planes: &[u8], size: [usize; 2], to: [usize; 2]) -> Vec<u8> {
        let planes = planes.chunks_exact(size[0] * size[1]);
        planes
            .flat_map(|plane| self.resized(plane, size, to))
            .collect()
    }

    /// Crops a plane of `size` and resizes the crop to `to`.
    fn resized(&self, plane: &[u8], size: [usize; 2], to: [usize; 2]) -> Vec<u8> {
        let plane = ImageBuffer::<Luma<u8>, _>::from_raw(size[1] as u32, size[0] as u32, plane);
        let plane = plane.expect("a plane of this size");
        let part = imageops::crop_imm(&plane, self.left, self.top, self.width, self.height);
        imageops::resize(&*part, to[1] as u32, to[0] as u32, FilterType::Triangle).into_raw()
    }
}

/// Colour jitter: every value v of channel c becomes `gain[c] · (v − 0.5) + 0.5 + shift`.
pub(super) struct ColorJitter {
    gain: [f32; 3],
    shift: f32,
}

impl ColorJitter {
    pub(super) fn draw(jitter: f32, rng: &mut impl Rng) -> Self {
        if jitter <= 0.0 {
            return Self {
                gain: [1.0; 3],
                shift: 0.0,
            };
        }
        let mut within = |most: f32| rng.random_range(-most..=most);
        let contrast = 1.0 + within(jitter);
        Self {
            gain: [0; 3].map(|_| contrast * (1.0 + within(jitter / 2.0))),
            shift: within(jitter / 2.0),
        }
    }

    pub(super) fn apply(&self, channel: usize, value: f32) -> f32 {
        if self.gain[channel] == 1.0 && self.shift == 0.0 {
            return value;
        }
        (self.gain[channel] * (value - 0.5) + 0.5 + self.shift).clamp(0.0, 1.0)
    }
}
