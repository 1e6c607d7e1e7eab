//! AutoAttack against its authors' program (values by `tests/fixtures/make_autoattack.py`), and the warnings that a
//! figure is not to be trusted.

use burn::tensor::{Device, Tensor, TensorData};
use epsiloscope::attack::auto::{Apgd, DeepFool, Fab, Loss, Square};
use epsiloscope::attack::{AutoAttack, AutoPart, Norm};
use epsiloscope::evaluate::predict;
use epsiloscope::model::Classifier;

use crate::support::parity_checks::{Values, classifier};
use crate::support::values;

const NORMS: [(Norm, &str); 2] = [(Norm::Linf, "linf"), (Norm::L2, "l2")];
/// Pictures whose outcomes may differ: both programs draw random numbers, each its own.
const OTHERS: usize = 2;

struct Scene {
    model: Classifier,
    file: Values,
    x: Tensor<4>,
    labels: Vec<usize>,
}

impl Scene {
    fn new() -> Self {
        let device = Device::flex();
        let file = Values::read("cifar_basic_auto");
        let pixels: Vec<f32> = file.values("x").iter().map(|byte| byte / 255.0).collect();
        let shape: [usize; 4] = file.shape("x").try_into().expect("pictures");
        Self {
            model: classifier("cifar_basic", &device),
            x: Tensor::from_data(TensorData::new(pixels, shape), &device),
            labels: file.labels("labels"),
            file,
        }
    }

    fn first(&self, count: usize) -> Tensor<4> {
        self.x.clone().narrow(0, 0, count)
    }

    /// The class that is second in each clean picture.
    fn second(&self, count: usize) -> Vec<usize> {
        let classes = self.model.classes();
        let logits = values(self.model.logits(self.first(count)));
        let second = |row: &[f32]| {
            let mut order: Vec<usize> = (0..classes).collect();
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            order[1]
        };
        logits.chunks_exact(classes).map(second).collect()
    }
}

#[test]
fn auto_pgd_takes_the_authors_steps() {
    let scene = Scene::new();
    for (norm, name) in NORMS {
        let start: Vec<f32> = scene.file.values(&format!("start_{name}")).to_vec();
        let shape: [usize; 4] = scene
            .file
            .shape(&format!("start_{name}"))
            .try_into()
            .expect("pictures");
        let (n, start) = (
            shape[0],
            Tensor::from_data(TensorData::new(start, shape), &Device::flex()),
        );
        for (loss, key) in [
            (Loss::CrossEntropy, "ce"),
            (Loss::Dlr, "dlr"),
            (Loss::TargetedDlr, "dlr_t"),
        ] {
            let key = format!("trace_{key}_{name}");
            let theirs = scene.file.values(&key);
            let apgd = Apgd {
                model: &scene.model,
                norm,
                epsilon: scene.file.values(&format!("eps_{name}"))[0],
                steps: theirs.len() / n,
                loss,
                mask: None,
            };
            let labels = &scene.labels[..n];
            let outcome = apgd.run(&scene.first(n), start.clone(), labels, &scene.second(n));
            let ours = outcome.losses.concat();
            let largest = theirs
                .iter()
                .fold(0.0_f32, |most, loss| most.max(loss.abs()));
            let mut compared = 0;
            for picture in 0..n {
                let steps = (0..theirs.len() / n).map(|step| step * n + picture);
                for (step, at) in steps.enumerate() {
                    // Theirs are in double precision; the errors of single precision add up.
                    let near = if step < 10 { 1e-4 } else { 1e-3 };
                    assert!(
                        (ours[at] - theirs[at]).abs() < near * largest.max(1.0),
                        "{key}, step {step}, picture {picture}: {}, not {}",
                        ours[at],
                        theirs[at]
                    );
                    compared += 1;
                    // Where the label has the third largest logit the ratio is 1 all around: its gradient is zero but
                    // for rounding, which decides the next sign.
                    if loss == Loss::Dlr && (theirs[at] - 1.0).abs() < 1e-6 {
                        break;
                    }
                }
            }
            assert!(compared > theirs.len() / 3, "{key}: {compared}");
        }
    }
}

