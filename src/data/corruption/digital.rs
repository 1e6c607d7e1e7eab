//! Light and digital processing: brightness, contrast, elastic distortion, pixelation, JPEG.

use image::codecs::jpeg::JpegEncoder;
use rand::{Rng, RngExt};

use super::Severity;
use super::resample::{Edge, gaussian_blur, map_planes, planes};
use crate::data::picture;

/// More value, in the sense of hue, saturation and value.
pub(super) fn brightness(pixels: &[f32], severity: Severity) -> Vec<f32> {
    let added = severity.of(0.0, [0.1, 0.2, 0.3, 0.4, 0.5]);
    let area = pixels.len() / 3;
    let mut brighter = pixels.to_vec();
    for at in 0..area {
        let three = [0, 1, 2].map(|channel| channel * area + at);
        let value = three
            .map(|index| pixels[index])
            .into_iter()
            .fold(0.0, f32::max);
        let wanted = (value + added).min(1.0);
        for index in three {
            brighter[index] = if value > 0.0 {
                pixels[index] * wanted / value
            } else {
                wanted
            };
        }
    }
    brighter
}

/// Values nearer to the mean of their channel.
pub(super) fn contrast(pixels: &[f32], severity: Severity) -> Vec<f32> {
    let kept = severity.of(1.0, [0.4, 0.3, 0.2, 0.1, 0.05]);
    let area = pixels.len() / 3;
    let flatter = pixels.chunks_exact(area.max(1)).flat_map(|plane| {
        let mean = plane.iter().sum::<f32>() / area as f32;
        plane.iter().map(move |value| mean + kept * (value - mean))
    });
    flatter.collect()
}

/// A random affine map and random displacements of neighbourhoods.
pub(super) fn elastic(
    pixels: &[f32],
    size: [usize; 2],
    severity: Severity,
    rng: &mut impl Rng,
) -> Vec<f32> {
    // The authors' constants are shares of the side.
    let side = size[0].min(size[1]) as f32;
    let share = severity.share();
    let amplitude = share * severity.held([2.0, 2.0, 0.05, 0.07, 0.12]) * side;
    let sigma = severity.held([0.7, 0.08, 0.01, 0.01, 0.01]) * side;
    let moved = share * severity.held([0.1, 0.2, 0.02, 0.02, 0.02]) * side;
    let [h, w] = size;
    let [middle_y, middle_x] = size.map(|side| side as f32 / 2.0);
    // Three corners of a triangle around the middle, each moved a little.
    let mut corner = || rng.random_range(-1.0..=1.0_f32) * moved / (side / 3.0).max(1.0);
    let [yy, yx, xy, xx] = [(); 4].map(|()| corner() / 2.0);
    let [shift_y, shift_x] = [(); 2].map(|()| corner() * side / 6.0);
    let [down, across] = [(); 2].map(|()| {
        let noise = (0..h * w).map(|_| rng.random_range(-1.0..=1.0_f32));
        let noise: Vec<f32> = noise.collect();
        gaussian_blur(&noise, size, sigma, Edge::Mirrored)
    });
    map_planes(pixels, size, |plane, y, x| {
        let (dy, dx) = (y as f32 - middle_y, x as f32 - middle_x);
        let at = y * w + x;
        plane.between(
            y as f32 + yy * dy + yx * dx + shift_y + amplitude * down[at],
            x as f32 + xy * dy + xx * dx + shift_x + amplitude * across[at],
        )
    })
}

/// Fewer pixels: means of boxes, enlarged without smoothing.
pub(super) fn pixelate(pixels: &[f32], size: [usize; 2], severity: Severity) -> Vec<f32> {
    let kept = severity.of(1.0, [0.6, 0.5, 0.4, 0.3, 0.25]);
    let small = size.map(|side| ((side as f32 * kept).round() as usize).max(1));
    let mut boxes = Vec::new();
    for plane in planes(pixels, size) {
        for y in 0..small[0] {
            for x in 0..small[1] {
                let [rows, columns] = [(y, 0), (x, 1)].map(|(at, axis)| {
                    let edge = |at: usize| at * size[axis] / small[axis];
                    edge(at)..edge(at + 1)
                });
                let count = rows.len() * columns.len();
                let inside = rows.flat_map(|y| columns.clone().map(move |x| (y, x)));
                let sum: f32 = inside.map(|(y, x)| plane.at(y as i64, x as i64)).sum();
                boxes.push(sum / count as f32);
            }
        }
    }
    // The box that a pixel is in.
    let place = |at: usize, axis: usize| ((at + 1) * small[axis]).div_ceil(size[axis]) - 1;
    let area = small[0] * small[1];
    let each = boxes.chunks_exact(area).flat_map(|plane| {
        let value = move |y: usize, x: usize| plane[place(y, 0) * small[1] + place(x, 1)];
        (0..size[0] * size[1]).map(move |at| value(at / size[1], at % size[1]))
    });
    each.collect()
}

/// JPEG compression.
pub(super) fn jpeg(pixels: &[f32], size: [usize; 2], severity: Severity) -> Vec<f32> {
    let quality = severity.of(100.0, [25.0, 18.0, 15.0, 10.0, 7.0]);
    let image = picture::to_rgb(pixels, size);
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, quality.round() as u8);
    let compressed = image
        .write_with_encoder(encoder)
        .and_then(|()| image::load_from_memory_with_format(&bytes, image::ImageFormat::Jpeg));
    // A picture that fits into memory has a size that JPEG knows.
    compressed.map_or_else(
        |_| pixels.to_vec(),
        |image| picture::unit_planes(&image.to_rgb8()),
    )
}
