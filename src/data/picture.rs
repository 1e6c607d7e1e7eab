//! Image decoding and cropping: files decoded within memory limits, rotated by EXIF, resized, as
//! planes.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};
use serde::{Deserialize, Serialize};

use super::jpeg;
use crate::error::{Error, Result};
use crate::tasks::catch_expected_panic;

/// Memory limit of a decoder, whatever a file's header claims: a 64-megapixel photograph fits.
const MAX_DECODED_BYTES: u64 = 512 << 20;
/// Pictures with a longer side are refused before any pixel is decoded.
const MAX_SIDE: u32 = 32_768;
/// Larger files are refused unread.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// Decoded pictures are downscaled to at most this many pixels on the longer side: more than any
/// model's input.
const KEPT_SIDE: u32 = 1024;

/// File name extensions, in lower case, of the formats that can be decoded.
pub const EXTENSIONS: [&str; 16] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "pjpeg", "pjp", "bmp", "gif", "webp", "tif", "tiff",
    "pnm", "ppm", "pgm", "pbm",
];

/// Whether the extension of a file is one of [`EXTENSIONS`].
pub fn has_picture_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()))
}

/// Whether a file is a picture, by its extension or else by its first bytes.
pub fn is_picture(path: &Path) -> bool {
    const START: u64 = 64;
    if has_picture_name(path) {
        return true;
    }
    let mut start = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(START).read_to_end(&mut start));
    let format = read.ok().and_then(|_| image::guess_format(&start).ok());
    format.is_some_and(|format| format.reading_enabled())
}

/// Where a picture's pixels can be loaded from again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The file at its path.
    File,
    /// The photographs bundled with the program.
    Bundled,
    /// Nowhere: it was pasted from the clipboard or generated.
    Memory,
}

/// A decoded RGB picture in its EXIF orientation, 8 bits per channel.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Path of its file; for a pasted or bundled one, a name to display.
    pub path: PathBuf,
    /// RGB pixels, at most 1024 on the longer side.
    pub pixels: Arc<RgbImage>,
    /// Width and height in pixels before it was downscaled.
    pub original: [u32; 2],
    /// Where its pixels can be loaded from again.
    pub origin: Origin,
    /// BLAKE3 of the file's bytes, or of the pixels where there is no file.
    pub hash: blake3::Hash,
}

/// The crop of a picture that is resized to a model's input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crop {
    /// Horizontal and vertical position as shares of the range in which the crop can move, in [0, 1];
    /// 0.5 is the centre.
    pub at: [f32; 2],
    /// Side as a share of the largest crop that fits, in (0, 1].
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
    /// The crop with its values clamped to their ranges, for one that was read from a file.
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
    /// Decodes a file of any of the supported formats, detected from its content and not from its name.
    ///
    /// Of an animation the first frame is taken; transparent pixels are blended with white.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Picture`] when it is too large, broken,
    /// or not a picture.
    pub fn open(path: &Path) -> Result<Self> {
        Self::decode(path, &read(path)?)
    }

    /// Decodes the bytes of a file; `path` is used in error messages only.
    ///
    /// # Errors
    /// [`Error::Picture`] when they are too large, broken, or not a picture.
    pub fn decode(path: &Path, bytes: &[u8]) -> Result<Self> {
        let broken = |reason: String| Error::Picture {
            path: path.into(),
            reason,
        };
        // A decoder that panics costs this picture and nothing else.
        catch_expected_panic(|| Self::decode_unguarded(path, bytes))
            .unwrap_or_else(|reason| Err(broken(format!("its decoder failed: {reason}"))))
    }

    fn decode_unguarded(path: &Path, bytes: &[u8]) -> Result<Self> {
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
        // The format comes from the content, even where the extension differs.
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
        let strict = if format == image::ImageFormat::Jpeg {
            jpeg::decode(bytes, MAX_SIDE)
                .map_err(|reason| broken(format!("its data is damaged: {reason}")))?
        } else {
            None
        };
        let mut image = match strict {
            Some(image) => DynamicImage::ImageRgb8(image),
            None => {
                DynamicImage::from_decoder(decoder).map_err(|error| broken(error.to_string()))?
            }
        };
        image.apply_orientation(orientation);
        Ok(Self {
            origin: Origin::File,
            hash: blake3::hash(bytes),
            ..Self::from_image(path.into(), image)
        })
    }

    /// A picture from decoded pixels, such as pasted ones, downscaled where it is too large.
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

    /// Whether its kept pixels are as many in each direction as those of another.
    pub fn has_size_of(&self, other: &Self) -> bool {
        self.pixels.dimensions() == other.pixels.dimensions()
    }

    /// The kept pixels as a PNG file.
    pub fn png(&self) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        // Writing to memory does not fail, and a picture is never larger than a PNG may be.
        let _ = self.pixels.write_to(&mut bytes, image::ImageFormat::Png);
        bytes.into_inner()
    }

    /// Memory of the pixels, in bytes.
    pub fn bytes(&self) -> usize {
        self.pixels.as_raw().len()
    }

    /// The rectangle `[left, top, width, height]` of [`Picture::pixels`] that `crop` selects for an input
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

    /// The crop, resized to height and width `size`.
    ///
    /// Downscaling averages over the pixels covered (triangle filter), so it does not alias.
    pub fn cropped(&self, crop: Crop, size: [usize; 2]) -> RgbImage {
        let [left, top, width, height] = self.crop_rectangle(crop, size);
        let part = image::imageops::crop_imm(&*self.pixels, left, top, width, height).to_image();
        let (w, h) = (size[1] as u32, size[0] as u32);
        if part.dimensions() == (w, h) {
            return part;
        }
        image::imageops::resize(&part, w, h, FilterType::Triangle)
    }

    /// The largest centre crop, resized to height and width `size`.
    pub fn cropped_whole(&self, size: [usize; 2]) -> RgbImage {
        self.cropped(Crop::default(), size)
    }

    /// The bytes `[3, h, w]` of the largest centre crop at height and width `size`.
    pub fn planes(&self, size: [usize; 2]) -> Vec<u8> {
        planes(&self.cropped_whole(size))
    }
}

