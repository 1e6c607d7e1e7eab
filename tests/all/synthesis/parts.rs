//! What syntheses are made of: cuts, class Gaussians, kept iterates, distances.

use burn::tensor::{Device, Tensor, TensorData};
use epsiloscope::model::{Classifier, FeatureLayer, Weights, gradient, zoo};
use epsiloscope::synthesis::{
    ClassGaussians, Gaussian, Iterate, IterateHistory, distances, frechet,
};

use crate::support::{
    largest_difference, message, random_pictures, smooth_picture as picture, tiny_classifier,
    tiny_manifest, tiny_network, values,
};

const SIZE: [usize; 2] = [8, 8];
const LENGTH: usize = 3 * 8 * 8;

/// Gaussians of two classes, and a third class without pictures.
pub(crate) fn seeds() -> ClassGaussians {
    let labels = ["class 0", "class 1", "class 2"].map(String::from);
    let pictures = (0..40).map(|at| {
        let level = 0.3 + 0.4 * (at % 2) as f32;
        let noise = values(random_pictures(1, 8, at));
        let picture = noise.iter().map(|v| level + 0.3 * (v - 0.5)).collect();
        ((at % 2) as usize, picture)
    });
    ClassGaussians::fit(&labels, SIZE, pictures)
}

#[test]
fn class_gaussians_look_like_their_classes_and_survive_a_file() {
    let seeds = seeds();
    let mean = |class: &str| {
        let draws = (0..50).map(|number| seeds.draw(class, SIZE, 0, number).expect("a draw"));
        draws
            .map(|draw| draw.iter().sum::<f32>() / LENGTH as f32)
            .sum::<f32>()
            / 50.0
    };
    assert!((mean("class 0") - 0.3).abs() < 0.02);
    assert!((mean("class 1") - 0.7).abs() < 0.02);
    let draw = seeds.draw("class 1", SIZE, 3, 2).expect("a draw");
    assert_eq!(draw[0], draw[3 * 8 + 3], "a 4×4 square is one value");
    let text = message(seeds.draw("class 2", SIZE, 0, 0));
    assert!(
        text.contains("class 2") && text.contains("two pictures"),
        "{text}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("seeds.safetensors");
    seeds.write(&path).expect("written");
    let again = ClassGaussians::of(&Weights::read(&path).expect("read")).expect("seeds");
    let other = again.draw("class 1", SIZE, 3, 2).expect("a draw");
    assert!(largest_difference(&draw, &other) < 2e-3);
    assert!(!again.fits([32, 32]));
}

#[test]
fn the_bundled_gaussians_know_every_class_of_the_bundled_models() {
    let device = Device::flex();
    let pairs = zoo::SETS.iter().flat_map(|set| set.models);
    let pairs = pairs.filter(|id| id.starts_with("cifar10-") || id.starts_with("photographs-"));
    for id in pairs {
        let model = zoo::open(&(*id).into(), &device).expect("a bundled model");
        let size = model.manifest().input;
        let bundled = ClassGaussians::bundled(size).expect("they open");
        let bundled = bundled.expect("some for pictures of this size");
        for class in &model.manifest().labels {
            assert!(bundled.knows(class), "{id}: {class}");
            let draw = bundled.draw(class, size, 0, 0).expect("a draw");
            assert!(draw.iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }
    assert!(
        ClassGaussians::bundled([8; 2])
            .expect("they open")
            .is_none()
    );
}

#[test]
fn truncated_gaussians_keep_the_directions_of_largest_variance() {
    let (whole, mut short) = (seeds(), seeds());
    let apart = |some: &ClassGaussians| {
        let draw = |number| some.draw("class 0", SIZE, 0, number).expect("a draw");
        let (mut sum, mean) = (0.0, whole.draw("class 0", SIZE, 0, 0).expect("a draw"));
        for number in 1..40 {
            let squares = draw(number)
                .into_iter()
                .zip(&mean)
                .map(|(a, b)| (a - b).powi(2));
            sum += squares.sum::<f32>();
        }
        sum
    };
    short.truncate(usize::MAX);
    assert!((apart(&short) / apart(&whole) - 1.0).abs() < 0.5);
    short.truncate(1);
    assert!(apart(&short) < apart(&whole));
}

#[test]
fn large_pictures_are_downsampled_to_sixteen_values_a_side() {
    let labels = ["one".to_string()];
    let size = [128, 96];
    let pictures = (0..3).map(|at| (0, vec![at as f32 / 4.0; 3 * 128 * 96]));
    let fitted = ClassGaussians::fit(&labels, size, pictures);
    let draw = fitted.draw("one", size, 0, 0).expect("a draw");
    assert_eq!(draw.len(), 3 * 128 * 96);
    assert_eq!(draw[0], draw[7 * 96 + 5], "8×6 pixels are one value");
    assert!(!fitted.fits([32, 32]) && fitted.fits([64, 64]));
}

#[test]
fn the_executor_has_the_cuts_and_the_fake_relu_of_burns_network() {
    let executed = tiny_classifier(2, 5);
    let plain = Classifier::from_network(
        Box::new(tiny_network(2, 5).fold()),
        tiny_manifest(2),
        &Device::flex(),
    );
    let x = random_pictures(2, 8, 9);
    let mut fake_differs = false;
    for stage in [None, Some(0), Some(1), Some(2)] {
        let mut gradients = Vec::new();
        for fake_relu in [false, true] {
            let cut = FeatureLayer { stage, fake_relu };
            let map = values(executed.features_at(x.clone(), cut));
            assert!(largest_difference(&map, &values(plain.features_at(x.clone(), cut))) < 1e-4);
            // A loss that weighs every value differently.
            let loss = |map: Tensor<4>| {
                let [n, c, h, w] = map.dims();
                let weights: Vec<f32> = (0..n * c * h * w).map(|at| (at as f32).sin()).collect();
                let data = TensorData::new(weights, [n, c, h, w]);
                let weights = Tensor::from_data(data, &map.device());
                (map * weights).sum_dims(&[1, 2, 3]).reshape([-1])
            };
            let (_, ours) = executed.gradient_at(&x, cut, &loss);
            let (_, theirs) = gradient(&x, |x| loss(plain.features_at(x, cut)));
            let ours = values(ours);
            assert!(largest_difference(&ours, &values(theirs)) < 1e-4, "{cut:?}");
            gradients.push(ours);
        }
        fake_differs |= largest_difference(&gradients[0], &gradients[1]) > 1e-3;
    }
    assert!(fake_differs);
}

#[test]
fn kept_iterates_stay_within_their_memory() {
    let mut history = IterateHistory::with_limit(100 * 12);
    for iteration in 0..10_000 {
        history.push(Iterate {
            iteration,
            losses: [iteration as f32].into(),
            pixels: vec![0; 12].into(),
        });
        assert!(history.len() <= 102);
    }
    let newest = history.newest().expect("an iterate");
    assert_eq!(newest.iteration, 9999);
    let kept: Vec<usize> = history.iter().map(|kept| kept.iteration).collect();
    assert_eq!(kept[0], 0, "the start stays");
    assert!(kept.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(
        history.at(history.stride()).map(|kept| kept.iteration),
        Some(history.stride())
    );
    assert_eq!(history.at(0).map(|kept| kept.iteration), Some(0));
    assert_eq!(
        history.at(usize::MAX).map(|kept| kept.iteration),
        Some(9999)
    );
}

#[test]
fn frechet_distances_of_known_gaussians() {
    let fit = |mean: [f32; 2], spread: [f32; 2]| {
        // Four points have exactly this mean and, with n − 1 = 3, this covariance.
        let reach = 1.5f32.sqrt();
        let rows: Vec<Vec<f32>> = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
            .iter()
            .map(|at| {
                (0..2)
                    .map(|k| mean[k] + reach * spread[k] * at[k])
                    .collect()
            })
            .collect();
        Gaussian::fit(rows.iter().map(Vec::as_slice)).expect("a Gaussian")
    };
    let a = fit([0.0, 0.0], [1.0, 2.0]);
    let b = fit([3.0, 4.0], [2.0, 5.0]);
    // |μ|² + Σ (σ₁ − σ₂)² for diagonal covariances.
    assert!((frechet(&a, &b) - (25.0 + 1.0 + 9.0)).abs() < 1e-4);
    assert!((frechet(&b, &a) - 35.0).abs() < 1e-4);
    assert!(frechet(&a, &a) < 1e-6);
    assert!(Gaussian::fit([[1.0f32].as_slice()].into_iter()).is_none());
}

#[test]
fn distances_are_zero_for_equal_pictures_and_grow() {
    let judge = tiny_classifier(2, 5);
    let (a, b) = (picture(0.0), picture(2.0));
    let same = distances(&judge, &a, &a, SIZE);
    assert_eq!((same.l2, same.perceptual), (0.0, 0.0));
    assert!((same.ssim - 1.0).abs() < 1e-6);
    let near: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + 0.1 * (b - a)).collect();
    let (near, far) = (
        distances(&judge, &a, &near, SIZE),
        distances(&judge, &a, &b, SIZE),
    );
    assert!(near.l2 < far.l2 && near.perceptual < far.perceptual && near.ssim > far.ssim);
}
