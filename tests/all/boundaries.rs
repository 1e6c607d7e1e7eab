//! What each part of the program may know of, held up by reading its source.

use std::fs;
use std::path::{Path, PathBuf};

/// Files (or folders, with a slash at the end) and words that their code must not contain.
static FORBIDDEN: [(&[&str], &[&str]); 4] = [
    (
        &[
            "model/",
            "data/",
            "train/",
            "descent.rs",
            "attack.rs",
            "attribution/",
            "synthesis/",
            "evaluate/",
            "counterfactual/",
            "triage/",
            "picture.rs",
            "mask.rs",
        ],
        &["egui", "eframe", "wgpu"],
    ),
    (&["engine/"], &["burn", "egui"]),
    (&["ui/", "state/"], &["burn::"]),
    (
        &["session/", "figure/", "film/", "export.rs", "watch.rs"],
        &["burn::", "egui"],
    ),
];

/// Words that belong to a few files alone.
static RESERVED: [(&str, &[&str]); 2] = [
    ("burn_wgpu", &["view/frame.rs", "device.rs"]),
    ("cubecl", &["view/frame.rs", "device.rs"]),
];

const LONGEST_FILE: usize = 400;

fn source() -> PathBuf {
    PathBuf::from("src")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the source is there") {
        let path = entry.expect("the source can be listed").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Every source file by its path below `src`, with slashes, and its text.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&source(), &mut files);
    files.sort();
    let read = |path: &PathBuf| {
        let parts = path
            .strip_prefix(source())
            .expect("a path below src")
            .iter();
        let name: Vec<String> = parts
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        (
            name.join("/"),
            fs::read_to_string(path).expect("source is text"),
        )
    };
    files.iter().map(read).collect()
}

fn is_in(name: &str, places: &[&str]) -> bool {
    places
        .iter()
        .any(|place| name == *place || (place.ends_with('/') && name.starts_with(*place)))
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

/// The words that `name` must not contain.
fn words_against(name: &str) -> Vec<&'static str> {
    let forbidden = FORBIDDEN.iter().filter(|(places, _)| is_in(name, places));
    let reserved = RESERVED.iter().filter(|(_, places)| !is_in(name, places));
    forbidden
        .flat_map(|(_, words)| words.iter().copied())
        .chain(reserved.map(|(word, _)| *word))
        .collect()
}

#[test]
fn no_part_knows_of_what_it_should_not() {
    let mut violations = Vec::new();
    for (name, text) in sources() {
        let words = words_against(&name);
        for (number, line) in text.lines().enumerate() {
            let found = words.iter().filter(|word| code(line).contains(**word));
            violations.extend(
                found.map(|word| format!("src/{name}:{}: {word}: {}", number + 1, line.trim())),
            );
        }
    }
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn no_file_is_too_long_to_read() {
    let too_long: Vec<String> = sources()
        .iter()
        .map(|(name, text)| (name, text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(name, lines)| format!("src/{name}:{lines}: more than {LONGEST_FILE} lines"))
        .collect();
    assert!(too_long.is_empty(), "\n{}", too_long.join("\n"));
}

#[test]
fn the_rules_name_files_that_are_there() {
    let files = sources();
    let reserved = RESERVED.iter().flat_map(|(_, places)| places.iter());
    for place in FORBIDDEN
        .iter()
        .flat_map(|(places, _)| places.iter())
        .chain(reserved)
    {
        assert!(
            files.iter().any(|(name, _)| is_in(name, &[*place])),
            "no file is src/{place}"
        );
    }
}
