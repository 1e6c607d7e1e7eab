//! What the tests share: a tiny network, tiny data sets, and readers of tensors and errors.

pub(crate) mod allocation; // bytes that something takes
pub(crate) mod attribution_checks; // captum's and shap's values
pub(crate) mod counting; // an engine worker that counts
pub(crate) mod parity_checks; // PyTorch's values
pub(crate) mod screens; // made-up results
pub(crate) mod snapshots; // small pictures of what is drawn
pub(crate) mod window; // the window in a run of frames

use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};
use epsiloscope::attack::Norm;
use epsiloscope::data::Augmentation;
use epsiloscope::data::random::noise_rng;
use epsiloscope::error::Result;
use epsiloscope::model::{
    Block, Classifier, Manifest, Normalizer, Parameters, ResNet, ResNetConfig, Role, Stem, Visitor,
};
use epsiloscope::train::{
    Schedule, ScheduleKind, TrainArchitecture, TrainConfig, TrainingOutcome, TrainingWatch,
};
use image::{Rgb, RgbImage};
use proptest::test_runner::{Config, RngSeed};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Property tests of `count` cases, the same in every run, that leave no files behind.
pub(crate) fn cases(count: u32) -> Config {
    Config {
        cases: count,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20),
        ..Config::default()
    }
}

/// All values of a tensor, row-major.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.inner().into_data().convert::<f32>();
    data.try_into_vec::<f32>().expect("a float tensor")
}

/// The numbers bit by bit, so that comparing them lets nothing pass.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The largest difference between two lists of the same length.
pub(crate) fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// Checks that every picture is in [0, 1] and no further than its radius from its centre.
pub(crate) fn check_inside(norm: Norm, centre: &Tensor<4>, x: &Tensor<4>, radii: &[f32]) {
    assert!(
        values(x.clone())
            .iter()
            .all(|value| (0.0..=1.0).contains(value)),
        "outside the box"
    );
    for (length, radius) in values(norm.length(x.clone() - centre.clone()))
        .iter()
        .zip(radii)
    {
        assert!(*length <= radius + 1e-5, "{length} in a ball of {radius}");
    }
}

/// The message of a result that has to be an error.
pub(crate) fn message<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => panic!("this should have been refused"),
        Err(error) => error.to_string(),
    }
}

/// As [`message`], which has to name the file.
pub(crate) fn message_naming<T>(path: &Path, result: Result<T>) -> String {
    let text = message(result);
    assert!(
        text.contains(&path.display().to_string()),
        "{text} does not name {}",
        path.display()
    );
    text
}

/// A tensor `[n, 3, side, side]` of random pictures in [0, 1).
pub(crate) fn random_pictures(count: usize, side: usize, seed: u64) -> Tensor<4> {
    let mut rng = noise_rng(seed, 0);
    let values: Vec<f32> = (0..count * 3 * side * side).map(|_| rng.random()).collect();
    Tensor::from_data(
        TensorData::new(values, [count, 3, side, side]),
        &Device::flex(),
    )
}

/// The smallest network with a shortcut of either kind.
pub(crate) fn tiny_config(classes: usize) -> ResNetConfig {
    ResNetConfig {
        stem: Stem::CifarHalf,
        block: Block::Basic,
        widths: vec![4, 8],
        blocks: vec![1, 1],
        classes,
    }
}

/// What a file with [`tiny_config`] says of itself.
pub(crate) fn tiny_manifest(classes: usize) -> Manifest {
    Manifest {
        name: "tiny".into(),
        architecture: tiny_config(classes).into(),
        input: [8, 8],
        grey: false,
        normalizer: Normalizer::CIFAR10,
        labels: (0..classes).map(|class| format!("class {class}")).collect(),
        training: "none".into(),
        notes: Vec::new(),
        assumptions: Vec::new(),
    }
}

/// A network with random numbers everywhere, also in its running statistics.
pub(crate) fn tiny_network(classes: usize, seed: u64) -> ResNet {
    let mut network = ResNet::zeros(&tiny_config(classes), &Device::flex());
    network.visit(&mut Fill(noise_rng(seed, 0)));
    network
}

/// The same, frozen.
pub(crate) fn tiny_classifier(classes: usize, seed: u64) -> Classifier {
    Classifier::from_trained(
        tiny_network(classes, seed),
        tiny_manifest(classes),
        &Device::flex(),
    )
}

struct Fill(ChaCha8Rng);

