//! Initial pictures of image synthesis: constants, noise, class Gaussians, given pictures.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

use super::{ClassGaussians, Start, Synthesis, Task};
use crate::data::grey_planes;
use crate::data::random::noise_rng;
use crate::error::{Error, Result};
use crate::model::Manifest;

/// Pictures and Gaussians that a synthesis may need besides its settings.
#[derive(Clone, Copy, Default)]
pub struct SynthesisInputs<'a> {
    /// The current picture `[3, h, w]` in [0, 1], or one for each picture of the batch, concatenated.
    pub current: Option<&'a [f32]>,
    /// The picture of [`Start::Other`], in the same layout.
    pub other: Option<&'a [f32]>,
    /// Target of an inversion: one picture, or one for each picture of the batch, concatenated.
    pub target: Option<&'a [f32]>,
    /// Class Gaussians of [`Start::ClassGaussian`].
    pub class_gaussians: Option<&'a ClassGaussians>,
}

/// The initial pictures `[count, 3, h, w]` of `config`, drawn on the CPU from the seed and each picture's
/// index, so that they depend neither on the device nor on the count.
///
/// # Errors
/// [`Error::Config`] says which picture or Gaussian is missing.
pub(super) fn initial_pictures(
    config: &Synthesis,
    manifest: &Manifest,
    inputs: &SynthesisInputs,
    device: &Device,
) -> Result<Tensor<4>> {
    let (labels, size) = (&manifest.labels, manifest.input);
    let [h, w] = size;
    let mut values = Vec::with_capacity(config.count * 3 * h * w);
    for number in 0..config.count as u64 {
        let picture = initial_picture(config, labels, inputs, size, number)?;
        values.extend(match manifest.grey {
            true => grey_planes(&picture),
            false => picture,
        });
    }
    Ok(Tensor::from_data(
        TensorData::new(values, [config.count, 3, h, w]),
        device,
    ))
}

fn initial_picture(
    config: &Synthesis,
    labels: &[String],
    inputs: &SynthesisInputs,
    size: [usize; 2],
    number: u64,
) -> Result<Vec<f32>> {
    let length = 3 * size[0] * size[1];
    let mut rng = noise_rng(config.seed, number);
    let given = |pictures: Option<&[f32]>, which: &str| {
        let missing = || Error::Config(format!("{which} to start from is missing"));
        let mut each = pictures.unwrap_or_default().chunks_exact(length).cycle();
        let own = each.nth(number as usize);
        own.map(<[f32]>::to_vec).ok_or_else(missing)
    };
    match config.start {
        Start::Grey => Ok(vec![0.5; length]),
        Start::Noise => Ok((0..length).map(|_| rng.random()).collect()),
        // 0.5 + u/20 with u uniform in [0, 1), as in the paper.
        Start::GreyNoise => Ok((0..length)
            .map(|_| 0.5 + rng.random::<f32>() / 20.0)
            .collect()),
        Start::Current => given(inputs.current, "the open picture"),
        Start::Other => given(inputs.other, "the other picture"),
        Start::ClassGaussian => {
            let missing = || {
                Error::Config(format!(
                    "there are no class Gaussians for pictures of {}×{} pixels; fit them from the library",
                    size[1], size[0]
                ))
            };
            let class_gaussians = inputs
                .class_gaussians
                .filter(|class_gaussians| class_gaussians.fits(size));
            let class_gaussians = class_gaussians.ok_or_else(missing)?;
            let class = match config.task {
                Task::Generate { class, .. } => labels.get(class).map(String::as_str),
                Task::Invert { .. } | Task::Neuron(_) => {
                    class_gaussians.any_class(config.seed + number)
                }
            };
            class_gaussians.draw(class.ok_or_else(missing)?, size, config.seed, number)
        }
    }
}
