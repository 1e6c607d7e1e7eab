//! Pictures on their way from a file to a tensor: decoded within bounds, turned upright, cropped.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// No decoder may ask for more, whatever a file claims: a 64-megapixel photograph fits.
const MAX_DECODED_BYTES: u64 = 512 << 20;
/// A side longer than this is refused before any pixel is decoded.
const MAX_SIDE: u32 = 32_768;
/// Longer files are refused unread.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// Decoded pictures are kept at most this long on a side: no model looks at more.
const KEPT_SIDE: u32 = 1024;

/// File name endings of the formats that can be opened.
pub const EXTENSIONS: [&str; 12] = [
    "png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "pnm", "ppm", "pgm", "pbm",
];

/// Whether a file is named like a picture.
pub fn has_picture_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()))
}

/// Where the pixels of a picture can be had again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// From the file at its path.
    File,
    /// From the program itself.
    Bundled,
    /// From nowhere: it was pasted, or made up.
    Memory,
}

/// A decoded picture, upright, 8 bits per channel.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Where it came from; for a pasted or bundled one, a name for people.
    pub path: PathBuf,
    /// The pixels, at most 1024 on the longer side.
    pub pixels: Arc<RgbImage>,
    /// Width and height before it was scaled down to be kept.
    pub original: [u32; 2],
    /// Where its pixels can be had again.
    pub origin: Origin,
    /// BLAKE3 of the file's bytes, or of the pixels where there is no file.
    pub hash: blake3::Hash,
}

/// The square (or, for other inputs, rectangle) of a picture that a model sees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crop {
    /// Position of the centre, as a share of the free way, in [0, 1] each; 0.5 is the middle.
    pub at: [f32; 2],
    /// Side as a share of the largest that fits, in (0, 1].
    pub scale: f32,
}

impl Default for Crop {
    fn default() -> Self {
        Self {
            at: [0.5; 2],
            scale: 1.0,
        }
    }
}

impl Crop {
    /// The same with numbers in their ranges, for one that came from a file.
    pub fn sanitized(self) -> Self {
        let usual = Self::default();
        let number = |value: f32, usual: f32| if value.is_finite() { value } else { usual };
        Self {
            at: [0, 1].map(|axis| number(self.at[axis], usual.at[axis]).clamp(0.0, 1.0)),
            scale: number(self.scale, usual.scale).clamp(0.01, 1.0),
        }
    }
}

impl Picture {
    /// Opens a file of any of the known formats, told apart by its bytes and not by its name.
    ///
    /// Of an animated picture the first frame is taken; transparency is laid on white.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Picture`] when it is too large, broken,
    /// or no picture.
    pub fn open(path: &Path) -> Result<Self> {
        Self::decode(path, &read(path)?)
    }

    /// Decodes the bytes of a file; `path` is for messages.
    pub fn decode(path: &Path, bytes: &[u8]) -> Result<Self> {
        let broken = |reason: String| Error::Picture {
            path: path.into(),
            reason,
        };
        if bytes.is_empty() {
            return Err(broken("the file is empty".into()));
        }
        let mut reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|error| broken(error.to_string()))?;
        let Some(format) = reader.format().filter(image::ImageFormat::reading_enabled) else {
            return Err(broken("its bytes are of no known picture format".into()));
        };
        // The bytes decide, also against a wrong name.
        reader.set_format(format);
        reader.limits(limits());
        let mut decoder = reader
            .into_decoder()
            .map_err(|error| broken(error.to_string()))?;
        let (width, height) = decoder.dimensions();
        if width.max(height) > MAX_SIDE || decoder.total_bytes() > MAX_DECODED_BYTES {
            return Err(broken(format!("{width}×{height} pixels are too many")));
        }
        let orientation = decoder
            .orientation()
            .unwrap_or(image::metadata::Orientation::NoTransforms);
        let mut image =
            DynamicImage::from_decoder(decoder).map_err(|error| broken(error.to_string()))?;
        image.apply_orientation(orientation);
        Ok(Self {
            origin: Origin::File,
            hash: blake3::hash(bytes),
            ..Self::from_image(path.into(), image)
        })
    }

    /// Takes pixels that are already in memory, such as pasted ones.
    pub fn from_image(path: PathBuf, image: DynamicImage) -> Self {
        let original = [image.width(), image.height()];
        let image = if image.width().max(image.height()) > KEPT_SIDE {
            image.resize(KEPT_SIDE, KEPT_SIDE, FilterType::Triangle)
        } else {
            image
        };
        let pixels = on_white(&image);
        Self {
            path,
            original,
            origin: Origin::Memory,
            hash: blake3::hash(pixels.as_raw()),
            pixels: Arc::new(pixels),
        }
    }

    /// Memory that the pixels take.
    pub fn bytes(&self) -> usize {
        self.pixels.as_raw().len()
    }

    /// The rectangle `[left, top, width, height]`, in kept pixels, that `crop` selects for an input
    /// of height and width `size`.
    pub fn crop_rectangle(&self, crop: Crop, size: [usize; 2]) -> [u32; 4] {
        let (width, height) = (self.pixels.width() as f32, self.pixels.height() as f32);
        let ratio = size[1] as f32 / size[0] as f32;
        let (full_width, full_height) = if width / height > ratio {
            (height * ratio, height)
        } else {
            (width, width / ratio)
        };
        let scale = crop.scale.clamp(0.01, 1.0);
        let extent = |full: f32, most: f32| (full * scale).round().clamp(1.0, most);
        let (w, h) = (extent(full_width, width), extent(full_height, height));
        let place = |at: f32, free: f32| (at.clamp(0.0, 1.0) * free).round();
        let (left, top) = (place(crop.at[0], width - w), place(crop.at[1], height - h));
        [left as u32, top as u32, w as u32, h as u32]
    }

    /// The cropped picture, resized to height and width `size`, as `size[1]`×`size[0]` RGB.
    ///
    /// Shrinking averages over the pixels covered (triangle filter), so it does not alias.
    pub fn cropped(&self, crop: Crop, size: [usize; 2]) -> RgbImage {
        let [left, top, width, height] = self.crop_rectangle(crop, size);
        let part = image::imageops::crop_imm(&*self.pixels, left, top, width, height).to_image();
        let (w, h) = (size[1] as u32, size[0] as u32);
        if part.dimensions() == (w, h) {
            return part;
        }
        image::imageops::resize(&part, w, h, FilterType::Triangle)
    }

    /// The largest centred part, resized to height and width `size`.
    pub fn cropped_whole(&self, size: [usize; 2]) -> RgbImage {
        self.cropped(Crop::default(), size)
    }

    /// Three planes of bytes of the centre crop at height and width `size`.
    pub fn planes(&self, size: [usize; 2]) -> Vec<u8> {
        planes(&self.cropped_whole(size))
    }
}

