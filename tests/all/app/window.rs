//! The window without a graphics adapter: what a person reads in it, and what keys, drops and clicks do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use epsiloscope::app::App;
use epsiloscope::compute::{Backend, Compute};
use epsiloscope::model::{ModelRef, Precision, Weights};
use epsiloscope::session::{self, DataFolder, Session};
use tempfile::tempdir;

use crate::session::sessions::{snapshot, state};
use crate::support::window::{run, until};
use crate::support::{tiny_manifest, tiny_network, write_two_colours};

/// The window in a run of frames, on `models`, opening `files`, with its own files in `home`.
fn window(models: Vec<ModelRef>, files: Vec<PathBuf>, home: &Path) -> Harness<'static, App> {
    let cpu = Compute::open(&Backend::Cpu).expect("there is always a CPU");
    let context = egui::Context::default();
    let app = App::new(&context, cpu, models, files);
    let app = app.at_home(&context, DataFolder::at(home.into()));
    run(Harness::builder(), app)
}

/// A tiny model in a file of this name.
fn model(folder: &Path, name: &str) -> PathBuf {
    let mut weights = Weights::of(&mut tiny_network(2, 5));
    tiny_manifest(2).attach(&mut weights);
    let path = folder.join(name);
    weights.write(&path, Precision::Single).expect("a model");
    path
}

/// The window of this size on a tiny model that has predicted the first of `pictures`, a file or folder of a data set of two
/// colours.
pub(super) fn explorer(folder: &Path, pictures: &str, size: [f32; 2]) -> Harness<'static, App> {
    let data = folder.join("data");
    write_two_colours(&data, 2, 2);
    let models = vec![ModelRef::file(model(folder, "tiny.safetensors"))];
    let cpu = Compute::open(&Backend::Cpu).expect("there is always a CPU");
    let files = vec![data.join(pictures)];
    let app = App::new(&egui::Context::default(), cpu, models, files);
    let mut harness = run(Harness::builder().with_size(size), app);
    until(&mut harness, "a prediction", |harness| predicts(harness, 1));
    harness
}

fn predicts(harness: &Harness<'_, App>, rows: usize) -> bool {
    harness.query_all_by_label_contains("predicts ").count() == rows
}

#[test]
fn a_change_by_key_is_undone_by_key() {
    let folder = tempdir().expect("a folder");
    let models = vec![ModelRef::file(model(folder.path(), "tiny.safetensors"))];
    let mut harness = window(models, Vec::new(), folder.path());
    until(&mut harness, "a prediction", |harness| predicts(harness, 1));
    harness.get_by_label("ε 0.5");
    harness.key_press(Key::CloseBracket);
    until(&mut harness, "a larger ε", |harness| {
        harness.query_by_label("ε 0.531").is_some()
    });
    // A change is kept for undoing once it rests.
    until(&mut harness, "undoing to be possible", |harness| {
        harness.state().can_undo()
    });
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    until(&mut harness, "ε as before", |harness| {
        harness.query_by_label("ε 0.5").is_some()
    });
    harness.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    until(&mut harness, "the larger ε again", |harness| {
        harness.query_by_label("ε 0.531").is_some()
    });
}

/// A file as the system hands it over.
#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        fs::read(&self.0).map_err(|error| error.to_string())
    }
}

#[test]
fn a_dropped_model_asks_for_its_row() {
    let folder = tempdir().expect("a folder");
    let first = model(folder.path(), "first.safetensors");
    let second = model(folder.path(), "second.safetensors");
    let mut harness = window(vec![ModelRef::file(first)], Vec::new(), folder.path());
    until(&mut harness, "a prediction", |harness| predicts(harness, 1));
    let dropped = std::sync::Arc::new(Dropped(second));
    harness.input_mut().dropped_files.push(dropped);
    until(&mut harness, "the question", |harness| {
        harness.query_by_label("Open second.safetensors").is_some()
    });
    harness.get_by_label_contains("Row 1:").click();
    until(&mut harness, "the other model", |harness| {
        harness.query_by_label("Open second.safetensors").is_none() && predicts(harness, 1)
    });
}

#[test]
fn what_a_crash_left_behind_is_recovered() {
    let folder = tempdir().expect("a folder");
    let home = folder.path().join("home");
    let mut before = state(folder.path());
    before.document.models = vec![ModelRef::file(model(folder.path(), "tiny.safetensors"))];
    let mut crashed = DataFolder::at(home.clone());
    let autosave = crashed.autosave().expect("an autosave");
    session::write(&Session::of(&snapshot(&before)), &autosave).expect("a session");
    drop(crashed);
    let mut harness = window(before.document.models.clone(), Vec::new(), &home);
    until(&mut harness, "the offer", |harness| {
        harness.query_by_label("Recover").is_some()
    });
    harness.get_by_label("Recover").click();
    until(&mut harness, "the library of then", |harness| {
        harness.query_by_label("3 pictures").is_some()
    });
    assert!(harness.query_by_label("Recover").is_none());
}

