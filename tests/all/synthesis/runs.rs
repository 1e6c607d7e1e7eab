//! Pictures that a model makes: on functions with a known answer, and where nothing can be made.

use burn::tensor::{Device, Tensor, TensorData};
use epsiloscope::model::{Classifier, FeatureLayer, Network, Parameters, ResNet, Role, Visitor};
use epsiloscope::synthesis::{
    ClassObjective, Start, Synthesis, SynthesisInputs, SynthesisRun, Task, Unit,
};

use crate::support::{
    largest_difference, message, random_pictures, smooth_picture as picture, tiny_classifier,
    tiny_manifest, tiny_network, values,
};
use crate::synthesis::parts::seeds;

const LENGTH: usize = 3 * 8 * 8;

/// R(x) = A x with few rows; the logits are the first ones.
struct Linear {
    /// `[LENGTH, rows]`.
    matrix: Vec<f32>,
    rows: usize,
}

impl Network for Linear {
    fn features(&self, x: Tensor<4>, _: FeatureLayer) -> Tensor<4> {
        x
    }

    fn embed(&self, features: Tensor<4>) -> Tensor<2> {
        let x = features.flatten::<2>(1, 3);
        let data = TensorData::new(self.matrix.clone(), [LENGTH, self.rows]);
        let matrix = Tensor::from_data(data, &x.device());
        x.matmul(matrix)
    }

    fn logits(&self, embedding: Tensor<2>) -> Tensor<2> {
        embedding.narrow(1, 0, 2)
    }
}

/// Rows that are orthonormal, so that A Aᵀ = 1: four bands of pixels, each of one sign pattern.
fn matrix(rows: usize) -> Vec<f32> {
    let band = LENGTH / rows;
    let mut matrix = vec![0.0; LENGTH * rows];
    for at in 0..band * rows {
        let sign = if at % 3 == 0 { -1.0 } else { 1.0 };
        matrix[at * rows + at / band] = sign / (band as f32).sqrt();
    }
    matrix
}

fn linear(rows: usize) -> Classifier {
    let mut manifest = tiny_manifest(2);
    manifest.normalizer.mean = [0.0; 3];
    manifest.normalizer.std = [1.0; 3];
    let matrix = matrix(rows);
    Classifier::from_network(Box::new(Linear { matrix, rows }), manifest, &Device::flex())
}

fn finish(run: &mut SynthesisRun, model: &Classifier) {
    while !run.finished() {
        run.step(model).expect("a step");
    }
}

fn losses(run: &SynthesisRun) -> Vec<f32> {
    let history = run.history().lock().expect("no other thread");
    history.iter().map(|kept| kept.losses[0]).collect()
}

#[test]
fn the_inversion_of_a_linear_network_is_the_nearest_picture_with_its_representation() {
    let (model, rows) = (linear(4), 4);
    let (target, start) = (picture(0.0), picture(2.0));
    let config = Synthesis {
        start: Start::Other,
        step: 0.05,
        iterations: 400,
        anneal: true,
        ..Synthesis::paper_inversion()
    };
    let material = SynthesisInputs {
        target: Some(&target),
        other: Some(&start),
        ..SynthesisInputs::default()
    };
    let mut run = SynthesisRun::new(&config, &model, &material).expect("a run");
    finish(&mut run, &model);
    let losses = losses(&run);
    assert!(losses.last() < Some(&1e-3), "{:?}", losses.last());
    // A Aᵀ = 1, so the orthogonal projection of the start onto {x: A x = A t} is x + Aᵀ A (t − x).
    let a = matrix(rows);
    let difference: Vec<f32> = target.iter().zip(&start).map(|(t, x)| t - x).collect();
    let along: Vec<f32> = (0..rows)
        .map(|row| {
            (0..LENGTH)
                .map(|at| a[at * rows + row] * difference[at])
                .sum()
        })
        .collect();
    let answer: Vec<f32> = (0..LENGTH)
        .map(|at| {
            start[at]
                + (0..rows)
                    .map(|row| a[at * rows + row] * along[row])
                    .sum::<f32>()
        })
        .collect();
    let made = values(run.current().clone());
    assert!(largest_difference(&made, &answer) < 2e-3);
}

#[test]
fn losses_fall_for_every_task_and_every_way_of_stepping() {
    let model = tiny_classifier(3, 5);
    let target = values(random_pictures(1, 8, 4));
    let base = Synthesis {
        step: 0.1,
        iterations: 60,
        ..Synthesis::paper_inversion()
    };
    let tasks = [
        Task::Invert { stage: None },
        Task::Invert { stage: Some(1) },
        Task::Invert { stage: Some(0) },
        Task::Generate {
            class: 1,
            objective: ClassObjective::Logit,
        },
        Task::Generate {
            class: 2,
            objective: ClassObjective::CrossEntropy,
        },
        Task::Neuron(Unit {
            stage: None,
            index: 3,
        }),
        Task::Neuron(Unit {
            stage: Some(1),
            index: 2,
        }),
    ];
    for task in tasks {
        for ways in [
            base.clone(),
            Synthesis {
                momentum: 0.9,
                anneal: true,
                ..base.clone()
            },
            Synthesis {
                variation: 0.02,
                spectrum: 1.0,
                jitter: 1,
                ..base.clone()
            },
        ] {
            let config = Synthesis {
                task: task.clone(),
                ..ways
            };
            let material = SynthesisInputs {
                target: Some(&target),
                ..SynthesisInputs::default()
            };
            let mut run = SynthesisRun::new(&config, &model, &material).expect("a run");
            finish(&mut run, &model);
            let losses = losses(&run);
            let (first, last) = (losses[0], losses[losses.len() - 1]);
            assert!(
                last < first - 0.02 * first.abs(),
                "{config:?}: {first} {last}"
            );
            assert_eq!(losses.len(), 61, "every iterate is kept");
        }
    }
}

