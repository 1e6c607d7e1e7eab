//! Exports of a selection: CSV table, copies of the pictures, HTML report.

mod html;
mod pictures;

use std::path::Path;

use super::query::Moment;
use super::table::{Record, ScanAttackResult, Side, Table};
use crate::error::{Error, Result};
use crate::files::write_atomically;

pub use html::html;
pub use pictures::copy;

/// Name of a CSV column, and its text for a record.
type Column = (String, Box<dyn Fn(&Record) -> String>);

/// Writes the records `selected` as CSV, one row each, with the column names of the query language as
/// header.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written.
pub fn csv(table: &Table, selected: &[usize], path: &Path) -> Result<()> {
    let columns = columns(table);
    let writing = |error: &dyn std::fmt::Display| Error::io(path, "write", error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = columns.iter().map(|(name, _)| name);
    writer
        .write_record(names)
        .map_err(|error| writing(&error))?;
    for &index in selected {
        let record = &table.records[index];
        let cells = columns.iter().map(|(_, cell)| cell(record));
        writer
            .write_record(cells)
            .map_err(|error| writing(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| writing(&error))?;
    write_atomically(path, &bytes)
}

fn columns(table: &Table) -> Vec<Column> {
    let name = |classes: &[String], class: Option<usize>| {
        class.map_or(String::new(), |class| classes[class].clone())
    };
    let classes = table.classes.clone();
    let mut columns: Vec<Column> = vec![
        ("path".into(), Box::new(|record| record.path.clone())),
        (
            "true".into(),
            Box::new(move |record| name(&classes, record.truth)),
        ),
    ];
    for side in 0..table.subjects.len() {
        for moment in [Moment::Clean, Moment::Attacked] {
            let column = super::query::ClassColumn::Predicted(side, moment);
            let classes = table.classes.clone();
            let cell = move |record: &Record| name(&classes, column.of(record));
            columns.push((column.to_string(), Box::new(cell)));
        }
        let model_label = Table::model_label(side);
        let mut add = |what: &str, cell: fn(&Side) -> String| {
            let text =
                move |record: &Record| record.sides[side].as_ref().map_or(String::new(), cell);
            columns.push((format!("{model_label}.{what}"), Box::new(text)));
        };
        add("right", |side| optional_text(side.right));
        add("confidence", |side| optional_text(Some(side.confidence)));
        add("fakeness", |side| optional_text(side.fakeness));
        add("attacked.right", |side| {
            attack_text(side, |hit| optional_text(hit.right))
        });
        add("attacked.success", |side| {
            attack_text(side, |hit| optional_text(Some(hit.success)))
        });
        add("attacked.confidence", |side| {
            attack_text(side, |hit| optional_text(Some(hit.confidence)))
        });
        add("linf", |side| {
            attack_text(side, |hit| optional_text(Some(hit.linf)))
        });
        add("l2", |side| {
            attack_text(side, |hit| optional_text(Some(hit.l2)))
        });
        add("flip.low", |side| {
            optional_text(side.flip.map(|flip| flip.low))
        });
        add("flip", |side| {
            optional_text(side.flip.and_then(|flip| flip.high))
        });
    }
    columns.push(("tags".into(), Box::new(|record| record.tags.join(" "))));
    columns
}

fn optional_text<T: ToString>(value: Option<T>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

fn attack_text(side: &Side, cell: impl Fn(ScanAttackResult) -> String) -> String {
    side.attacked.map_or(String::new(), cell)
}
