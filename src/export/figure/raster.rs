//! A page as pixels: its SVG drawn with the program's own font.

use std::sync::{Arc, LazyLock};

use epaint_default_fonts::{HACK_REGULAR, UBUNTU_LIGHT};
use image::RgbImage;
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};

use super::page::FigurePage;
use super::svg;
use crate::error::{Error, Result};

/// A drawn page has no more pixels: 400 MB while it is drawn.
const MOST_PIXELS: u64 = 100_000_000;

/// Hack has the few signs that Ubuntu Light lacks.
static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(UBUNTU_LIGHT.to_vec());
    fonts.load_font_data(HACK_REGULAR.to_vec());
    fonts.set_sans_serif_family("Ubuntu");
    Arc::new(fonts)
});

/// Draws the page.
///
/// # Errors
/// [`Error::Config`] when it has far too many pixels.
pub fn raster(page: &FigurePage) -> Result<RgbImage> {
    let [width, height] = page.pixels();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        let reason = format!("a figure of {width}×{height} pixels is too large");
        return Err(Error::Config(reason));
    }
    let refused = |reason: String| Error::Config(format!("the figure cannot be drawn: {reason}"));
    let options = Options {
        fontdb: FONTS.clone(),
        font_family: "Ubuntu".into(),
        ..Options::default()
    };
    let tree = Tree::from_str(&svg(page), &options).map_err(|error| refused(error.to_string()))?;
    let mut pixels = Pixmap::new(width, height).ok_or_else(|| refused("it is empty".into()))?;
    pixels.fill(Color::WHITE);
    let size = tree.size();
    let scale = Transform::from_scale(width as f32 / size.width(), height as f32 / size.height());
    resvg::render(&tree, scale, &mut pixels.as_mut());
    // Everything lies on white, so nothing shines through.
    let rgb = pixels.pixels().iter();
    let rgb = rgb.flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]);
    Ok(RgbImage::from_raw(width, height, rgb.collect()).expect("three bytes for each pixel"))
}

/// Draws the page into the bytes of a PNG file, which says how large it is on paper.
///
/// # Errors
/// As [`raster`].
pub fn png(page: &FigurePage) -> Result<Vec<u8>> {
    let image = raster(page)?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.width(), image.height());
    encoder.set_color(png::ColorType::Rgb);
    if let Some(millimetres) = page.millimetres {
        let each = (1000.0 * image.width() as f32 / millimetres).round() as u32;
        encoder.set_pixel_dims(Some(png::PixelDimensions {
            xppu: each,
            yppu: each,
            unit: png::Unit::Meter,
        }));
    }
    let written = encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(image.as_raw()));
    written.map_err(|error| Error::Config(format!("the figure cannot be written: {error}")))?;
    Ok(bytes)
}