#[test]
fn fab_finds_pictures_as_near_as_the_authors() {
    let scene = Scene::new();
    for (norm, name) in NORMS {
        let theirs = scene.file.values(&format!("fab_distance_{name}"));
        let n = theirs.len();
        let fab = Fab {
            model: &scene.model,
            norm,
            steps: 20,
            mask: None,
        };
        let (nearest, ours) = fab.run(&scene.first(n), &scene.labels[..n], &scene.second(n));
        for (picture, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            // The authors' program returns the picture itself, at no distance, where it found none.
            let theirs = if *theirs == 0.0 {
                f32::INFINITY
            } else {
                *theirs
            };
            // A step of a pixel below 1 is half of ε.
            assert!(
                (ours - theirs).abs() < 1e-3 * theirs + f32::EPSILON || *ours == theirs,
                "{norm}, picture {picture}: {ours}, not {theirs}"
            );
        }
        let found = predict(&scene.model, nearest);
        for (picture, distance) in ours.iter().enumerate() {
            let fooled = found[picture] != scene.labels[picture];
            assert_eq!(fooled, distance.is_finite(), "picture {picture}");
        }
    }
}

#[test]
fn outcomes_are_the_authors_picture_by_picture() {
    let scene = Scene::new();
    let ids: Vec<u64> = (0..scene.labels.len() as u64).collect();
    for (norm, name) in NORMS {
        let epsilon = scene.file.values(&format!("eps_{name}"))[0];
        let runs = [
            ("apgd_ce", AutoPart::ApgdCe),
            ("apgd_t", AutoPart::ApgdT),
            ("fab_t", AutoPart::FabT),
        ];
        for (key, part) in runs {
            let attack = AutoAttack {
                steps: 25,
                targets: 3,
                ..AutoAttack::of(norm, epsilon, vec![part])
            };
            let outcome = attack.run(&scene.model, &scene.x, &scene.labels, &ids);
            let found = predict(&scene.model, outcome.pictures.clone());
            let theirs = scene.file.labels(&format!("{key}_{name}"));
            let differ = found.iter().zip(&scene.labels).zip(&theirs);
            let differ = differ.filter(|((found, label), held)| (found == label) != (**held == 1));
            assert!(differ.count() <= OTHERS, "{key}, {norm}");
            let change = outcome.pictures - scene.x.clone();
            let farthest = values(norm.length(change)).into_iter().fold(0.0, f32::max);
            assert!(farthest <= epsilon * 1.0001, "{farthest} of {epsilon}");
        }
    }
}

#[test]
fn square_fools_about_as_many_within_the_radius() {
    let scene = Scene::new();
    let n = 60;
    let (x, labels) = (scene.first(n), &scene.labels[..n]);
    let ids: Vec<u64> = (0..n as u64).collect();
    for (norm, name) in NORMS {
        let epsilon = scene.file.values(&format!("eps_{name}"))[0];
        let square = Square {
            model: &scene.model,
            norm,
            epsilon,
            queries: 1000,
            seed: 0,
            mask: None,
        };
        let (pictures, fooled) = square.run(&x, labels, &ids);
        let found = predict(&scene.model, pictures.clone());
        for (picture, fooled) in fooled.iter().enumerate() {
            assert_eq!(found[picture] != labels[picture], *fooled);
        }
        let change = pictures.clone() - x.clone();
        let farthest = values(norm.length(change)).into_iter().fold(0.0, f32::max);
        assert!(farthest <= epsilon * 1.0001, "{farthest} of {epsilon}");
        let theirs = scene.file.labels(&format!("square_{name}"));
        let held = |fooled: &[bool]| fooled.iter().filter(|fooled| !**fooled).count();
        let (ours, theirs) = (held(&fooled), theirs[..n].iter().sum::<usize>());
        assert!(ours.abs_diff(theirs) <= 8, "{norm}: {ours}, not {theirs}");
        // A picture's numbers are its own, whatever else is in the batch.
        let alone = square.run(&scene.first(1), &scene.labels[..1], &ids[..1]).0;
        assert_eq!(values(alone), values(pictures.narrow(0, 0, 1)));
    }
}