#[test]
fn pictures_stay_in_the_ball_and_the_box() {
    let model = tiny_classifier(2, 5);
    let start = picture(1.0);
    let config = Synthesis {
        task: Task::Generate {
            class: 0,
            objective: ClassObjective::Logit,
        },
        start: Start::Current,
        radius: 0.7,
        step: 0.2,
        iterations: 30,
        ..Synthesis::paper_inversion()
    };
    let material = SynthesisInputs {
        current: Some(&start),
        ..SynthesisInputs::default()
    };
    let mut run = SynthesisRun::new(&config, &model, &material).expect("a run");
    finish(&mut run, &model);
    let made = values(run.current().clone());
    assert!(made.iter().all(|value| (0.0..=1.0).contains(value)));
    let square = |(a, b): (&f32, &f32)| (a - b) * (a - b);
    let moved = made.iter().zip(&start).map(square).sum::<f32>().sqrt();
    assert!((0.5..=0.7001).contains(&moved), "{moved}");
}

#[test]
fn equal_seeds_make_equal_pictures_alone_or_among_others() {
    let model = tiny_classifier(2, 5);
    let seeds = seeds();
    let make = |count: usize, seed: u64| {
        let config = Synthesis {
            count,
            seed,
            iterations: 5,
            jitter: 1,
            ..Synthesis::paper_generation(1)
        };
        let material = SynthesisInputs {
            class_gaussians: Some(&seeds),
            ..SynthesisInputs::default()
        };
        let mut run = SynthesisRun::new(&config, &model, &material).expect("a run");
        finish(&mut run, &model);
        values(run.current().clone())
    };
    let (one, three) = (make(1, 7), make(3, 7));
    assert!(largest_difference(&one, &three[..LENGTH]) < 1e-5);
    assert_eq!(three, make(3, 7));
    assert!(largest_difference(&one, &make(1, 8)) > 0.05);
    assert!(largest_difference(&three[..LENGTH], &three[LENGTH..2 * LENGTH]) > 0.05);
}

#[test]
fn what_cannot_be_made_is_refused_in_words() {
    let model = tiny_classifier(2, 5);
    let begin = |config: &Synthesis| {
        message(SynthesisRun::new(
            config,
            &model,
            &SynthesisInputs::default(),
        ))
    };
    let inversion = Synthesis::paper_inversion();
    assert!(begin(&inversion).contains("picture to invert"));
    let generation = Synthesis::paper_generation(9);
    assert!(begin(&generation).contains("class 9"));
    assert!(begin(&Synthesis::paper_generation(0)).contains("class Gaussians"));
    let unit = Unit {
        stage: None,
        index: 99,
    };
    assert!(begin(&Synthesis::paper_neuron(unit)).contains("unit 99"));
    let stage = Some(9);
    let deep = Synthesis {
        task: Task::Invert { stage },
        ..inversion.clone()
    };
    assert!(begin(&deep).contains("stages 0 to 2"));
    for wrong in [
        Synthesis {
            step: f32::NAN,
            ..inversion.clone()
        },
        Synthesis {
            momentum: 1.0,
            ..inversion.clone()
        },
        Synthesis {
            count: 0,
            ..inversion
        },
    ] {
        assert!(!begin(&wrong).is_empty());
    }
}

/// A network with `value` in the biases that `which` names.
fn with_shifts(which: fn(&str) -> bool, value: f32) -> Classifier {
    struct Set(fn(&str) -> bool, f32);
    impl Visitor for Set {
        fn tensor<const D: usize>(&mut self, name: &str, role: Role, tensor: &mut Tensor<D>) {
            if matches!(role, Role::Shift | Role::Bias) && (self.0)(name) {
                *tensor = tensor.zeros_like() + self.1;
            }
        }
    }
    let mut network: ResNet = tiny_network(2, 5);
    network.visit(&mut Set(which, value));
    Classifier::from_trained(network, tiny_manifest(2), &Device::flex())
}

#[test]
fn dead_gradients_and_losses_that_are_no_numbers_give_a_message() {
    // Its last ReLU lets nothing through.
    let model = with_shifts(|name| name.starts_with("layer2"), -1e4);
    let config = Synthesis {
        fake_relu: false,
        ..Synthesis::paper_neuron(Unit::default())
    };
    let begin = |config: &Synthesis| SynthesisRun::new(config, &model, &SynthesisInputs::default());
    let mut run = begin(&config).expect("a run");
    let text = message(run.step(&model));
    assert!(
        text.contains("gradient is zero") && text.contains("fake ReLU"),
        "{text}"
    );
    let woken = Synthesis {
        fake_relu: true,
        ..config
    };
    begin(&woken).expect("a run").step(&model).expect("a step");
    let target = picture(0.0);
    let material = SynthesisInputs {
        target: Some(&target),
        ..SynthesisInputs::default()
    };
    let text = message(SynthesisRun::new(
        &Synthesis::paper_inversion(),
        &model,
        &material,
    ));
    assert!(text.contains("nothing to come near to"), "{text}");
    let wild = with_shifts(|name| name == "fc.bias", f32::NAN);
    let generation = Synthesis {
        start: Start::Noise,
        ..Synthesis::paper_generation(0)
    };
    let text = message(SynthesisRun::new(
        &generation,
        &wild,
        &SynthesisInputs::default(),
    ));
    assert!(text.contains("no number"), "{text}");
}
