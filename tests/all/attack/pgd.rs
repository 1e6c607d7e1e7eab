//! Laws of attacks on a tiny random network, which they leave as it is.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use epsiloscope::attack::{Attack, Ball, Goal, Norm, PgdRun};
use epsiloscope::evaluate::predict;
use epsiloscope::model::{Classifier, FeatureLayer, Network, ResNet, Weights};

use crate::support::{
    bits, check_inside, largest_difference, message, random_pictures, tiny_classifier,
    tiny_network, values,
};

/// A model, three pictures, the classes it sees in them, and their numbers.
fn scene() -> (Classifier, Tensor<4>, Vec<usize>, [u64; 3]) {
    let (model, x) = (tiny_classifier(4, 3), random_pictures(3, 8, 4));
    let labels = predict(&model, x.clone());
    (model, x, labels, [5, 6, 7])
}

fn probabilities_of(model: &Classifier, x: Tensor<4>, classes: &[usize]) -> Vec<f32> {
    let all = values(log_softmax(model.logits(x), 1));
    classes
        .iter()
        .enumerate()
        .map(|(row, class)| all[row * model.classes() + class].exp())
        .collect()
}

/// Checks that two ways to the same pictures agree to rounding.
fn check_agree(norm: Norm, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    let off = a
        .iter()
        .zip(b)
        .filter(|(a, b)| (*a - *b).abs() > 1e-4)
        .count();
    // A slope of next to nothing may be rounded to either sign.
    let allowed = if norm == Norm::Linf { a.len() / 100 } else { 0 };
    assert!(
        off <= allowed,
        "{norm}: {off} of {} numbers differ",
        a.len()
    );
}

#[test]
fn fgsm_is_one_step_of_pgd_and_follows_its_formula() {
    let (model, x, labels, numbers) = scene();
    let classes: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
    let classes = Tensor::<2, Int>::from_data(TensorData::new(classes, [3, 1]), &Device::flex());
    let tracked = x.clone().autodiff().require_grad();
    let loss = log_softmax(model.logits(tracked.clone()), 1)
        .gather(1, classes)
        .sum()
        .neg();
    let gradient = tracked
        .grad_remove(&mut loss.backward())
        .expect("a gradient");
    for (norm, epsilon) in [(Norm::Linf, 0.03), (Norm::L2, 0.5)] {
        let fgsm = Attack::fgsm(norm, epsilon);
        let pgd = Attack {
            step_size: Some(epsilon),
            random_start: false,
            ..Attack::pgd(norm, epsilon, 1)
        };
        let run = |attack: &Attack| bits(&values(attack.run(&model, &x, &labels, &numbers)));
        assert_eq!(run(&fgsm), run(&pgd));
        let wanted = (x.clone() + norm.steepest(gradient.clone()) * epsilon).clamp(0.0, 1.0);
        let found = fgsm.run_to_last(&model, &x, &labels, &numbers);
        check_agree(norm, &values(found), &values(wanted));
    }
}

#[test]
fn attacks_stay_inside_and_without_room_or_steps_change_nothing() {
    let (model, x, labels, numbers) = scene();
    for norm in [Norm::Linf, Norm::L2] {
        let run = |attack: &Attack| attack.run(&model, &x, &labels, &numbers);
        check_inside(norm, &x, &run(&Attack::pgd(norm, 0.3, 4)), &[0.3; 3]);
        assert_eq!(values(run(&Attack::pgd(norm, 0.0, 3))), values(x.clone()));
        let still = Attack {
            random_start: false,
            ..Attack::pgd(norm, 0.3, 0)
        };
        assert_eq!(values(run(&still)), values(x.clone()));
        let start = Ball::new(norm, &[0.3], &Device::flex()).random_start(&x, 0, &numbers);
        let only_start = run(&Attack::pgd(norm, 0.3, 0));
        assert!(largest_difference(&values(only_start), &values(start)) <= 1e-6);
        // Several runs of no step each end as well.
        let attack = Attack {
            restarts: 3,
            ..Attack::pgd(norm, 0.3, 0)
        };
        let mut run = PgdRun::new(&attack, &model, x.clone(), &labels, &numbers, &[0.3]);
        let steps = (0..10).take_while(|_| run.step(&model).is_some()).count();
        assert_eq!(steps, 0);
        check_inside(norm, &x, &run.finish(&model), &[0.3; 3]);
    }
}

#[test]
fn targets_gain_and_restarts_never_lose() {
    let (model, x, labels, numbers) = scene();
    let target = (labels[0] + 1) % 4;
    for (norm, epsilon) in [(Norm::Linf, 0.05), (Norm::L2, 1.0)] {
        let untargeted = Attack {
            random_start: false,
            ..Attack::pgd(norm, epsilon, 6)
        };
        let targeted = Attack {
            goal: Goal::Targeted(target),
            ..untargeted.clone()
        };
        let after = |attack: &Attack, classes: &[usize]| {
            probabilities_of(&model, attack.run(&model, &x, &labels, &numbers), classes)
        };
        let clean = probabilities_of(&model, x.clone(), &[target; 3]);
        let reached = after(&targeted, &[target; 3]);
        assert!(
            reached
                .iter()
                .zip(&clean)
                .all(|(after, before)| *after >= before - 1e-6)
        );
        assert!(
            reached.iter().sum::<f32>() > clean.iter().sum::<f32>() + 1e-3,
            "{reached:?} from {clean:?}"
        );
        let mut last = probabilities_of(&model, x.clone(), &labels);
        for restarts in 1..=3 {
            let now = after(
                &Attack {
                    restarts,
                    ..untargeted.clone()
                },
                &labels,
            );
            assert!(
                now.iter().zip(&last).all(|(now, last)| *now <= last + 1e-6),
                "{restarts} restarts"
            );
            last = now;
        }
    }
}