#[test]
fn deepfool_finds_the_nearest_boundary() {
    let scene = Scene::new();
    let n = 40;
    let (x, labels) = (scene.first(n), &scene.labels[..n]);
    for (norm, name) in NORMS {
        let fab = Fab {
            model: &scene.model,
            norm,
            steps: 20,
            mask: None,
        };
        let theirs = fab.run(&x, labels, &scene.second(n)).1;
        let deepfool = DeepFool {
            model: &scene.model,
            norm,
            mask: None,
        };
        let mut run = deepfool.begin(&x, labels);
        while run.step(&scene.model) {}
        let (pictures, distances) = run.finish(&Device::flex());
        let found = predict(&scene.model, pictures.clone());
        let lengths = values(norm.length(pictures - x.clone()));
        let mut ratios = Vec::new();
        for picture in 0..n {
            let fooled = found[picture] != labels[picture];
            assert_eq!(
                fooled,
                distances[picture].is_finite(),
                "{name}, picture {picture}"
            );
            if fooled {
                assert!((lengths[picture] - distances[picture]).abs() < 1e-4);
            }
            if fooled && theirs[picture].is_finite() && theirs[picture] > 1e-6 {
                ratios.push(distances[picture] / theirs[picture]);
            }
        }
        assert!(ratios.len() > n / 2, "{name}: {} of {n}", ratios.len());
        ratios.sort_by(f32::total_cmp);
        // One search for the nearest class, without steps back: about as near as FAB, seldom nearer.
        let median = ratios[ratios.len() / 2];
        assert!((0.8..1.5).contains(&median), "{name}: {median}");
    }
}

#[test]
fn methods_are_one_list_with_names_that_are_read_again() {
    use epsiloscope::attack::{Attack, AttackMethod, Goal};
    let pgd = serde_json::to_value(Attack::default()).expect("plain data");
    assert!(
        pgd.get("method").is_none(),
        "databases know PGD without that field"
    );
    for method in AttackMethod::ALL {
        let attack = Attack::pgd(Norm::Linf, 0.03, 5).by(method);
        let text = serde_json::to_string(&attack).expect("plain data");
        assert_eq!(
            serde_json::from_str::<Attack>(&text).expect("the same"),
            attack
        );
        assert!(attack.to_string().contains(&method.to_string()), "{attack}");
        assert!(attack.validate(10).is_ok());
        let targeted = Attack {
            goal: Goal::Targeted(1),
            ..attack.clone()
        };
        assert_eq!(targeted.validate(10).is_ok(), method == AttackMethod::Pgd);
        assert!(targeted.by(method).validate(10).is_ok());
        let sparse = Attack {
            norm: Norm::L1p5,
            ..attack
        };
        assert_eq!(sparse.validate(10).is_ok(), method == AttackMethod::Pgd);
    }
}

#[test]
fn every_method_runs_at_several_radii_and_inside_a_mask() {
    use epsiloscope::attack::{Attack, AttackMask, AttackMethod, AttackRun};
    let scene = Scene::new();
    let n = 3;
    let (x, labels) = (scene.first(n), &scene.labels[..n]);
    let size = [x.dims()[2], x.dims()[3]];
    let half = (0..size[0] * size[1]).map(|at| at % size[1] < size[1] / 2);
    let mask = AttackMask::new(half.collect(), size).expect("half of it");
    let radii = [0.0, 0.05, 0.4];
    for method in [AttackMethod::ApgdCe, AttackMethod::DeepFool] {
        let attack = Attack::pgd(Norm::Linf, 0.1, 5).by(method);
        let run = AttackRun::new(&attack, &scene.model, x.clone(), labels, &[0, 1, 2], &radii);
        let mut run = run.within(&mask);
        let mut progress = run.progress();
        while run.step(&scene.model) {
            assert!(run.progress() >= progress - 1e-6);
            progress = run.progress();
        }
        let change = run.finish(&scene.model) - x.clone();
        let right = change.clone().narrow(3, size[1] / 2, size[1] - size[1] / 2);
        assert!(
            values(right).into_iter().all(|value| value == 0.0),
            "{method}"
        );
        let lengths = values(Norm::Linf.length(change));
        for (length, radius) in lengths.iter().zip(radii) {
            assert!(*length <= radius + 1e-6, "{method}: {length} of {radius}");
        }
        assert!(lengths[2] > 0.0, "{method}: half a picture of ε 0.4 fools");
    }
}
