//! Trainings that start from models of other programs, and those that learn from a teacher.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use epsiloscope::attack::{Attack, Norm};
use epsiloscope::data::{Dataset, Split};
use epsiloscope::evaluate::accuracy;
use epsiloscope::model::import::{ModelSource, open};
use epsiloscope::model::{Classifier, Weights, zoo};
use epsiloscope::train::{Distillation, TrainConfig, TrainingOutcome};
use tempfile::TempDir;

use crate::support::message_naming;
use crate::train::training::{checkpoint, run, scene, tensors};

/// A small MobileNet, whose convolutions are grouped and whose BatchNorms are folded.
const MOBILENET: &str = "tests/fixtures/foreign/onnx_mobilenet.onnx";

const SIDE: usize = 32;

/// A training of the last layer, or of all, from [`MOBILENET`].
fn from_mobilenet() -> (TempDir, TrainConfig, PathBuf) {
    let (folder, config, out) = scene();
    let mut config = TrainConfig {
        architecture: None,
        init: Some(MOBILENET.into()),
        input: [SIDE; 2],
        epochs: 4,
        average: None,
        ..config
    };
    config.schedule.epochs = config.epochs;
    config.schedule.peak = 0.02;
    (folder, config, out)
}

fn trained(config: &TrainConfig, out: &Path, resume: bool) -> Classifier {
    let outcome = run(config, out, resume, false).unwrap_or_else(|error| panic!("{error}"));
    let model = out.join("model.safetensors");
    assert_eq!(outcome, TrainingOutcome::Finished(model.clone()));
    open_graph(&model)
}

fn open_graph(path: &Path) -> Classifier {
    let device = Device::flex();
    let source = open(path, &device).unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(source, ModelSource::Graph(_)));
    zoo::classifier(&source, path, &device).unwrap_or_else(|error| panic!("{error}"))
}

fn test_accuracy(model: &Classifier, data: &Path) -> f64 {
    let mut test = Dataset::open(data, Split::Test, model.manifest().input).expect("a test split");
    test.relabel(&model.manifest().labels).expect("its classes");
    accuracy(model, &test, None)
}

#[test]
fn any_graph_is_fine_tuned_for_other_classes_and_another_size() {
    let (folder, config, out) = from_mobilenet();
    let model = trained(&config, &out, false);
    let manifest = model.manifest();
    assert_eq!(manifest.labels, ["blue", "red"]);
    assert_eq!(manifest.input, [SIDE; 2]);
    assert_eq!(manifest.normalizer, config.normalizer);
    // By chance half; processors that add in another order differ by a picture.
    let accuracy = test_accuracy(&model, folder.path());
    assert!(accuracy >= 0.9, "{accuracy}");
}

#[test]
fn a_training_of_a_graph_resumes_to_the_same_weights() {
    let (folder, mut config, whole) = from_mobilenet();
    config.average = Some(0.9);
    config.attack = Some(Attack::pgd(Norm::L2, 0.25, 1));
    trained(&config, &whole, false);
    let out = folder.path().join("interrupted");
    let outcome = run(&config, &out, false, true);
    assert_eq!(
        outcome.ok(),
        Some(TrainingOutcome::Interrupted(checkpoint(&out)))
    );
    // The checkpoint has all: the model that the training started from is not needed again.
    config.init = Some("nowhere.onnx".into());
    trained(&config, &out, true);
    for name in ["checkpoint.safetensors", "model.safetensors"] {
        assert!(
            tensors(&whole.join(name)) == tensors(&out.join(name)),
            "{name} differs"
        );
    }
}

#[test]
fn a_frozen_training_changes_the_last_layer_alone() {
    let (_folder, mut config, out) = from_mobilenet();
    config.freeze = true;
    trained(&config, &out, false);
    let device = Device::flex();
    let before = open(Path::new(MOBILENET), &device).expect("a fixture");
    let before = before.into_weights().tensors;
    let after = Weights::read(&checkpoint(&out))
        .expect("a checkpoint")
        .tensors;
    let last = before
        .keys()
        .filter_map(|name| name.strip_prefix("node")?.split('.').next()?.parse().ok())
        .max();
    let last: usize = last.expect("there are layers");
    for (name, values) in &before {
        if name.starts_with(&format!("node{last}.")) {
            assert!(*values != after[name], "{name}");
        } else {
            assert!(*values == after[name], "{name}");
        }
    }
}

#[test]
fn rows_of_classes_in_both_models_are_kept() {
    let (folder, mut config, out) = from_mobilenet();
    let described = folder.path().join("described.toml");
    let file = std::path::absolute(MOBILENET).expect("a path");
    let labels = "labels = ['red', 'b', 'c', 'd', 'e', 'f', 'g']";
    let text = format!("file = {:?}\n{labels}\n", file);
    std::fs::write(&described, text).expect("a description");
    config.init = Some(described);
    config.schedule.peak = 1e-12;
    config.freeze = true;
    config.epochs = 1;
    trained(&config, &out, false);
    let device = Device::flex();
    let before = open(Path::new(MOBILENET), &device).expect("a fixture");
    let before = before.into_weights().tensors;
    let after = Weights::read(&checkpoint(&out)).expect("a checkpoint");
    let (name, weight) = before
        .iter()
        .filter(|(_, array)| array.shape.len() == 2)
        .max_by_key(|(name, _)| (name.len(), (*name).clone()))
        .expect("a last layer");
    let length = weight.shape[1];
    let trained = &after.tensors[name];
    // “red” is the second of the two classes and was the first of seven.
    for (old, new) in weight.values[..length]
        .iter()
        .zip(&trained.values[length..])
    {
        assert!((old - new).abs() < 1e-6, "{old} and {new}");
    }
    assert_eq!(trained.values.len(), 2 * length);
}

#[test]
fn a_network_learns_from_a_teacher_alone() {
    let (folder, config, out) = scene();
    let teacher = crate::train::training::finish(&config, &out, false);
    assert!(test_accuracy(&teacher, folder.path()) > 0.8);
    let mut student = config.clone();
    student.seed = 5;
    student.distillation = Some(Distillation {
        teacher: out.join("model.safetensors"),
        share: 1.0,
        temperature: 2.0,
    });
    let second = folder.path().join("student");
    let model = crate::train::training::finish(&student, &second, false);
    assert!(test_accuracy(&model, folder.path()) > 0.8);
    assert!(
        model.manifest().training.contains("distilled from"),
        "{}",
        model.manifest().training
    );
}

#[test]
fn teachers_of_other_classes_or_sizes_are_refused_by_name() {
    let (folder, config, out) = scene();
    let refused = |teacher: &str, input: usize| {
        let mut config = config.clone();
        config.input = [input; 2];
        config.distillation = Some(Distillation {
            teacher: teacher.into(),
            share: 0.5,
            temperature: 1.0,
        });
        message_naming(Path::new(teacher), run(&config, &out, false, false))
    };
    assert!(refused("cifar10-robust", 32).contains("blue"));
    assert!(refused("cifar10-robust", 16).contains("32×32"));
    drop(folder);
}