#[test]
fn a_picture_of_a_scan_is_explored_and_left_again() {
    let folder = tempdir().expect("a folder");
    let data = folder.path().join("data");
    write_two_colours(&data, 1, 2);
    let tiny = model(folder.path(), "tiny.safetensors");
    let database = folder.path().join("scan.db");
    let scan = Command::new(env!("CARGO_BIN_EXE_epsiloscope"))
        .arg("scan")
        .arg(&data)
        .arg("--models")
        .arg(&tiny)
        .arg("--db")
        .arg(&database)
        .args(["--steps", "1", "--backend", "cpu"])
        .output()
        .expect("the program starts");
    assert!(scan.status.success(), "{scan:?}");
    assert!(fs::metadata(&database).is_ok());
    let mut harness = window(vec![ModelRef::file(tiny)], vec![database], folder.path());
    until(&mut harness, "the selection", |harness| {
        harness.state().selected_pictures() == 4
    });
    harness.key_press(Key::ArrowRight);
    harness.step();
    harness.key_press(Key::Enter);
    until(&mut harness, "the picture in the explorer", |harness| {
        predicts(harness, 1)
    });
    harness.get_by_label("Triage").click();
    until(&mut harness, "the selection again", |harness| {
        predicts(harness, 0)
    });
    assert_eq!(harness.state().selected_pictures(), 4);
}

/// The tour comes with the first start, goes through its steps, ends with Esc, and comes again only when it is asked for.
#[test]
fn the_tour_is_offered_once_and_found_again() {
    let folder = tempdir().expect("a folder");
    let home = folder.path().join("home");
    let models = || vec![ModelRef::file(folder.path().join("tiny.safetensors"))];
    model(folder.path(), "tiny.safetensors");
    let mut harness = window(models(), Vec::new(), &home);
    until(&mut harness, "a prediction", |harness| predicts(harness, 1));
    for step in 1..=6 {
        harness.get_by_label(&format!("{step} of 6"));
        if step == 5 {
            harness.get_by_label("Show counterfactuals").click();
            until(&mut harness, "the columns of counterfactuals", |harness| {
                harness.query_all_by_label("Counterfactual").count() > 2
            });
        }
        let next = if step == 6 { "Finish" } else { "Next" };
        harness.get_by_label(next).click();
        harness.run_steps(3);
    }
    assert!(harness.query_by_label_contains(" of 6").is_none());
    drop(harness);
    let mut harness = window(models(), Vec::new(), &home);
    until(&mut harness, "a prediction", |harness| predicts(harness, 1));
    assert!(harness.query_by_label("1 of 6").is_none());
    harness.key_press_modifiers(Modifiers::COMMAND, Key::K);
    harness.run_steps(2);
    harness.event(egui::Event::Text("tour".into()));
    harness.run_steps(2);
    harness.key_press(Key::Enter);
    harness.run_steps(3);
    harness.get_by_label("1 of 6");
    harness.key_press(Key::Escape);
    harness.run_steps(3);
    assert!(harness.query_by_label("1 of 6").is_none());
}

/// Ctrl+K finds commands and settings by words; a setting's section unfolds.
#[test]
fn the_search_runs_commands_and_shows_settings() {
    let folder = tempdir().expect("a folder");
    let models = vec![ModelRef::file(model(folder.path(), "tiny.safetensors"))];
    let cpu = Compute::open(&Backend::Cpu).expect("there is always a CPU");
    let app = App::new(&egui::Context::default(), cpu, models, Vec::new());
    let mut harness = run(Harness::builder(), app);
    until(&mut harness, "a prediction", |harness| predicts(harness, 1));
    let search = |harness: &mut Harness<'_, App>, text: &str| {
        harness.key_press_modifiers(Modifiers::COMMAND, Key::K);
        harness.run_steps(2);
        harness.event(egui::Event::Text(text.into()));
        harness.run_steps(2);
        harness.key_press(Key::Enter);
        harness.run_steps(2);
    };
    search(&mut harness, "larger ε");
    harness.get_by_label("ε 0.531");
    // What is not on the screen is folded until it is looked for.
    assert!(harness.query_by_label("Smoothness").is_none());
    search(&mut harness, "smoothness");
    harness.get_by_label("Smoothness");
    // Esc closes the search and runs nothing.
    harness.key_press_modifiers(Modifiers::COMMAND, Key::K);
    harness.run_steps(2);
    harness.key_press(Key::Escape);
    harness.run_steps(2);
    harness.get_by_label("ε 0.531");
}

/// AutoAttack on the open picture: each model says what held; another picture leaves the check aside.
#[test]
fn the_open_picture_is_checked_by_autoattack() {
    let folder = tempdir().expect("a folder");
    let mut harness = explorer(folder.path(), "test/red", [800.0, 600.0]);
    harness.get_by_label("Check this picture").click();
    until(&mut harness, "the end of the check", |harness| {
        let ended = ["All attacks failed", "Predicted as ", "nothing to check"];
        let found = |text: &&str| harness.query_by_label_contains(text).is_some();
        ended.iter().any(found)
    });
    harness.get_by_label("APGD-CE");
    // Two classes are too few for the targeted ratio.
    assert!(harness.query_by_label("APGD-T").is_none());
    harness.key_press(Key::ArrowRight);
    until(&mut harness, "the check to rest", |harness| {
        harness
            .query_by_label_contains("of another picture")
            .is_some()
    });
    harness
        .get_by_label("Check the open picture instead")
        .click();
    until(&mut harness, "a check of the other picture", |harness| {
        harness.query_by_label("APGD-CE").is_some()
    });
}
