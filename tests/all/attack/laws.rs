//! Laws of norms, balls and descents, on analytic objectives.

use burn::tensor::{Device, Tensor, TensorData};
use epsiloscope::attack::{Ball, Descent, Norm, Objective, lower_loss, per_picture};
use proptest::prelude::*;

use crate::support::{bits, cases, check_inside, largest_difference, random_pictures, values};

fn norms() -> impl Strategy<Value = Norm> {
    prop_oneof![Just(Norm::Linf), Just(Norm::L2), Just(Norm::L1p5)]
}

/// The squared distance of each picture to its target.
struct Quadratic(Tensor<4>);

impl Objective for Quadratic {
    fn loss(&self, x: Tensor<4>) -> Tensor<1> {
        (x - self.0.clone())
            .square()
            .sum_dims(&[1, 2, 3])
            .reshape([-1])
    }
}

/// A loss that does not look at the pictures.
struct Constant;

impl Objective for Constant {
    fn loss(&self, x: Tensor<4>) -> Tensor<1> {
        Tensor::full([x.dims()[0]], 3.0, &x.device())
    }
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn projection_lands_inside_and_stays(
        norm in norms(), seed in any::<u64>(), radii in prop::array::uniform3(0.0_f32..1.5),
    ) {
        let (centre, device) = (random_pictures(3, 4, seed), Device::flex());
        let far = random_pictures(3, 4, seed ^ 1) * 4.0 - 1.5;
        let ball = Ball::new(norm, &radii, &device);
        let once = ball.project(&centre, far.clone());
        check_inside(norm, &centre, &once, &radii);
        let twice = ball.project(&centre, once.clone());
        prop_assert!(largest_difference(&values(twice), &values(once)) <= 1e-6);
        // A radius can be shared.
        let shared = Ball::new(norm, &radii[..1], &device).project(&centre, far.clone());
        let each = Ball::new(norm, &[radii[0]; 3], &device).project(&centre, far);
        prop_assert_eq!(bits(&values(shared)), bits(&values(each)));
    }

    #[test]
    fn random_starts_are_inside_and_each_pictures_own(
        norm in norms(), seed in any::<u64>(), radii in prop::array::uniform3(0.01_f32..1.0),
    ) {
        let (centre, device, numbers) = (random_pictures(3, 4, seed), Device::flex(), [3, 1, 4]);
        let ball = Ball::new(norm, &radii, &device);
        let start = ball.random_start(&centre, seed, &numbers);
        check_inside(norm, &centre, &start, &radii);
        let again = ball.random_start(&centre, seed, &numbers);
        prop_assert_eq!(bits(&values(again)), bits(&values(start.clone())));
        for index in 0..3 {
            let alone = Ball::new(norm, &radii[index..=index], &device);
            let one = centre.clone().narrow(0, index, 1);
            let own = values(alone.random_start(&one, seed, &numbers[index..=index]));
            prop_assert_eq!(bits(&own), bits(&values(start.clone().narrow(0, index, 1))));
            prop_assert!(own != values(alone.random_start(&one, seed, &[99])), "another number");
            prop_assert!(own != values(alone.random_start(&one, !seed, &[numbers[index]])), "another seed");
        }
    }

    #[test]
    fn steepest_steps_are_signs_or_unit_vectors(seed in any::<u64>(), power in -20_i32..10) {
        let random = (random_pictures(2, 3, seed) - 0.5) * 10_f32.powi(power);
        let nothing = Tensor::zeros([1, 3, 3, 3], &Device::flex());
        let gradient = Tensor::cat(vec![random, nothing], 0);
        let signs = values(Norm::Linf.steepest(gradient.clone()));
        for (sign, slope) in signs.iter().zip(values(gradient.clone())) {
            prop_assert_eq!(*sign, if slope == 0.0 { 0.0 } else { slope.signum() });
        }
        for norm in [Norm::L2, Norm::L1p5] {
            let unit = norm.steepest(gradient.clone());
            let lengths = values(norm.length(unit.clone()));
            prop_assert!(largest_difference(&lengths, &[1.0, 1.0, 0.0]) <= 1e-4, "{lengths:?}");
            for (step, slope) in values(unit).iter().zip(values(gradient.clone())) {
                prop_assert!(*step == 0.0 || step.signum() == slope.signum());
            }
        }
    }

    #[test]
    fn no_step_of_the_same_length_is_steeper(norm in norms(), seed in any::<u64>()) {
        let gradient = random_pictures(1, 3, seed) - 0.5;
        let along = |step: Tensor<4>| values((step * gradient.clone()).sum())[0];
        let best = along(norm.steepest(gradient.clone()));
        for other in 1..8 {
            let other = random_pictures(1, 3, seed ^ other) - 0.5;
            let length = norm.length(other.clone()).reshape([1, 1, 1, 1]);
            prop_assert!(along(other / length) <= best * 1.0001);
        }
    }

    #[test]
    fn lengths_of_tensors_and_of_values_are_the_same(norm in norms(), seed in any::<u64>()) {
        let delta = random_pictures(1, 4, seed) - 0.5;
        let length = norm.length_of(values(delta.clone()).into_iter());
        prop_assert!(largest_difference(&values(norm.length(delta)), &[length]) <= 1e-5 * length);
    }

