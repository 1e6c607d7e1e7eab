//! Pictures that commands write.

use std::path::Path;

use crate::data::picture::to_rgb;
use crate::error::{Error, Result};
use crate::files::write_atomically;

/// Writes planes `[3, h, w]` in [0, 1] as a PNG file.
pub(super) fn save_png(path: &Path, planes: &[f32], size: [usize; 2]) -> Result<()> {
    let mut png = std::io::Cursor::new(Vec::new());
    to_rgb(planes, size)
        .write_to(&mut png, image::ImageFormat::Png)
        .map_err(|error| Error::io(path, "write", error))?;
    write_atomically(path, png.get_ref())
}

/// Planes `[3, h, w]` with every pixel repeated `zoom` times each way, unless that is beyond any
/// screen.
pub(super) fn enlarged(planes: &[f32], [h, w]: [usize; 2], zoom: u32) -> (Vec<f32>, [usize; 2]) {
    let most = (LARGEST / h.max(w)).max(1);
    let zoom = (zoom as usize).min(most);
    let (rows, columns) = (h * zoom, w * zoom);
    let mut values = Vec::with_capacity(3 * rows * columns);
    for plane in planes.chunks_exact(h * w) {
        for y in 0..rows {
            values.extend((0..columns).map(|x| plane[y / zoom * w + x / zoom]));
        }
    }
    (values, [rows, columns])
}

/// Longest side of an enlarged picture, in pixels.
const LARGEST: usize = 4096;
