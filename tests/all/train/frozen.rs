//! Generators of counterfactuals for classifiers that stay as they are: what they are worth, whose they are, and
//! what is refused.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use epsiloscope::compute::{
    CounterfactualMethod, CounterfactualRequest, GpuImage, Models, by_generator,
};
use epsiloscope::counterfactual::{
    Generator, GeneratorEntry, GeneratorFile, GeneratorRef, change_map,
};
use epsiloscope::data::{Augmentation, Dataset, Split};
use epsiloscope::evaluate::predict;
use epsiloscope::model::{Classifier, ModelRef, Precision, Weights, zoo};
use epsiloscope::train::counterfactual::{
    CounterfactualConfig, FrozenClassifier, LossWeights, evaluate_pair,
};
use epsiloscope::train::{Schedule, ScheduleKind, TrainingOutcome};
use tempfile::TempDir;

use super::counterfactual::run;
use super::training::{finish, scene};
use crate::support::{message_naming, values, write_pictures};

/// A training of a moment for the classifier in the file `model`.
fn config(data: &Path, model: &Path) -> CounterfactualConfig {
    let (classifier, manifest) = FrozenClassifier::open(model).expect("a sound model");
    let usual = CounterfactualConfig::for_classifier(data.into(), classifier, manifest.input);
    let mut discriminator = usual.discriminator.clone();
    (discriminator.widths, discriminator.blocks) = (vec![8, 16], vec![1, 1]);
    CounterfactualConfig {
        discriminator,
        width: 8,
        levels: 2,
        epochs: 12,
        warm_up: 1,
        settling: 1,
        batch: 8,
        schedule: Schedule {
            kind: ScheduleKind::Plateau,
            peak: 5e-3,
            epochs: 12,
        },
        weights: LossWeights {
            cycle: 2.0,
            sparsity: 0.2,
            ..usual.weights
        },
        average: 0.9,
        augmentation: Augmentation {
            flip: true,
            ..Augmentation::NONE
        },
        ..usual
    }
}

/// A classifier of reddish and bluish pictures in a file, and a training for it.
fn colours() -> (TempDir, CounterfactualConfig, PathBuf) {
    let (folder, classifier, out) = scene();
    finish(&classifier, &out, false);
    let model = out.join("model.safetensors");
    let config = config(folder.path(), &model);
    (folder, config, model)
}

fn trained(config: &CounterfactualConfig, out: &Path, resume: bool) -> PathBuf {
    let outcome = run(config, out, resume, false).unwrap_or_else(|error| panic!("{error}"));
    let path = out.join("generator.safetensors");
    assert_eq!(outcome, TrainingOutcome::Finished(path.clone()));
    path
}

fn opened(generator: &Path, model: &Path) -> (Classifier, Generator) {
    let device = Device::flex();
    let classifier = zoo::open(&ModelRef::file(model), &device).expect("a sound model");
    let (frozen, manifest) = FrozenClassifier::open(model).expect("a sound model");
    let fingerprint = &frozen.identity.fingerprint;
    let file = GeneratorFile::read(generator).expect("a sound generator");
    let generator = file.generator(&manifest, fingerprint, generator, &device);
    (
        classifier,
        generator.unwrap_or_else(|error| panic!("{error}")),
    )
}