    #[test]
    fn descents_never_end_worse_than_they_began(
        norm in norms(), seed in any::<u64>(), radius in 0.0_f32..1.0, step in 0.0_f32..2.0,
    ) {
        let (centre, device) = (random_pictures(3, 2, seed), Device::flex());
        let objective = Quadratic(random_pictures(3, 2, seed ^ 1));
        let ball = Ball::new(norm, &[radius], &device);
        let start = ball.random_start(&centre, seed, &[0, 1, 2]);
        let mut descent = Descent::new(ball, per_picture(&[step], &device), centre.clone(), start);
        let before = values(objective.loss(descent.current().clone()));
        (0..3).for_each(|_| drop(descent.step(&objective)));
        let (loss, best) = descent.finish(&objective);
        check_inside(norm, &centre, &best, &[radius; 3]);
        prop_assert!(values(loss.clone()).iter().zip(&before).all(|(after, before)| *after <= before + 1e-6));
        prop_assert!(largest_difference(&values(loss), &values(objective.loss(best))) <= 1e-5);
    }
}

/// The nearest points of L1.5 balls: |δ| + λ·1.5·√|δ| = |d| with the λ at which δ is as long as the radius.
fn nearest_of_l1p5_balls(centre: &Tensor<4>, target: &Tensor<4>, radii: &[f32]) -> Tensor<4> {
    let shape = centre.dims();
    let size = shape[1] * shape[2] * shape[3];
    let distance = values(target.clone() - centre.clone());
    let mut nearest = Vec::new();
    for (far, &radius) in distance.chunks(size).zip(radii) {
        let shrunk = |multiplier: f32| -> Vec<f32> {
            let one = |&d: &f32| {
                let half = 0.75 * multiplier;
                let root = (half * half + d.abs()).sqrt() - half;
                d.signum() * root * root
            };
            far.iter().map(one).collect()
        };
        let (mut low, mut high) = (0.0, 100.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            let length = Norm::L1p5.length_of(shrunk(middle).into_iter());
            *(if length > radius { &mut low } else { &mut high }) = middle;
        }
        nearest.extend(shrunk(high));
    }
    let delta = TensorData::new(nearest, shape);
    (centre.clone() + Tensor::from_data(delta, &centre.device())).clamp(0.0, 1.0)
}

#[test]
fn descents_on_a_quadratic_find_the_projected_optimum() {
    let device = Device::flex();
    let (centre, target) = (
        random_pictures(8, 2, 1) * 0.4 + 0.3,
        random_pictures(8, 2, 2),
    );
    let radii: Vec<f32> = (0..8).map(|index| 0.05 + 0.06 * index as f32).collect();
    for norm in [Norm::Linf, Norm::L2, Norm::L1p5] {
        let ball = Ball::new(norm, &radii, &device);
        let objective = Quadratic(target.clone());
        let start = ball.random_start(&centre, 3, &[0, 1, 2, 3, 4, 5, 6, 7]);
        let mut descent = Descent::new(
            ball.clone(),
            per_picture(&[0.01], &device),
            centre.clone(),
            start,
        );
        for _ in 0..200 {
            descent.step(&objective);
        }
        let found = values(descent.finish(&objective).0);
        let nearest = match norm {
            // Steps come to rest at the nearest point, though projections are not to it.
            Norm::L1p5 => nearest_of_l1p5_balls(&centre, &target, &radii),
            _ => ball.project(&centre, target.clone()),
        };
        let optimum = values(objective.loss(nearest));
        for (found, optimum) in found.iter().zip(&optimum) {
            // Steps of 0.01 end up to 0.01 off in each of the 12 numbers.
            assert!(
                (-1e-5..2e-3).contains(&(found - optimum)),
                "{norm}: {found}, at best {optimum}"
            );
        }
    }
}

#[test]
fn a_loss_without_gradient_moves_nothing() {
    let (x, device) = (random_pictures(2, 2, 1), Device::flex());
    for norm in [Norm::Linf, Norm::L2, Norm::L1p5] {
        let ball = Ball::new(norm, &[0.5], &device);
        let mut descent = Descent::new(ball, per_picture(&[0.1], &device), x.clone(), x.clone());
        assert_eq!(values(descent.step(&Constant)), [3.0, 3.0]);
        let (loss, best) = descent.finish(&Constant);
        assert_eq!(values(loss), [3.0, 3.0]);
        assert!(largest_difference(&values(best), &values(x.clone())) <= 1e-6);
    }
}

#[test]
fn better_chooses_for_each_picture() {
    let device = Device::flex();
    let candidate = |losses: [f32; 3], value: f32| {
        (
            Tensor::<1>::from_floats(losses, &device),
            Tensor::<4>::full([3, 1, 1, 2], value, &device),
        )
    };
    let (loss, x) = lower_loss(
        candidate([1.0, 2.0, 3.0], 0.0),
        candidate([2.0, 1.0, 3.0], 1.0),
    );
    assert_eq!(values(loss), [1.0, 1.0, 3.0]);
    assert_eq!(values(x), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
}
