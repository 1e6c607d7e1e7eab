//! How pictures are varied while training.

use std::borrow::Cow;

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma};
use rand::{Rng, RngExt};

/// How much larger than the input pictures are kept that crops are enlarged from.
const RESERVE: usize = 2;
/// The largest aspect ratio of a resized crop.
const FLATTEST: f32 = 4.0 / 3.0;

/// How pictures are varied while training.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Augmentation {
    /// Random crop after padding with this many black pixels on each side.
    pub padding: usize,
    /// The smallest share of a picture's area that a random crop keeps, which is then resized to the
    /// input; 0 for none. The crop's aspect ratio lies between 3/4 and 4/3 (Szegedy et al. 2015, as
    /// torchvision's `RandomResizedCrop`).
    #[serde(default)]
    pub resized_crop: f32,
    /// Whether to mirror every other picture.
    pub flip: bool,
    /// Side of a grey square at a random place, of which the edge may cut off some (DeVries and
    /// Taylor 2017); 0 for none.
    #[serde(default)]
    pub cutout: usize,
    /// Whether to also turn the picture by a random multiple of 90°, for textures that have no up;
    /// square pictures only.
    #[serde(default)]
    pub turn: bool,
    /// Contrast, brightness and the strength of each colour vary by up to this share; 0 for none.
    #[serde(default)]
    pub jitter: f32,
    /// Whether every class is dealt out equally often, however many pictures it has.
    #[serde(default)]
    pub balance: bool,
}

impl Augmentation {
    /// Pictures as they are.
    pub const NONE: Self = Self {
        padding: 0,
        resized_crop: 0.0,
        flip: false,
        cutout: 0,
        turn: false,
        jitter: 0.0,
        balance: false,
    };

    /// The size at which pictures are kept for a network's `input`: larger by `RESERVE` where crops
    /// are to be enlarged from them.
    pub fn kept(&self, input: [usize; 2]) -> [usize; 2] {
        input.map(|side| {
            if self.resized_crop > 0.0 {
                side * RESERVE
            } else {
                side
            }
        })
    }

    /// The size at which pictures kept at `size` are dealt out: what [`Self::kept`] began with.
    pub(super) fn dealt(&self, size: [usize; 2]) -> [usize; 2] {
        size.map(|side| {
            if self.resized_crop > 0.0 {
                side / RESERVE
            } else {
                side
            }
        })
    }

    /// The planes of a picture of `size`, or of a random part of it, at the size dealt out.
    pub(super) fn resized_crop<'a>(
        &self,
        planes: &'a [u8],
        size: [usize; 2],
        rng: &mut impl Rng,
    ) -> Cow<'a, [u8]> {
        if self.resized_crop <= 0.0 {
            return planes.into();
        }
        let window = Window::draw(self.resized_crop, size, rng);
        window.resized_planes(planes, size, self.dealt(size)).into()
    }
}

/// The planes of a picture of `size`, resized `to` another with a triangle filter.
pub(super) fn resized_planes(planes: &[u8], size: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    let whole = Window {
        top: 0,
        left: 0,
        height: size[0] as u32,
        width: size[1] as u32,
    };
    whole.resized_planes(planes, size, to)
}

/// A rectangle of a picture, in pixels.
struct Window {
    top: u32,
    left: u32,
    height: u32,
    width: u32,
}

impl Window {
    /// A random one of at least the share `smallest` of the area.
    fn draw(smallest: f32, size: [usize; 2], rng: &mut impl Rng) -> Self {
        let area = rng.random_range(smallest.min(1.0)..=1.0);
        let aspect = rng.random_range(-FLATTEST.ln()..=FLATTEST.ln()).exp();
        // A side that does not fit is cut, which keeps long crops of nearly the whole picture.
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

    /// This part of every plane of a picture of `size`, resized to `to`.
    fn resized_planes(&self, planes: &[u8], size: [usize; 2], to: [usize; 2]) -> Vec<u8> {
        let planes = planes.chunks_exact(size[0] * size[1]);
        planes
            .flat_map(|plane| self.resized(plane, size, to))
            .collect()
    }

    /// This part of a plane of `size`, resized to `to`.
    fn resized(&self, plane: &[u8], size: [usize; 2], to: [usize; 2]) -> Vec<u8> {
        let plane = ImageBuffer::<Luma<u8>, _>::from_raw(size[1] as u32, size[0] as u32, plane);
        let plane = plane.expect("a plane of this size");
        let part = imageops::crop_imm(&plane, self.left, self.top, self.width, self.height);
        imageops::resize(&*part, to[1] as u32, to[0] as u32, FilterType::Triangle).into_raw()
    }
}

/// A random light: every value v of channel c becomes `gain[c] · (v − 0.5) + 0.5 + shift`.
pub(super) struct Colours {
    gain: [f32; 3],
    shift: f32,
}

impl Colours {
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
