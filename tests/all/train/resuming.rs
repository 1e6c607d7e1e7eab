//! Trainings that are interrupted and resumed, and checkpoints that cannot be.

use std::fs;
use std::path::Path;
use std::time::Duration;

use burn::tensor::Device;
use epsiloscope::attack::{Attack, Norm};
use epsiloscope::model::{Precision, Weights};
use epsiloscope::train::checkpoint::TrainingPosition;
use epsiloscope::train::{
    EpsilonSchedule, PAUSE, Phase, TrainConfig, TrainingOutcome, TrainingStatus, train,
};

use crate::support::{interrupted, message, message_naming};
use crate::train::training::{Row, checkpoint, finish, rows, run, saved, scene, tensors};

/// Checks that two trainings came to the same weights and velocities by the same way.
fn check_same(a: &Path, b: &Path) {
    for name in ["checkpoint.safetensors", "model.safetensors"] {
        assert!(
            tensors(&a.join(name)) == tensors(&b.join(name)),
            "{name} differs"
        );
    }
    let (a, b) = (rows(a), rows(b));
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        assert_eq!(
            (a.epoch, a.rate, a.train_accuracy),
            (b.epoch, b.rate, b.train_accuracy)
        );
        let tests = |row: &Row| (row.test_accuracy, row.test_robust_accuracy);
        assert_eq!(tests(a), tests(b));
        // The sum of losses goes through text.
        assert!(
            (a.train_loss - b.train_loss).abs() <= 1e-12 * a.train_loss.abs(),
            "{a:?} and {b:?}"
        );
    }
}

#[test]
fn a_training_interrupted_at_once_goes_on_as_if_nothing_had_been() {
    let (folder, config, whole) = scene();
    finish(&config, &whole, false);
    let out = folder.path().join("interrupted");
    assert_eq!(
        run(&config, &out, false, true).ok(),
        Some(TrainingOutcome::Interrupted(checkpoint(&out)))
    );
    assert!(!out.join("metrics.csv").exists() && !out.join("model.safetensors").exists());
    let saved = saved(&out);
    assert_eq!(
        (saved.position, &saved.config),
        (TrainingPosition::default(), &config)
    );
    // The checkpoint's own config counts, not the one at hand.
    let other = TrainConfig {
        seed: 99,
        epochs: 1,
        data: "nowhere".into(),
        ..config
    };
    assert_eq!(
        run(&other, &out, true, true).ok(),
        Some(TrainingOutcome::Interrupted(checkpoint(&out)))
    );
    finish(&other, &out, true);
    check_same(&whole, &out);
}

/// Trains until `wait` after the first epoch.
fn train_for_a_while(config: &TrainConfig, out: &Path, wait: Duration) -> TrainingOutcome {
    interrupted(out, wait, |interrupt| {
        train(config, out, false, &Device::flex(), interrupt)
    })
}

/// Checks that a training of `config` comes to the same weights when it is interrupted inside an epoch
/// and resumed.
fn check_resuming_in_mid_epoch(folder: &Path, config: &TrainConfig, whole: &Path) {
    finish(config, whole, false);
    let an_epoch = rows(whole)[config.epochs - 1].seconds / config.epochs as f64;
    let mut position = TrainingPosition::default();
    // Where it is caught is up to the machine: a few tries, until it is inside an epoch.
    for attempt in 1..8 {
        let out = folder.join(format!("attempt {attempt}"));
        let outcome = train_for_a_while(
            config,
            &out,
            Duration::from_secs_f64(an_epoch * 0.4 * f64::from(attempt)),
        );
        if outcome == TrainingOutcome::Interrupted(checkpoint(&out)) {
            position = saved(&out).position;
            assert!(position.epoch >= 1 && rows(&out).len() == position.epoch);
            finish(config, &out, true);
        }
        check_same(whole, &out);
        if position.step > 0 {
            break;
        }
    }
    assert!(position.step > 0, "it was never caught inside an epoch");
}

