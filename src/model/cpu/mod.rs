//! CPU inference and input gradients of a folded ResNet by packed matrix products.
//!
//! burn's CPU back end repacks the weights in every call and uses a single thread for a single picture,
//! which is the case of interactive attacks. Here weights are packed once, activations stay in
//! channels-last order, and the input gradient uses the transposed matrix products. The values agree with
//! burn's up to rounding.

mod conv;
mod flex;
mod product;
pub(in crate::model) mod rows;
pub(in crate::model) mod training;

use rayon::prelude::*;

use super::config::ResNetConfig;
use super::resnet::ResNet;
use super::{Normalizer, tensor_values};
use crate::model::network::FeatureLayer;
use conv::{FeatureMap, PackedConv, max_pool, transposed};

struct PackedBlock {
    convs: Vec<PackedConv>,
    downsample: Option<PackedConv>,
}

/// Activations of one picture's forward pass that its backward pass needs.
#[derive(Default)]
struct Tape {
    stem: FeatureMap,
    /// For each pooled value, its index in the stem's output.
    pooled_from: Vec<usize>,
    /// For each block: its input, its inner activations and its output.
    blocks: Vec<(FeatureMap, Vec<FeatureMap>, FeatureMap)>,
}

/// A ResNet with packed weights.
pub(in crate::model) struct PackedResNet {
    stem: PackedConv,
    pool: bool,
    stages: Vec<Vec<PackedBlock>>,
    scale: [f32; 3],
    shift: [f32; 3],
}

/// Pictures `[n, 3, h, w]` in host memory.
pub(in crate::model) struct Pixels {
    pub(in crate::model) values: Vec<f32>,
    pub(in crate::model) size: [usize; 2],
}

/// Feature maps `[n, c, h, w]`, with the tapes of their backward pass if kept.
pub(in crate::model) struct Features {
    pub(in crate::model) values: Vec<f32>,
    pub(in crate::model) shape: [usize; 4],
    tapes: Vec<Tape>,
    cut: FeatureLayer,
    size: [usize; 2],
}

impl PackedResNet {
    /// Packs a folded network and its normaliser.
    pub(in crate::model) fn new(network: &ResNet, normalizer: &Normalizer) -> Self {
        let config: &ResNetConfig = network.config();
        let pack = |conv: &super::layers::Conv| {
            let [output, input, kernel, _] = conv.weight.dims();
            let weight = tensor_values(conv.weight.clone().permute([2, 3, 1, 0]));
            let transposed = tensor_values(conv.weight.clone().permute([0, 2, 3, 1]));
            let bias = conv
                .bias
                .clone()
                .map_or_else(|| vec![0.0; output], tensor_values);
            PackedConv {
                kernel,
                stride: conv.stride,
                input,
                output,
                weight,
                transposed,
                bias,
            }
        };
        let block = |block: &super::resnet::Residual| PackedBlock {
            convs: block.convs.iter().map(pack).collect(),
            downsample: block.downsample.as_ref().map(pack),
        };
        Self {
            stem: pack(&network.stem),
            pool: config.stem.is_pooled(),
            stages: network
                .stages
                .iter()
                .map(|stage| stage.iter().map(block).collect())
                .collect(),
            scale: normalizer.std.map(|std| 1.0 / std),
            shift: std::array::from_fn(|c| -normalizer.mean[c] / normalizer.std[c]),
        }
    }

    /// The feature maps at `cut`; with `keep`, also the tapes for [`PackedResNet::backward`].
    pub(in crate::model) fn forward(
        &self,
        pixels: &Pixels,
        cut: FeatureLayer,
        keep: bool,
    ) -> Features {
        let [h, w] = pixels.size;
        let length = 3 * h * w;
        let count = pixels.values.len() / length;
        let one = |picture: &[f32]| {
            self.forward_one(self.normalize(picture, h, w), cut, keep, count == 1)
        };
        let maps: Vec<(FeatureMap, Tape)> =
            pixels.values.par_chunks_exact(length).map(one).collect();
        let FeatureMap { h, w, c, .. } = maps[0].0;
        let values = maps
            .iter()
            .flat_map(|(map, _)| transposed(&map.values, h * w, c))
            .collect();
        let tapes = maps.into_iter().map(|(_, tape)| tape).collect();
        Features {
            values,
            shape: [count, c, h, w],
            tapes,
            cut,
            size: pixels.size,
        }
    }

    /// Backward pass: the gradient with respect to the pixels, `[n, 3, h, w]`, from the gradient with
    /// respect to the feature maps.
    pub(in crate::model) fn backward(&self, features: &Features, gradient: &[f32]) -> Vec<f32> {
        let [count, c, h, w] = features.shape;
        let parts = gradient.par_chunks_exact(c * h * w).zip(&features.tapes);
        let one = |(gradient, tape): (&[f32], &Tape)| {
            let gradient = transposed(gradient, c, h * w);
            self.backward_one(gradient, tape, features, count == 1)
        };
        parts.map(one).collect::<Vec<_>>().concat()
    }

