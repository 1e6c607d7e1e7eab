//! The tables of results that databases are merged by: their keys, and when two rows say the same.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Transaction, params_from_iter};

/// Numbers of two machines that differ by no more are the same result.
const SAME: f64 = 1e-3;

/// A table of results: its first columns are its key, of which picture and model come first.
pub(super) struct ResultTable {
    pub(super) name: &'static str,
    /// Columns of the key; from the third on attack, label and noise.
    pub(super) key: usize,
    /// Whether the other columns of two rows of one key say the same.
    pub(super) agree: fn(&[Value], &[Value]) -> bool,
    /// What differs where they do not.
    pub(super) what: &'static str,
}

pub(super) const RESULTS: [ResultTable; 4] = [
    ResultTable {
        name: "looks",
        key: 2,
        agree: same_prediction,
        what: "another prediction",
    },
    ResultTable {
        name: "attacked",
        key: 5,
        agree: same_prediction,
        what: "another result of the attack",
    },
    ResultTable {
        name: "flips",
        key: 5,
        agree: brackets_overlap,
        what: "another flip ε",
    },
    ResultTable {
        name: "representations",
        key: 5,
        // What differs there differs in the predictions, too.
        agree: |_, _| true,
        what: "another representation",
    },
];

/// The row of a table of results that has the key of `row`.
pub(super) fn existing(
    transaction: &Transaction,
    table: &ResultTable,
    row: &[Value],
) -> rusqlite::Result<Option<Vec<Value>>> {
    let names = ["picture", "model", "attack", "label", "noise"];
    let conditions = names[..table.key].iter().map(|name| format!("{name} = ?"));
    let conditions = conditions.collect::<Vec<_>>().join(" AND ");
    let sql = format!("SELECT * FROM {} WHERE {conditions}", table.name);
    transaction
        .prepare_cached(&sql)?
        .query_row(params_from_iter(&row[..table.key]), |found| {
            (0..row.len()).map(|column| found.get(column)).collect()
        })
        .optional()
}

/// Whether classes are the same, and their confidences but for rounding.
fn same_prediction(before: &[Value], now: &[Value]) -> bool {
    let close = match (&before[1], &now[1]) {
        (Value::Real(before), Value::Real(now)) => (before - now).abs() <= SAME,
        (before, now) => before == now,
    };
    before[0] == now[0] && close
}

/// Whether two brackets of a flip ε can be of the same flip: searches that began apart end with unlike brackets.
fn brackets_overlap(before: &[Value], now: &[Value]) -> bool {
    let bound = |value: &Value, missing: f64| match value {
        Value::Real(bound) => *bound,
        _ => missing,
    };
    let [before, now] = [before, now].map(|row| [bound(&row[0], 0.0), bound(&row[1], f64::MAX)]);
    before[0] <= now[1] + SAME && now[0] <= before[1] + SAME
}
