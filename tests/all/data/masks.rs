//! Where true masks are looked for, and what of them a model sees.

use std::fs;
use std::path::Path;

use epsiloscope::data::Picture;
use epsiloscope::data::mask::{self, GroundTruthMask, MaskFinder};
use image::{Rgb, RgbImage};
use tempfile::tempdir;

use crate::support::message_naming;

fn write(path: &Path, size: [u32; 2]) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    // The left half is inside.
    let image = RgbImage::from_fn(size[0], size[1], |x, _| {
        Rgb([255 * u8::from(x < size[0] / 2); 3])
    });
    image.save(path).expect("a picture");
}

#[test]
fn masks_are_found_beside_and_around_but_not_among_classes() {
    let root = tempdir().expect("a folder");
    let at = |name: &str| root.path().join(name);
    for name in [
        "test/crack/a.png",
        "test/clean/b.png",
        "test_masks/a.png",
        "test/crack/masks/c.png",
    ] {
        write(&at(name), [8, 8]);
    }
    let mut finder = MaskFinder::default();
    assert_eq!(
        finder.find(&at("test/crack/a.jpg")),
        Some(at("test_masks/a.png"))
    );
    assert_eq!(
        finder.find(&at("test/crack/c.jpg")),
        Some(at("test/crack/masks/c.png"))
    );
    assert_eq!(finder.find(&at("test/clean/b.png")), None);
    // Here the word is a class.
    write(&at("faces/with_mask/a.png"), [8, 8]);
    write(&at("faces/without_mask/a.png"), [8, 8]);
    assert_eq!(finder.find(&at("faces/with_mask/a.png")), None);
}

#[test]
fn a_mask_is_cut_as_its_picture_is() {
    let root = tempdir().expect("a folder");
    let path = root.path().join("mask.png");
    write(&path, [24, 8]);
    let mask = mask::open(&path, [24, 8]).unwrap_or_else(|error| panic!("{error}"));
    let seen = GroundTruthMask::of(&mask, [64, 64]);
    assert_eq!(
        seen.size,
        [8, 8],
        "the middle square at the mask's own resolution"
    );
    let left: Vec<bool> = (0..64).map(|at| at % 8 < 4).collect();
    assert_eq!(seen.inside, left);
    let other = message_naming(&path, mask::open(&path, [8, 8]));
    assert!(other.contains("24×8") && other.contains("8×8"), "{other}");
}

#[test]
fn pictures_that_are_no_masks_are_refused_by_name() {
    let root = tempdir().expect("a folder");
    let path = root.path().join("mask.png");
    fs::write(&path, b"no picture").expect("a file");
    message_naming(&path, mask::open(&path, [8, 8]));
    assert!(Picture::open(&path).is_err());
}
