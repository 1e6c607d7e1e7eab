//! The nearest point of a hyperplane within [0, 1], for FAB (Croce and Hein 2020, “Minimally distorted adversarial
//! examples”, section 2.2).

use crate::attack::Norm;

/// The shortest change d of `point`, in L∞ or L2, such that w·(point + d) = w·point − `gap` and point + d stays in
/// [0, 1]; where no change within [0, 1] suffices, the one that comes nearest.
pub(super) fn projection(norm: Norm, point: &[f32], w: &[f32], gap: f32) -> Vec<f32> {
    // Along −sign(gap)·w the product falls, or rises, to the hyperplane.
    let sign = if gap >= 0.0 { 1.0 } else { -1.0 };
    let directions = || w.iter().map(|w| -sign * w);
    // How far each coordinate may go, in multiples of its step, and how much a multiple moves the product.
    let room = |(t, direction): (&f32, f32)| {
        let room = if direction > 0.0 { 1.0 - t } else { *t };
        match norm {
            Norm::Linf => room,
            _ => room / direction.abs().max(f32::MIN_POSITIVE),
        }
    };
    let rooms: Vec<f32> = point.iter().zip(directions()).map(room).collect();
    let rates = w.iter().map(|w| match norm {
        Norm::Linf => w.abs(),
        _ => w * w,
    });
    let rates: Vec<f32> = rates.collect();
    let multiple = multiple(&rates, &rooms, gap.abs());
    let step = |(direction, room): (f32, &f32)| {
        let multiple = multiple.min(*room);
        match norm {
            Norm::Linf if direction == 0.0 => 0.0,
            Norm::Linf => multiple * direction.signum(),
            _ => multiple * direction,
        }
    };
    directions().zip(&rooms).map(step).collect()
}

/// The smallest λ with Σ rate · min(λ, room) = `wanted`; infinite where there is none.
///
/// The sum is concave in λ, so Newton's method from the left comes nearer with every step and reaches the solution
/// after few.
fn multiple(rates: &[f32], rooms: &[f32], wanted: f32) -> f32 {
    let wanted = f64::from(wanted);
    let mut lambda = wanted / rates.iter().map(|&rate| f64::from(rate)).sum::<f64>();
    loop {
        let (mut used, mut free) = (0.0, 0.0);
        for (&rate, &room) in rates.iter().zip(rooms) {
            let (rate, room) = (f64::from(rate), f64::from(room));
            if room <= lambda {
                used += rate * room;
            } else {
                free += rate;
            }
        }
        if used >= wanted {
            return lambda as f32;
        }
        // Not a number where all rates are zero.
        if free <= 0.0 || lambda.is_nan() {
            return f32::INFINITY;
        }
        let next = (wanted - used) / free;
        if next <= lambda * (1.0 + 1e-9) {
            return next as f32;
        }
        lambda = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(w: &[f32], x: &[f32]) -> f32 {
        w.iter().zip(x).map(|(w, x)| w * x).sum()
    }

    #[test]
    fn projections_by_hand() {
        let (point, w) = ([0.5, 0.5], [3.0, 4.0]);
        // L2: along w; L∞: the same amount for both.
        let d = projection(Norm::L2, &point, &w, 2.5);
        assert!(
            (d[0] + 0.3).abs() < 1e-6 && (d[1] + 0.4).abs() < 1e-6,
            "{d:?}"
        );
        let d = projection(Norm::Linf, &point, &w, -0.7);
        assert!(
            (d[0] - 0.1).abs() < 1e-6 && (d[1] - 0.1).abs() < 1e-6,
            "{d:?}"
        );
        // The first coordinate has no room: the second goes alone.
        let d = projection(Norm::L2, &[0.0, 0.5], &w, 1.0);
        assert!(d[0] == 0.0 && (d[1] + 0.25).abs() < 1e-6, "{d:?}");
        // Beyond the box there is nothing.
        let d = projection(Norm::Linf, &point, &w, 100.0);
        assert_eq!(d, [-0.5, -0.5]);
    }

    #[test]
    fn no_shorter_change_reaches_the_hyperplane() {
        let mut rng = crate::data::random::noise_rng(5, 0);
        for _ in 0..200 {
            let mut random = |low: f32, high: f32| {
                (0..6)
                    .map(|_| rand::RngExt::random_range(&mut rng, low..high))
                    .collect::<Vec<f32>>()
            };
            let (point, w, other) = (random(0.0, 1.0), random(-1.0, 1.0), random(0.0, 1.0));
            // A hyperplane through another point of the box.
            let gap = product(&w, &point) - product(&w, &other);
            for norm in [Norm::L2, Norm::Linf] {
                let d = projection(norm, &point, &w, gap);
                let moved: Vec<f32> = point.iter().zip(&d).map(|(t, d)| t + d).collect();
                assert!(moved.iter().all(|t| (-1e-6..=1.0 + 1e-6).contains(t)));
                assert!((product(&w, &moved) - product(&w, &other)).abs() < 1e-4);
                let length = norm.length_of(d.iter().copied());
                let to_other = point.iter().zip(&other).map(|(t, o)| o - t);
                assert!(length <= norm.length_of(to_other) + 1e-5);
            }
        }
    }
}
