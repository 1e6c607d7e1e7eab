//! The results of one scan as a table in memory: records of pictures with each model's results.

use std::collections::HashMap;

use super::database::Database;
use super::plan::{Bracket, Plan, family, noise};
use super::store::{Key, StoredAttack};
use crate::error::{Error, Result};

/// Most classes of a model that are read from a database.
const MOST_CLASSES: usize = 100_000;

/// The results of a scan, which may still be running, picture by picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Settings of the scan.
    pub plan: Option<Plan>,
    /// The scanned models, in the plan's order.
    pub subjects: Vec<ScannedModel>,
    /// Class names of all models, and of the source's labels that no model has.
    pub classes: Vec<String>,
    /// The decodable pictures, in the source's order.
    pub records: Vec<Record>,
    /// Path and error of each picture that could not be decoded.
    pub broken: Vec<(String, String)>,
    pub(super) origin: TableOrigin,
}

/// Database ids from which a table was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TableOrigin {
    scan: i64,
    /// Number of pictures of the source.
    total: usize,
    /// Place in the source from which on no entry was read yet.
    next: usize,
    pub(super) models: Vec<i64>,
    /// Indices of the classes by name.
    numbers: HashMap<String, usize>,
    attack: i64,
    family: i64,
}

/// A scanned model.
#[derive(Clone, Debug, PartialEq)]
pub struct ScannedModel {
    /// Display name.
    pub name: String,
    /// Its classes, as indices into [`Table::classes`].
    pub classes: Vec<usize>,
}

/// A picture with its results.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Database id, which pictures of equal content share.
    pub picture: i64,
    /// Place in the source's listing, which is also its noise id.
    pub number: u64,
    /// Path; see [`crate::data::PictureLocation::at`].
    pub path: String,
    /// True class, an index into [`Table::classes`], where it is known.
    pub truth: Option<usize>,
    /// Result of each model, in the order of [`Table::subjects`]; `None` where it is missing.
    pub sides: Vec<Option<Side>>,
    /// Tags that a person assigned, in alphabetical order.
    pub tags: Vec<String>,
}

/// Result of a model on a picture; classes are indices into [`Table::classes`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Side {
    /// Predicted class.
    pub class: usize,
    /// Probability of the predicted class.
    pub confidence: f32,
    /// Whether the prediction is correct; `None` where the true class is unknown or none of the model's.
    pub right: Option<bool>,
    /// Probability of “fake”, of models with that output.
    pub fakeness: Option<f32>,
    /// Result of the attack, if there was one.
    pub attacked: Option<ScanAttackResult>,
    /// Bracket of the flip ε, if it was searched.
    pub flip: Option<Bracket>,
}

/// Result of an attack on a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScanAttackResult {
    /// Class predicted for the adversarial picture in a new forward pass.
    pub class: usize,
    /// Probability of the predicted class.
    pub confidence: f32,
    /// Whether the prediction is correct; `None` where the true class is unknown or none of the model's.
    pub right: Option<bool>,
    /// Whether the attack reached its goal, which the clean picture did not satisfy.
    pub success: bool,
    /// L∞ norm of the perturbation.
    pub linf: f32,
    /// L2 norm of the perturbation.
    pub l2: f32,
}

impl Database {
    /// Reads the results of a scan so far.
    ///
    /// # Errors
    /// [`Error::Data`] when there is no such scan, or the file contradicts itself.
    pub fn table(&self, scan: i64) -> Result<Table> {
        let found = self.scans()?.into_iter().find(|row| row.id == scan);
        let row = found.ok_or_else(|| Error::data(self.path(), "it has no such scan"))?;
        let mut table = Table {
            origin: TableOrigin {
                scan,
                total: row.total,
                ..TableOrigin::default()
            },
            ..Table::default()
        };
        for model in row.models {
            let (name, labels) = self.model_name_and_labels(model)?;
            let classes = labels.into_iter().map(|label| table.number(label));
            let classes = classes.collect();
            table.subjects.push(ScannedModel { name, classes });
            table.origin.models.push(model);
        }
        if let Some(attack) = &row.plan.attack {
            table.origin.attack = self.known_attack(attack)?.unwrap_or_default();
            table.origin.family = self.known_attack(&family(attack))?.unwrap_or_default();
        }
        table.plan = Some(row.plan);
        self.extend(&mut table)?;
        Ok(table)
    }

    /// Reads the results added since, and all tags anew.
    ///
    /// # Errors
    /// As [`Database::table`].
    pub fn extend(&self, table: &mut Table) -> Result<()> {
        let sql = "SELECT path, label, picture, number, trouble, position FROM entries \
                   WHERE scan = ? AND position >= ? ORDER BY position";
        let entries = self.all(sql, (table.origin.scan, table.origin.next), |row| {
            Ok(StoredEntry {
                path: row.get(0)?,
                label: row.get(1)?,
                found: row.get::<_, Option<i64>>(2)?.zip(row.get(3)?),
                reason: row.get(4)?,
                position: row.get(5)?,
            })
        })?;
        if let Some(last) = entries.last() {
            table.origin.next = last.position + 1;
        }
        for entry in entries {
            let truth = entry.label.map(|label| table.number(label));
            let Some((picture, number)) = entry.found else {
                let reason = entry.reason.unwrap_or_default();
                table.broken.push((entry.path, reason));
                continue;
            };
            let sides = (0..table.subjects.len())
                .map(|side| self.side(table, side, (picture, number), truth));
            let sides = sides.collect::<Result<_>>()?;
            table.records.push(Record {
                picture,
                number,
                path: entry.path,
                truth,
                sides,
                tags: Vec::new(),
            });
        }
        self.read_tags(table)
    }

