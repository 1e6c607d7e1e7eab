//! Measured figures in the documents name the weights they are of.

use std::fs;
use std::path::{Path, PathBuf};

/// Begins the line above a table that names the weights its figures are of.
const WEIGHTS: &str = "Weights: ";

/// First half of the content hash (BLAKE3) of a bundled model's file, as the documents quote it.
pub(crate) fn content(id: &str) -> Option<String> {
    let bytes = fs::read(format!("assets/models/{id}.safetensors")).ok()?;
    Some(blake3::hash(&bytes).to_hex()[..16].to_string())
}

/// The documents whose tables hold measurements of models.
fn documents() -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::from("README.md")];
    let entries = fs::read_dir("docs").expect("the documents");
    paths.extend(
        entries
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "md")),
    );
    paths
}

/// What is wrong with `text`: bundled weights that are not those of the table any more, and tables of measurements
/// without a line that names weights.
fn faults(path: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut named = false;
    let mut table = Vec::new();
    for (number, line) in text.lines().chain([""]).enumerate() {
        let at = format!("{}:{}", path.display(), number + 1);
        if line.starts_with('|') {
            table.push(line);
            continue;
        }
        if is_measured(&table) && !named {
            faults.push(format!("{at}: no line \"{WEIGHTS}…\" before the table"));
        }
        table.clear();
        if line.starts_with('#') {
            named = false;
        } else if let Some(list) = line.strip_prefix(WEIGHTS) {
            named = true;
            faults.extend(stale(list).map(|fault| format!("{at}: {fault}")));
        }
    }
    faults
}

/// Whether a table compares models by figures: it has columns or rows of a standard and a robust model, or intervals.
fn is_measured(table: &[&str]) -> bool {
    let text = table.join("\n");
    let compares = table.first().is_some_and(|header| {
        let mut words = header.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '`'));
        words.any(|word| word == "standard" || word == "robust")
    });
    text.contains('±') || text.contains("](assets/models/") || compares
}

/// Of a list "`id` `hash`, `id` `hash`…" the entries whose hash is not that of the bundled file. A list may say in
/// words that its weights are not bundled.
fn stale(list: &str) -> impl Iterator<Item = String> {
    let quoted: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    let words = quoted.is_empty() && !list.contains("not bundled");
    let pairs: Vec<_> = quoted
        .chunks(2)
        .filter_map(|pair| match (content(pair[0]), pair.get(1)) {
            (None, _) => Some(format!("no bundled model is called {}", pair[0])),
            (Some(_), None) => Some(format!("{} without its content hash", pair[0])),
            (Some(now), Some(then)) if now != *then => Some(format!(
                "measured with {} {then}, which is bundled as {now} now: measure again",
                pair[0]
            )),
            _ => None,
        })
        .collect();
    words
        .then(|| "neither weights nor \"not bundled\"".to_string())
        .into_iter()
        .chain(pairs)
}

#[test]
fn tables_of_measurements_name_the_bundled_weights() {
    let mut faults_found = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a document");
        faults_found.extend(faults(&path, &text));
    }
    assert!(faults_found.is_empty(), "{}", faults_found.join("\n"));
}

#[test]
fn stale_and_unnamed_weights_are_found() {
    let path = Path::new("toy.md");
    let now = content("cifar10-robust").expect("a bundled model");
    let table = "| | standard | robust |\n|---|---|---|\n| accuracy | 0.9 | 0.8 |\n";
    let named = format!("# A\nWeights: `cifar10-robust` `{now}`.\n\n{table}");
    assert!(faults(path, &named).is_empty());
    assert!(
        faults(
            path,
            &format!("Weights: three seeds, not bundled.\n\n{table}")
        )
        .is_empty()
    );
    for bad in [
        table.to_string(),
        named.replace(&now, "0123456789abcdef"),
        named.replace("cifar10-robust", "cifar10-sturdy"),
        named.replace(&format!(" `{now}`"), ""),
        format!("{named}# B\n\n{table}"),
        format!("Weights: mine.\n\n{table}"),
    ] {
        assert_eq!(faults(path, &bad).len(), 1, "{bad}");
    }
}
