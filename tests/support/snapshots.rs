//! Small pictures of what is drawn, compared with those in `tests/snapshots`.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test` writes them anew; look at them before they are committed.

use std::path::Path;

use image::RgbaImage;

/// Mean difference of a channel that is still the same picture: processors round differently.
const MEAN: f64 = 2.0;
/// Difference of a channel from which a pixel is another one, and the share of pixels that may be.
const OTHER: u8 = 48;
const OTHERS: f64 = 0.02;

/// Checks that `picture` looks like the snapshot of that name.
pub(crate) fn check(name: &str, picture: &RgbaImage) {
    let path = Path::new("tests/snapshots").join(format!("{name}.png"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        picture.save(&path).expect("the folder is there");
    }
    let expected = image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let expected = expected.to_rgba8();
    assert_eq!(picture.dimensions(), expected.dimensions(), "{name}");
    let differences = picture.as_raw().iter().zip(expected.as_raw());
    let differences = differences.map(|(a, b)| a.abs_diff(*b));
    let count = picture.as_raw().len() as f64;
    let mean = differences.clone().map(f64::from).sum::<f64>() / count;
    let others = differences.filter(|difference| *difference > OTHER).count() as f64 / count;
    if mean > MEAN || others > OTHERS {
        let found = std::env::temp_dir().join(format!("epsiloscope-{name}.png"));
        let kept = picture.save(&found);
        panic!(
            "{name} looks otherwise: mean difference {mean:.2}, {:.2} % of the values are others; it is in {} ({kept:?})",
            others * 100.0,
            found.display()
        );
    }
}