/// The bytes of a file that may be a picture's.
///
/// # Errors
/// [`Error::Io`] when it cannot be read, [`Error::Picture`] when it is too large to be.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let reading = |error: std::io::Error| Error::io(path, "read", error);
    let about = std::fs::metadata(path).map_err(reading)?;
    if !about.is_file() {
        // A device may have no end.
        return Err(Error::io(path, "read", "it is no file"));
    }
    let length = about.len();
    if length > MAX_FILE_BYTES {
        let reason = format!(
            "the file has {} MB, more than the {} MB allowed",
            length >> 20,
            MAX_FILE_BYTES >> 20
        );
        return Err(Error::Picture {
            path: path.into(),
            reason,
        });
    }
    std::fs::read(path).map_err(reading)
}

/// Pictures are the same if they share their pixels.
impl PartialEq for Picture {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && Arc::ptr_eq(&self.pixels, &other.pixels)
    }
}

/// The bytes of an image, plane by plane.
pub fn planes(image: &RgbImage) -> Vec<u8> {
    (0..3)
        .flat_map(|channel| image.pixels().map(move |pixel| pixel.0[channel]))
        .collect()
}

/// The values of an image in [0, 1], plane by plane.
pub fn unit_planes(image: &RgbImage) -> Vec<f32> {
    let bytes = planes(image).into_iter();
    bytes.map(|byte| f32::from(byte) / 255.0).collect()
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits
}

/// 8-bit RGB; transparent pixels show white, as on paper.
fn on_white(image: &DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.to_rgb8();
    }
    let rgba = image.to_rgba8();
    RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, a] = rgba.get_pixel(x, y).0;
        let blend = |value: u8| {
            let (value, alpha) = (u32::from(value), u32::from(a));
            ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        image::Rgb([blend(r), blend(g), blend(b)])
    })
}

/// RGB bytes of planes `[3, h, w]` in [0, 1], rounded to the nearest of 256 levels.
pub fn to_rgb(planes: &[f32], size: [usize; 2]) -> RgbImage {
    let [h, w] = size;
    RgbImage::from_fn(w as u32, h as u32, |x, y| {
        let at = y as usize * w + x as usize;
        image::Rgb(std::array::from_fn(|channel| {
            (planes[channel * h * w + at].clamp(0.0, 1.0) * 255.0).round() as u8
        }))
    })
}

/// `count` pictures `[count, 3, h, w]` side by side in a grid as square as can be: planes
/// `[3, rows · h, columns · w]`, grey where there is none, with their height and width.
pub fn montage(pictures: &[f32], count: usize, [h, w]: [usize; 2]) -> (Vec<f32>, [usize; 2]) {
    let columns = (count.max(1) as f32).sqrt().ceil() as usize;
    let rows = count.max(1).div_ceil(columns);
    let (height, width) = (rows * h, columns * w);
    let mut planes = vec![0.5; 3 * height * width];
    for (index, picture) in pictures.chunks_exact(3 * h * w).take(count).enumerate() {
        let (top, left) = (index / columns * h, index % columns * w);
        for (line, values) in picture.chunks_exact(w).enumerate() {
            let (channel, y) = (line / h, line % h);
            let at = (channel * height + top + y) * width + left;
            planes[at..at + w].copy_from_slice(values);
        }
    }
    (planes, [height, width])
}