#[test]
fn a_frozen_classifier_is_flipped_and_stays_as_it_is() {
    let (folder, config, model) = colours();
    let before = fs::read(&model).expect("a file");
    let out = folder.path().join("generator");
    let path = trained(&config, &out, false);
    assert_eq!(before, fs::read(&model).expect("a file"), "bit-identical");

    let (classifier, generator) = opened(&path, &model);
    let test = Dataset::open(folder.path(), Split::Test, config.input).expect("pictures");
    let all: Vec<usize> = (0..test.len()).collect();
    let targets: Vec<usize> = test.labels.iter().map(|label| 1 - label).collect();
    let x = test.tensor(&all, &Device::flex());
    let made = generator.translate(x.clone(), &targets).picture;
    let flips = predict(&classifier, made.clone());
    let flipped = flips.iter().zip(&targets).filter(|(a, b)| a == b).count();
    assert!(
        flipped * 10 >= test.len() * 9,
        "{flipped} of {}",
        test.len()
    );
    let changes = values(change_map(x, made));
    assert!(changes.iter().any(|&change| change > 0.01));

    let metrics = fs::read_to_string(out.join("metrics.csv")).expect("metrics");
    let header = metrics.lines().next().expect("a header");
    assert!(header.contains("flip,diversity"), "{header}");
    // The discriminator is a model of its own, from which the next training starts.
    let discriminator = out.join("discriminator.safetensors");
    let labels = &zoo::open(&ModelRef::file(&discriminator), &Device::flex())
        .expect("a model")
        .manifest()
        .labels
        .clone();
    assert_eq!(labels, &["blue", "red", "fake"]);
    let next = CounterfactualConfig {
        discriminator_init: Some(discriminator.clone()),
        epochs: 2,
        warm_up: 0,
        schedule: Schedule {
            epochs: 2,
            ..config.schedule
        },
        ..config
    };
    let path = trained(&next, &folder.path().join("next"), false);
    let (_, generator) = opened(&path, &model);
    let discriminator = Classifier::open(&discriminator, &Device::flex()).expect("a model");
    let evaluation = evaluate_pair(&discriminator, None, &generator, &test);
    assert!(evaluation.balanced_accuracy > 0.9, "{evaluation:?}");
}

#[test]
fn a_generator_is_found_by_the_content_of_its_classifier() {
    let (folder, mut config, model) = colours();
    (config.epochs, config.schedule.epochs) = (3, 3);
    let path = trained(&config, &folder.path().join("generator"), false);
    let entry = GeneratorEntry::of_file(&path).expect("a generator's file");
    let entry = entry.expect("a sound manifest");
    assert!(GeneratorEntry::of_file(&model).is_none(), "a classifier");

    // The same classifier under another name is the same classifier.
    let moved = folder.path().join("moved.safetensors");
    fs::copy(&model, &moved).expect("a copy");
    let models = Models::from(Device::flex());
    let reference = ModelRef::file(&moved);
    let cached = models.get(&reference).expect("a sound model");
    assert_eq!(cached.fingerprint.to_string(), entry.classifier.fingerprint);
    let method = GeneratorRef::File(path.clone());
    let pair = models
        .with_generator(&reference, &method)
        .unwrap_or_else(|error| panic!("{error}"));
    let request = CounterfactualRequest {
        model: reference,
        picture: GpuImage::from_planes(vec![0.5; 3 * 8 * 8], [8, 8]),
        epsilon: 0.0,
        target: None,
        method: CounterfactualMethod::Generator(method.clone()),
        mask: None,
        attempt: 0,
    };
    let answer = by_generator(&pair, request).unwrap_or_else(|error| panic!("{error}"));
    assert_ne!(answer.source, answer.target);
    assert!(answer.back.is_some() && answer.finished());

    let other = models.with_generator(&"cifar10-robust".into(), &method);
    let message = message_naming(&path, other);
    assert!(
        message.contains("made for another classifier, tiny"),
        "{message}"
    );
    let as_a_model = zoo::open(&ModelRef::file(&path), &Device::flex());
    let message = message_naming(&path, as_a_model);
    assert!(
        message.contains("no classifier but a generator"),
        "{message}"
    );
}

#[test]
fn a_graph_has_a_generator_too_at_a_quarter_of_its_size() {
    let (folder, ..) = scene();
    let model = Path::new("tests/fixtures/foreign/onnx_mobilenet.onnx");
    for split in ["train", "test"] {
        for (class, from) in [("3", "blue"), ("5", "red")] {
            let class = folder.path().join(split).join(class);
            fs::rename(folder.path().join(split).join(from), class).expect("a folder");
        }
    }
    let mut config = config(folder.path(), model);
    (config.epochs, config.schedule.epochs) = (3, 3);
    (config.reduction, config.levels) = (4, 2);
    let path = trained(&config, &folder.path().join("generator"), false);
    let (classifier, generator) = opened(&path, model);
    assert_eq!(generator.outputs(), [3, 5]);
    let [h, w] = classifier.manifest().input;
    let x = burn::tensor::Tensor::<4>::full([1, 3, h, w], 0.5, &Device::flex());
    let made = generator.translate(x, &[5]).picture;
    assert_eq!(made.dims(), [1, 3, h, w]);
    assert!(values(made).iter().all(|value| (0.0..=1.0).contains(value)));
}

