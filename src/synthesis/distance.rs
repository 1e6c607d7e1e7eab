//! Distances between pictures (L2, SSIM, perceptual) and activations of a network's units.

use burn::tensor::{Tensor, TensorData};
use serde::Serialize;

use crate::attribution::structural_similarity;
use crate::model::{Classifier, FeatureLayer, tensor_values};

/// Distances between two pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Distances {
    /// L2 norm of the difference, in units of pixels in [0, 1].
    pub l2: f32,
    /// Mean structural similarity of the three channels (Wang et al. 2004); 1 for equal pictures.
    pub ssim: f32,
    /// [`perceptual`] distance, at least 0.
    pub perceptual: f32,
}

/// Distances between the pictures `a` and `b`, `[3, h, w]` of height and width `size`; the perceptual one
/// uses the features of `feature_model`.
pub fn distances(feature_model: &Classifier, a: &[f32], b: &[f32], size: [usize; 2]) -> Distances {
    let [h, w] = size;
    let square = |(a, b): (&f32, &f32)| (a - b) * (a - b);
    let planes = a.chunks_exact(h * w).zip(b.chunks_exact(h * w));
    let similarities = planes.map(|(a, b)| structural_similarity(a, b, size, 1.0));
    let tensor = |picture: &[f32]| {
        let data = TensorData::new(picture.to_vec(), [1, 3, h, w]);
        Tensor::from_data(data, feature_model.device())
    };
    Distances {
        l2: a.iter().zip(b).map(square).sum::<f32>().sqrt(),
        ssim: similarities.sum::<f32>() / 3.0,
        perceptual: perceptual(feature_model, &tensor(a), &tensor(b)),
    }
}

/// Perceptual distance of pictures `[1, 3, h, w]` in the features of `feature_model`: the feature vectors
/// at each position of each stage are scaled to unit length, their squared differences averaged over
/// positions, and those over stages. LPIPS (Zhang et al. 2018, equation 1) with equal weights in place of
/// learned ones.
pub fn perceptual(feature_model: &Classifier, a: &Tensor<4>, b: &Tensor<4>) -> f32 {
    let stages = feature_model.manifest().architecture.stages();
    let pair = Tensor::cat(vec![a.clone(), b.clone()], 0);
    let distance = |stage: usize| {
        let cut = FeatureLayer {
            stage: Some(stage),
            ..FeatureLayer::LAST
        };
        let maps = feature_model.features_at(pair.clone(), cut);
        let length = maps.clone().square().sum_dim(1).sqrt();
        let maps = maps / (length + 1e-10);
        let square = (maps.clone().narrow(0, 0, 1) - maps.narrow(0, 1, 1)).square();
        square.sum_dim(1).mean().into_scalar::<f32>()
    };
    (0..=stages).map(distance).sum::<f32>() / (stages + 1) as f32
}

/// Unit activations, `[n][units]`, of pictures `[n, 3, h, w]` of height and width `size`: means of the
/// channels of `stage`'s feature map, or without a stage the pooled representation.
pub fn activations(
    model: &Classifier,
    stage: Option<usize>,
    [h, w]: [usize; 2],
    pictures: Vec<f32>,
) -> Vec<Vec<f32>> {
    let count = pictures.len() / (3 * h * w);
    let x = Tensor::from_data(TensorData::new(pictures, [count, 3, h, w]), model.device());
    let cut = FeatureLayer {
        stage,
        ..FeatureLayer::LAST
    };
    let features = model.features_at(x, cut);
    let units = match stage {
        None => model.embed(features),
        Some(_) => features.mean_dims(&[2, 3]).flatten(1, 3),
    };
    let width = units.dims()[1];
    let values = tensor_values(units);
    values.chunks_exact(width).map(<[f32]>::to_vec).collect()
}
