//! Quadrature rules on [0, 1]: trapezoid and Gauss–Legendre.

/// Nodes and weights of the Gauss–Legendre rule with `count` points: exact for polynomials up to
/// degree 2·count − 1.
///
/// The nodes are the zeros of the Legendre polynomial, found by Newton's method from Tricomi's
/// estimate.
pub fn gauss_legendre(count: usize) -> Vec<(f64, f64)> {
    let node = |index: usize| {
        let share = (index as f64 + 0.75) / (count as f64 + 0.5);
        let mut x = -(std::f64::consts::PI * share).cos();
        // Newton's method converges quadratically: a handful of steps reaches machine precision.
        for _ in 0..8 {
            let (value, slope) = legendre(count, x);
            x -= value / slope;
        }
        let slope = legendre(count, x).1;
        let weight = 2.0 / ((1.0 - x * x) * slope * slope);
        ((x + 1.0) / 2.0, weight / 2.0)
    };
    (0..count).map(node).collect()
}

/// The Legendre polynomial of a degree and its derivative at `x`, by the three-term recurrence.
fn legendre(degree: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for n in 2..=degree {
        let n = n as f64;
        let next = ((2.0 * n - 1.0) * x * value - (n - 1.0) * before) / n;
        (before, value) = (value, next);
    }
    let slope = degree as f64 * (x * value - before) / (x * x - 1.0);
    (value, slope)
}

/// Nodes and weights of the trapezoid rule with `count` ≥ 2 points; the midpoint rule for one.
pub fn trapezoid(count: usize) -> Vec<(f64, f64)> {
    if count < 2 {
        return vec![(0.5, 1.0)];
    }
    let last = count - 1;
    let node = |index: usize| {
        let half = if index == 0 || index == last {
            0.5
        } else {
            1.0
        };
        (index as f64 / last as f64, half / last as f64)
    };
    (0..count).map(node).collect()
}
