//! Databases from strangers: a message or sound results, and the file is as it was.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use epsiloscope::attack::Attack;
use epsiloscope::error::Result;
use epsiloscope::model::{Examined, Fingerprint};
use epsiloscope::triage::{Database, Plan, Query, Scan, ScanStep};
use rand::RngExt;
use tempfile::tempdir;

use crate::support::{BLUE, RED, message_naming, tiny_classifier, write_pictures};

/// Everything that can be read of a database.
fn read(path: &Path) -> Result<usize> {
    let database = Database::open(path)?;
    database.views()?;
    let mut records = 0;
    for row in database.scans()? {
        let table = database.table(row.id)?;
        Query::default().select(&table);
        epsiloscope::triage::ConfusionMatrix::all(&table);
        records += table.records.len();
    }
    Ok(records)
}

/// A database of one scan of twelve pictures.
fn write(folder: &Path) -> Vec<u8> {
    let set = folder.join("set");
    write_pictures(&set.join("class 0"), RED, 6, 8, 5);
    write_pictures(&set.join("class 1"), BLUE, 6, 8, 6);
    let path = folder.join("sound.db");
    let plan = Plan {
        source: set,
        models: vec!["tiny".into()],
        attack: Some(Attack::default()),
        flip: None,
        map: true,
    };
    let model = Examined {
        fingerprint: Fingerprint([7; 32]),
        classifier: Arc::new(tiny_classifier(2, 3)),
    };
    let database = Database::open(&path).expect("a database");
    let mut scan = Scan::new(database, &plan, vec![model], 16).expect("a scan");
    while scan.step().expect("a step") != ScanStep::Finished {}
    drop(scan);
    assert_eq!(read(&path).expect("sound"), 12);
    fs::read(&path).expect("the file is there")
}

#[test]
fn mutated_files_give_messages_and_stay_as_they_are() {
    let folder = tempdir().expect("a folder");
    let sound = write(folder.path());
    let path = folder.path().join("mutated.db");
    let mut rng = epsiloscope::data::random::noise_rng(11, 0);
    let (mut refused, mut opened) = (0, 0);
    for request in 0..2200 {
        let mut bytes = sound.clone();
        match request % 4 {
            0 => bytes.truncate(rng.random_range(0..bytes.len())),
            1 => {
                // Headers of the file and of its pages, where most is decided.
                let page = rng.random_range(0..bytes.len() / 4096) * 4096;
                bytes[page + rng.random_range(0..100)] = rng.random();
            }
            2 => {
                for _ in 0..rng.random_range(1..40) {
                    let at = rng.random_range(0..bytes.len());
                    bytes[at] = rng.random();
                }
            }
            _ => {
                let [from, to] = [0, 1].map(|_| rng.random_range(0..bytes.len() - 512));
                let length = rng.random_range(1..512);
                bytes.copy_within(from..from + length, to);
            }
        }
        fs::write(&path, &bytes).expect("a file can be written");
        match read(&path) {
            Ok(records) => {
                assert!(records <= 12 * 12, "{records}");
                opened += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("mutated.db"), "{error}");
                refused += 1;
            }
        }
        assert!(
            fs::read(&path).expect("still there") == bytes,
            "case {request} changed the file"
        );
        let beside = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(beside, 3, "case {request} left something behind");
    }
    // Of changed numbers inside rows nobody can tell.
    assert!(
        refused > 800 && opened > 10,
        "{refused} refused, {opened} opened"
    );
}

#[test]
fn a_scan_of_more_models_than_there_are_letters_is_none() {
    let folder = tempdir().expect("a folder");
    fs::create_dir(folder.path().join("made")).expect("a folder");
    write(&folder.path().join("made"));
    let path = folder.path().join("made/sound.db");
    let connection = rusqlite::Connection::open(&path).expect("a database");
    let many = "1 ".repeat(100_000);
    connection
        .execute("UPDATE scans SET models = ?", [many.trim()])
        .expect("it can be changed");
    drop(connection);
    let database = Database::open(&path).expect("a database");
    assert!(database.scans().expect("a list").is_empty());
}

#[test]
fn other_databases_are_refused() {
    let folder = tempdir().expect("a folder");
    let sound = write(folder.path());
    let path = folder.path().join("other.db");
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).expect("a file can be written");
        let text = message_naming(&path, Database::open(&path));
        assert!(text.contains(what), "{text}");
        assert!(fs::read(&path).expect("still there") == bytes);
    };
    refused(b"", "no database");
    refused(b"a text about pictures", "no database");
    let mut bytes = sound.clone();
    // The version that programs give their tables, then the name of the program.
    bytes[63] = 99;
    refused(&bytes, "newer version");
    bytes[63] = 0;
    refused(&bytes, "not those of scanned pictures");
    bytes[68] = 1;
    refused(&bytes, "another program's");
    // A table of another shape.
    let mut bytes = sound;
    let word = b"confidence REAL";
    let at = bytes.windows(word.len()).position(|part| part == word);
    bytes[at.expect("the schema is text")] = b'C';
    refused(&bytes, "not those of scanned pictures");
}
