//! JPEG files whose data is damaged: found, instead of shown with grey where it is.

use image::RgbImage;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// Decodes a file of luminance and colour differences, not turned by EXIF; `None` for other colours, and for files that
/// are only unusual, both of which are left to the usual decoder.
///
/// # Errors
/// What is damaged.
pub(super) fn decode(bytes: &[u8], max_side: u32) -> Result<Option<RgbImage>, String> {
    let options = DecoderOptions::new_fast()
        .set_strict_mode(true)
        .set_max_width(max_side as usize)
        .set_max_height(max_side as usize)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let is_usual =
        decoder.decode_headers().is_ok() && decoder.input_colorspace() == Some(ColorSpace::YCbCr);
    if !is_usual {
        return Ok(None);
    }
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    let size = decoder.dimensions();
    let image =
        size.and_then(|(width, height)| RgbImage::from_raw(width as u32, height as u32, pixels));
    image
        .map(Some)
        .ok_or_else(|| "its size is contradictory".into())
}
