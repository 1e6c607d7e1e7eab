//! Supervised segmentation baseline: a U-Net trained on ground-truth masks, cross-validated.

use burn::tensor::activation::{log_sigmoid, sigmoid};
use burn::tensor::{Device, Tensor, TensorData};
use rand::seq::SliceRandom;

use super::adam::Adam;
use super::gradients::{require_gradients, take_gradients};
use super::init;
use crate::data::random::noise_rng;
use crate::model::{Normalizer, UNet, UNetConfig, tensor_values};

/// Pictures with ground-truth masks, and the group (photograph) that each belongs to.
pub struct SegmentationData {
    /// Pictures `[3, h, w]` in [0, 1].
    pub pictures: Vec<Vec<f32>>,
    /// Masks `[h, w]`: 1 inside, 0 outside.
    pub masks: Vec<Vec<f32>>,
    /// Group of each picture; folds do not split a group.
    pub groups: Vec<String>,
    /// Height and width of the pictures, in pixels.
    pub size: [usize; 2],
}

/// Settings of the segmentation baseline.
#[derive(Clone, Copy, Debug)]
pub struct SegmentationConfig {
    /// U-Net with one output and no classes.
    pub network: UNetConfig,
    /// Number of epochs for each fold.
    pub epochs: usize,
    /// Seed of initial weights and shuffling.
    pub seed: u64,
}

const BATCH: usize = 16;
const RATE: f64 = 1e-3;
const NORMALIZER: Normalizer = Normalizer {
    mean: [0.5; 3],
    std: [0.25; 3],
};

/// Two-fold cross-validation with alternating groups: for every picture, the predicted probabilities of
/// “inside”, `[h, w]`, by a network trained without its group. `progress` gets the number of finished
/// epochs of a fold.
pub fn cross_validated(
    data: &SegmentationData,
    config: &SegmentationConfig,
    device: &Device,
    mut progress: impl FnMut(usize),
) -> Vec<Vec<f32>> {
    let mut names: Vec<&String> = data.groups.iter().collect();
    names.sort();
    names.dedup();
    let fold_of = |index: usize| names.iter().position(|name| **name == data.groups[index]);
    let folds: Vec<usize> = (0..data.pictures.len())
        .map(|index| fold_of(index).unwrap_or(0) % 2)
        .collect();
    let mut maps = vec![Vec::new(); data.pictures.len()];
    for fold in 0..2 {
        let (training, held_out): (Vec<usize>, Vec<usize>) =
            (0..folds.len()).partition(|&index| folds[index] != fold);
        let network = train(data, &training, config, device, &mut progress);
        for chunk in held_out.chunks(BATCH) {
            let x = NORMALIZER.apply(pictures(data, chunk, device));
            let inside = tensor_values(sigmoid(network.forward(x, None).map));
            let each = inside.chunks_exact(data.size.iter().product());
            for (&index, map) in chunk.iter().zip(each) {
                maps[index] = map.to_vec();
            }
        }
    }
    maps
}

fn train(
    data: &SegmentationData,
    training: &[usize],
    config: &SegmentationConfig,
    device: &Device,
    progress: &mut impl FnMut(usize),
) -> UNet {
    let mut network = init::random_unet(&config.network, config.seed, device);
    let mut adam = Adam::new([0.9, 0.999], 0.0);
    for epoch in 0..config.epochs {
        let mut order = training.to_vec();
        order.shuffle(&mut noise_rng(config.seed, epoch as u64));
        let rate = RATE * (1.0 - epoch as f64 / config.epochs as f64);
        for chunk in order.chunks(BATCH) {
            let mut tracked = require_gradients(&network);
            let (x, truth) = mirrored_batch(data, chunk, epoch, device);
            let logits = tracked.forward(NORMALIZER.apply(x), None).map;
            // Few pixels are inside; their weight of 4 is about 1/√(share of pixels inside).
            let inside = log_sigmoid(logits.clone()) * truth.clone() * 4.0;
            let outside = log_sigmoid(logits.neg()) * (truth.neg() + 1.0);
            let loss = (inside + outside).mean().neg();
            let gradients = take_gradients(&mut tracked, &mut loss.backward());
            adam.step(&mut network, gradients, rate);
        }
        progress(epoch + 1);
    }
    network
}

fn pictures(data: &SegmentationData, chunk: &[usize], device: &Device) -> Tensor<4> {
    let planes: Vec<&[f32]> = chunk
        .iter()
        .map(|&index| data.pictures[index].as_slice())
        .collect();
    let [h, w] = data.size;
    Tensor::from_data(
        TensorData::new(planes.concat(), [chunk.len(), 3, h, w]),
        device,
    )
}

/// A batch and its masks, mirrored horizontally in every other epoch, vertically in every other pair of
/// epochs.
fn mirrored_batch(
    data: &SegmentationData,
    chunk: &[usize],
    epoch: usize,
    device: &Device,
) -> (Tensor<4>, Tensor<4>) {
    let [h, w] = data.size;
    let masks: Vec<&[f32]> = chunk
        .iter()
        .map(|&index| data.masks[index].as_slice())
        .collect();
    let masks = TensorData::new(masks.concat(), [chunk.len(), 1, h, w]);
    let (mut x, mut truth) = (
        pictures(data, chunk, device),
        Tensor::from_data(masks, device),
    );
    for (axis, turn) in [(3, epoch % 2 == 1), (2, epoch / 2 % 2 == 1)] {
        if turn {
            (x, truth) = (x.flip([axis]), truth.flip([axis]));
        }
    }
    (x, truth)
}