impl Visitor for Fill {
    fn tensor<const D: usize>(&mut self, _: &str, role: Role, tensor: &mut Tensor<D>) {
        let shape = tensor.dims();
        let fan_in: usize = shape[1..].iter().product();
        let (low, high) = match role {
            Role::Weight => {
                let reach = (6.0 / fan_in as f32).sqrt();
                (-reach, reach)
            }
            Role::Scale | Role::RunningVar => (0.5, 1.5),
            Role::Bias | Role::Shift | Role::RunningMean => (-0.3, 0.3),
        };
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| self.0.random_range(low..high)).collect();
        *tensor = Tensor::from_data(TensorData::new(values, shape), &tensor.device());
    }
}

/// Writes `count` noisy PNGs of a colour into `folder`.
pub(crate) fn write_pictures(folder: &Path, colour: [u8; 3], count: usize, side: u32, seed: u64) {
    std::fs::create_dir_all(folder).expect("a folder can be made");
    let mut rng = noise_rng(seed, 1);
    for number in 0..count {
        let picture = RgbImage::from_fn(side, side, |_, _| {
            Rgb(colour.map(|value| {
                (i32::from(value) + rng.random_range(-50_i32..=50)).clamp(0, 255) as u8
            }))
        });
        picture
            .save(folder.join(format!("{number:02}.png")))
            .expect("a picture can be written");
    }
}

pub(crate) const RED: [u8; 3] = [180, 90, 70];
pub(crate) const GREEN: [u8; 3] = [70, 180, 90];
pub(crate) const BLUE: [u8; 3] = [70, 90, 180];

/// A data set of reddish and bluish 8×8 pictures: `train` and `test`, so many of each colour.
pub(crate) fn write_two_colours(root: &Path, train: usize, test: usize) {
    for (split, count, seed) in [("train", train, 1), ("test", test, 3)] {
        write_pictures(&root.join(split).join("blue"), BLUE, count, 8, seed);
        write_pictures(&root.join(split).join("red"), RED, count, 8, seed + 1);
    }
}

/// A training of the tiny network that takes a moment.
pub(crate) fn tiny_training(data: &Path) -> TrainConfig {
    let ResNetConfig {
        stem,
        block,
        widths,
        blocks,
        ..
    } = tiny_config(2);
    TrainConfig {
        name: "tiny".into(),
        data: data.into(),
        architecture: Some(TrainArchitecture {
            stem,
            block,
            widths,
            blocks,
        }),
        input: [8, 8],
        normalizer: Normalizer::CIFAR10,
        attack: None,
        epochs: 3,
        batch: 8,
        schedule: Schedule {
            kind: ScheduleKind::OneCycle,
            peak: 0.1,
            epochs: 3,
        },
        momentum: 0.9,
        weight_decay: 5e-4,
        augmentation: Augmentation {
            padding: 1,
            flip: true,
            cutout: 0,
            ..Augmentation::NONE
        },
        seed: 7,
        monitor: 1000,
        mixed: false,
        init: None,
        average: None,
        smoothing: 0.0,
        noise: None,
        epsilon_schedule: None,
        validation: 0,
        patience: 0,
        freeze: false,
        twin: false,
        mixup: 0.0,
        distillation: None,
    }
}

/// An 8×8 picture `[3, 8, 8]` of moderate values, so that the box does not bind.
pub(crate) fn smooth_picture(phase: f32) -> Vec<f32> {
    (0..3 * 8 * 8)
        .map(|at| 0.5 + 0.15 * (at as f32 * 0.37 + phase).sin())
        .collect()
}

/// A watch over a training that prints nothing, and that is asked to stop at once if `stop`.
pub(crate) fn stopped(stop: bool) -> TrainingWatch {
    let watch = TrainingWatch {
        quiet: true,
        ..TrainingWatch::default()
    };
    if stop {
        watch.cancel.cancel();
    }
    watch
}

/// Runs a training into `out` and interrupts it `wait` after its first epoch.
pub(crate) fn interrupted(
    out: &Path,
    wait: Duration,
    train: impl FnOnce(&TrainingWatch) -> Result<TrainingOutcome>,
) -> TrainingOutcome {
    let watch = stopped(false);
    let deadline = Instant::now() + Duration::from_secs(120);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !out.join("metrics.csv").exists() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(wait);
            watch.cancel.cancel();
        });
        train(&watch).unwrap_or_else(|error| panic!("{error}"))
    })
}
