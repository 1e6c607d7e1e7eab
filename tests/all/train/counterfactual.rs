//! Whole trainings of a discriminator and its generator on synthetic cracks: what they are worth, when they
//! refuse, and that they go on where they stopped.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use epsiloscope::counterfactual::{Counterfactual, change_map, otsu, overlap};
use epsiloscope::data::mask::binary_mask;
use epsiloscope::data::samples::synthetic_cracks::{generate, write_data_set};
use epsiloscope::data::{Augmentation, Crop, Dataset, Picture, Split};
use epsiloscope::error::Result;
use epsiloscope::evaluate::predict;
use epsiloscope::model::Weights;
use epsiloscope::train::counterfactual::{
    CounterfactualCheckpoint, CounterfactualConfig, CounterfactualPosition, LossWeights,
    evaluate_pair, train_counterfactual,
};
use epsiloscope::train::{Schedule, ScheduleKind, TrainingOutcome};
use tempfile::{TempDir, tempdir};

use crate::support::{interrupted, message_naming, stopped, values, write_pictures};

pub(crate) const SIDE: u32 = 32;

/// Small networks, few epochs, and changes that cost little: a crack is soon mended.
fn toy(data: &Path) -> CounterfactualConfig {
    let usual = CounterfactualConfig::textures(data.into());
    let mut discriminator = usual.discriminator.clone();
    (discriminator.widths, discriminator.blocks) = (vec![8, 16], vec![1, 1]);
    let epochs = 15;
    CounterfactualConfig {
        discriminator,
        width: 8,
        levels: 2,
        input: [SIDE as usize; 2],
        epochs,
        warm_up: 4,
        settling: 5,
        batch: 8,
        schedule: Schedule {
            kind: ScheduleKind::Plateau,
            peak: 3e-3,
            epochs,
        },
        weights: LossWeights {
            fake: 0.2,
            ..usual.weights
        },
        average: 0.9,
        augmentation: Augmentation {
            flip: true,
            turn: true,
            balance: true,
            ..Augmentation::NONE
        },
        ..usual
    }
}

pub(crate) fn run(
    config: &CounterfactualConfig,
    out: &Path,
    resume: bool,
    stop: bool,
) -> Result<TrainingOutcome> {
    let interrupt = stopped(stop);
    train_counterfactual(config, out, resume, &Device::flex(), &interrupt)
}

