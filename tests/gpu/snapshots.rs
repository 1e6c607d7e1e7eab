//! Snapshots of the window's parts, on networks that never change.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use egui_kittest::kittest::Queryable;
use epsiloscope::compute::Compute;
use epsiloscope::model::{Examined, ModelRef};
use epsiloscope::triage::{Database, Plan, Scan, ScanStep};
use image::RgbaImage;
use tempfile::tempdir;

use crate::support::snapshots::check;
use crate::support::window::until;
use crate::window::{window, window_opening};

/// Parts of the explorer of 1280×720: name, left, top, width and height.
const PARTS: [(&str, [u32; 4]); 4] = [
    ("tile-input", [196, 60, 128, 216]),
    ("tile-perturbation", [504, 60, 128, 190]),
    ("tile-heat-map", [658, 60, 128, 190]),
    ("timeline", [0, 572, 1280, 148]),
];

/// The matrix on the triage page of the same size.
const MATRICES: (&str, [u32; 4]) = ("matrices", [8, 80, 420, 140]);

/// Tiles with and without a heat map, the timeline and the matrices of a scan look as they did.
pub fn look_as_they_did(gpu: &Compute) {
    let models = ["single_logit.pt", "stem3_maxpool.pt"];
    let models = models.map(|file| ModelRef::file(format!("tests/fixtures/foreign/{file}")));
    let mut harness = window(gpu, models.to_vec());
    until(&mut harness, "all results", |harness| {
        harness.query_all_by_label_contains("Why ").count() == 4
            && harness.query_all_by_label_contains("re-evaluated").count() == 2
            && harness.query_all_by_label_contains("computing").count() == 0
    });
    harness.run_steps(4);
    let picture = harness.render().expect("the window renders");
    PARTS.iter().for_each(|part| check_part(&picture, part));

    let folder = tempdir().expect("a folder");
    let mut harness = window_opening(gpu, models.to_vec(), &[scanned(folder.path())]);
    until(&mut harness, "the scan", |harness| {
        harness.query_by_label("Matrices").is_some()
    });
    harness.get_by_label("Matrices").click();
    until(&mut harness, "a matrix", |harness| {
        harness
            .query_by_label_contains("12 pictures; rows:")
            .is_some()
    });
    harness.run_steps(4);
    let picture = harness.render().expect("the window renders");
    check_part(&picture, &MATRICES);
}

fn check_part(picture: &RgbaImage, (name, [left, top, width, height]): &(&str, [u32; 4])) {
    let part = image::imageops::crop_imm(picture, *left, *top, *width, *height);
    check(name, &part.to_image());
}

/// A database of one scan of eight dark and four bright pictures.
fn scanned(folder: &Path) -> PathBuf {
    let set = folder.join("set");
    for (class, count) in [("class 0", 8u8), ("class 1", 4)] {
        std::fs::create_dir_all(set.join(class)).expect("a folder");
        for number in 0..count {
            let level =
                |place: u32| (place * 3) as u8 + 20 * number + if count > 4 { 0 } else { 90 };
            let picture = image::RgbImage::from_fn(32, 32, |x, y| {
                image::Rgb([level(x), level(y), 10 * number])
            });
            let path = set.join(class).join(format!("{number}.png"));
            picture.save(path).expect("a picture");
        }
    }
    let path = folder.join("scan.db");
    let model = ModelRef::file("tests/fixtures/foreign/single_logit.pt");
    let plan = Plan {
        source: set,
        models: vec![model.clone()],
        attack: None,
        flip: None,
        map: false,
    };
    let model = Examined::open(&model, &Device::flex()).expect("a sound model");
    let database = Database::open(&path).expect("a database");
    let mut scan = Scan::new(database, &plan, vec![model], 16).expect("a scan");
    while scan.step().expect("a step") != ScanStep::Finished {}
    path
}
