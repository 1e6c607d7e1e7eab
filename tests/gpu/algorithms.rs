//! Every algorithm of convolutions on a GPU against the CPU: the bundled networks and those of the fixtures.

use std::fs;
use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use epsiloscope::compute::Compute;
use epsiloscope::model::{Classifier, ConvolutionAlgorithm, FeatureLayer, ModelRef, zoo};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What the names of files contain that have no convolutions of other kinds than another file.
const ALIKE: [&str; 10] = [
    "101",
    "152",
    "wide",
    "deit",
    "vit",
    "hf_",
    "dynamo",
    "torchvision",
    "grey",
    "swin",
];

/// The bundled classifiers, and every kind of model file of the fixtures that opens without being described.
fn models() -> Vec<ModelRef> {
    let mut models: Vec<ModelRef> = zoo::BUNDLED
        .iter()
        .map(|bundled| bundled.id.into())
        .collect();
    let folder = fs::read_dir("tests/fixtures/foreign").expect("the fixtures are there");
    let mut files: Vec<PathBuf> = folder.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let opens = |path: &PathBuf| {
        let name = path.to_string_lossy();
        let known = ["onnx", "safetensors", "pth", "pt"];
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| known.contains(&extension))
            && !name.ends_with("_io.safetensors")
            && !ALIKE.iter().any(|part| name.contains(part))
            && zoo::open(&ModelRef::from(&*name), &Device::flex()).is_ok()
    };
    let files = files.into_iter().filter(opens);
    models.extend(files.map(|path| ModelRef::from(&*path.to_string_lossy())));
    models
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().expect("floats")
}

/// Length of the difference, relative to that of the other. A unit at the kink of its ReLU may get a gradient on one side
/// only, so that single numbers of gradients say little.
fn distance(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>().sqrt();
    let difference = norm(&mut ours.iter().zip(theirs).map(|(our, their)| our - their));
    difference / norm(&mut theirs.iter().copied())
}

/// Logits, and the gradients of a weighted sum of logits and of a stage's features.
fn results(model: &Classifier, pictures: &[f32], dims: [usize; 4]) -> [Vec<f32>; 3] {
    let device = model.device();
    let data = TensorData::new(pictures.to_vec(), dims);
    let x: Tensor<4> = Tensor::from_data(data, device);
    let logits = model.logits(x.clone());
    let rows = logits.dims()[1];
    let weights: Vec<f32> = (0..rows).map(|class| (class as f32 * 0.7).sin()).collect();
    let weights: Tensor<2> = Tensor::from_data(TensorData::new(weights, [1, rows]), device);
    let (_, gradient) = model.gradient(&x, &|features| {
        (model.logits_of(features) * weights.clone())
            .sum_dim(1)
            .reshape([-1])
    });
    let stem = FeatureLayer {
        stage: Some(1),
        fake_relu: true,
    };
    let (_, of_stage) = model.gradient_at(&x, stem, &|features| {
        let [n, ..] = features.dims();
        features
            .square()
            .reshape([n as isize, -1])
            .sum_dim(1)
            .reshape([-1])
    });
    [numbers(logits), numbers(gradient), numbers(of_stage)]
}

/// Both algorithms of our own give the CPU's logits and gradients.
pub(crate) fn agree_with_the_cpu(gpu: &Compute) {
    let models = models();
    assert!(models.len() > 20, "{} models", models.len());
    let mut wrong: Vec<String> = Vec::new();
    for model in models {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let cpu = zoo::open(&model, &Device::flex()).expect("it opened before");
        let [h, w] = cpu.manifest().input;
        // Small pictures take less time, where a network takes them.
        let size = [h.min(64), w.min(64)];
        let size = if cpu.require_size(size).is_ok() {
            size
        } else {
            [h, w]
        };
        let dims = [2, 3, size[0], size[1]];
        let pictures: Vec<f32> = (0..dims.iter().product::<usize>())
            .map(|_| rng.random_range(0.0..1.0))
            .collect();
        let expected = results(&cpu, &pictures, dims);
        let on_gpu = zoo::open(&model, &gpu.device).expect("it opens on the CPU");
        for algorithm in [
            ConvolutionAlgorithm::MatrixProduct,
            ConvolutionAlgorithm::Shaders,
        ] {
            let on_gpu = on_gpu.by(algorithm).expect("it is a graph");
            let ours = results(&on_gpu, &pictures, dims);
            // burn's own gradients on the GPU are as far from the CPU's, by units at the kinks of their ReLU.
            let parts = [("logits", 1e-4), ("gradient", 1e-2), ("stage", 1e-3)];
            for ((part, tolerance), (ours, theirs)) in
                parts.into_iter().zip(ours.iter().zip(&expected))
            {
                let error = distance(ours, theirs);
                if error.is_nan() || error > tolerance {
                    wrong.push(format!("{model} by {}: {part} {error}", algorithm.name()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
