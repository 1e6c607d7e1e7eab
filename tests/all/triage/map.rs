//! Maps of representations.

use epsiloscope::data::random::noise_rng;
use epsiloscope::triage::map::{Layout, Represented, map, pca, tsne};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

/// Rows of twelve numbers around three centres, forty of each.
fn clusters() -> Vec<Vec<f32>> {
    let mut rng = noise_rng(3, 0);
    let centres: Vec<Vec<f32>> = (0..3)
        .map(|_| (0..12).map(|_| rng.random_range(-6.0..6.0)).collect())
        .collect();
    let row = |index: usize| {
        let centre = &centres[index % 3];
        let mut noise = |value: &f32| {
            let noise: f32 = StandardNormal.sample(&mut rng);
            value + noise
        };
        centre.iter().map(&mut noise).collect()
    };
    (0..120).map(row).collect()
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// How many points have a point of their own cluster nearest.
fn kept(places: &[[f32; 2]]) -> usize {
    let nearest = |at: usize| {
        let others = (0..places.len()).filter(|&other| other != at);
        others.min_by(|&a, &b| {
            distance(places[at], places[a]).total_cmp(&distance(places[at], places[b]))
        })
    };
    (0..places.len())
        .filter(|&at| nearest(at).is_some_and(|other| other % 3 == at % 3))
        .count()
}

#[test]
fn principal_components_are_those_of_the_covariance() {
    let rows = clusters();
    let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    let found = pca(&rows, 2).expect("components");
    // The same from the covariance matrix, with nalgebra's own solver.
    let gaussian = epsiloscope::synthesis::Gaussian::fit(rows.iter().copied()).expect("a fit");
    let eigen = nalgebra::SymmetricEigen::new(gaussian.covariance.clone());
    let mut order: Vec<usize> = (0..12).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let trace = gaussian.covariance.trace();
    for (component, &index) in order[..2].iter().enumerate() {
        let share = eigen.eigenvalues[index] / trace;
        assert!((f64::from(found.shares[component]) - share).abs() < 1e-4);
        let axis = eigen.eigenvectors.column(index);
        let mut ratios = rows.iter().map(|row| {
            let centred = row
                .iter()
                .zip(&gaussian.mean)
                .map(|(v, m)| f64::from(*v) - m);
            let score: f64 = centred.zip(&axis).map(|(value, axis)| value * axis).sum();
            (score, f64::from(found.project(row)[component]))
        });
        let sign = ratios.clone().map(|(a, b)| a * b).sum::<f64>().signum();
        assert!(ratios.all(|(a, b)| (a * sign - b).abs() < 1e-2));
    }
    assert!(pca(&rows[..1], 2).is_none());
}

#[test]
fn attacked_pictures_are_arrows_in_the_same_map() {
    let rows = clusters();
    let represented: Vec<Represented> = rows
        .iter()
        .enumerate()
        .map(|(record, row)| Represented {
            record,
            clean: row.clone(),
            // Every second one becomes a member of the next cluster.
            attacked: (record % 2 == 0).then(|| rows[(record + 1) % 120].clone()),
        })
        .collect();
    for layout in [Layout::Pca, Layout::Tsne] {
        let (points, share) = map(&represented, layout).expect("a map");
        assert_eq!(
            (points.len(), share.is_some()),
            (120, layout == Layout::Pca)
        );
        let places: Vec<[f32; 2]> = points.iter().map(|point| point.clean).collect();
        assert!(kept(&places) > 114, "{layout:?}: {}", kept(&places));
        for (index, point) in points.iter().enumerate() {
            assert_eq!(point.record, index);
            let Some(attacked) = point.attacked else {
                assert_eq!(index % 2, 1);
                continue;
            };
            let nearest = (0..120).min_by(|&a, &b| {
                distance(attacked, places[a]).total_cmp(&distance(attacked, places[b]))
            });
            assert_eq!(nearest.expect("a point") % 3, (index + 1) % 3);
        }
    }
    assert!(map(&represented[..2], Layout::Pca).is_err());
}

#[test]
fn what_is_all_the_same_has_a_map_too() {
    let row = [0.5f32; 7];
    let rows: Vec<&[f32]> = vec![&row; 5];
    let found = pca(&rows, 2).expect("components");
    assert!(found.project(&row).iter().all(|value| value.abs() < 1e-5));
    let places = tsne(&rows).expect("a map");
    assert!(places.iter().flatten().all(|value| value.is_finite()));
}
