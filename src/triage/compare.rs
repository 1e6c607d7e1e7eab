//! Comparison of two scans of the same pictures: their results joined in one table.

use std::collections::HashMap;

use super::plan::MOST_MODELS;
use super::table::{Record, ScanAttackResult, ScannedModel, Side, Table};

impl Table {
    /// Joins the results of `other` for the same pictures: its models follow this table's, each named with
    /// its attack, up to `MOST_MODELS` in all.
    pub fn joined_with(mut self, other: &Self) -> Self {
        let classes = other.classes.iter();
        let classes: Vec<usize> = classes.map(|label| self.number(label.clone())).collect();
        let more = MOST_MODELS.saturating_sub(self.subjects.len());
        let more = more.min(other.subjects.len());
        let attack = other.plan.as_ref().and_then(|plan| plan.attack.as_ref());
        let attack = attack.map_or("clean".into(), ToString::to_string);
        let subjects = other
            .subjects
            .iter()
            .take(more)
            .map(|subject| ScannedModel {
                name: format!("{} ({attack})", subject.name),
                classes: subject
                    .classes
                    .iter()
                    .map(|&class| classes[class])
                    .collect(),
            });
        self.subjects.extend(subjects);
        let found: HashMap<i64, &Record> = other
            .records
            .iter()
            .map(|record| (record.picture, record))
            .collect();
        for record in &mut self.records {
            let joined = found.get(&record.picture);
            record.sides.extend((0..more).map(|side| {
                let found = joined?.sides[side]?;
                Some(renumbered(found, &classes))
            }));
        }
        self
    }

    /// Number of models of the table's own scan, without those of a joined one.
    pub fn own_models(&self) -> usize {
        self.origin.models.len()
    }
}

/// A result with its class indices mapped by `classes`.
fn renumbered(side: Side, classes: &[usize]) -> Side {
    Side {
        class: classes[side.class],
        attacked: side.attacked.map(|attacked| ScanAttackResult {
            class: classes[attacked.class],
            ..attacked
        }),
        ..side
    }
}
