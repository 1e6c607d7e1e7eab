//! Attacks that may change only a part of a picture, and patches.

use burn::tensor::{Device, Tensor};
use epsiloscope::attack::patch::{PatchSearch, PatchShape, patch_attack};
use epsiloscope::attack::{Attack, AttackMask, AutoAttack, AutoPart, Ball, Norm, PgdRun};
use epsiloscope::evaluate::predict;
use epsiloscope::model::{Classifier, zoo};

use crate::support::{random_pictures, tiny_classifier, values};

const SIDE: usize = 8;
const SIZE: [usize; 2] = [SIDE, SIDE];

fn scene() -> (Classifier, Tensor<4>, Vec<usize>, [u64; 3]) {
    let (model, x) = (tiny_classifier(4, 3), random_pictures(3, SIDE, 4));
    let labels = predict(&model, x.clone());
    (model, x, labels, [5, 6, 7])
}

/// The left five columns but for the two uppermost rows.
fn part() -> AttackMask {
    let inside = (0..SIDE * SIDE).map(|at| at % SIDE < 5 && at / SIDE > 1);
    AttackMask::new(inside.collect(), SIZE).expect("some pixels are inside")
}

fn all() -> AttackMask {
    AttackMask::new(vec![true; SIDE * SIDE], SIZE).expect("all pixels are inside")
}

/// Number of values inside the mask that changed; outside, every bit is as it was.
fn changed_inside(mask: &AttackMask, before: &Tensor<4>, after: &Tensor<4>, what: &str) -> usize {
    let (before, after) = (values(before.clone()), values(after.clone()));
    let mut changed = 0;
    for (at, (before, after)) in before.iter().zip(&after).enumerate() {
        if mask.inside()[at % mask.inside().len()] {
            changed += usize::from(before != after);
        } else {
            assert_eq!(before.to_bits(), after.to_bits(), "{what}: value {at}");
        }
    }
    changed
}

#[test]
fn pgd_changes_nothing_outside_the_mask_and_stays_in_the_ball() {
    let (model, x, labels, numbers) = scene();
    for (norm, epsilon) in [(Norm::Linf, 0.05), (Norm::L2, 0.8), (Norm::L1p5, 2.0)] {
        for random_start in [false, true] {
            let attack = Attack {
                random_start,
                restarts: 2,
                ..Attack::pgd(norm, epsilon, 5)
            };
            let radii = [epsilon, epsilon / 2.0, 0.0];
            let run = |mask: &AttackMask| {
                let run = PgdRun::new(&attack, &model, x.clone(), &labels, &numbers, &radii);
                let mut run = run.within(mask);
                while run.step(&model).is_some() {}
                run.finish_with_losses(&model)
            };
            let (loss, attacked) = run(&part());
            assert!(changed_inside(&part(), &x, &attacked, "PGD") > 30);
            let lengths = values(norm.length(attacked - x.clone()));
            for (length, radius) in lengths.iter().zip(radii) {
                assert!(*length <= radius * 1.0001 + 1e-6, "{length} of {radius}");
            }
            // More room is never worse than less, but for the luck of a few steps.
            let (everywhere, _) = run(&all());
            assert!(values(everywhere)[0] <= values(loss)[0] + 1e-3, "{norm}");
        }
    }
}

#[test]
fn a_mask_of_all_pixels_is_no_mask() {
    let (model, x, labels, numbers) = scene();
    for norm in [Norm::Linf, Norm::L2, Norm::L1p5] {
        let ball = Ball::new(norm, &[0.4], &Device::flex());
        let start = |ball: &Ball| values(ball.random_start(&x, 1, &numbers));
        let (with, without) = (start(&ball.clone().within(&all())), start(&ball));
        assert!(
            with.iter().zip(&without).all(|(a, b)| (a - b).abs() < 1e-6),
            "{norm}"
        );
    }
    for norm in [Norm::Linf, Norm::L2] {
        let attack = AutoAttack {
            steps: 10,
            queries: 60,
            ..AutoAttack::standard(norm, 0.02)
        };
        let run = |masked: bool| {
            let mut run = attack.begin(&model, &x, &labels, &numbers);
            if masked {
                run = run.within(&all());
            }
            while run.step(&model) {}
            values(run.finish(&Device::flex()).pictures)
        };
        let near = run(true)
            .into_iter()
            .zip(run(false))
            .all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near, "{norm}");
    }
}

#[test]
fn every_part_of_auto_attack_stays_inside_the_mask() {
    let (model, x, labels, numbers) = scene();
    for (norm, epsilon) in [(Norm::Linf, 0.5), (Norm::L2, 4.0)] {
        for part_of_attack in AutoPart::STANDARD.into_iter().chain([AutoPart::ApgdDlr]) {
            let attack = AutoAttack {
                steps: 30,
                queries: 300,
                ..AutoAttack::of(norm, epsilon, vec![part_of_attack])
            };
            let mut run = attack.begin(&model, &x, &labels, &numbers).within(&part());
            while run.step(&model) {}
            let outcome = run.finish(&Device::flex());
            let what = format!("{norm} {part_of_attack}");
            let fooled = outcome.parts[0].fooled.len();
            assert!(fooled > 0, "{what} finds something this far away");
            assert!(changed_inside(&part(), &x, &outcome.pictures, &what) > 0);
            let wrong = predict(&model, outcome.pictures.clone())
                .into_iter()
                .zip(&labels);
            assert_eq!(
                wrong.filter(|(class, label)| class != *label).count(),
                fooled,
                "{what}"
            );
            let farthest = values(norm.length(outcome.pictures - x.clone()));
            assert!(
                farthest
                    .into_iter()
                    .all(|length| length <= epsilon * 1.0001),
                "{what}"
            );
        }
    }
}

#[test]
fn the_search_for_a_patch_finds_a_better_place_than_the_worst() {
    let device = Device::flex();
    let model = zoo::open(&"cifar10-standard".into(), &device).expect("it is bundled");
    let x = random_pictures(1, 32, 9) * 0.2 + 0.4;
    let label = predict(&model, x.clone())[0];
    let side = 8;
    let mut search = PatchSearch::new(
        PatchShape::Square,
        side,
        &Attack::default(),
        x.clone(),
        label,
    )
    .expect("it fits");
    let mut steps = 0;
    while search.step(&model) {
        steps += 1;
    }
    assert_eq!(search.progress(), 1.0);
    assert!(
        steps >= 49 * 5,
        "seven places along each axis, five steps at each: {steps}"
    );
    let best = search.best().expect("places were tried");
    let attack = Attack {
        steps: 5,
        ..patch_attack(&Attack::default())
    };
    let loss_at = |corner: [usize; 2]| {
        let mask = PatchShape::Square
            .mask(corner, side, [32, 32])
            .expect("inside");
        let run = PgdRun::new(&attack, &model, x.clone(), &[label], &[0], &[1.0]);
        let mut run = run.within(&mask);
        while run.step(&model).is_some() {}
        let (loss, attacked) = run.finish_with_losses(&model);
        changed_inside(&mask, &x, &attacked, "patch");
        values(loss)[0]
    };
    assert_eq!(loss_at(best.corner), best.loss);
    let corners = [[0, 0], [0, 24], [24, 0], [24, 24]].map(loss_at);
    assert!(
        corners.iter().all(|loss| *loss >= best.loss),
        "{corners:?}, best {}",
        best.loss
    );
    for side in [0, 33] {
        let refused =
            PatchSearch::new(PatchShape::Disk, side, &Attack::default(), x.clone(), label);
        assert!(refused.is_err());
    }
}
