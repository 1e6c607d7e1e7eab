//! Class Gaussians, the starts of class-specific generation: normal distributions over downsampled
//! pictures of each class (paper A, section 3.3; Santurkar et al. 2019).

use std::path::Path;

use rand_distr::{Distribution, StandardNormal};

use super::gaussian::principal_directions;
use crate::data::random::noise_rng;
use crate::data::same_class;
use crate::error::{Error, Result};
use crate::model::{Array, Precision, Weights};

/// Least downsampling factor of each side before a Gaussian is fitted: the paper's.
const DOWNSAMPLING: usize = 4;
/// Largest side of a downsampled picture, so that a Gaussian over larger pictures stays as small.
const MAX_SIDE: usize = 16;
/// Variance that the paper adds to every pixel.
const RIDGE: f64 = 1e-4;
/// Principal directions of smaller variance are dropped: they are negligible beside [`RIDGE`].
const MIN_VARIANCE: f64 = 1e-5;

/// A normal distribution over the downsampled pictures of one class, as a low-rank factorisation.
#[derive(Clone, Debug, PartialEq)]
struct ClassGaussian {
    /// Mean, `[d]`.
    mean: Vec<f32>,
    /// `[m, d]`; the sum of their outer products is the covariance.
    directions: Vec<Vec<f32>>,
}

/// A Gaussian over downsampled pictures for each class of a label set.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassGaussians {
    /// Class names, in the order of `classes`.
    labels: Vec<String>,
    /// Height and width of the downsampled pictures.
    grid: [usize; 2],
    /// One for each label; `None` for classes with fewer than two pictures.
    classes: Vec<Option<ClassGaussian>>,
}

impl ClassGaussians {
    /// Fits a Gaussian for each class of `labels` to pictures `[3, h, w]` of height and width `size`, each
    /// with the index of its label.
    pub fn fit(
        labels: &[String],
        size: [usize; 2],
        pictures: impl Iterator<Item = (usize, Vec<f32>)>,
    ) -> Self {
        let mut small = vec![Vec::new(); labels.len()];
        for (class, picture) in pictures {
            small[class].push(downsample(&picture, size));
        }
        Self {
            labels: labels.to_vec(),
            grid: grid(size),
            classes: small
                .iter()
                .map(|small| ClassGaussian::fit(small))
                .collect(),
        }
    }

    /// Whether the Gaussians apply to pictures of this height and width.
    pub fn fits(&self, size: [usize; 2]) -> bool {
        self.grid == grid(size)
    }

    /// Samples a picture `[3, h, w]` of height and width `size`: random stream `number` of `seed`, clamped
    /// to [0, 1] and upsampled by repeating pixels.
    ///
    /// # Errors
    /// [`Error::Config`] where the class has no Gaussian.
    pub fn draw(&self, class: &str, size: [usize; 2], seed: u64, number: u64) -> Result<Vec<f32>> {
        let gaussian = self.of_class(class).ok_or_else(|| {
            Error::Config(format!(
                "there is no class Gaussian of {class}; fit them from the library, with at least two pictures of it"
            ))
        })?;
        Ok(upsample(&gaussian.draw(seed, number), self.grid, size))
    }

    /// Whether there is a Gaussian of this class.
    pub fn knows(&self, class: &str) -> bool {
        self.of_class(class).is_some()
    }

    fn of_class(&self, class: &str) -> Option<&ClassGaussian> {
        let mut pairs = self.labels.iter().zip(&self.classes);
        let (_, gaussian) = pairs.find(|(label, _)| same_class(label, class))?;
        gaussian.as_ref()
    }

    /// A class with a Gaussian, selected by `number`.
    pub fn any_class(&self, number: u64) -> Option<&str> {
        let known: Vec<&String> = self
            .labels
            .iter()
            .zip(&self.classes)
            .filter_map(|(label, class)| class.as_ref().map(|_| label))
            .collect();
        let at = number.checked_rem(known.len() as u64)?;
        known.get(at as usize).map(|label| label.as_str())
    }