fn opened(out: &Path) -> Counterfactual {
    let path = out.join("model.safetensors");
    let weights = Weights::read(&path).expect("a model");
    Counterfactual::new(&weights, &path, &Device::flex()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn walls_are_mended_and_what_was_mended_is_the_crack() {
    let folder = tempdir().expect("a folder");
    write_data_set(folder.path(), 48, SIDE).expect("walls");
    let (config, out) = (toy(folder.path()), folder.path().join("out"));
    run(&config, &out, false, false).unwrap_or_else(|error| panic!("{error}"));
    let model = opened(&out);
    let test = Dataset::open(folder.path(), Split::Test, config.input).expect("walls");
    let evaluation = evaluate_pair(&model.discriminator, None, &model.generator, &test);
    assert!(evaluation.balanced_accuracy > 0.75, "{evaluation:?}");

    let (mut flipped, mut found, mut chance, mut count) = (0.0, 0.0, 0.0, 0.0);
    for (index, name) in test.names.iter().enumerate() {
        if test.labels[index] == 0 {
            continue;
        }
        let stem = name
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a name");
        let mask = generate(stem.parse().expect("a seed"), SIDE, true).1;
        let mask = Picture::from_image("mask".into(), mask.into());
        let truth = binary_mask(&mask, Crop::default(), config.input);
        let x = test.tensor(&[index], &Device::flex());
        let made = model.generator.translate(x.clone(), &[0]).picture;
        flipped += f32::from(u8::from(predict(&model.discriminator, made.clone()) == [0]));
        let changes = values(change_map(x, made));
        let threshold = otsu(&changes);
        let mask: Vec<bool> = changes.iter().map(|&value| value > threshold).collect();
        found += overlap(mask.iter().copied(), truth.iter().copied()).iou;
        // A mask of as many pixels anywhere.
        let share = |mask: &[bool]| {
            mask.iter().filter(|inside| **inside).count() as f32 / mask.len() as f32
        };
        let (a, b) = (share(&mask), share(&truth));
        chance += a * b / (a + b - a * b);
        count += 1.0;
    }
    let [flipped, found, chance] = [flipped, found, chance].map(|sum: f32| sum / count);
    assert!(
        flipped > 0.6,
        "{flipped} of the cracks are mended to the discriminator's eye"
    );
    assert!(
        found > 0.2 && found > 2.5 * chance,
        "IoU {found}, by chance {chance}"
    );
}

/// A training of a moment.
pub(crate) fn moment() -> (TempDir, CounterfactualConfig) {
    let folder = tempdir().expect("a folder");
    write_data_set(folder.path(), 8, SIDE).expect("walls");
    let mut config = toy(folder.path());
    (config.epochs, config.schedule.epochs) = (3, 3);
    (config.warm_up, config.settling) = (1, 1);
    (folder, config)
}

/// Trains until `wait` after the first epoch.
fn train_for_a_while(config: &CounterfactualConfig, out: &Path, wait: Duration) -> TrainingOutcome {
    interrupted(out, wait, |interrupt| {
        train_counterfactual(config, out, false, &Device::flex(), interrupt)
    })
}

#[test]
fn an_interrupted_training_ends_as_an_uninterrupted_one() {
    let (folder, mut config) = moment();
    (config.epochs, config.schedule.epochs) = (5, 5);
    let whole = folder.path().join("whole");
    let began = Instant::now();
    run(&config, &whole, false, false).unwrap_or_else(|error| panic!("{error}"));
    let an_epoch = began.elapsed() / 5;
    let mut caught = CounterfactualPosition::default();
    // Where it is caught is up to the machine: a few tries, until both networks have begun to learn.
    for attempt in 1..8 {
        let out = folder.path().join(format!("attempt {attempt}"));
        let outcome = train_for_a_while(&config, &out, an_epoch.mul_f64(0.4 * f64::from(attempt)));
        if let TrainingOutcome::Interrupted(path) = outcome {
            let checkpoint =
                CounterfactualCheckpoint::read(&path).unwrap_or_else(|error| panic!("{error}"));
            caught = checkpoint.position().clone();
            run(&config, &out, true, false).unwrap_or_else(|error| panic!("{error}"));
        }
        for name in ["model.safetensors", "checkpoint.safetensors"] {
            let tensors = |out: &Path| Weights::read(&out.join(name)).expect("a file").tensors;
            assert_eq!(tensors(&whole), tensors(&out), "{name}");
        }
        if caught.step > 0 && caught.epoch >= config.warm_up {
            break;
        }
    }
    assert!(caught.step > 0, "it was never caught inside an epoch");
    let lines = fs::read_to_string(whole.join("metrics.csv")).expect("metrics");
    assert_eq!(lines.lines().count(), 6);
    assert!(lines.starts_with(
        "epoch,rate,discriminator_real,discriminator_fake,fool,cycle,identity,sparsity"
    ));
    assert!(whole.join("sheet-003.png").exists());
}

#[test]
fn unsound_folders_are_refused_before_training() {
    let refused = |spoil: &dyn Fn(&Path), name: &str, what: &str| {
        let (folder, config) = moment();
        spoil(folder.path());
        let out = folder.path().join("out");
        let message = message_naming(Path::new(name), run(&config, &out, false, false));
        assert!(message.contains(what), "{message}");
        assert!(!out.exists(), "nothing is left behind");
    };
    let one_class = |root: &Path| {
        fs::remove_dir_all(root.join("train/crack")).expect("a folder goes");
    };
    refused(&one_class, "", "only one class");
    let unequal = |root: &Path| write_pictures(&root.join("train/zigzag"), [9; 3], 1, 20, 0);
    refused(&unequal, "zigzag", "must have the same size");
    let broken = |root: &Path| {
        fs::write(root.join("train/clean/broken.png"), b"no picture").expect("a file");
    };
    refused(&broken, "broken.png", "no known picture format");
    let broken_test = |root: &Path| {
        fs::write(root.join("test/clean/torn.png"), b"").expect("a file");
    };
    refused(&broken_test, "torn.png", "the file is empty");
}

#[test]
fn settings_that_cannot_train_are_refused() {
    let (folder, config) = moment();
    let refused = |change: &dyn Fn(&mut CounterfactualConfig), what: &str| {
        let mut config = config.clone();
        change(&mut config);
        let error = run(&config, &folder.path().join("out"), false, false);
        let error = error.expect_err("no training").to_string();
        assert!(error.contains(what), "{error}");
    };
    refused(&|config| config.input = [30; 2], "multiple of 4");
    refused(&|config| config.warm_up = 2, "more epochs than those");
    refused(
        &|config| config.weights.cycle = f64::NAN,
        "numbers of at least 0",
    );
    refused(&|config| config.source_share = 1.5, "between 0 and 1");
}
