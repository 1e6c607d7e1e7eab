//! Synthetic walls with and without a crack, and where the crack is: pictures to try counterfactuals on
//! that belong to nobody.

use std::path::Path;

use image::{Rgb, RgbImage};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::data::random::noise_rng;
use crate::error::{Error, Result};

/// A synthetic picture of a wall, `side`×`side` pixels, and its ground-truth mask (white where it is
/// cracked, black elsewhere).
///
/// The same `seed` makes the same wall, with a crack or without.
pub fn generate(seed: u64, side: u32, cracked: bool) -> (RgbImage, RgbImage) {
    let mut rng = noise_rng(seed, 0);
    let base = rng.random_range(95.0..175.0_f32);
    let tint = [0; 3].map(|_| rng.random_range(-12.0..12.0_f32));
    let light = rng.random_range(-0.08..0.08_f32);
    let grain = rng.random_range(5.0..13.0_f32);
    let relief = ValueNoise::new(&mut rng, side);
    let crack = cracked.then(|| Crack::new(&mut noise_rng(seed, 1), side as f32));
    let mut grains = noise_rng(seed, 2);
    let mut mask = RgbImage::new(side, side);
    let wall = RgbImage::from_fn(side, side, |x, y| {
        let at = [x as f32 + 0.5, y as f32 + 0.5];
        let slope = light * (at[0] + at[1] - side as f32);
        let noise = grains.random_range(-1.0..1.0_f32) + grains.random_range(-1.0..1.0_f32);
        let mut value = base + slope + 16.0 * relief.at(at) + grain * noise;
        if let Some(crack) = &crack {
            let inside = crack.depth(at);
            value *= 1.0 - crack.darkness * inside.clamp(0.0, 1.0);
            if inside > 0.5 {
                mask.put_pixel(x, y, Rgb([255; 3]));
            }
        }
        Rgb(tint.map(|tint| (value + tint).clamp(0.0, 255.0) as u8))
    });
    (wall, mask)
}

/// Seeds of the training set are below, those of the test set from here on.
const FIRST_TEST_SEED: u64 = 1000;

/// Writes a data set of pictures of `side`×`side` pixels, named by their seeds: `train/CLASS` with
/// `count` (at most 1000) clean and as many cracked ones, `test/CLASS` with half as many others, and
/// `test_masks` with the masks of the cracked test pictures.
///
/// # Errors
/// [`Error::Io`] names what cannot be written; [`Error::Config`] for a `count` out of range.
pub fn write_data_set(root: &Path, count: u64, side: u32) -> Result<()> {
    if count == 0 || count > FIRST_TEST_SEED {
        let reason = format!("between 1 and {FIRST_TEST_SEED} walls of each class can be made");
        return Err(Error::Config(reason));
    }
    let masks = root.join("test_masks");
    let create = |folder: &Path| {
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, "create", error))
    };
    let save = |image: &RgbImage, path: &Path| {
        let saved = image.save(path);
        saved.map_err(|error| Error::io(path, "write", error))
    };
    create(&masks)?;
    for (split, seeds) in [
        ("train", 0..count),
        ("test", FIRST_TEST_SEED..FIRST_TEST_SEED + count / 2),
    ] {
        for (class, cracked) in [("clean", false), ("crack", true)] {
            let folder = root.join(split).join(class);
            create(&folder)?;
            for seed in seeds.clone() {
                // Each class has its own walls, so that no pairs of clean and cracked exist.
                let seed = 2 * seed + u64::from(cracked);
                let name = format!("{seed:05}.png");
                let (picture, mask) = generate(seed, side, cracked);
                save(&picture, &folder.join(&name))?;
                if cracked && split == "test" {
                    save(&mask, &masks.join(&name))?;
                }
            }
        }
    }
    Ok(())
}

/// Fractal value noise: octaves of smoothly interpolated random heights (turbulence of Perlin 1985),
/// each as cell size in pixels, lattice width and lattice values.
struct ValueNoise(Vec<(f32, usize, Vec<f32>)>);

impl ValueNoise {
    fn new(rng: &mut ChaCha8Rng, side: u32) -> Self {
        let octaves = [2usize, 4, 8, 16, 32].map(|cells| {
            let count = (cells + 2) * (cells + 2);
            let heights = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
            (side as f32 / cells as f32, cells + 2, heights)
        });
        Self(octaves.into())
    }

    fn at(&self, [x, y]: [f32; 2]) -> f32 {
        let octave = |(index, (cell, width, heights)): (usize, &(f32, usize, Vec<f32>))| {
            let (u, v) = (x / cell, y / cell);
            let (i, j) = (u.floor() as usize, v.floor() as usize);
            let smooth = |share: f32| share * share * (3.0 - 2.0 * share);
            let (s, t) = (smooth(u.fract()), smooth(v.fract()));
            let height = |i: usize, j: usize| heights[j * width + i];
            let above = height(i, j) + s * (height(i + 1, j) - height(i, j));
            let below = height(i, j + 1) + s * (height(i + 1, j + 1) - height(i, j + 1));
            (above + t * (below - above)) * 0.7_f32.powi(index as i32)
        };
        self.0.iter().enumerate().map(octave).sum()
    }
}

/// A crack: a random polyline from one edge toward the opposite one.
struct Crack {
    /// Vertices in pixels, each with the crack's half width there.
    line: Vec<([f32; 2], f32)>,
    darkness: f32,
}

impl Crack {
    fn new(rng: &mut ChaCha8Rng, side: f32) -> Self {
        let upright = rng.random::<bool>();
        let width = rng.random_range(0.008..0.016) * side;
        let step = side / 40.0;
        let (mut across, mut drift) = (rng.random_range(0.25..0.75) * side, 0.0);
        let mut line = Vec::new();
        let mut along = -step;
        while along < side + step {
            let point = if upright {
                [across, along]
            } else {
                [along, across]
            };
            line.push((point, width * rng.random_range(0.5..1.3)));
            drift = 0.7 * drift + rng.random_range(-0.7..0.7) * step;
            across = (across + drift).clamp(0.1 * side, 0.9 * side);
            along += step;
        }
        Self {
            line,
            darkness: rng.random_range(0.5..0.75),
        }
    }

    /// Signed distance from the rim in pixels plus ½: 1 and more inside, 0 and less outside, between for
    /// antialiasing.
    fn depth(&self, [x, y]: [f32; 2]) -> f32 {
        let depth = |pair: &[([f32; 2], f32)]| {
            let ([ax, ay], from) = pair[0];
            let ([bx, by], to) = pair[1];
            let (dx, dy) = (bx - ax, by - ay);
            let share = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy);
            let share = share.clamp(0.0, 1.0);
            let apart = (x - ax - share * dx).hypot(y - ay - share * dy);
            from + share * (to - from) - apart + 0.5
        };
        self.line.windows(2).map(depth).fold(f32::MIN, f32::max)
    }
}
