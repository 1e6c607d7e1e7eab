//! Two scans of the same pictures in one table.

use std::collections::HashMap;

use super::plan::MOST_MODELS;
use super::table::{Record, ScanAttackResult, ScannedModel, Side, Table};

impl Table {
    /// This table with what `other` found of the same pictures beside it: its models come after this
    /// one's, each named with its attack, as far as letters last.
    pub fn beside(mut self, other: &Self) -> Self {
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
            let beside = found.get(&record.picture);
            record.sides.extend((0..more).map(|side| {
                let found = beside?.sides[side]?;
                Some(renumbered(found, &classes))
            }));
        }
        self
    }

    /// How many of the models are of the table's own scan, not of one beside it.
    pub fn own_models(&self) -> usize {
        self.origin.models.len()
    }
}

/// The same with the classes of another table.
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