#[test]
fn a_training_interrupted_in_mid_epoch_comes_to_the_same_weights() {
    let (folder, mut config, whole) = scene();
    config.attack = Some(Attack {
        step_size: Some(0.25),
        ..Attack::pgd(Norm::L2, 0.25, 1)
    });
    (config.epochs, config.schedule.epochs) = (5, 5);
    check_resuming_in_mid_epoch(folder.path(), &config, &whole);
}

#[test]
fn averages_growing_attacks_and_the_best_epoch_survive_an_interruption() {
    let (folder, mut config, whole) = scene();
    config.attack = Some(Attack {
        step_size: Some(0.25),
        ..Attack::pgd(Norm::L2, 0.25, 1)
    });
    (config.epochs, config.schedule.epochs) = (5, 5);
    config.average = Some(0.9);
    config.smoothing = 0.1;
    config.noise = Some(2.0);
    config.epsilon_schedule = Some(EpsilonSchedule {
        from: 0.1,
        full: 0.5,
    });
    config.validation = 8;
    check_resuming_in_mid_epoch(folder.path(), &config, &whole);
    for row in rows(&whole) {
        let robust = row.validation_robust_accuracy;
        assert!(
            robust.is_some() && robust <= row.validation_accuracy,
            "{row:?}"
        );
    }
}

#[test]
fn mixup_survives_an_interruption() {
    let (folder, mut config, whole) = scene();
    (config.epochs, config.schedule.epochs) = (5, 5);
    config.mixup = 0.4;
    check_resuming_in_mid_epoch(folder.path(), &config, &whole);
}

#[test]
fn checkpoints_that_are_none_are_refused_by_name() {
    let (_folder, config, out) = scene();
    let path = checkpoint(&out);
    message_naming(&path, run(&config, &out, true, false));
    assert!(!out.exists());
    finish(&config, &out, false);
    let sound = Weights::read(&path).expect("a checkpoint");
    let bytes = fs::read(&path).expect("a checkpoint");
    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).expect("a file can be written");
        message_naming(&path, run(&config, &out, true, false));
    }
    fs::copy(out.join("model.safetensors"), &path).expect("a file can be copied");
    assert!(message(run(&config, &out, true, false)).contains("no checkpoint"));
    let refused = |change: &dyn Fn(&mut Weights)| {
        let mut weights = sound.clone();
        change(&mut weights);
        weights
            .write(&path, Precision::Single)
            .expect("a file can be written");
        message_naming(&path, run(&config, &out, true, false))
    };
    refused(&|weights| drop(weights.metadata.insert("position".into(), "{}".into())));
    refused(&|weights| drop(weights.metadata.insert("config".into(), "[1, 2]".into())));
    assert!(refused(&|weights| drop(weights.tensors.remove("fc.bias"))).contains("fc.bias"));
    refused(&|weights| {
        let velocity = weights
            .tensors
            .get_mut("velocity.fc.bias")
            .expect("a velocity");
        (velocity.shape, velocity.values) = (vec![3], vec![0.0; 3]);
    });
}

#[test]
fn a_training_pauses_for_another_process_and_goes_on() {
    let (folder, mut config, whole) = scene();
    (config.epochs, config.schedule.epochs) = (60, 60);
    finish(&config, &whole, false);
    let out = folder.path().join("paused");
    let asked = out.join(PAUSE);
    let outcome = interrupted(&out, Duration::ZERO, |_| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !out.join("metrics.csv").exists() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                fs::write(&asked, []).expect("a request");
            });
            run(&config, &out, false, false)
        })
    });
    if outcome == TrainingOutcome::Interrupted(checkpoint(&out)) {
        let status = TrainingStatus::read(&out).expect("a status");
        assert_eq!(status.phase, Phase::Paused);
        assert!(status.steps < status.total && !status.curve.is_empty());
        finish(&config, &out, true);
    }
    assert!(!asked.exists(), "a request that was answered is gone");
    assert_eq!(
        TrainingStatus::read(&out).map(|status| status.phase),
        Some(Phase::Finished)
    );
    check_same(&whole, &out);
}
