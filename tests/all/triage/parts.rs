//! Scans in parts, as processes: put together they are the scan of all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use epsiloscope::triage::{Database, Table};
use rusqlite::Connection;

use crate::cli::commands::Scene;

const SCAN: &str = "scan DATA --models PAIR --eps 0.5 --steps 3 --flip --map --backend cpu";

fn table(path: &Path) -> Table {
    let database = Database::open(path).expect("a database");
    let scans = database.scans().expect("its scans");
    assert_eq!(scans.len(), 1);
    assert!(scans[0].finished, "{:?}", scans[0]);
    database.table(scans[0].id).expect("its results")
}

/// What a table says, without the ids of its database.
fn content(table: &Table) -> Vec<String> {
    let records = table.records.iter();
    let records = records.map(|record| {
        let (path, number) = (&record.path, record.number);
        format!("{number} {path} {:?} {:?}", record.truth, record.sides)
    });
    records
        .chain(table.broken.iter().map(|it| format!("{it:?}")))
        .collect()
}

/// Databases of this many parts, made by processes that run at the same time.
fn parts(scene: &Scene, of: usize) -> Vec<PathBuf> {
    let path = |part: usize| scene.out(&format!("part-{part}.db"));
    let processes = (1..=of).map(|part| {
        let run = format!("{SCAN} --part {part}/{of} --db {}", path(part).display());
        let mut process = scene.command(&run);
        process
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts")
    });
    for mut process in processes.collect::<Vec<_>>() {
        assert!(process.wait().expect("it ends").success());
    }
    (1..=of).map(path).collect()
}

fn merge(scene: &Scene, parts: &[PathBuf], into: &Path) -> (Option<i32>, String) {
    let parts = parts.iter().map(|part| part.display().to_string());
    let parts = parts.collect::<Vec<_>>().join(" ");
    let output = scene.output(&format!("scan --merge {parts} --db {}", into.display()));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), errors)
}

#[test]
fn parts_put_together_are_the_scan_of_all() {
    let scene = Scene::new();
    // A broken picture in the first half must not shift the random starts of the second.
    let broken = scene.out("data/test/blue/01.png");
    fs::write(broken, "no picture").expect("a file");
    let whole = scene.out("whole.db");
    scene.run(&format!("{SCAN} --db {}", whole.display()));
    let parts = parts(&scene, 3);
    let merged = scene.out("merged.db");
    assert_eq!(merge(&scene, &parts[..2], &merged).0, Some(0));
    let database = Database::open(&merged).expect("a database");
    assert!(!database.scans().expect("its scans")[0].finished);
    drop(database);
    // The last part comes later, and one comes again.
    let (status, errors) = merge(&scene, &parts[1..], &merged);
    assert_eq!(status, Some(0), "{errors}");
    assert_eq!(content(&table(&merged)), content(&table(&whole)));
    assert_eq!(table(&merged).broken.len(), 1);
    // The merged database is one like any other: nothing is computed again.
    let again = scene.output(&format!("{SCAN} --db {}", merged.display()));
    let text = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success());
    assert!(!text.contains("pictures per second"), "{text}");
}

#[test]
fn conflicts_are_named_and_the_earlier_result_is_kept() {
    let scene = Scene::new();
    let parts = parts(&scene, 2);
    let other = scene.out("other.db");
    fs::copy(&parts[0], &other).expect("a copy");
    let changed = Connection::open(&other).expect("a database");
    changed
        .execute("UPDATE looks SET class = 1 - class WHERE picture = 1", [])
        .expect("a change");
    drop(changed);
    let merged = scene.out("merged.db");
    let all = [parts[0].clone(), parts[1].clone(), other];
    let (status, errors) = merge(&scene, &all, &merged);
    assert_eq!(status, Some(1), "{errors}");
    assert!(errors.contains("other.db"), "{errors}");
    assert!(errors.contains("00.png: another prediction"), "{errors}");
    let sound = scene.out("sound.db");
    assert_eq!(merge(&scene, &parts, &sound).0, Some(0));
    assert_eq!(content(&table(&merged)), content(&table(&sound)));
}

#[test]
fn scans_of_other_plans_are_refused_by_name() {
    let scene = Scene::new();
    let parts = parts(&scene, 2);
    let other = scene.out("clean.db");
    scene.run(&format!(
        "scan DATA --models PAIR --clean --backend cpu --db {}",
        other.display()
    ));
    let merged = scene.out("merged.db");
    let (status, errors) = merge(&scene, &[parts[0].clone(), other.clone()], &merged);
    assert_eq!(status, Some(1));
    assert!(
        errors.contains("clean.db") && errors.contains("no part of the scan"),
        "{errors}"
    );
    // Nothing was merged.
    let database = Database::open(&merged).expect("a database");
    assert!(database.scans().expect("its scans").is_empty());
    let missing = scene.out("missing.db");
    let (status, errors) = merge(&scene, std::slice::from_ref(&missing), &merged);
    assert_eq!(status, Some(1));
    assert!(errors.contains("missing.db"), "{errors}");
    assert!(!missing.exists());
}
