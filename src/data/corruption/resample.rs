//! Reading planes between their pixels, and Gaussian blur.

/// One plane of a picture; beyond its edge the nearest pixel counts.
#[derive(Clone, Copy)]
pub(super) struct Plane<'a> {
    pub(super) values: &'a [f32],
    pub(super) size: [usize; 2],
}

/// What counts beyond the edge of a plane.
#[derive(Clone, Copy)]
pub(super) enum Edge {
    /// The nearest pixel.
    Nearest,
    /// The plane, mirrored at its edge.
    Mirrored,
}

impl Edge {
    /// The place on an axis of this length that counts for `place`.
    fn inside(self, place: i64, length: usize) -> i64 {
        let length = length as i64;
        match self {
            Self::Nearest => place.clamp(0, length - 1),
            Self::Mirrored => {
                let place = place.rem_euclid(2 * length);
                place.min(2 * length - 1 - place)
            }
        }
    }
}

impl Plane<'_> {
    pub(super) fn at(&self, y: i64, x: i64) -> f32 {
        let [h, w] = self.size;
        let inside = |place: i64, length: usize| place.clamp(0, length as i64 - 1) as usize;
        self.values[inside(y, h) * w + inside(x, w)]
    }

    /// Bilinear interpolation between the centres of pixels.
    pub(super) fn between(&self, y: f32, x: f32) -> f32 {
        let (top, left) = (y.floor(), x.floor());
        let (down, across) = (y - top, x - left);
        let (top, left) = (top as i64, left as i64);
        let row = |y: i64| {
            let (a, b) = (self.at(y, left), self.at(y, left + 1));
            a + across * (b - a)
        };
        let (a, b) = (row(top), row(top + 1));
        a + down * (b - a)
    }
}

/// The planes of a picture `[c, h, w]`.
pub(super) fn planes(pixels: &[f32], size: [usize; 2]) -> impl Iterator<Item = Plane<'_>> {
    let planes = pixels.chunks_exact(size[0] * size[1]);
    planes.map(move |values| Plane { values, size })
}

/// Every pixel of every plane computed from its plane and its place (row, column).
pub(super) fn map_planes(
    pixels: &[f32],
    size: [usize; 2],
    value: impl Fn(Plane, usize, usize) -> f32,
) -> Vec<f32> {
    let mut out = Vec::with_capacity(pixels.len());
    for plane in planes(pixels, size) {
        for y in 0..size[0] {
            for x in 0..size[1] {
                out.push(value(plane, y, x));
            }
        }
    }
    out
}

/// Points across a pixel over which a Gaussian is averaged, so that deviations below a pixel blur too.
const POINTS: usize = 5;

/// Gaussian blur of the deviation `sigma` in pixels; below a hundredth of one nothing changes.
pub(super) fn gaussian_blur(pixels: &[f32], size: [usize; 2], sigma: f32, edge: Edge) -> Vec<f32> {
    if sigma < 0.01 {
        return pixels.to_vec();
    }
    let reach = (3.0 * sigma).ceil() as i64;
    let weights: Vec<f32> = (-reach..=reach)
        .map(|at| {
            let point = |point: usize| at as f32 + (point as f32 + 0.5) / POINTS as f32 - 0.5;
            let density = |place: f32| (-0.5 * (place / sigma).powi(2)).exp();
            (0..POINTS).map(|at| density(point(at))).sum::<f32>()
        })
        .collect();
    let total: f32 = weights.iter().sum();
    let sum = |value: &dyn Fn(i64) -> f32| {
        let all = (-reach..=reach).zip(&weights);
        all.map(|(at, weight)| weight * value(at)).sum::<f32>() / total
    };
    let down = map_planes(pixels, size, |plane, y, x| {
        sum(&|at| plane.at(edge.inside(y as i64 + at, size[0]), x as i64))
    });
    map_planes(&down, size, |plane, y, x| {
        sum(&|at| plane.at(y as i64, edge.inside(x as i64 + at, size[1])))
    })
}

/// A weighted mean of the plane along a line: point `at` is that many pixels away in the direction of `angle`, in
/// radians, with a Gaussian weight of deviation `sigma`, for up to `length` pixels.
pub(super) fn blur_along(
    pixels: &[f32],
    size: [usize; 2],
    [length, sigma, angle]: [f32; 3],
) -> Vec<f32> {
    let (sine, cosine) = angle.sin_cos();
    // Half a pixel apart, so that short lines are as smooth as long ones.
    let count = (2.0 * length).ceil().max(1.0) as usize;
    let sigma = sigma.max(1e-3);
    let steps: Vec<(f32, f32)> = (0..=count)
        .map(|step| length * step as f32 / count as f32)
        .map(|away| (away, (-0.5 * (away / sigma).powi(2)).exp()))
        .collect();
    let total: f32 = steps.iter().map(|(_, weight)| weight).sum();
    map_planes(pixels, size, |plane, y, x| {
        let values = steps.iter().map(|(away, weight)| {
            weight * plane.between(y as f32 + away * sine, x as f32 + away * cosine)
        });
        values.sum::<f32>() / total
    })
}

/// The middle of the picture, enlarged `factor` times.
pub(super) fn zoomed(pixels: &[f32], size: [usize; 2], factor: f32) -> Vec<f32> {
    let [middle_y, middle_x] = size.map(|side| (side as f32 - 1.0) / 2.0);
    map_planes(pixels, size, |plane, y, x| {
        plane.between(
            middle_y + (y as f32 - middle_y) / factor,
            middle_x + (x as f32 - middle_x) / factor,
        )
    })
}
