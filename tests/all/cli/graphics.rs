//! `epsiloscope graphics`: what a person chose is kept, and a damaged file is refused.

use std::fs;

use crate::cli::commands::{Scene, json};

/// What the program says where no adapter is.
const NONE: &str = "adapter";

#[test]
fn what_a_person_chose_is_kept_and_a_damaged_file_refused() {
    let scene = Scene::new();
    let chosen = scene.output("graphics --use matrix-product --json OUT/chosen.json");
    let errors = String::from_utf8_lossy(&chosen.stderr);
    if !chosen.status.success() {
        // Without an adapter there is nothing to choose, and that is what is said.
        assert!(errors.contains(NONE), "{errors}");
        return;
    }
    let said = String::from_utf8_lossy(&chosen.stdout);
    assert!(said.contains("matrix-product (as chosen)"), "{said}");
    let kept = scene.out("home").join("graphics.json");
    assert_eq!(
        json(&kept)[0],
        json(&scene.out("graphics").join("chosen.json"))
    );
    let again = scene.output("graphics");
    assert_eq!(again.stdout, chosen.stdout);

    fs::write(&kept, "damaged").expect("it is written");
    let refused = scene.output("graphics");
    assert_eq!(refused.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(
        errors.contains("graphics.json") && errors.contains("damaged"),
        "{errors}"
    );
    // What runs models says so, and runs them all the same.
    let version = scene.output("--version --backend wgpu");
    assert!(version.status.success());
}
