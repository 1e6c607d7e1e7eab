//! What each module of the program may know of, held up by reading its source; CONTRIBUTING.md says why.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules below `src/`, from the lowest up: a module imports only from those before it.
const MODULES: [&str; 17] = [
    "error",
    "files",
    "tasks",
    // Core: nothing of what is explored with it, nothing of windows.
    "data",
    "model",
    "attack",
    "attribution",
    "synthesis",
    "counterfactual",
    "evaluate",
    "train",
    // Explore: nothing of windows.
    "triage",
    "compute",
    "session",
    "export",
    // App.
    "app",
    "cli",
];

/// Rooms (or files) and words that their code must not contain.
static FORBIDDEN: [(&[&str], &[&str]); 3] = [
    (
        &[
            "data/",
            "model/",
            "attack/",
            "attribution/",
            "synthesis/",
            "counterfactual/",
            "evaluate/",
            "train/",
            "triage/",
        ],
        &["egui", "eframe", "wgpu"],
    ),
    (
        &["compute/scheduler.rs", "compute/scheduler/"],
        &["burn", "egui"],
    ),
    (
        &[
            "session/",
            "export/figure/",
            "export/film/",
            "export/arrays.rs",
            "tasks.rs",
            "tasks/",
        ],
        &["burn::", "egui"],
    ),
];

/// Words that belong to a few files alone.
static RESERVED: [(&str, &[&str]); 2] = [
    ("burn_wgpu", &["compute/gpu_image.rs", "compute/device.rs"]),
    (
        "cubecl",
        &[
            "compute/gpu_image.rs",
            "compute/device.rs",
            "model/gpu/launch.rs",
        ],
    ),
];

/// The aim for the length of a file, in lines.
const LONG_FILE: usize = 400;

/// Files that are longer, and why that reads better than two.
static LONGER: [(&str, &str); 2] = [
    ("train/training_loop.rs", "one training loop"),
    (
        "compute/worker.rs",
        "one table of requests and how each begins",
    ),
];

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
pub(crate) fn sources() -> Vec<(String, String)> {
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
pub(crate) fn code(line: &str) -> &str {
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

/// The module of a file, nothing for `lib.rs` and `main.rs`, which are above all, and the build script.
fn module(name: &str) -> Option<&str> {
    let module = name.split('/').next().unwrap_or(name);
    let module = module.strip_suffix(".rs").unwrap_or(module);
    (!matches!(module, "lib" | "main" | "build")).then_some(module)
}

fn rank(module: &str) -> usize {
    let rank = MODULES.iter().position(|known| *known == module);
    rank.unwrap_or_else(|| panic!("the module src/{module} has no rank in tests/all/boundaries.rs"))
}

/// The modules that a text names as `crate::MODULE`, comments left out.
fn modules_named(text: &str) -> BTreeSet<&str> {
    let mut named = BTreeSet::new();
    for line in text.lines().map(code) {
        for rest in line.split("crate::").skip(1) {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let word = &rest[..end.unwrap_or(rest.len())];
            if MODULES.contains(&word) {
                named.insert(word);
            }
        }
    }
    named
}

/// Imports from a module into one below it.
fn upward_imports<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in files {
        let Some(own) = module(name) else { continue };
        let above = modules_named(text)
            .into_iter()
            .filter(|other| rank(other) > rank(own));
        found.extend(above.map(|other| format!("src/{name} imports from {other}, which is above")));
    }
    found
}

#[test]
fn no_module_imports_from_a_higher_one() {
    let files = sources();
    let texts = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let found = upward_imports(texts);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn an_import_from_a_higher_module_is_found() {
    let planted = [
        (
            "model/zoo.rs",
            "use crate::{\n    error::Error,\n};\nuse crate::app::App;",
        ),
        (
            "attack/pgd.rs",
            "fn f() { crate::session::open(); } // crate::cli",
        ),
        (
            "session/undo.rs",
            "//! [`crate::app`]\nuse crate::compute::Lane;",
        ),
    ];
    let found = upward_imports(planted.into_iter());
    assert_eq!(
        found,
        [
            "src/model/zoo.rs imports from app, which is above",
            "src/attack/pgd.rs imports from session, which is above",
        ]
    );
}

/// The module paths that a text imports from its own module, as files of it.
fn siblings(module: &str, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text.lines().map(code) {
        for start in [format!("crate::{module}::"), "super::".to_owned()] {
            let import = line.trim_start().strip_prefix("use ");
            let rest = import.and_then(|import| import.strip_prefix(start.as_str()));
            let Some(rest) = rest else { continue };
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            found.insert(rest[..end.unwrap_or(rest.len())].to_owned());
        }
    }
    found
}

/// Files of one folder that import each other in a circle.
fn circle(files: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(
        at: &String,
        files: &BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(place) = path.iter().position(|seen| seen == at) {
            return Some(path[place..].to_vec());
        }
        if !done.contains(at) {
            path.push(at.clone());
            let found = files.get(at).into_iter().flatten();
            let found = found
                .filter(|next| files.contains_key(*next))
                .find_map(|next| visit(next, files, path, done));
            path.pop();
            done.insert(at.clone());
            return found;
        }
        None
    }
    let mut done = BTreeSet::new();
    files
        .keys()
        .find_map(|at| visit(at, files, &mut Vec::new(), &mut done))
}

#[test]
fn no_files_of_a_folder_import_each_other_in_a_circle() {
    let mut folders: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (name, text) in sources() {
        let Some((folder, file)) = name.rsplit_once('/') else {
            continue;
        };
        if file != "mod.rs" {
            let module = file.trim_end_matches(".rs").to_owned();
            // What only the tests of a file import closes no circle.
            let text = text.split("#[cfg(test)]").next().unwrap_or(&text);
            let imported = siblings(&folder.replace('/', "::"), text);
            folders
                .entry(folder.to_owned())
                .or_default()
                .insert(module, imported);
        }
    }
    for (folder, files) in folders {
        let found = circle(&files);
        assert!(found.is_none(), "src/{folder}: {found:?}");
    }
    let planted = [("a", "b"), ("b", "c"), ("c", "a")];
    let planted = planted.map(|(from, to)| (from.to_owned(), BTreeSet::from([to.to_owned()])));
    assert!(circle(&planted.into()).is_some(), "a circle is found");
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
fn long_files_have_a_reason() {
    let files = sources();
    let long: BTreeSet<&str> = files
        .iter()
        .filter(|(_, text)| text.lines().count() > LONG_FILE)
        .map(|(name, _)| name.as_str())
        .collect();
    let reasoned = LONGER.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        long, reasoned,
        "files of more than {LONG_FILE} lines, and those that have a reason for it"
    );
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

/// One name, one public type: a reader who searches for it finds one definition.
#[test]
fn no_public_type_is_named_twice() {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for (file, text) in sources() {
        for line in text.lines() {
            let mut words = code(line).split_whitespace();
            let is_type = words.next() == Some("pub")
                && matches!(words.next(), Some("struct" | "enum" | "trait" | "type"));
            let Some(name) = words.next().filter(|_| is_type) else {
                continue;
            };
            let end = name
                .find(|c: char| !c.is_alphanumeric())
                .unwrap_or(name.len());
            let other = known.insert(name[..end].to_owned(), file.clone());
            assert_eq!(other, None, "{} is also in {file}", &name[..end]);
        }
    }
    assert!(known.len() > 100, "{} types", known.len());
}
