//! Tables of several seeds, combined as Markdown with means and standard deviations.

use std::fmt::Write;

use serde::Serialize;

/// A table of numbers; `None` where a value is not defined.
#[derive(Clone, Debug, Serialize)]
pub struct ReportTable {
    /// Title.
    pub title: String,
    /// Explanation below the title.
    pub note: String,
    /// Column names.
    pub columns: Vec<String>,
    /// Name and values of each row.
    pub rows: Vec<(String, Vec<Option<f64>>)>,
}

impl ReportTable {
    /// An empty table.
    pub fn new(title: &str, note: &str, columns: &[&str]) -> Self {
        Self {
            title: title.into(),
            note: note.into(),
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn push(&mut self, name: impl Into<String>, values: impl IntoIterator<Item = Option<f64>>) {
        self.rows.push((name.into(), values.into_iter().collect()));
    }
}

/// The same table of several seeds as Markdown: means, and standard deviations over the seeds.
pub fn markdown(seeds: &[ReportTable]) -> String {
    let Some(first) = seeds.first() else {
        return String::new();
    };
    let mut text = format!("## {}\n\n", first.title);
    if !first.note.is_empty() {
        let _ = writeln!(text, "{}\n", first.note);
    }
    let _ = writeln!(text, "| | {} |", first.columns.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(first.columns.len()));
    for (name, values) in &first.rows {
        let cell = |column: usize| {
            let of_seed = |table: &ReportTable| {
                let row = table.rows.iter().find(|(of, _)| of == name)?;
                row.1.get(column).copied().flatten()
            };
            spread(seeds.iter().filter_map(of_seed))
        };
        let cells: Vec<String> = (0..values.len()).map(cell).collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    text
}

fn spread(values: impl Iterator<Item = f64>) -> String {
    let values: Vec<f64> = values.collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    match values.len() {
        0 => "–".into(),
        1 => format!("{mean:.3}"),
        _ => {
            let squares = values.iter().map(|value| (value - mean).powi(2));
            let deviation = (squares.sum::<f64>() / (count - 1.0)).sqrt();
            format!("{mean:.3} ± {deviation:.3}")
        }
    }
}
