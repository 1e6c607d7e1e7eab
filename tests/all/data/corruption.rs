//! Everyday corruptions of pictures.

use epsiloscope::data::{Corruption, CorruptionKind, MAX_SEVERITY};

/// Height and width: not square, no powers of two.
const SIZE: [usize; 2] = [40, 52];

/// A picture of smooth colours with edges, `[3, h, w]`.
fn picture() -> Vec<f32> {
    let [h, w] = SIZE;
    let value = |at: usize| {
        let (channel, y, x) = (at / (h * w), at / w % h, at % w);
        let smooth = (x as f32 / w as f32 + channel as f32 / 3.0) / 2.0;
        let square = (10..25).contains(&y) && (12..30).contains(&x);
        if square {
            0.9 - 0.3 * smooth
        } else {
            0.2 + 0.5 * smooth
        }
    };
    (0..3 * h * w).map(value).collect()
}

fn of(kind: CorruptionKind, severity: f32) -> Corruption {
    Corruption {
        kind,
        severity,
        seed: 3,
    }
}

/// Root mean square difference.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    (squares.sum::<f32>() / a.len() as f32).sqrt()
}

#[test]
fn severity_zero_leaves_every_bit() {
    let picture = picture();
    let bytes: Vec<u8> = (0..picture.len()).map(|at| (at * 7 % 256) as u8).collect();
    for kind in CorruptionKind::ALL {
        assert!(
            of(kind, 0.0).apply(&picture, SIZE, 9) == picture,
            "{kind:?}"
        );
        assert!(
            of(kind, 0.0).apply_to_bytes(&bytes, SIZE, 9) == bytes,
            "{kind:?}"
        );
    }
}

#[test]
fn every_kind_changes_the_picture_more_the_more_severe_it_is_and_stays_inside_the_box() {
    let picture = picture();
    for kind in CorruptionKind::ALL {
        let far = |severity: f32| {
            let corrupted = of(kind, severity).apply(&picture, SIZE, 9);
            assert_eq!(corrupted.len(), picture.len());
            assert!(
                corrupted.iter().all(|value| (0.0..=1.0).contains(value)),
                "{kind:?}"
            );
            distance(&corrupted, &picture)
        };
        let (little, one, most) = (far(0.02), far(1.0), far(MAX_SEVERITY));
        assert!(one > 0.002, "{kind:?}: severity 1 changes {one}");
        // The authors' elastic distortions do not grow: the first two move wide regions, the others waves.
        let grows = most > 1.1 * one || kind == CorruptionKind::Elastic;
        assert!(grows, "{kind:?}: {one} of severity 1, {most} of 5");
        assert!(
            little < 0.35 * one,
            "{kind:?}: {little} of severity 0.02, {one} of 1"
        );
    }
}

#[test]
fn equal_seeds_and_pictures_have_equal_corruptions_and_others_have_not() {
    let picture = picture();
    let random = [
        CorruptionKind::GaussianNoise,
        CorruptionKind::ShotNoise,
        CorruptionKind::ImpulseNoise,
        CorruptionKind::GlassBlur,
        CorruptionKind::MotionBlur,
        CorruptionKind::Snow,
        CorruptionKind::Frost,
        CorruptionKind::Fog,
        CorruptionKind::Elastic,
    ];
    for kind in CorruptionKind::ALL {
        let corruption = of(kind, 3.0);
        let first = corruption.apply(&picture, SIZE, 1);
        assert!(first == corruption.apply(&picture, SIZE, 1), "{kind:?}");
        let other_picture = corruption.apply(&picture, SIZE, 2);
        let other_seed = Corruption {
            seed: 4,
            ..corruption
        };
        let other_seed = other_seed.apply(&picture, SIZE, 1);
        let is_random = random.contains(&kind);
        assert_eq!(first != other_picture, is_random, "{kind:?}");
        assert_eq!(first != other_seed, is_random, "{kind:?}");
    }
}

#[test]
fn noise_has_the_authors_strength() {
    let grey = vec![0.5; 3 * 64 * 64];
    let deviation = |kind, severity| distance(&of(kind, severity).apply(&grey, [64, 64], 0), &grey);
    // Normal noise of deviation 0.08; Poisson noise of variance 0.5/60; ½² for a share of 0.03 and 0.27.
    for (kind, severity, wanted) in [
        (CorruptionKind::GaussianNoise, 1.0, 0.08),
        (CorruptionKind::ShotNoise, 1.0, (0.5_f32 / 60.0).sqrt()),
        (CorruptionKind::ImpulseNoise, 1.0, 0.5 * 0.03_f32.sqrt()),
        (CorruptionKind::ImpulseNoise, 5.0, 0.5 * 0.27_f32.sqrt()),
    ] {
        let found = deviation(kind, severity);
        assert!(
            (found / wanted - 1.0).abs() < 0.06,
            "{kind:?}: {found}, {wanted}"
        );
    }
}

#[test]
fn light_and_contrast_are_those_of_the_formulas() {
    // One red pixel beside three of half brightness.
    let pixels = [0.8, 0.5, 0.5, 0.5, 0.4, 0.5, 0.5, 0.5, 0.2, 0.5, 0.5, 0.5];
    let bright = of(CorruptionKind::Brightness, 2.0).apply(&pixels, [2, 2], 0);
    // The value rises by 0.2 to 1, hue and saturation stay.
    for (channel, wanted) in [1.0, 0.5, 0.25].into_iter().enumerate() {
        assert!((bright[4 * channel] - wanted).abs() < 1e-6, "{bright:?}");
        assert!((bright[4 * channel + 1] - 0.7).abs() < 1e-6, "{bright:?}");
    }
    let flat = of(CorruptionKind::Contrast, 1.0).apply(&pixels, [2, 2], 0);
    let mean = (0.8 + 3.0 * 0.5) / 4.0;
    assert!(
        (flat[0] - (mean + 0.4 * (0.8 - mean))).abs() < 1e-6,
        "{flat:?}"
    );
    // Half way between severity 1 and 2, half way between their constants.
    let between = of(CorruptionKind::Contrast, 1.5).apply(&pixels, [2, 2], 0);
    assert!((between[0] - (mean + 0.35 * (0.8 - mean))).abs() < 1e-6);
}

#[test]
fn the_smallest_pictures_are_corrupted_too() {
    for size in [[1, 1], [1, 5], [3, 2]] {
        let pixels = vec![0.4; 3 * size[0] * size[1]];
        for kind in CorruptionKind::ALL {
            for severity in [0.3, 5.0, f32::MAX, f32::NAN] {
                let corrupted = of(kind, severity).apply(&pixels, size, 0);
                assert_eq!(
                    corrupted.len(),
                    pixels.len(),
                    "{kind:?} {size:?} {severity}"
                );
                let is_number = corrupted.iter().all(|value| value.is_finite());
                assert!(is_number, "{kind:?} {size:?} {severity}");
            }
        }
    }
}
