//! Minibatches of a data set, shuffled every epoch and augmented.
//!
//! Every random number is a function of seed, epoch and picture index, so that a resumed training gets
//! the same batches as an uninterrupted one.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::Dataset;
use super::augmentation::{Augmentation, ColorJitter};
use crate::data::random::noise_rng;

/// A minibatch of augmented pictures with their labels and indices.
pub struct Batch {
    /// Augmented pictures, `[n, 3, h, w]` in [0, 1].
    pub pictures: Tensor<4>,
    /// Class labels, `[n, 1]`.
    pub labels: Tensor<2, Int>,
    /// The same labels on the host.
    pub classes: Vec<usize>,
    /// Index of each picture in the data set.
    pub indices: Vec<u64>,
}

/// The minibatches of one epoch; an incomplete last batch is dropped.
pub struct Batches<'a> {
    dataset: &'a Dataset,
    augmentation: Augmentation,
    order: Vec<usize>,
    batch: usize,
    seed: u64,
    epoch: usize,
}

impl<'a> Batches<'a> {
    /// Shuffles `dataset` for an epoch, counted from 0, into batches of `batch` pictures.
    pub fn new(
        dataset: &'a Dataset,
        augmentation: Augmentation,
        batch: usize,
        seed: u64,
        epoch: usize,
    ) -> Self {
        let mut rng = noise_rng(seed, epoch as u64);
        let mut order: Vec<usize> = if augmentation.balance {
            class_balanced_order(dataset, &mut rng)
        } else {
            (0..dataset.len()).collect()
        };
        order.shuffle(&mut rng);
        Self {
            dataset,
            augmentation,
            order,
            batch: batch.min(dataset.len()),
            seed,
            epoch,
        }
    }

    /// Number of batches.
    pub fn len(&self) -> usize {
        self.order.len() / self.batch
    }

    /// Whether there is no batch.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Batch number `index` of the epoch.
    pub fn get(&self, index: usize, device: &Device) -> Batch {
        let chosen = &self.order[index * self.batch..][..self.batch];
        let [h, w] = self.augmentation.output_size(self.dataset.size);
        let mut values = Vec::with_capacity(chosen.len() * 3 * h * w);
        for &index in chosen {
            self.extend_augmented(index, &mut values);
        }
        let classes: Vec<usize> = chosen
            .iter()
            .map(|&index| self.dataset.labels[index])
            .collect();
        let labels: Vec<i32> = classes.iter().map(|&class| class as i32).collect();
        let shape = [chosen.len(), 3, h, w];
        Batch {
            pictures: Tensor::from_data(TensorData::new(values, shape), device),
            labels: Tensor::from_data(TensorData::new(labels, [chosen.len(), 1]), device),
            classes,
            indices: chosen.iter().map(|&index| index as u64).collect(),
        }
    }

    fn extend_augmented(&self, index: usize, values: &mut Vec<f32>) {
        // Random streams below 2^32 are used for shuffling the epochs.
        let stream = ((self.epoch as u64 + 1) << 32) | index as u64;
        let mut rng = noise_rng(self.seed, stream);
        let Augmentation {
            padding,
            flip,
            cutout,
            turn,
            jitter,
            ..
        } = self.augmentation;
        let [h, w] = self.augmentation.output_size(self.dataset.size);
        let (top, left) = (
            rng.random_range(0..=2 * padding),
            rng.random_range(0..=2 * padding),
        );
        let mirrored = flip && rng.random();
        // First row and column of the cutout square, offset by `cutout` to stay unsigned.
        let hidden = [h, w].map(|side| match cutout {
            0 => 0,
            _ => rng.random_range(0..side) + cutout.div_ceil(2),
        });
        let hides = |at: usize, hidden: usize| (hidden..hidden + cutout).contains(&(at + cutout));
        let quarter = if turn { rng.random_range(0..4) } else { 0 };
        let colours = ColorJitter::draw(jitter, &mut rng);
        let planes = self.augmentation.resized_crop(
            self.dataset.picture(index),
            self.dataset.size,
            &mut rng,
        );
        for (channel, plane) in planes.chunks_exact(h * w).enumerate() {
            for y in 0..h {
                values.extend((0..w).map(|x| {
                    let from = if mirrored { w - 1 - x } else { x };
                    let (y, from) = match quarter {
                        1 => (from, h - 1 - y),
                        2 => (h - 1 - y, w - 1 - from),
                        3 => (w - 1 - from, y),
                        _ => (y, from),
                    };
                    let row = (y + top).checked_sub(padding).filter(|&row| row < h);
                    let column = (from + left)
                        .checked_sub(padding)
                        .filter(|&column| column < w);
                    match (row, column) {
                        _ if hides(y, hidden[0]) && hides(x, hidden[1]) => 0.5,
                        (Some(row), Some(column)) => {
                            colours.apply(channel, f32::from(plane[row * w + column]) / 255.0)
                        }
                        _ => 0.0,
                    }
                }));
            }
        }
    }
}

/// Class-balanced sampling: as many indices as there are pictures, equally many of each class up to
/// rounding; pictures of small classes are repeated.
fn class_balanced_order(dataset: &Dataset, rng: &mut impl Rng) -> Vec<usize> {
    let mut classes = vec![Vec::new(); dataset.classes.len()];
    for (index, &label) in dataset.labels.iter().enumerate() {
        classes[label].push(index);
    }
    classes.retain(|class| !class.is_empty());
    for class in &mut classes {
        class.shuffle(rng);
    }
    let deal = |turn: usize| {
        let class = &classes[turn % classes.len()];
        class[turn / classes.len() % class.len()]
    };
    (0..dataset.len()).map(deal).collect()
}
