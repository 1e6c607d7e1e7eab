//! Snapshots of the window's parts, on networks that never change.

use epsiloscope::compute::Compute;
use epsiloscope::model::ModelRef;

use egui_kittest::kittest::Queryable;

use crate::support::snapshots::check;
use crate::support::window::until;
use crate::window::window;

/// Parts of the window of 1280×720: name, left, top, width and height.
const PARTS: [(&str, [u32; 4]); 4] = [
    ("tile-input", [196, 60, 128, 216]),
    ("tile-perturbation", [476, 60, 128, 190]),
    ("tile-heat-map", [616, 60, 128, 190]),
    ("timeline", [0, 572, 1280, 148]),
];

/// Tiles with and without a heat map and the timeline look as they did.
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
    for (name, [left, top, width, height]) in PARTS {
        let part = image::imageops::crop_imm(&picture, left, top, width, height).to_image();
        check(name, &part);
    }
}
