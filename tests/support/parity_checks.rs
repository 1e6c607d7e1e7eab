//! PyTorch's values (`tests/fixtures/make_fixtures.py`) against ours, on any device.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use epsiloscope::attack::{Attack, Ball, Descent, Goal, Norm, Objective, per_picture};
use epsiloscope::model::{Block, Classifier, Manifest, Normalizer, ResNetConfig, Stem, Weights};
use safetensors::{Dtype, SafeTensors};

/// The fixture networks.
pub const NETWORKS: [&str; 3] = ["cifar_basic", "imagenet_basic", "imagenet_bottleneck"];

fn path(name: &str) -> PathBuf {
    // Tests run in the package's folder; the path is not compiled in, so that a build can be reused
    // by a checkout somewhere else.
    Path::new("tests/fixtures").join(format!("{name}.safetensors"))
}

/// A fixture's tensors; integers as floats.
pub struct Values(BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Values {
    /// Reads a fixture by its name.
    pub fn read(name: &str) -> Self {
        let bytes = std::fs::read(path(name)).expect("the fixture is there");
        let file = SafeTensors::deserialize(&bytes).expect("the fixture is whole");
        let decode = |view: &safetensors::tensor::TensorView| match view.dtype() {
            Dtype::F32 => {
                let words = view.data().chunks_exact(4);
                words
                    .map(|word| f32::from_le_bytes(word.try_into().expect("4 bytes")))
                    .collect()
            }
            Dtype::I64 => {
                let words = view.data().chunks_exact(8);
                words
                    .map(|word| i64::from_le_bytes(word.try_into().expect("8 bytes")) as f32)
                    .collect()
            }
            Dtype::U8 => view.data().iter().copied().map(f32::from).collect(),
            other => panic!("unexpected {other:?}"),
        };
        let tensors = file.tensors().into_iter();
        Self(
            tensors
                .map(|(name, view)| (name, (view.shape().to_vec(), decode(&view))))
                .collect(),
        )
    }

    /// The numbers of a tensor.
    pub fn values(&self, name: &str) -> &[f32] {
        &self.0[name].1
    }

    fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (shape, values) = &self.0[name];
        Tensor::from_data(TensorData::new(values.clone(), shape.clone()), device)
    }

    /// The lengths of its axes.
    pub fn shape(&self, name: &str) -> &[usize] {
        &self.0[name].0
    }

    /// Numbers that are classes or steps.
    pub fn labels(&self, name: &str) -> Vec<usize> {
        self.values(name)
            .iter()
            .map(|&label| label as usize)
            .collect()
    }
}

/// The fixture network as a classifier.
pub fn classifier(name: &str, device: &Device) -> Classifier {
    let mut weights = Weights::read(&path(name)).expect("the fixture opens");
    let text = |key: &str| weights.metadata[key].clone();
    let list = |key: &str| -> Vec<usize> {
        text(key)
            .split(',')
            .map(|n| n.parse().expect("a number"))
            .collect()
    };
    let rgb = |key: &str| -> [f32; 3] {
        let values: Vec<f32> = text(key)
            .split(',')
            .map(|n| n.parse().expect("a number"))
            .collect();
        values.try_into().expect("three channels")
    };
    let classes = text("classes").parse().expect("a number");
    let manifest = Manifest {
        name: name.into(),
        architecture: ResNetConfig {
            stem: if text("stem") == "cifar" {
                Stem::Cifar
            } else {
                Stem::Imagenet
            },
            block: if text("block") == "basic" {
                Block::Basic
            } else {
                Block::Bottleneck
            },
            widths: list("widths"),
            blocks: list("blocks"),
            classes,
        }
        .into(),
        input: [32, 32],
        grey: false,
        normalizer: Normalizer {
            mean: rgb("mean"),
            std: rgb("std"),
        },
        labels: (0..classes).map(|class: usize| class.to_string()).collect(),
        training: "none".into(),
        notes: Vec::new(),
        assumptions: Vec::new(),
    };
    manifest.attach(&mut weights);
    Classifier::from_weights(&weights, &path(name), device)
        .expect("the fixture fits its architecture")
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .inner()
        .into_data()
        .try_into_vec::<f32>()
        .expect("floats")
}

/// Largest difference over the largest magnitude.
fn deviation(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let largest = theirs
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    let difference = ours
        .iter()
        .zip(theirs)
        .fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    difference / largest
}

fn assert_close(what: &str, ours: Vec<f32>, theirs: &[f32], tolerance: f32) {
    let deviation = deviation(&ours, theirs);
    assert!(
        deviation < tolerance,
        "{what}: relative deviation {deviation} from PyTorch"
    );
}