    /// The blocks up to a feature layer.
    fn blocks(&self, cut: FeatureLayer) -> impl Iterator<Item = &PackedBlock> {
        self.stages[..cut.stages(self.stages.len())]
            .iter()
            .flatten()
    }

    fn normalize(&self, picture: &[f32], h: usize, w: usize) -> FeatureMap {
        let mut values = transposed(picture, 3, h * w);
        for pixel in values.chunks_exact_mut(3) {
            for (channel, value) in pixel.iter_mut().enumerate() {
                *value = *value * self.scale[channel] + self.shift[channel];
            }
        }
        FeatureMap { h, w, c: 3, values }
    }

    fn forward_one(
        &self,
        x: FeatureMap,
        cut: FeatureLayer,
        keep: bool,
        wide: bool,
    ) -> (FeatureMap, Tape) {
        let mut tape = Tape::default();
        let scratch = &mut Vec::new();
        let stem = self.stem.forward(&x, wide, scratch).relu();
        let mut x = if self.pool {
            let (pooled, from) = max_pool(&stem);
            if keep {
                tape.stem = stem;
                tape.pooled_from = from;
            }
            pooled
        } else {
            if keep {
                tape.stem = stem.clone();
            }
            stem
        };
        for block in self.blocks(cut) {
            let (inner, y) = block.forward(&x, wide, scratch);
            if keep {
                tape.blocks.push((x, inner, y.clone()));
            }
            x = y;
        }
        (x, tape)
    }

    fn backward_one(
        &self,
        mut gradient: Vec<f32>,
        tape: &Tape,
        &Features { cut, size, .. }: &Features,
        wide: bool,
    ) -> Vec<f32> {
        let scratch = &mut Vec::new();
        let blocks: Vec<&PackedBlock> = self.blocks(cut).collect();
        for (index, (block, (x, inner, y))) in blocks.iter().zip(&tape.blocks).enumerate().rev() {
            if !(cut.fake_relu && index + 1 == blocks.len()) {
                y.mask(&mut gradient);
            }
            gradient = block.backward(gradient, x, inner, wide, scratch);
        }
        if self.pool {
            let mut unpooled = vec![0.0; tape.stem.values.len()];
            for (&from, part) in tape.pooled_from.iter().zip(&gradient) {
                unpooled[from] += part;
            }
            gradient = unpooled;
        }
        if !(cut.fake_relu && blocks.is_empty()) {
            tape.stem.mask(&mut gradient);
        }
        let [h, w] = size;
        let mut pixels = self.stem.backward(&gradient, h, w, wide, scratch);
        for pixel in pixels.chunks_exact_mut(3) {
            pixel
                .iter_mut()
                .zip(self.scale)
                .for_each(|(value, scale)| *value *= scale);
        }
        transposed(&pixels, h * w, 3)
    }
}

impl PackedBlock {
    fn forward(
        &self,
        x: &FeatureMap,
        wide: bool,
        scratch: &mut Vec<f32>,
    ) -> (Vec<FeatureMap>, FeatureMap) {
        let (last, first) = self.convs.split_last().expect("a block has convolutions");
        let mut inner: Vec<FeatureMap> = Vec::with_capacity(first.len());
        for conv in first {
            let y = conv
                .forward(inner.last().unwrap_or(x), wide, scratch)
                .relu();
            inner.push(y);
        }
        let mut y = last.forward(inner.last().unwrap_or(x), wide, scratch);
        let shortcut = self
            .downsample
            .as_ref()
            .map(|conv| conv.forward(x, wide, scratch));
        for (sum, part) in y
            .values
            .iter_mut()
            .zip(&shortcut.as_ref().unwrap_or(x).values)
        {
            *sum += part;
        }
        (inner, y.relu())
    }

    /// Backward pass: the gradient with respect to the input `x`, from that with respect to the sum before
    /// the last ReLU.
    fn backward(
        &self,
        mut gradient: Vec<f32>,
        x: &FeatureMap,
        inner: &[FeatureMap],
        wide: bool,
        scratch: &mut Vec<f32>,
    ) -> Vec<f32> {
        let shortcut = match &self.downsample {
            Some(conv) => conv.backward(&gradient, x.h, x.w, wide, scratch),
            None => gradient.clone(),
        };
        for (index, conv) in self.convs.iter().enumerate().rev() {
            let input = if index == 0 { x } else { &inner[index - 1] };
            gradient = conv.backward(&gradient, input.h, input.w, wide, scratch);
            if index > 0 {
                input.mask(&mut gradient);
            }
        }
        gradient
            .iter_mut()
            .zip(shortcut)
            .for_each(|(sum, part)| *sum += part);
        gradient
    }
}