#[test]
fn what_does_not_fit_is_refused_before_the_first_step() {
    let (folder, config, model) = colours();
    let out = folder.path().join("generator");
    let refused = |config: &CounterfactualConfig, name: &Path, what: &str| {
        let message = message_naming(name, run(config, &out, false, false));
        assert!(message.contains(what), "{message}");
        assert!(!out.exists(), "nothing is left behind");
    };
    let mut larger = config.clone();
    larger.input = [16; 2];
    refused(&larger, &model, "pictures of [8, 8] pixels");
    write_pictures(&folder.path().join("train/green"), [0, 200, 0], 3, 8, 5);
    refused(&config, &model, "green is none of the model's: blue, red");
    fs::remove_dir_all(folder.path().join("train/green")).expect("a folder goes");

    // A training goes on with the classifier that it was begun for, or not at all.
    run(&config, &out, false, true).expect("interrupted");
    let mut weights = Weights::read(&model).expect("a sound file");
    let bias = weights.tensors.get_mut("fc.bias").expect("a bias");
    bias.values.fill(1.0);
    weights.write(&model, Precision::Half).expect("a file");
    let message = message_naming(&model, run(&config, &out, true, false));
    assert!(message.contains("content has changed"), "{message}");
}

#[test]
fn broken_generators_are_refused_by_name() {
    let (folder, mut config, model) = colours();
    (config.epochs, config.schedule.epochs) = (3, 3);
    let path = trained(&config, &folder.path().join("generator"), false);
    let refused = |from: &str, to: &str, what: &str| {
        let mut weights = Weights::read(&path).expect("a sound file");
        let manifest = weights.metadata.get_mut("epsiloscope generator");
        let manifest = manifest.expect("a manifest");
        assert!(manifest.contains(from), "{manifest}");
        *manifest = manifest.replace(from, to);
        let broken = folder.path().join("broken.safetensors");
        weights.write(&broken, Precision::Half).expect("a file");
        let (frozen, manifest) = FrozenClassifier::open(&model).expect("a sound model");
        let generator = GeneratorFile::read(&broken).and_then(|file| {
            let fingerprint = &frozen.identity.fingerprint;
            file.generator(&manifest, fingerprint, &broken, &Device::flex())
        });
        let message = message_naming(&broken, generator);
        assert!(message.contains(what), "{message}");
    };
    refused("\"blue\",\"red\"", "\"blue\"", "1 labels for 2 classes");
    refused(
        "\"reduction\":1",
        "\"reduction\":0",
        "a reduction of pictures by 0",
    );
    refused("\"reduction\":1", "\"reduction\":3", "reduced by 3");
    refused("\"width\":8", "\"width\":9999", "impossible U-Net");
    refused(
        "\"width\":8",
        "\"width\":512",
        "more parameters than the file",
    );
    refused(
        "\"blue\",\"red\"",
        "\"blue\",\"green\"",
        "green is none of the model's",
    );
    refused("\"labels\"", "\"lables\"", "missing field");
}

#[test]
fn a_preset_fits_any_size() {
    let (_folder, config, _) = colours();
    let frozen = config.classifier.expect("a classifier");
    for (side, reduction) in [(8, 1), (32, 1), (64, 1), (128, 2), (224, 4), (512, 8)] {
        let config = CounterfactualConfig::for_classifier("data".into(), frozen.clone(), [side; 2]);
        assert_eq!(config.reduction, reduction, "{side}");
        config
            .validate()
            .unwrap_or_else(|error| panic!("{side}: {error}"));
    }
}
