//! Drawing on pictures and masks: which pixels a tool covers, and what it does to them.

use image::{Rgb, RgbImage, imageops};

/// A point of a picture: column and row in pixels, from the upper left corner.
pub type PicturePoint = [f32; 2];
/// A pixel of a picture: column and row.
pub type Pixel = [u32; 2];

/// Pixels whose centres satisfy `covers`, of those between two points.
fn covered(
    size: [u32; 2],
    low: PicturePoint,
    high: PicturePoint,
    covers: impl Fn(PicturePoint) -> bool,
) -> Vec<Pixel> {
    let range = |axis: usize| {
        let end = |at: f32| at.clamp(0.0, size[axis] as f32);
        end(low[axis].floor()) as u32..end(high[axis].ceil()) as u32
    };
    let rows = range(1).flat_map(|y| range(0).map(move |x| [x, y]));
    rows.filter(|pixel| covers(pixel.map(|at| at as f32 + 0.5)))
        .collect()
}

fn both(a: PicturePoint, b: PicturePoint) -> (PicturePoint, PicturePoint) {
    (
        [a[0].min(b[0]), a[1].min(b[1])],
        [a[0].max(b[0]), a[1].max(b[1])],
    )
}

/// The pixels within `radius` of the line between two points of a picture of width and height `size`, one at least.
pub fn stroke(size: [u32; 2], from: PicturePoint, to: PicturePoint, radius: f32) -> Vec<Pixel> {
    // A point lies within this of the centre of a pixel.
    let radius = radius.max(std::f32::consts::FRAC_1_SQRT_2);
    let (low, high) = both(from, to);
    let along = [to[0] - from[0], to[1] - from[1]];
    let squared = along[0] * along[0] + along[1] * along[1];
    let near = |at: PicturePoint| {
        let from_start = [at[0] - from[0], at[1] - from[1]];
        let share = match squared > 0.0 {
            true => {
                ((from_start[0] * along[0] + from_start[1] * along[1]) / squared).clamp(0.0, 1.0)
            }
            false => 0.0,
        };
        let apart = [0, 1].map(|axis| from_start[axis] - share * along[axis]);
        apart[0] * apart[0] + apart[1] * apart[1] <= radius * radius
    };
    covered(
        size,
        low.map(|at| at - radius),
        high.map(|at| at + radius),
        near,
    )
}

/// The pixels of the rectangle with these opposite corners.
pub fn rectangle(size: [u32; 2], a: PicturePoint, b: PicturePoint) -> Vec<Pixel> {
    let (low, high) = both(a, b);
    let inside = |at: PicturePoint| (0..2).all(|axis| (low[axis]..high[axis]).contains(&at[axis]));
    covered(size, low, high, inside)
}

/// The pixels of the ellipse inside that rectangle.
pub fn ellipse(size: [u32; 2], a: PicturePoint, b: PicturePoint) -> Vec<Pixel> {
    let (low, high) = both(a, b);
    let inside = |at: PicturePoint| {
        let share = |axis: usize| {
            let radius = (high[axis] - low[axis]) / 2.0;
            (at[axis] - low[axis] - radius) / radius.max(f32::MIN_POSITIVE)
        };
        share(0).powi(2) + share(1).powi(2) <= 1.0
    };
    covered(size, low, high, inside)
}

/// The connected region around `start` of pixels that differ from it by at most `tolerance` in every channel, in [0, 1].
pub fn flood(picture: &RgbImage, start: Pixel, tolerance: f32) -> Vec<Pixel> {
    let (width, height) = picture.dimensions();
    let Some(colour) = picture.get_pixel_checked(start[0], start[1]) else {
        return Vec::new();
    };
    let most = (tolerance.clamp(0.0, 1.0) * 255.0).round() as u8;
    let alike = |[x, y]: Pixel| {
        let channels = picture.get_pixel(x, y).0.into_iter().zip(colour.0);
        channels.into_iter().all(|(a, b)| a.abs_diff(b) <= most)
    };
    let mut seen = vec![false; (width * height) as usize];
    let mut waiting = vec![start];
    let mut found = Vec::new();
    while let Some(pixel @ [x, y]) = waiting.pop() {
        let at = (y * width + x) as usize;
        if seen[at] {
            continue;
        }
        seen[at] = true;
        if !alike(pixel) {
            continue;
        }
        found.push(pixel);
        let around = [
            (x > 0).then(|| [x - 1, y]),
            (x + 1 < width).then(|| [x + 1, y]),
            (y > 0).then(|| [x, y - 1]),
            (y + 1 < height).then(|| [x, y + 1]),
        ];
        waiting.extend(around.into_iter().flatten());
    }
    found
}

/// Gives pixels one colour; those outside the picture are left out.
pub fn fill(image: &mut RgbImage, pixels: &[Pixel], colour: [u8; 3]) {
    for &[x, y] in pixels {
        if let Some(pixel) = image.get_pixel_mut_checked(x, y) {
            *pixel = Rgb(colour);
        }
    }
}

/// Gives pixels the colours that those `offset` away have in `source`, where there are any.
pub fn copy(image: &mut RgbImage, source: &RgbImage, pixels: &[Pixel], offset: [i32; 2]) {
    for &[x, y] in pixels {
        let from = [
            x.checked_add_signed(offset[0]),
            y.checked_add_signed(offset[1]),
        ];
        if let [Some(from_x), Some(from_y)] = from
            && let Some(colour) = source.get_pixel_checked(from_x, from_y)
        {
            fill(image, &[[x, y]], colour.0);
        }
    }
}

