//! Whole trainings of a tiny network on tiny pictures: what they leave behind, and when they refuse.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use epsiloscope::attack::{Attack, Norm};
use epsiloscope::data::{Dataset, Split};
use epsiloscope::error::{Error, Result};
use epsiloscope::evaluate::accuracy;
use epsiloscope::model::{Classifier, Weights};
use epsiloscope::train::checkpoint::Checkpoint;
use epsiloscope::train::{EpsilonSchedule, TrainConfig, Training, TrainingOutcome, train};
use serde::Deserialize;
use tempfile::{TempDir, tempdir};

use crate::support::{
    BLUE, GREEN, RED, bits, message_naming, stopped, tiny_training, write_pictures,
    write_two_colours,
};

/// A line of `metrics.csv`.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) epoch: usize,
    pub(crate) rate: f64,
    pub(crate) train_loss: f64,
    pub(crate) train_accuracy: f64,
    pub(crate) test_accuracy: Option<f64>,
    pub(crate) test_robust_accuracy: Option<f64>,
    pub(crate) validation_accuracy: Option<f64>,
    pub(crate) validation_robust_accuracy: Option<f64>,
    throughput: f64,
    pub(crate) seconds: f64,
}

pub(crate) fn rows(out: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(out.join("metrics.csv")).expect("there are metrics");
    reader
        .deserialize()
        .map(|row| row.expect("a line of metrics"))
        .collect()
}

/// 48 training and 16 test pictures, and a folder to train into.
pub(crate) fn scene() -> (TempDir, TrainConfig, PathBuf) {
    let folder = tempdir().expect("a folder");
    write_two_colours(folder.path(), 24, 8);
    let (config, out) = (tiny_training(folder.path()), folder.path().join("out"));
    (folder, config, out)
}

pub(crate) fn run(
    config: &TrainConfig,
    out: &Path,
    resume: bool,
    interrupted: bool,
) -> Result<TrainingOutcome> {
    train(config, out, resume, &Device::flex(), &stopped(interrupted))
}

pub(crate) fn finish(config: &TrainConfig, out: &Path, resume: bool) -> Classifier {
    let outcome = run(config, out, resume, false).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        outcome,
        TrainingOutcome::Finished(out.join("model.safetensors"))
    );
    Classifier::open(&out.join("model.safetensors"), &Device::flex()).expect("a sound model")
}

pub(crate) fn checkpoint(out: &Path) -> PathBuf {
    out.join("checkpoint.safetensors")
}