/// Features, representation, logits and the input gradient of one network: 1e-4 relative.
pub fn check_network(name: &str, device: &Device) {
    let model = classifier(name, device);
    let io = Values::read(&format!("{name}_io"));
    let x: Tensor<4> = io.tensor("x", device);
    for (what, ours) in [
        ("features", values(model.features(x.clone()))),
        ("embedding", values(model.representation(x.clone()))),
        ("logits", values(model.logits(x.clone()))),
    ] {
        assert_close(&format!("{name} {what}"), ours, io.values(what), 1e-4);
    }
    let labels = io.labels("labels");
    let objective = CrossEntropy::new(&model, &labels, -1.0 / labels.len() as f32, device);
    let (_, gradient) = objective.gradient(&x);
    assert_close(
        &format!("{name} grad_x"),
        values(gradient),
        io.values("grad_x"),
        1e-4,
    );
}

/// `scale` times the log-likelihood of a class: minus one is the cross-entropy.
struct CrossEntropy<'a> {
    model: &'a Classifier,
    labels: Tensor<2, Int>,
    scale: f32,
}

impl<'a> CrossEntropy<'a> {
    fn new(model: &'a Classifier, labels: &[usize], scale: f32, device: &Device) -> Self {
        let labels: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
        let shape = [labels.len(), 1];
        Self {
            model,
            labels: Tensor::from_data(TensorData::new(labels, shape), device),
            scale,
        }
    }

    fn of_logits(&self, logits: Tensor<2>) -> Tensor<1> {
        let likelihood = log_softmax(logits, 1).gather(1, self.labels.clone());
        likelihood.squeeze_dim::<1>(1) * self.scale
    }
}

impl Objective for CrossEntropy<'_> {
    fn loss(&self, x: Tensor<4>) -> Tensor<1> {
        self.of_logits(self.model.logits(x))
    }
}

/// Every iterate of PGD from PyTorch's own start: 1e-3 absolute after 1, 2, 5 and 10 steps.
pub fn check_pgd(norm: Norm, device: &Device) {
    let name = if norm == Norm::Linf { "linf" } else { "l2" };
    let model = classifier("cifar_basic", device);
    let pgd = Values::read("cifar_basic_pgd");
    let number = |key: &str| pgd.values(&format!("{key}_{name}"))[0];
    let ball = Ball::new(norm, &[number("eps")], device);
    let x: Tensor<4> = pgd.tensor("x", device);
    let start = pgd.tensor(&format!("start_{name}"), device);
    let mut descent = Descent::new(ball, per_picture(&[number("step")], device), x, start);
    let objective = CrossEntropy::new(&model, &pgd.labels("labels"), 1.0, device);
    let theirs = pgd.values(&format!("iterates_{name}"));
    let length = theirs.len() / 4;
    let kept = pgd.labels("steps");
    for step in 1..=10 {
        descent.step(&objective);
        if let Some(at) = kept.iter().position(|&kept| kept == step) {
            let ours = values(descent.current().clone());
            let difference = ours.iter().zip(&theirs[at * length..][..length]);
            let largest = difference.fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(
                largest < 1e-3,
                "{norm} step {step}: {largest} from PyTorch's iterate"
            );
        }
    }
    let loss = values(objective.loss(descent.current().clone()).neg());
    assert_close(
        "final loss",
        loss,
        pgd.values(&format!("loss_{name}")),
        1e-3,
    );
}

/// The attacks that begin at the picture itself, through the public configs.
pub fn check_attacks(device: &Device) {
    let model = classifier("cifar_basic", device);
    let pgd = Values::read("cifar_basic_pgd");
    let x: Tensor<4> = pgd.tensor("x", device);
    let labels = pgd.labels("labels");
    let numbers = [0, 1, 2, 3];
    let fgsm = Attack::fgsm(Norm::Linf, pgd.values("eps_linf")[0]);
    let ours = values(fgsm.run_to_last(&model, &x, &labels, &numbers));
    assert_close("FGSM", ours, pgd.values("fgsm_linf"), 1e-3);
    for (index, target) in pgd.labels("targets").into_iter().enumerate() {
        let attack = Attack {
            step_size: Some(pgd.values("step_l2")[0]),
            goal: Goal::Targeted(target),
            random_start: false,
            ..Attack::pgd(Norm::L2, pgd.values("eps_l2")[0], 10)
        };
        let one = x.clone().narrow(0, index, 1);
        let ours = values(attack.run_to_last(&model, &one, &labels[index..=index], &[0]));
        let length = ours.len();
        let theirs = &pgd.values("targeted_l2")[index * length..][..length];
        assert_close("targeted PGD", ours, theirs, 1e-3);
    }
}