/// Reads a picture file within the limit on its size.
///
/// # Errors
/// [`Error::Io`] when it cannot be read, [`Error::Picture`] when it is too large.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let reading = |error: std::io::Error| Error::io(path, "read", error);
    let about = std::fs::metadata(path).map_err(reading)?;
    if !about.is_file() {
        // Reading a device file might never end.
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

/// Pictures are equal if they have the same path and share their pixel buffer: a cheap comparison.
impl PartialEq for Picture {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && Arc::ptr_eq(&self.pixels, &other.pixels)
    }
}

/// The bytes of an image, plane by plane: `[3, h, w]`.
pub fn planes(image: &RgbImage) -> Vec<u8> {
    (0..3)
        .flat_map(|channel| image.pixels().map(move |pixel| pixel.0[channel]))
        .collect()
}

/// The values of an image scaled to [0, 1], plane by plane: `[3, h, w]`.
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

/// Converts to 8-bit RGB and blends transparent pixels with white.
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

/// Quantises planes `[3, h, w]` in [0, 1] to 8-bit RGB, rounding to nearest.
pub fn to_rgb(planes: &[f32], size: [usize; 2]) -> RgbImage {
    let [h, w] = size;
    RgbImage::from_fn(w as u32, h as u32, |x, y| {
        let at = y as usize * w + x as usize;
        image::Rgb(std::array::from_fn(|channel| {
            (planes[channel * h * w + at].clamp(0.0, 1.0) * 255.0).round() as u8
        }))
    })
}

/// Arranges `count` pictures `[count, 3, h, w]` in a nearly square grid: planes
/// `[3, rows · h, columns · w]`, grey in empty cells, with their height and width.
pub fn montage(pictures: &[f32], count: usize, size: [usize; 2]) -> (Vec<f32>, [usize; 2]) {
    let [h, w] = size;
    let grid = MontageGrid::of(count, size);
    let mut planes = vec![0.5; 3 * grid.whole[0] * grid.whole[1]];
    for (index, picture) in pictures.chunks_exact(3 * h * w).take(count).enumerate() {
        for (at, values) in grid.lines(index).zip(picture.chunks_exact(w)) {
            planes[at..at + w].copy_from_slice(values);
        }
    }
    (planes, grid.whole)
}

/// The picture `[3, h, w]` at place `index` of a [`montage`] of `count`.
pub fn montage_part(planes: &[f32], count: usize, index: usize, size: [usize; 2]) -> Vec<f32> {
    let grid = MontageGrid::of(count, size);
    let lines = grid.lines(index);
    lines
        .flat_map(|at| &planes[at..at + size[1]])
        .copied()
        .collect()
}

/// Where the pictures of a montage are.
struct MontageGrid {
    columns: usize,
    /// Height and width of one picture.
    size: [usize; 2],
    /// Height and width of the whole.
    whole: [usize; 2],
}

impl MontageGrid {
    fn of(count: usize, [h, w]: [usize; 2]) -> Self {
        let columns = (count.max(1) as f32).sqrt().ceil() as usize;
        let rows = count.max(1).div_ceil(columns);
        Self {
            columns,
            size: [h, w],
            whole: [rows * h, columns * w],
        }
    }

    /// Where each line of a picture begins, channel by channel, in the planes of the whole.
    fn lines(&self, index: usize) -> impl Iterator<Item = usize> {
        let ([h, w], [height, width]) = (self.size, self.whole);
        let (top, left) = (index / self.columns * h, index % self.columns * w);
        (0..3 * h).map(move |line| (line / h * height + top + line % h) * width + left)
    }
}