pub(crate) fn saved(out: &Path) -> Checkpoint {
    Checkpoint::read(&checkpoint(out)).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn tensors(path: &Path) -> Vec<(String, Vec<u32>)> {
    let tensors = Weights::read(path)
        .expect("a sound file")
        .tensors
        .into_iter();
    tensors
        .map(|(name, array)| (name, bits(&array.values)))
        .collect()
}

#[test]
fn a_training_learns_and_leaves_a_table_and_a_model() {
    let (folder, config, out) = scene();
    let model = finish(&config, &out, false);
    let rows = rows(&out);
    assert_eq!(
        rows.iter().map(|row| row.epoch).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    for row in &rows {
        let numbers = [row.rate, row.train_loss, row.throughput, row.seconds];
        assert!(
            numbers
                .iter()
                .all(|number| number.is_finite() && *number > 0.0),
            "{row:?}"
        );
        assert!(
            (0.0..=1.0).contains(&row.train_accuracy) && row.test_accuracy.is_some(),
            "{row:?}"
        );
        assert!(row.test_robust_accuracy <= row.test_accuracy, "{row:?}");
        assert_eq!(row.validation_accuracy, None);
    }
    assert!(rows[2].rate < rows[1].rate && rows[0].seconds < rows[2].seconds);
    assert!(rows[2].train_loss < rows[0].train_loss);
    assert_eq!(model.manifest().labels, ["blue", "red"]);
    assert!(model.manifest().training.starts_with("standard training"));
    let test = Dataset::open(folder.path(), Split::Test, [8, 8]).expect("a test split");
    assert!(accuracy(&model, &test, None) > 0.6, "no better than chance");
    // What is finished stays finished when it is resumed.
    let before = tensors(&checkpoint(&out));
    finish(&config, &out, true);
    assert!(tensors(&checkpoint(&out)) == before);
}

#[test]
fn adversarial_trainings_run_with_one_step_and_with_two() {
    for steps in [1, 2] {
        let (_folder, mut config, out) = scene();
        config.attack = Some(Attack {
            step_size: Some(0.2),
            ..Attack::pgd(Norm::L2, 0.25, steps)
        });
        (config.epochs, config.schedule.epochs) = (2, 2);
        let model = finish(&config, &out, false);
        assert!(
            model
                .manifest()
                .training
                .starts_with("adversarial training on L2 PGD")
        );
        let rows = rows(&out);
        assert_eq!(rows.len(), 2);
        for row in rows {
            assert!(row.train_loss.is_finite());
            let robust = row
                .test_robust_accuracy
                .expect("robust accuracy is watched");
            assert!(
                robust <= row.test_accuracy.expect("there is a test split") + 1e-9,
                "attacks do not help"
            );
        }
    }
}

#[test]
fn a_training_that_diverges_says_so_and_leaves_its_checkpoint() {
    let (_folder, mut config, out) = scene();
    config.schedule.peak = 1e30;
    run(&config, &out, false, true).unwrap_or_else(|error| panic!("{error}"));
    let before = fs::read(checkpoint(&out)).expect("there is a checkpoint");
    let result = run(&config, &out, true, false);
    let Err(Error::Diverged { epoch, step, loss }) = result else {
        panic!("{result:?}")
    };
    assert!(
        epoch == 1 && step > 1 && !loss.is_finite(),
        "epoch {epoch}, step {step}, loss {loss}"
    );
    assert!(fs::read(checkpoint(&out)).expect("there is a checkpoint") == before);
    assert!(Checkpoint::read(&checkpoint(&out)).is_ok());
    assert!(!out.join("model.safetensors").exists());
}

#[test]
fn nothing_is_written_where_nothing_can_be_trained() {
    let (folder, config, out) = scene();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("a folder can be made");
    let nothing = TrainConfig {
        data: empty.clone(),
        ..config.clone()
    };
    message_naming(&empty, run(&nothing, &out, false, false));
    let mut impossible = vec![config.clone(); 11];
    impossible[0].epochs = 0;
    impossible[1].batch = 1;
    impossible[2].schedule.peak = f64::NAN;
    impossible[3].schedule.epochs = 1;
    impossible[4]
        .architecture
        .as_mut()
        .expect("a ResNet")
        .widths
        .clear();
    impossible[5].average = Some(1.0);
    impossible[6].smoothing = -0.1;
    impossible[7].noise = Some(2.0);
    impossible[8].patience = 1;
    impossible[9].epsilon_schedule = Some(EpsilonSchedule {
        from: 0.6,
        full: 0.2,
    });
    impossible[10].mixup = 0.2;
    impossible[10].attack = Some(Attack::pgd(Norm::L2, 0.5, 1));
    for config in impossible {
        let result = run(&config, &out, false, false);
        assert!(matches!(result, Err(Error::Config(_))), "{result:?}");
    }
    let mut too_many = config.clone();
    too_many.validation = 25;
    message_naming(folder.path(), run(&too_many, &out, false, false));
    assert!(!out.exists());
}

#[test]
fn a_batch_larger_than_the_data_is_the_data() {
    let (_folder, mut config, out) = scene();
    config.batch = 128;
    (config.epochs, config.schedule.epochs) = (6, 6);
    finish(&config, &out, false);
    let best = rows(&out)
        .iter()
        .map(|row| row.train_accuracy)
        .fold(0.0, f64::max);
    assert!(
        best > 48.0 / 128.0,
        "of 48 pictures a share of {best} is right"
    );
}

#[test]
fn test_classes_are_matched_by_name() {
    let folder = tempdir().expect("a folder");
    for (class, colour) in [("blue", BLUE), ("green", GREEN), ("red", RED)] {
        write_pictures(&folder.path().join("train").join(class), colour, 16, 8, 1);
    }
    // Nothing green is tested, so red is the second folder here and the third there.
    write_pictures(&folder.path().join("test/blue"), BLUE, 8, 8, 2);
    write_pictures(&folder.path().join("test/red"), RED, 8, 8, 3);
    let (config, out) = (tiny_training(folder.path()), folder.path().join("out"));
    finish(&config, &out, false);
    let classes = ["blue", "green", "red"].map(String::from);
    let mut test = Dataset::open(folder.path(), Split::Test, [8, 8]).expect("a test split");
    test.relabel(&classes).expect("all classes are known");
    let training = Training::resume(&checkpoint(&out), &classes, &Device::flex());
    let model = training
        .unwrap_or_else(|error| panic!("{error}"))
        .classifier();
    assert_eq!(
        rows(&out)[2].test_accuracy,
        Some(accuracy(&model, &test, None))
    );
}

#[test]
fn a_training_can_begin_where_a_model_ended() {
    let (folder, config, out) = scene();
    finish(&config, &out, false);
    let model = out.join("model.safetensors");
    let second = folder.path().join("second");
    let mut gentle = TrainConfig {
        init: Some(model.clone()),
        epochs: 1,
        ..config.clone()
    };
    gentle.schedule.epochs = 1;
    // Hardly any step: what comes out is what went in, but for running statistics.
    gentle.schedule.peak = 1e-12;
    finish(&gentle, &second, false);
    let (before, after) = (
        Weights::read(&model).expect("a sound file").tensors,
        Weights::read(&second.join("model.safetensors"))
            .expect("a sound file")
            .tensors,
    );
    for name in ["conv1.weight", "layer2.0.conv1.weight", "fc.weight"] {
        assert_eq!(before[name], after[name], "{name}");
    }
    // Another network's weights do not fit.
    let mut wider = gentle;
    wider.architecture.as_mut().expect("a ResNet").widths = vec![6, 8];
    let result = run(&wider, &folder.path().join("third"), false, false);
    assert!(matches!(result, Err(Error::Tensors { .. })), "{result:?}");
}

#[test]
fn an_average_that_keeps_nothing_is_the_weights_themselves() {
    let (folder, mut config, out) = scene();
    finish(&config, &out, false);
    let weights = tensors(&out.join("model.safetensors"));
    let averaged = |config: &TrainConfig, name: &str| {
        let out = folder.path().join(name);
        finish(config, &out, false);
        tensors(&out.join("model.safetensors"))
    };
    config.average = Some(0.0);
    assert!(averaged(&config, "nothing kept") == weights);
    config.average = Some(0.9);
    assert!(averaged(&config, "much kept") != weights);
}

#[test]
fn the_best_epoch_is_saved_and_patience_ends_a_training() {
    let (_folder, mut config, out) = scene();
    (config.epochs, config.schedule.epochs) = (12, 12);
    config.validation = 12;
    config.patience = 2;
    finish(&config, &out, false);
    let rows = rows(&out);
    let scores: Vec<f64> = rows
        .iter()
        .map(|row| row.validation_accuracy.expect("pictures are set aside"))
        .collect();
    let most = scores.iter().copied().fold(0.0, f64::max);
    let best = scores.iter().position(|&score| score == most).expect("one");
    assert_eq!(saved(&out).position.best, Some((best + 1, most)));
    assert!(rows.len() == 12 || rows.len() == best + 3, "{scores:?}");
}

#[test]
fn known_classes_keep_their_rows_when_a_model_is_trained_on_others() {
    let (folder, config, out) = scene();
    finish(&config, &out, false);
    let second = tempdir().expect("a folder");
    for (class, colour) in [("green", GREEN), ("Red", RED), ("blue", BLUE)] {
        write_pictures(&second.path().join("train").join(class), colour, 16, 8, 1);
    }
    let model = out.join("model.safetensors");
    let mut config = TrainConfig {
        init: Some(model.clone()),
        data: second.path().into(),
        epochs: 1,
        ..config
    };
    (config.schedule.epochs, config.schedule.peak) = (1, 1e-12);
    let out = folder.path().join("three");
    finish(&config, &out, false);
    let head =
        |path: &Path| Weights::read(path).expect("a sound file").tensors["fc.weight"].clone();
    let (two, three) = (head(&model), head(&out.join("model.safetensors")));
    let width = two.shape[1];
    // Class folders in alphabetical order: Red, blue, green; before blue, red.
    assert_eq!(three.values[..width], two.values[width..]);
    assert_eq!(three.values[width..2 * width], two.values[..width]);
}