/// Blurs pixels by a Gaussian of standard deviation `sigma` in pixels.
pub fn blur(image: &mut RgbImage, pixels: &[Pixel], sigma: f32) {
    let bounds = |axis: usize| {
        let along = || pixels.iter().map(|pixel| pixel[axis]);
        Some((along().min()?, along().max()?))
    };
    let (Some((left, right)), Some((top, bottom))) = (bounds(0), bounds(1)) else {
        return;
    };
    // Beyond three standard deviations the weights are negligible.
    let margin = (3.0 * sigma).ceil() as u32;
    let (left, top) = (left.saturating_sub(margin), top.saturating_sub(margin));
    let right = (right + margin + 1).min(image.width());
    let bottom = (bottom + margin + 1).min(image.height());
    let (width, height) = (right.saturating_sub(left), bottom.saturating_sub(top));
    if width == 0 || height == 0 {
        return;
    }
    let part = imageops::crop_imm(image, left, top, width, height).to_image();
    let blurred = imageops::fast_blur(&part, sigma.max(0.1));
    for &[x, y] in pixels {
        if let Some(colour) = blurred.get_pixel_checked(x - left, y - top) {
            fill(image, &[[x, y]], colour.0);
        }
    }
}

/// The mean colour of a picture.
pub fn mean_colour(picture: &RgbImage) -> [u8; 3] {
    let count = picture.pixels().len().max(1) as u64;
    std::array::from_fn(|channel| {
        let sum: u64 = picture
            .pixels()
            .map(|pixel| u64::from(pixel.0[channel]))
            .sum();
        (sum / count) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [u32; 2] = [6, 5];

    fn drawn(pixels: &[Pixel]) -> Vec<String> {
        let mut rows = vec![vec!['.'; SIZE[0] as usize]; SIZE[1] as usize];
        for &[x, y] in pixels {
            rows[y as usize][x as usize] = '#';
        }
        rows.into_iter().map(String::from_iter).collect()
    }

    #[test]
    fn tools_cover_what_they_look_like() {
        let at = |x: f32, y: f32| [x, y];
        let line = stroke(SIZE, at(0.5, 1.5), at(4.5, 1.5), 0.2);
        assert_eq!(
            drawn(&line),
            ["......", "#####.", "......", "......", "......"]
        );
        let dot = stroke(SIZE, at(3.0, 2.0), at(3.0, 2.0), 1.0);
        assert_eq!(
            drawn(&dot),
            ["......", "..##..", "..##..", "......", "......"]
        );
        let corner = rectangle(SIZE, at(4.0, 9.0), at(2.0, 3.0));
        assert_eq!(
            drawn(&corner),
            ["......", "......", "......", "..##..", "..##.."]
        );
        let disk = ellipse(SIZE, at(0.0, 0.0), at(4.0, 4.0));
        assert_eq!(
            drawn(&disk),
            [".##...", "####..", "####..", ".##...", "......"]
        );
        for outside in [at(-50.0, 2.0), at(f32::NAN, 2.0), at(1e30, 1e30)] {
            assert!(stroke(SIZE, outside, outside, 2.0).is_empty());
            assert!(ellipse(SIZE, outside, outside).is_empty());
        }
    }

    #[test]
    fn a_flood_stops_where_colours_change() {
        let wall = |x: u32, y: u32| {
            if x == 3 || (y == 2 && x < 3) {
                200
            } else {
                10 + y as u8
            }
        };
        let picture = RgbImage::from_fn(SIZE[0], SIZE[1], |x, y| Rgb([wall(x, y); 3]));
        let found = flood(&picture, [0, 0], 1.0 / 255.0);
        assert_eq!(
            drawn(&found),
            ["###...", "###...", "......", "......", "......"]
        );
        assert_eq!(flood(&picture, [0, 0], 1.0).len(), 30);
        assert!(flood(&picture, [6, 0], 1.0).is_empty());
    }

    #[test]
    fn painting_changes_the_covered_pixels_alone() {
        let original = RgbImage::from_fn(SIZE[0], SIZE[1], |x, y| {
            Rgb([40 * x as u8, 50 * y as u8, 7])
        });
        let pixels = rectangle(SIZE, [1.0, 1.0], [3.0, 3.0]);
        let changed = |edit: &dyn Fn(&mut RgbImage)| {
            let mut image = original.clone();
            edit(&mut image);
            let pairs = image.enumerate_pixels();
            pairs
                .filter(|(x, y, pixel)| *pixel != original.get_pixel(*x, *y))
                .map(|(x, y, _)| [x, y])
                .collect::<Vec<Pixel>>()
        };
        assert_eq!(changed(&|image| fill(image, &pixels, [1, 2, 3])), pixels);
        assert_eq!(
            changed(&|image| copy(image, &original, &pixels, [2, 0])),
            pixels
        );
        assert!(changed(&|image| copy(image, &original, &pixels, [0, 0])).is_empty());
        // Where there is nothing to copy from, nothing changes.
        assert_eq!(
            changed(&|image| copy(image, &original, &pixels, [-2, 0])),
            [[2, 1], [2, 2]]
        );
        let blurred = changed(&|image| blur(image, &pixels, 2.0));
        assert!(!blurred.is_empty() && blurred.iter().all(|pixel| pixels.contains(pixel)));
        assert!(changed(&|image| blur(image, &[], 2.0)).is_empty());
    }
}