#[test]
fn pictures_of_a_batch_do_not_influence_each_other() {
    let (model, x, labels, numbers) = scene();
    let radii = [0.2, 0.5, 0.8];
    for norm in [Norm::Linf, Norm::L2] {
        let attack = |epsilon| Attack {
            restarts: 2,
            ..Attack::pgd(norm, epsilon, 4)
        };
        let mut run = PgdRun::new(&attack(9.0), &model, x.clone(), &labels, &numbers, &radii);
        while run.step(&model).is_some() {}
        assert!((run.progress() - 1.0).abs() < 1e-6);
        let together = values(run.finish(&model));
        let alone = (0..3).flat_map(|index| {
            let (one, number) = (x.clone().narrow(0, index, 1), [numbers[index]]);
            values(attack(radii[index]).run(&model, &one, &[labels[index]], &number))
        });
        check_agree(norm, &together, &alone.collect::<Vec<f32>>());
    }
}

#[test]
fn numbers_that_make_no_attack_are_refused() {
    let sound = Attack::default;
    assert!(sound().validate(10).is_ok());
    assert!(
        Attack {
            goal: Goal::Targeted(9),
            epsilon: 0.0,
            steps: 0,
            ..sound()
        }
        .validate(10)
        .is_ok()
    );
    for epsilon in [-0.1, f32::NAN, f32::INFINITY] {
        assert!(message(Attack { epsilon, ..sound() }.validate(10)).contains('ε'));
        assert!(
            message(
                Attack {
                    step_size: Some(epsilon),
                    ..sound()
                }
                .validate(10)
            )
            .contains("step")
        );
    }
    assert!(
        message(
            Attack {
                restarts: 0,
                ..sound()
            }
            .validate(10)
        )
        .contains("one run")
    );
    assert!(
        message(
            Attack {
                goal: Goal::Targeted(10),
                ..sound()
            }
            .validate(10)
        )
        .contains("target class 10")
    );
}

/// A hundred gradients with respect to the pixels must not leave a trace in the network.
fn check_inert(mut network: ResNet) {
    let all = |network: &mut ResNet| -> Vec<(String, Vec<u32>)> {
        let tensors = Weights::of(network).tensors.into_iter();
        tensors
            .map(|(name, array)| (name, bits(&array.values)))
            .collect()
    };
    let before = all(&mut network);
    for seed in 0..100 {
        let x = random_pictures(2, 8, seed).autodiff().require_grad();
        let logits = network.logits(network.embed(network.features(x.clone(), FeatureLayer::LAST)));
        let gradient = x.grad_remove(&mut logits.square().sum().backward());
        assert!(
            values(gradient.expect("a gradient"))
                .iter()
                .any(|slope| *slope != 0.0)
        );
    }
    assert_eq!(all(&mut network), before);
}

#[test]
fn looking_at_pictures_and_attacking_them_changes_no_model() {
    check_inert(tiny_network(3, 2));
    check_inert(tiny_network(3, 2).fold());
    let (model, x, labels, numbers) = scene();
    let prediction =
        || [model.logits(x.clone()), model.representation(x.clone())].map(|out| bits(&values(out)));
    let before = prediction();
    Attack {
        restarts: 2,
        ..Attack::pgd(Norm::Linf, 0.1, 50)
    }
    .run(&model, &x, &labels, &numbers);
    assert_eq!(prediction(), before);
}

#[test]
fn n_fgsm_steps_from_noise_and_leaves_the_ball() {
    let (model, x, labels, numbers) = scene();
    for (norm, epsilon) in [(Norm::Linf, 0.03), (Norm::L2, 0.4)] {
        let attack = Attack {
            step_size: Some(epsilon),
            ..Attack::pgd(norm, epsilon, 1)
        };
        let plain = Attack::fgsm(norm, epsilon).run_to_last(&model, &x, &labels, &numbers);
        let still = attack.run_n_fgsm(0.0, &model, &x, &labels, &numbers);
        check_agree(norm, &values(still), &values(plain));
        let noisy = attack.run_n_fgsm(2.0, &model, &x, &labels, &numbers);
        check_inside(norm, &x, &noisy, &[3.0 * epsilon; 3]);
        let lengths = values(norm.length(noisy - x.clone()));
        assert!(
            lengths.iter().all(|&length| length > epsilon),
            "{norm}: noise of 2ε is not clamped to ε: {lengths:?}"
        );
    }
}
