//! Every subcommand from end to end, on a tiny network and tiny pictures.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::CommandFactory;
use epsiloscope::cli::Arguments;
use epsiloscope::model::{Manifest, Precision, Weights};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{tiny_manifest, tiny_network, write_two_colours};

/// The subcommands that this file tests; training a generator and its report have tests of their own.
const TESTED: [&str; 19] = [
    "attack",
    "bench",
    "completions",
    "corrupt",
    "counterfactual",
    "evaluate",
    "explain",
    "generate",
    "graphics",
    "inspect",
    "invert",
    "man",
    "neuron",
    "render",
    "report",
    "scan",
    "seeds",
    "synthetic-cracks",
    "train",
];

/// Two colours to train and test on, and a network that knows their names.
pub(crate) struct Scene {
    folder: TempDir,
    model: String,
    pub(crate) picture: String,
    data: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        write_two_colours(&data, 6, 4);
        let mut weights = Weights::of(&mut tiny_network(2, 5));
        let manifest = Manifest {
            labels: vec!["blue".into(), "red".into()],
            ..tiny_manifest(2)
        };
        manifest.attach(&mut weights);
        let model = folder.path().join("tiny.safetensors");
        weights.write(&model, Precision::Single).expect("a model");
        let text = |path: &Path| path.to_string_lossy().into_owned();
        Self {
            model: text(&model),
            picture: text(&data.join("test/red/00.png")),
            data: text(&data),
            folder,
        }
    }

    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command, its arguments separated by spaces; MODEL, PICTURE, DATA and OUT stand for the scene's.
    pub(crate) fn run(&self, command: &str) -> PathBuf {
        let output = self.output(command);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {errors}");
        self.out(command.split(' ').next().expect("a name"))
    }

    /// The same, whatever becomes of it.
    pub(crate) fn output(&self, command: &str) -> Output {
        self.command(command).output().expect("the program starts")
    }

    /// The process of a command.
    pub(crate) fn command(&self, command: &str) -> Command {
        let name = command.split(' ').next().expect("a name");
        let out = self.out(name);
        let arguments = command.split(' ').map(|word| match word {
            "MODEL" => self.model.clone(),
            "PAIR" => format!("{0},{0}", self.model),
            "PICTURE" => self.picture.clone(),
            "DATA" => self.data.clone(),
            word if word.starts_with("OUT") => {
                let inside = out.join(word.trim_start_matches("OUT").trim_start_matches('/'));
                inside.to_string_lossy().into_owned()
            }
            word => word.into(),
        });
        fs::create_dir_all(&out).expect("a folder");
        let mut process = Command::new(env!("CARGO_BIN_EXE_epsiloscope"));
        process
            .args(arguments)
            .env("EPSILOSCOPE_HOME", self.out("home"));
        process
    }
}

pub(crate) fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).expect("JSON")
}

/// Checks that these files are there and not empty.
pub(crate) fn check_files(out: &Path, names: &[&str]) {
    for name in names {
        let length = fs::metadata(out.join(name)).map_or(0, |file| file.len());
        assert!(length > 0, "{name} in {}", out.display());
    }
}

#[test]
fn every_subcommand_is_tested() {
    let command = Arguments::command();
    let names = command.get_subcommands().map(clap::Command::get_name);
    let names: BTreeSet<&str> = names.filter(|name| *name != "help").collect();
    assert_eq!(names, TESTED.into_iter().collect());
}

#[cfg(all(unix, not(target_os = "macos")))]
#[test]
fn without_a_display_the_program_names_its_headless_commands() {
    let output = Command::new(env!("CARGO_BIN_EXE_epsiloscope"))
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
    for name in TESTED {
        assert!(errors.contains(&format!(" {name}")), "{name} in {errors}");
    }
}