    fn model_name_and_labels(&self, model: i64) -> Result<(String, Vec<String>)> {
        let sql = "SELECT name, labels FROM models WHERE id = ?";
        let found = self.one(sql, [model], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let read = |(name, labels): (String, String)| {
            let labels = serde_json::from_str::<Vec<String>>(&labels).ok()?;
            (labels.len() <= MOST_CLASSES).then_some((name, labels))
        };
        let named = found.and_then(read);
        named.ok_or_else(|| Error::data(self.path(), "it does not know a model of the scan"))
    }

    fn side(
        &self,
        table: &Table,
        side: usize,
        (picture, number): (i64, u64),
        truth: Option<usize>,
    ) -> Result<Option<Side>> {
        let subject = &table.subjects[side];
        let key = Key {
            picture,
            model: table.origin.models[side],
        };
        let known = |class: usize| subject.classes.iter().position(|&known| known == class);
        let label = truth.and_then(known);
        let Some(prediction) = self.prediction(key, subject.classes.len())? else {
            return Ok(None);
        };
        let right = |class: usize| label.map(|label| label == class);
        let mut side = Side {
            class: subject.classes[prediction.class],
            confidence: prediction.confidence,
            right: right(prediction.class),
            fakeness: prediction.fakeness,
            attacked: None,
            flip: None,
        };
        let attack = table.plan.as_ref().and_then(|plan| plan.attack.as_ref());
        let Some(attack) = attack else {
            return Ok(Some(side));
        };
        let label = label.unwrap_or(prediction.class);
        let attack_key = StoredAttack {
            attack: table.origin.attack,
            label,
            noise: noise(attack, number),
        };
        let reached = |class| attack.goal.is_reached(label, class);
        let hit = self.hit(key, attack_key, subject.classes.len())?;
        side.attacked = hit.map(|hit| ScanAttackResult {
            class: subject.classes[hit.class],
            confidence: hit.confidence,
            right: right(hit.class),
            success: !reached(prediction.class) && reached(hit.class),
            linf: hit.linf,
            l2: hit.l2,
        });
        side.flip = self.bracket(key, attack_key.of(table.origin.family))?;
        Ok(Some(side))
    }

    fn read_tags(&self, table: &mut Table) -> Result<()> {
        let sql = "SELECT picture, tag FROM tags ORDER BY tag";
        let all = self.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut tags: HashMap<i64, Vec<String>> = HashMap::new();
        for (picture, tag) in all {
            tags.entry(picture).or_default().push(tag);
        }
        for record in &mut table.records {
            record.tags = tags.get(&record.picture).cloned().unwrap_or_default();
        }
        Ok(())
    }
}

struct StoredEntry {
    path: String,
    label: Option<String>,
    found: Option<(i64, u64)>,
    reason: Option<String>,
    position: usize,
}

impl Table {
    /// Index of a class, which is added if it is new.
    pub(super) fn number(&mut self, class: String) -> usize {
        let next = self.classes.len();
        *self
            .origin
            .numbers
            .entry(class)
            .or_insert_with_key(|class| {
                self.classes.push(class.clone());
                next
            })
    }

    /// The letter that names a model in queries: `a` for the first.
    pub fn model_label(side: usize) -> char {
        (b'a' + side as u8) as char
    }

    /// The keys under which the results of the attack on a picture are stored.
    pub(super) fn attacked_as(&self, side: usize, record: &Record) -> Option<(Key, StoredAttack)> {
        let subject = &self.subjects[side];
        let known = |class: usize| subject.classes.iter().position(|&known| known == class);
        let predicted = record.sides[side]?.class;
        let key = Key {
            picture: record.picture,
            model: *self.origin.models.get(side)?,
        };
        let attack = self.plan.as_ref().and_then(|plan| plan.attack.as_ref());
        let attack_key = StoredAttack {
            attack: self.origin.attack,
            label: record.truth.and_then(known).or(known(predicted))?,
            noise: attack.map_or(0, |attack| noise(attack, record.number)),
        };
        Some((key, attack_key))
    }

    /// Id of the scan in the database.
    pub fn scan(&self) -> i64 {
        self.origin.scan
    }

    /// Number of pictures of the scan's source, finished or not.
    pub fn total(&self) -> usize {
        self.origin.total
    }

    /// The table restricted to the records `selected`.
    pub fn part(&self, selected: &[usize]) -> Self {
        Self {
            plan: self.plan.clone(),
            subjects: self.subjects.clone(),
            classes: self.classes.clone(),
            records: selected
                .iter()
                .map(|&index| self.records[index].clone())
                .collect(),
            origin: self.origin.clone(),
            ..Self::default()
        }
    }

    /// Name of a class; empty for `None`.
    pub fn class(&self, class: Option<usize>) -> &str {
        class.map_or("", |class| &self.classes[class])
    }
}
