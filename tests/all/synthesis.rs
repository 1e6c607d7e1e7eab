//! Pictures that a model makes: on functions with a known answer, and where nothing can be made.

use burn::tensor::{Device, Tensor, TensorData};
use epsiloscope::descent::gradient;
use epsiloscope::model::{Classifier, Cut, Network, ResNet, Role, Visitor, Weights};
use epsiloscope::synthesis::{
    Aim, Gaussian, History, Kept, Material, Run, Seeds, Start, Synthesis, Task, Unit, distances,
    frechet,
};

use crate::common::{
    largest_difference, message, random_pictures, tiny_classifier, tiny_manifest, tiny_network,
    values,
};

const SIZE: [usize; 2] = [8, 8];
const LENGTH: usize = 3 * 8 * 8;

/// R(x) = A x with few rows; the logits are the first ones.
struct Linear {
    /// `[LENGTH, rows]`.
    matrix: Vec<f32>,
    rows: usize,
}

impl Network for Linear {
    fn features(&self, x: Tensor<4>, _: Cut) -> Tensor<4> {
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
    Classifier::of(Box::new(Linear { matrix, rows }), manifest, &Device::flex())
}

fn finish(run: &mut Run, model: &Classifier) {
    while !run.finished() {
        run.step(model).expect("a step");
    }
}

fn losses(run: &Run) -> Vec<f32> {
    let history = run.history().lock().expect("no other thread");
    history.iter().map(|kept| kept.losses[0]).collect()
}

/// Moderate pictures, so that the box does not bind.
fn picture(phase: f32) -> Vec<f32> {
    (0..LENGTH)
        .map(|at| 0.5 + 0.15 * (at as f32 * 0.37 + phase).sin())
        .collect()
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
    let material = Material {
        target: Some(&target),
        other: Some(&start),
        ..Material::default()
    };
    let mut run = Run::new(&config, &model, &material).expect("a run");
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
            aim: Aim::Logit,
        },
        Task::Generate {
            class: 2,
            aim: Aim::CrossEntropy,
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
            let material = Material {
                target: Some(&target),
                ..Material::default()
            };
            let mut run = Run::new(&config, &model, &material).expect("a run");
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
            aim: Aim::Logit,
        },
        start: Start::Current,
        radius: 0.7,
        step: 0.2,
        iterations: 30,
        ..Synthesis::paper_inversion()
    };
    let material = Material {
        current: Some(&start),
        ..Material::default()
    };
    let mut run = Run::new(&config, &model, &material).expect("a run");
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
        let material = Material {
            seeds: Some(&seeds),
            ..Material::default()
        };
        let mut run = Run::new(&config, &model, &material).expect("a run");
        finish(&mut run, &model);
        values(run.current().clone())
    };
    let (one, three) = (make(1, 7), make(3, 7));
    assert!(largest_difference(&one, &three[..LENGTH]) < 1e-5);
    assert_eq!(three, make(3, 7));
    assert!(largest_difference(&one, &make(1, 8)) > 0.05);
    assert!(largest_difference(&three[..LENGTH], &three[LENGTH..2 * LENGTH]) > 0.05);
}

/// Gaussians of two classes, and a third class without pictures.
fn seeds() -> Seeds {
    let labels = ["class 0", "class 1", "class 2"].map(String::from);
    let pictures = (0..40).map(|at| {
        let level = 0.3 + 0.4 * (at % 2) as f32;
        let noise = values(random_pictures(1, 8, at));
        let picture = noise.iter().map(|v| level + 0.3 * (v - 0.5)).collect();
        ((at % 2) as usize, picture)
    });
    Seeds::fit(&labels, SIZE, pictures)
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
    let again = Seeds::of(&Weights::read(&path).expect("read")).expect("seeds");
    let other = again.draw("class 1", SIZE, 3, 2).expect("a draw");
    assert!(largest_difference(&draw, &other) < 2e-3);
    assert!(!again.fits([32, 32]));
}

#[test]
fn the_bundled_gaussians_know_every_class_of_the_bundled_models() {
    let seeds = Seeds::bundled().expect("they open");
    for class in [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ] {
        let draw = seeds.draw(class, [32, 32], 0, 0).expect("a draw");
        assert!(draw.iter().all(|value| (0.0..=1.0).contains(value)));
    }
}

#[test]
fn what_cannot_be_made_is_refused_in_words() {
    let model = tiny_classifier(2, 5);
    let begin = |config: &Synthesis| message(Run::new(config, &model, &Material::default()));
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
    Classifier::freeze(network, tiny_manifest(2), &Device::flex())
}

#[test]
fn dead_gradients_and_losses_that_are_no_numbers_give_a_message() {
    // Its last ReLU lets nothing through.
    let model = with_shifts(|name| name.starts_with("layer2"), -1e4);
    let config = Synthesis {
        fake_relu: false,
        ..Synthesis::paper_neuron(Unit::default())
    };
    let begin = |config: &Synthesis| Run::new(config, &model, &Material::default());
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
    let material = Material {
        target: Some(&target),
        ..Material::default()
    };
    let text = message(Run::new(&Synthesis::paper_inversion(), &model, &material));
    assert!(text.contains("nothing to come near to"), "{text}");
    let wild = with_shifts(|name| name == "fc.bias", f32::NAN);
    let generation = Synthesis {
        start: Start::Noise,
        ..Synthesis::paper_generation(0)
    };
    let text = message(Run::new(&generation, &wild, &Material::default()));
    assert!(text.contains("no number"), "{text}");
}

#[test]
fn the_packed_network_has_the_cuts_and_the_fake_relu_of_the_other() {
    let packed = tiny_classifier(2, 5);
    let plain = Classifier::of(
        Box::new(tiny_network(2, 5).fold()),
        tiny_manifest(2),
        &Device::flex(),
    );
    let x = random_pictures(2, 8, 9);
    let mut fake_differs = false;
    for stage in [None, Some(0), Some(1), Some(2)] {
        let mut gradients = Vec::new();
        for fake_relu in [false, true] {
            let cut = Cut { stage, fake_relu };
            let map = values(packed.features_at(x.clone(), cut));
            assert!(largest_difference(&map, &values(plain.features_at(x.clone(), cut))) < 1e-4);
            // A loss that weighs every value differently.
            let loss = |map: Tensor<4>| {
                let [n, c, h, w] = map.dims();
                let weights: Vec<f32> = (0..n * c * h * w).map(|at| (at as f32).sin()).collect();
                let data = TensorData::new(weights, [n, c, h, w]);
                let weights = Tensor::from_data(data, &map.device());
                (map * weights).sum_dims(&[1, 2, 3]).reshape([-1])
            };
            let (_, ours) = packed.gradient_at(&x, cut, &loss);
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
    let mut history = History::with_memory(100 * 12);
    for iteration in 0..10_000 {
        history.push(Kept {
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
        history.at(history.every()).map(|kept| kept.iteration),
        Some(history.every())
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
