//! A selection, taken elsewhere: as a table, as pictures, as a page.

mod html;
mod pictures;

use std::path::Path;

use super::query::Moment;
use super::table::{Record, ScanAttackResult, Side, Table};
use crate::error::{Error, Result};
use crate::files::write_atomically;

pub use html::html;
pub use pictures::copy;

/// One column of the table.
type Column = (String, Box<dyn Fn(&Record) -> String>);

/// Writes the records `selected` as comma-separated values, one line each under a line of names, which
/// are those of queries.
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
        add("right", |side| said(side.right));
        add("confidence", |side| said(Some(side.confidence)));
        add("fakeness", |side| said(side.fakeness));
        add("attacked.right", |side| of(side, |hit| said(hit.right)));
        add("attacked.success", |side| {
            of(side, |hit| said(Some(hit.success)))
        });
        add("attacked.confidence", |side| {
            of(side, |hit| said(Some(hit.confidence)))
        });
        add("linf", |side| of(side, |hit| said(Some(hit.linf))));
        add("l2", |side| of(side, |hit| said(Some(hit.l2))));
        add("flip.low", |side| said(side.flip.map(|flip| flip.low)));
        add("flip", |side| said(side.flip.and_then(|flip| flip.high)));
    }
    columns.push(("tags".into(), Box::new(|record| record.tags.join(" "))));
    columns
}

fn said<T: ToString>(value: Option<T>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

fn of(side: &Side, cell: impl Fn(ScanAttackResult) -> String) -> String {
    side.attacked.map_or(String::new(), cell)
}
