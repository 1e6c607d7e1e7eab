//! Robust twins that an earlier window left behind: found again, and what can be done with them.

use std::fs;
use std::path::Path;

use epsiloscope::app::twins::{TwinAction, Twins};
use epsiloscope::train::{CHECKPOINT, PAUSE, Phase, record_phase};
use tempfile::tempdir;

fn write(folder: &Path, phase: Phase, files: &[&str]) {
    fs::create_dir_all(folder).expect("a folder");
    record_phase(folder, phase, None).expect("a status");
    for file in files {
        fs::write(folder.join(file), []).expect("a file");
    }
}

#[test]
fn twins_are_found_again_with_what_can_be_done() {
    let home = tempdir().expect("a folder");
    let [done, paused, lost] = ["a done", "b paused", "c lost"].map(|name| home.path().join(name));
    write(&done, Phase::Finished, &[CHECKPOINT, "model.safetensors"]);
    write(&paused, Phase::Paused, &[CHECKPOINT]);
    write(&lost, Phase::Running, &[]);
    fs::create_dir(home.path().join("something else")).expect("a folder");
    let mut twins = Twins::new(Some(home.path().into()));
    assert!(
        twins.poll(true).is_empty(),
        "a model that was complete is not opened by itself"
    );
    let names: Vec<String> = twins.all().iter().map(|twin| twin.name()).collect();
    assert_eq!(names, ["a done", "b paused", "c lost"]);
    let phases: Vec<Phase> = twins.all().iter().map(|twin| twin.status().phase).collect();
    assert_eq!(phases, [Phase::Finished, Phase::Paused, Phase::Running]);
    assert!(
        twins.all().iter().all(|twin| !twin.is_alive()),
        "nothing runs"
    );
    let resumable: Vec<bool> = twins
        .all()
        .iter()
        .map(|twin| twin.has_checkpoint())
        .collect();
    assert_eq!(resumable, [true, true, false]);
    let model = twins.act(0, TwinAction::Open).expect("a model");
    assert_eq!(model, Some(done.join("model.safetensors")));
    twins.act(1, TwinAction::Pause).expect("a request");
    assert!(paused.join(PAUSE).exists());
    twins.act(2, TwinAction::Delete).expect("it is gone");
    assert!(!lost.exists() && twins.all().len() == 2);
}
