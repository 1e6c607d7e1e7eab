//! Where pictures begin.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

use super::{Seeds, Start, Synthesis, Task};
use crate::data::random::noise_rng;
use crate::error::{Error, Result};

/// What a synthesis may need besides its settings.
#[derive(Clone, Copy, Default)]
pub struct Material<'a> {
    /// The open picture `[3, h, w]` in [0, 1], or one for each that is made.
    pub current: Option<&'a [f32]>,
    /// Another one.
    pub other: Option<&'a [f32]>,
    /// What an inversion is to match: one picture, or as many as are made.
    pub target: Option<&'a [f32]>,
    /// Class Gaussians.
    pub seeds: Option<&'a Seeds>,
}

/// The pictures `[count, 3, h, w]` at which `config` begins, drawn on the CPU from the seed and each
/// picture's place, so that neither the device nor the count changes them.
///
/// # Errors
/// [`Error::Config`] says which picture or Gaussian is missing.
pub(super) fn start(
    config: &Synthesis,
    labels: &[String],
    material: &Material,
    size: [usize; 2],
    device: &Device,
) -> Result<Tensor<4>> {
    let [h, w] = size;
    let mut values = Vec::with_capacity(config.count * 3 * h * w);
    for number in 0..config.count as u64 {
        values.extend(one(config, labels, material, size, number)?);
    }
    Ok(Tensor::from_data(
        TensorData::new(values, [config.count, 3, h, w]),
        device,
    ))
}

fn one(
    config: &Synthesis,
    labels: &[String],
    material: &Material,
    size: [usize; 2],
    number: u64,
) -> Result<Vec<f32>> {
    let length = 3 * size[0] * size[1];
    let mut rng = noise_rng(config.seed, number);
    let given = |pictures: Option<&[f32]>, which: &str| {
        let missing = || Error::Config(format!("{which} to begin at is missing"));
        let mut each = pictures.unwrap_or_default().chunks_exact(length).cycle();
        let own = each.nth(number as usize);
        own.map(<[f32]>::to_vec).ok_or_else(missing)
    };
    match config.start {
        Start::Grey => Ok(vec![0.5; length]),
        Start::Noise => Ok((0..length).map(|_| rng.random()).collect()),
        // Uniform in [0, 1) over 20, on 0.5, as the paper has it.
        Start::GreyNoise => Ok((0..length)
            .map(|_| 0.5 + rng.random::<f32>() / 20.0)
            .collect()),
        Start::Current => given(material.current, "the open picture"),
        Start::Other => given(material.other, "the other picture"),
        Start::ClassGaussian => {
            let missing = || {
                Error::Config(format!(
                    "there are no class Gaussians for pictures of {}×{} pixels; fit them from the library",
                    size[1], size[0]
                ))
            };
            let seeds = material.seeds.filter(|seeds| seeds.fits(size));
            let seeds = seeds.ok_or_else(missing)?;
            let class = match config.task {
                Task::Generate { class, .. } => labels.get(class).map(String::as_str),
                Task::Invert { .. } | Task::Neuron(_) => seeds.any_class(config.seed + number),
            };
            seeds.draw(class.ok_or_else(missing)?, size, config.seed, number)
        }
    }
}
