//! What all commands share: answers as JSON, silence, files that are not overwritten, exit statuses.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::commands::{Scene, json};

/// A run of each command that does not take long.
const RUNS: [&str; 16] = [
    "attack PICTURE --models MODEL --eps 1 --steps 2 --backend cpu --out OUT",
    "bench --runs 1 --only pgd_b1 --models MODEL --backend cpu",
    "completions bash",
    "counterfactual PICTURE --models MODEL --steps 2 --backend cpu --out OUT",
    "evaluate --models MODEL --data DATA --steps 2 --backend cpu --out OUT",
    "explain PICTURE --models MODEL --path-steps 2 --backend cpu --out OUT",
    "explain --data DATA --models MODEL --limit 2 --path-steps 2 --backend cpu --out OUT/set",
    "generate red --models MODEL --feature-model MODEL --iterations 2 --start noise --backend cpu --out OUT",
    "inspect MODEL",
    "invert PICTURE --models MODEL --feature-model MODEL --iterations 2 --backend cpu --out OUT",
    "man --out OUT",
    "render PICTURE --models MODEL --columns input --backend cpu --out OUT/figure.svg",
    "report inversion --data DATA --models MODEL --feature-models MODEL --iterations 2 --limit 2 --backend cpu --out OUT",
    "scan DATA --models MODEL --db OUT/scan.db --clean --backend cpu --csv OUT/table.csv",
    "seeds --data DATA --size 8 --out OUT/seeds.safetensors",
    "synthetic-cracks --count 2 --size 32 --out OUT/cracks",
];

#[test]
fn every_command_answers_json_alone_on_standard_output() {
    let scene = Scene::new();
    for run in RUNS {
        let output = scene.output(&format!("{run} --json -"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{run}: {errors}");
        let answer: Result<Value, _> = serde_json::from_slice(&output.stdout);
        let answer = answer.unwrap_or_else(|error| panic!("{run}: {error}"));
        assert!(!answer.is_null(), "{run}");
        // What is told in words goes to the other stream.
        assert!(!errors.is_empty(), "{run}");
    }
}

#[test]
fn quiet_commands_print_nothing() {
    let scene = Scene::new();
    for run in RUNS {
        let output = scene.output(&format!("{run} --quiet"));
        assert!(output.status.success(), "{run}");
        for stream in [&output.stdout, &output.stderr] {
            assert_eq!(String::from_utf8_lossy(stream), "", "{run}");
        }
    }
}

#[test]
fn what_a_command_wrote_is_replaced_only_when_that_is_asked_for() {
    let scene = Scene::new();
    for run in RUNS.iter().filter(|run| run.contains("OUT")) {
        let run = run.replace("--db OUT/scan.db", "--db OUT2.db");
        scene.run(&run);
        let again = scene.output(&run);
        let errors = String::from_utf8_lossy(&again.stderr);
        assert_eq!(again.status.code(), Some(1), "{run}: {errors}");
        assert!(errors.contains("exists already; --overwrite"), "{errors}");
        assert!(scene.output(&format!("{run} --overwrite")).status.success());
    }
    // So are answers.
    let answer = scene.out("answer.json");
    fs::write(&answer, "mine").expect("a file");
    let run = format!("inspect MODEL --json {}", answer.display());
    assert_eq!(scene.output(&run).status.code(), Some(1));
    assert_eq!(fs::read_to_string(&answer).expect("still there"), "mine");
    scene.run(&format!("{run} --overwrite"));
    assert_eq!(json(&answer)["name"], "tiny");
}

#[test]
fn exit_statuses_tell_errors_from_command_lines_that_are_not_understood() {
    let scene = Scene::new();
    let status = |run: &str| scene.output(run).status.code();
    assert_eq!(status("inspect MODEL"), Some(0));
    assert_eq!(status("inspect none.safetensors"), Some(1));
    assert_eq!(status("inspect"), Some(2));
    assert_eq!(status("attack PICTURE --quiet --verbose"), Some(2));
}

#[test]
fn the_version_says_where_models_run() {
    let scene = Scene::new();
    let output = scene.output("--version --backend cpu");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    assert!(
        text.starts_with(&format!("epsiloscope {} (", env!("CARGO_PKG_VERSION"))),
        "{text}"
    );
    assert!(text.contains("models on CPU"), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn shells_and_man_know_every_command() {
    let scene = Scene::new();
    let out = scene.run("man --out OUT");
    for page in [
        "epsiloscope",
        "epsiloscope-scan",
        "epsiloscope-report-inversion",
    ] {
        let text = fs::read_to_string(out.join(format!("{page}.1"))).expect("a page");
        assert!(text.contains(".TH"), "{page}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = scene.output(&format!("completions {shell}"));
        let script = String::from_utf8_lossy(&output.stdout);
        assert!(script.contains("counterfactual"), "{shell}");
    }
}

/// Ctrl-C ends a command with what it has, says how to go on, and the status tells.
#[cfg(unix)]
#[test]
fn an_interrupted_scan_keeps_what_is_done() {
    let scene = Scene::new();
    let database = scene.out("long.db");
    let run = format!(
        "scan DATA --models MODEL --steps 200 --restarts 2000 --backend cpu --db {}",
        database.display()
    );
    let mut process = scene.command(&run);
    let child = process
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !database.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    // The handler is there before the first picture.
    std::thread::sleep(Duration::from_secs(1));
    let signal = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(signal.expect("kill starts").success());
    let output = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(errors.contains("resumes the scan"), "{errors}");
}