    /// Writes the Gaussians as safetensors, in half precision.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut file = Weights::default();
        for (label, class) in self.labels.iter().zip(&self.classes) {
            let Some(class) = class else { continue };
            let width = class.mean.len();
            let mean = Array {
                shape: vec![1, width],
                values: class.mean.clone(),
            };
            let directions = Array {
                shape: vec![class.directions.len(), width],
                values: class.directions.concat(),
            };
            file.tensors.insert(format!("{label}.mean"), mean);
            file.tensors
                .insert(format!("{label}.directions"), directions);
        }
        let labels = serde_json::to_string(&(&self.labels, self.grid)).expect("plain data");
        file.metadata.insert(KEY.into(), labels);
        file.write(path, Precision::Half)
    }

    /// Reads what [`ClassGaussians::write`] wrote.
    ///
    /// # Errors
    /// A message that names what is missing or contradictory.
    pub fn of(file: &Weights) -> Result<Self, String> {
        let text = file
            .metadata
            .get(KEY)
            .ok_or("it holds no class Gaussians")?;
        let (labels, grid): (Vec<String>, [usize; 2]) =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let width = grid[0].saturating_mul(grid[1]).saturating_mul(3);
        let class = |label: &String| {
            let mean = file.tensors.get(&format!("{label}.mean"))?;
            let directions = file.tensors.get(&format!("{label}.directions"))?;
            let sound = width > 0 && mean.values.len() == width;
            sound.then(|| ClassGaussian {
                mean: mean.values.clone(),
                directions: directions
                    .values
                    .chunks_exact(width)
                    .map(<[f32]>::to_vec)
                    .collect(),
            })
        };
        let classes = labels.iter().map(class).collect();
        Ok(Self {
            labels,
            grid,
            classes,
        })
    }

    /// The bundled Gaussians for pictures of this height and width, if there are any: those of CIFAR-10's ten classes
    /// or of the photographs' fifteen. Their cards are in the folder of the models.
    ///
    /// # Errors
    /// [`Error::Model`] where the bundled file is damaged.
    pub fn bundled(size: [usize; 2]) -> Result<Option<Self>> {
        let files: [(&str, &[u8], [usize; 2]); 2] = [
            (
                "cifar10-seeds",
                include_bytes!("../../assets/models/cifar10-seeds.safetensors"),
                [32; 2],
            ),
            (
                "photographs-seeds",
                include_bytes!("../../assets/models/photographs-seeds.safetensors"),
                [128; 2],
            ),
        ];
        let fitting = files
            .iter()
            .find(|(.., made_for)| grid(*made_for) == grid(size));
        let read = |(name, bytes, _): &(&str, &[u8], [usize; 2])| {
            Weights::from_bytes(bytes)
                .and_then(|file| Self::of(&file))
                .map_err(|reason| Error::model(Path::new(name), reason))
        };
        fitting.map(read).transpose()
    }

    /// Keeps, of each class, the `most` principal directions of largest variance.
    pub fn truncate(&mut self, most: usize) {
        for class in self.classes.iter_mut().flatten() {
            class.directions.truncate(most);
        }
    }
}

/// Metadata key of labels and grid.
const KEY: &str = "epsiloscope-seeds";

impl ClassGaussian {
    fn fit(small: &[Vec<f32>]) -> Option<Self> {
        let single = |values: &nalgebra::DVector<f64>| {
            let values = values.iter().map(|&value| value as f32);
            values.collect::<Vec<f32>>()
        };
        let (mean, directions) =
            principal_directions(small.iter().map(Vec::as_slice), MIN_VARIANCE)?;
        Some(Self {
            mean: single(&mean),
            directions: directions.iter().map(single).collect(),
        })
    }

    fn draw(&self, seed: u64, number: u64) -> Vec<f32> {
        let mut rng = noise_rng(seed, number);
        let mut normal = move || -> f32 { StandardNormal.sample(&mut rng) };
        let mut picture = self.mean.clone();
        for direction in &self.directions {
            let size = normal();
            for (value, part) in picture.iter_mut().zip(direction) {
                *value += size * part;
            }
        }
        let spread = RIDGE.sqrt() as f32;
        for value in &mut picture {
            *value = (*value + spread * normal()).clamp(0.0, 1.0);
        }
        picture
    }
}

/// Downsampling factors of height and width.
fn factors(size: [usize; 2]) -> [usize; 2] {
    size.map(|side| side.div_ceil(MAX_SIDE).max(DOWNSAMPLING))
}

/// Height and width of downsampled pictures.
fn grid(size: [usize; 2]) -> [usize; 2] {
    let [rows, columns] = factors(size);
    [size[0].div_ceil(rows), size[1].div_ceil(columns)]
}

/// Downsampling by means over rectangles of [`factors`] pixels; those at the edge may be smaller.
fn downsample(picture: &[f32], [h, w]: [usize; 2]) -> Vec<f32> {
    let ([rows, columns], [down, right]) = (grid([h, w]), factors([h, w]));
    let mut small = Vec::with_capacity(3 * rows * columns);
    for plane in picture.chunks_exact(h * w) {
        for row in 0..rows {
            for column in 0..columns {
                let lines = row * down..((row + 1) * down).min(h);
                let line = column * right..((column + 1) * right).min(w);
                let count = (lines.len() * line.len()) as f32;
                let sum: f32 = lines
                    .flat_map(|y| &plane[y * w + line.start..y * w + line.end])
                    .sum();
                small.push(sum / count);
            }
        }
    }
    small
}

/// Upsampling by repeating every value over the rectangle that it is the mean of.
fn upsample(small: &[f32], [rows, columns]: [usize; 2], [h, w]: [usize; 2]) -> Vec<f32> {
    let [down, right] = factors([h, w]);
    let mut picture = Vec::with_capacity(3 * h * w);
    for plane in small.chunks_exact(rows * columns) {
        for y in 0..h {
            picture.extend((0..w).map(|x| plane[(y / down) * columns + x / right]));
        }
    }
    picture
}