#[test]
fn attack_writes_pictures_of_each_model_and_what_happened() {
    let scene = Scene::new();
    let out = scene.run("attack PICTURE --models PAIR --class red --eps 1 --backend cpu --out OUT");
    check_files(&out, &["tiny-attacked.png", "tiny-2-perturbation.png"]);
    let facts = json(&out.join("attack.json"));
    assert_eq!(facts.as_array().map(Vec::len), Some(2));
    assert_eq!(facts[0]["label"], "red");
    assert!(facts[0]["l2"].as_f64().is_some_and(|l2| l2 <= 1.0001));
}

#[test]
fn counterfactual_writes_pictures_of_each_model_and_their_distances() {
    let scene = Scene::new();
    let out = scene
        .run("counterfactual PICTURE --models PAIR --steps 5 --norm l1.5 --backend cpu --out OUT");
    let names = ["counterfactual", "back", "change", "mask"].map(|kind| format!("tiny-{kind}.png"));
    check_files(&out, &names.each_ref().map(String::as_str));
    check_files(&out, &["tiny-2-counterfactual.png"]);
    let facts = json(&out.join("counterfactual.json"));
    assert_ne!(facts[0]["source"], facts[0]["target"]);
    assert_eq!(facts[0]["norm"], "l1.5");
}

#[test]
fn evaluate_counts_every_picture_clean_and_attacked() {
    let scene = Scene::new();
    let out = scene.run(
        "evaluate --models MODEL --data DATA --clean --attack linf:8/255:2 --backend cpu --out OUT",
    );
    check_files(&out, &["evaluate.csv"]);
    let rows = json(&out.join("evaluate.json"));
    let text = rows.to_string();
    assert!(text.contains("\"pictures\":8"), "{text}");
}

#[test]
fn explain_writes_maps_of_a_picture_and_measures_of_a_set() {
    let scene = Scene::new();
    let options = "--path-steps 4 --baseline grey --backend cpu --out OUT";
    let out = scene.run(&format!(
        "explain PICTURE --models MODEL --class red {options}"
    ));
    check_files(&out, &["tiny.png", "tiny.npy", "explain.json"]);
    let out = scene.run(&format!(
        "explain --data DATA --models MODEL --limit 2 --overwrite {options}"
    ));
    assert!(fs::read_dir(out).expect("a folder").count() > 3);
}

#[test]
fn inspect_reads_any_model() {
    Scene::new().run("inspect MODEL");
}

#[test]
fn syntheses_write_pictures_films_and_curves() {
    let scene = Scene::new();
    let common = "--models MODEL --feature-model MODEL --iterations 3 --backend cpu --out OUT";
    for (command, start) in [
        ("invert PICTURE", ""),
        ("generate red", " --start noise"),
        ("neuron 1", " --start noise"),
    ] {
        let name = command.split(' ').next().expect("a name");
        let out = scene.run(&format!("{command} {common}{start}"));
        check_files(
            &out,
            &[&format!("tiny-{name}.png"), &format!("tiny-{name}.gif")],
        );
        let curves = &json(&out.join(format!("{name}.json")))[0]["curves"][0];
        assert_eq!(curves.as_array().map(Vec::len), Some(4), "{name}");
    }
}

#[test]
fn render_draws_a_figure_and_a_film() {
    let scene = Scene::new();
    let common = "--models MODEL --columns input,attacked --backend cpu";
    let out = scene.run(&format!(
        "render PICTURE {common} --epsilons 0.5 --out OUT/figure.svg"
    ));
    let svg = fs::read_to_string(out.join("figure.svg")).expect("a figure");
    assert!(svg.contains("tiny"));
    let out = scene.run(&format!(
        "render PICTURE {common} --film epsilon --frames 3 --out OUT/film.gif"
    ));
    check_files(&out, &["film.gif"]);
    let out = scene.run(&format!(
        "render PICTURE {common} --film severity --corruption fog --frames 3 --out OUT/fog.gif"
    ));
    check_files(&out, &["fog.gif"]);
}

