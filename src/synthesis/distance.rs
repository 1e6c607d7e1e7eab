//! What a network makes of pictures: how alike two are, and which units one excites.

use burn::tensor::{Tensor, TensorData};
use serde::Serialize;

use crate::attribution::structural_similarity;
use crate::model::{Classifier, FeatureLayer, tensor_values};

/// Distances of two pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Distances {
    /// Euclidean length of the difference of all pixels in [0, 1].
    pub l2: f32,
    /// Mean structural similarity of the three channels (Wang et al. 2004); 1 for equal pictures.
    pub ssim: f32,
    /// [`perceptual`] distance.
    pub perceptual: f32,
}

/// Distances of the pictures `a` and `b`, `[3, h, w]` of height and width `size`; `judge` gives the
/// features.
pub fn distances(judge: &Classifier, a: &[f32], b: &[f32], size: [usize; 2]) -> Distances {
    let [h, w] = size;
    let square = |(a, b): (&f32, &f32)| (a - b) * (a - b);
    let planes = a.chunks_exact(h * w).zip(b.chunks_exact(h * w));
    let similarities = planes.map(|(a, b)| structural_similarity(a, b, size, 1.0));
    let tensor = |picture: &[f32]| {
        let data = TensorData::new(picture.to_vec(), [1, 3, h, w]);
        Tensor::from_data(data, judge.device())
    };
    Distances {
        l2: a.iter().zip(b).map(square).sum::<f32>().sqrt(),
        ssim: similarities.sum::<f32>() / 3.0,
        perceptual: perceptual(judge, &tensor(a), &tensor(b)),
    }
}

/// Distance in the features of `judge`: the feature vectors at each place of each stage are scaled
/// to unit length, their squared differences averaged over places, and those over stages. LPIPS
/// (Zhang et al. 2018, equation 1) with equal weights in place of learned ones.
pub fn perceptual(judge: &Classifier, a: &Tensor<4>, b: &Tensor<4>) -> f32 {
    let stages = judge.manifest().architecture.stages();
    let pair = Tensor::cat(vec![a.clone(), b.clone()], 0);
    let distance = |stage: usize| {
        let cut = FeatureLayer {
            stage: Some(stage),
            ..FeatureLayer::LAST
        };
        let maps = judge.features_at(pair.clone(), cut);
        let length = maps.clone().square().sum_dim(1).sqrt();
        let maps = maps / (length + 1e-10);
        let square = (maps.clone().narrow(0, 0, 1) - maps.narrow(0, 1, 1)).square();
        square.sum_dim(1).mean().into_scalar::<f32>()
    };
    (0..=stages).map(distance).sum::<f32>() / (stages + 1) as f32
}

/// Activations of the units of `stage` (the representation without one) for pictures `[n, 3, h, w]`
/// of the model's size: means of the channels over the map.
pub fn activations(model: &Classifier, stage: Option<usize>, pictures: Vec<f32>) -> Vec<Vec<f32>> {
    let [h, w] = model.manifest().input;
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