#[test]
fn reports_measure_inversion_and_generation() {
    let scene = Scene::new();
    let common = "--data DATA --models PAIR --feature-models cifar10-robust --iterations 2 --backend cpu --out OUT";
    let out = scene.run(&format!("report inversion {common} --limit 2"));
    assert!(fs::read_dir(&out).expect("a folder").count() > 0);
    // From Gaussians of the training pictures, because none are bundled for this size.
    let out = scene.run(&format!("report generation {common} --per-class 2"));
    let report = json(&out.join("report-generation.json"));
    let lines = report["lines"].as_array().expect("lines");
    assert_eq!(lines.len(), 3, "the real pictures' and each model's");
    for line in lines {
        let distances = line["distances"].as_array().expect("distances");
        assert_eq!(distances.len(), 1, "in a network made for other sizes");
    }
}

#[test]
fn scan_fills_a_database_that_can_be_asked() {
    let scene = Scene::new();
    let out = scene.run("scan DATA --models MODEL --db OUT/scan.db --eps 0.5 --steps 2 --backend cpu --csv OUT/table.csv");
    let table = fs::read_to_string(out.join("table.csv")).expect("a table");
    assert_eq!(table.lines().count(), 9, "{table}");
}

#[test]
fn seeds_fits_a_gaussian_for_each_class() {
    let scene = Scene::new();
    let out = scene.run("seeds --data DATA --size 8 --out OUT/seeds.safetensors");
    check_files(&out, &["seeds.safetensors"]);
}

#[test]
fn bench_times_what_it_is_asked_for() {
    let scene = Scene::new();
    let out = scene
        .run("bench --runs 1 --only pgd_b1 --models MODEL --backend cpu --json OUT/bench.json");
    assert!(json(&out.join("bench.json")).to_string().contains("pgd_b1"));
}

#[test]
fn train_goes_on_from_a_model_of_other_classes() {
    let scene = Scene::new();
    let out = scene.run("train --data DATA --init MODEL --input 8 --stem cifar-half --block basic --widths 4,8 --blocks 1,1 --epochs 1 --batch 4 --monitor 2 --name trained --backend cpu --out OUT");
    check_files(
        &out,
        &["model.safetensors", "checkpoint.safetensors", "metrics.csv"],
    );
    let weights = Weights::read(&out.join("model.safetensors")).expect("a model");
    assert_eq!(
        Manifest::of(&weights).expect("a manifest").labels,
        ["blue", "red"]
    );
}

#[test]
fn a_robust_twin_is_trained_and_judged() {
    let scene = Scene::new();
    let out =
        scene.run("train --twin MODEL --data DATA --epochs 2 --batch 4 --backend cpu --out OUT");
    check_files(
        &out,
        &["model.safetensors", "metrics.csv", "checkpoint.safetensors"],
    );
    let verdict = json(&out.join("twin.json"));
    for key in [
        "clean",
        "robust",
        "inversion_ssim",
        "original_inversion_ssim",
    ] {
        assert!(verdict[key].is_number(), "{key} in {verdict}");
    }
    assert!(verdict["is_robust"].is_boolean());
    let status = json(&out.join("status.json"));
    assert_eq!(status["phase"], "finished");
    assert_eq!(status["steps"], status["total"]);
    assert!(
        status["curve"]
            .as_array()
            .is_some_and(|curve| curve.len() > 2)
    );
    let weights = Weights::read(&out.join("model.safetensors")).expect("a model");
    let manifest = Manifest::of(&weights).expect("a manifest");
    assert_eq!(manifest.labels, ["blue", "red"]);
    let said = if verdict["is_robust"] == true {
        "robust twin"
    } else {
        "adversarially fine-tuned"
    };
    assert!(manifest.name.contains(said), "{}", manifest.name);
    assert!(
        manifest.training.contains("PGD-20"),
        "{}",
        manifest.training
    );
}

#[test]
fn synthetic_cracks_writes_a_data_set_with_masks() {
    let scene = Scene::new();
    let out = scene.run("synthetic-cracks --count 4 --size 32 --out OUT/cracks");
    assert!(out.join("cracks/train/crack").is_dir());
}
