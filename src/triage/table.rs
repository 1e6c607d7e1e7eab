//! What one scan found, in memory.

use std::collections::HashMap;

use super::database::Database;
use super::plan::{Bracket, Plan, family, noise};
use super::store::{Key, StoredAttack};
use crate::error::{Error, Result};

/// Most classes of a model.
const MOST_CLASSES: usize = 100_000;

/// What one scan found, picture by picture, as far as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What the scan was to find out.
    pub plan: Option<Plan>,
    /// The models, in the plan's order.
    pub subjects: Vec<ScannedModel>,
    /// All classes of the models, and those of the source that no model knows.
    pub classes: Vec<String>,
    /// The pictures that could be opened, in the source's order.
    pub records: Vec<Record>,
    /// Paths of those that could not, and why.
    pub broken: Vec<(String, String)>,
    pub(super) origin: TableOrigin,
}

/// Where in the database a table comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TableOrigin {
    scan: i64,
    /// Pictures of the source.
    total: usize,
    /// Entries of the scan that are in the table already.
    entries: usize,
    pub(super) models: Vec<i64>,
    /// The classes' numbers by name.
    numbers: HashMap<String, usize>,
    attack: i64,
    family: i64,
}

/// A model of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ScannedModel {
    /// What a person calls it.
    pub name: String,
    /// Its classes, as numbers of [`Table::classes`].
    pub classes: Vec<usize>,
}

/// A picture of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its number in the database, which pictures of the same content share.
    pub picture: i64,
    /// How many pictures that can be opened come before it in the source.
    pub number: u64,
    /// Where it is; see [`crate::data::PictureLocation::at`].
    pub path: String,
    /// Its class, of [`Table::classes`], where that is known.
    pub truth: Option<usize>,
    /// What each model made of it.
    pub sides: Vec<Option<Side>>,
    /// Free words that a person put on it.
    pub tags: Vec<String>,
}

/// What a model made of a picture; classes are of [`Table::classes`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Side {
    /// The predicted class.
    pub class: usize,
    /// Its probability.
    pub confidence: f32,
    /// Whether the prediction is the true class, where the model knows that class.
    pub right: Option<bool>,
    /// Probability of “fake”, of models that know it.
    pub fakeness: Option<f32>,
    /// What the attack did.
    pub attacked: Option<ScanAttackResult>,
    /// Between which ε it flips.
    pub flip: Option<Bracket>,
}

/// What an attack did to a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScanAttackResult {
    /// The class predicted by a fresh look.
    pub class: usize,
    /// Its probability.
    pub confidence: f32,
    /// Whether the prediction is the true class, where the model knows that class.
    pub right: Option<bool>,
    /// Whether the attack moved the picture where it wanted it, and it was not there before.
    pub success: bool,
    /// L∞ norm of the perturbation.
    pub linf: f32,
    /// L2 norm of the perturbation.
    pub l2: f32,
}

impl Database {
    /// What a scan has found so far.
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
            let (name, labels) = self.named(model)?;
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

    /// Adds what the table's scan has found since, and renews the tags.
    ///
    /// # Errors
    /// As [`Database::table`].
    pub fn extend(&self, table: &mut Table) -> Result<()> {
        let sql = "SELECT path, label, picture, number, trouble FROM entries \
                   WHERE scan = ? AND position >= ? ORDER BY position";
        let entries = self.all(sql, (table.origin.scan, table.origin.entries), |row| {
            Ok(Entry {
                path: row.get(0)?,
                label: row.get(1)?,
                found: row.get::<_, Option<i64>>(2)?.zip(row.get(3)?),
                reason: row.get(4)?,
            })
        })?;
        table.origin.entries += entries.len();
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
        self.tags_of(table)
    }

    fn named(&self, model: i64) -> Result<(String, Vec<String>)> {
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
        let Some(look) = self.look(key, subject.classes.len())? else {
            return Ok(None);
        };
        let right = |class: usize| label.map(|label| label == class);
        let mut side = Side {
            class: subject.classes[look.class],
            confidence: look.confidence,
            right: right(look.class),
            fakeness: look.fakeness,
            attacked: None,
            flip: None,
        };
        let attack = table.plan.as_ref().and_then(|plan| plan.attack.as_ref());
        let Some(attack) = attack else {
            return Ok(Some(side));
        };
        let label = label.unwrap_or(look.class);
        let aim = StoredAttack {
            attack: table.origin.attack,
            label,
            noise: noise(attack, number),
        };
        let reached = |class| attack.goal.is_reached(label, class);
        let hit = self.hit(key, aim, subject.classes.len())?;
        side.attacked = hit.map(|hit| ScanAttackResult {
            class: subject.classes[hit.class],
            confidence: hit.confidence,
            right: right(hit.class),
            success: !reached(look.class) && reached(hit.class),
            linf: hit.linf,
            l2: hit.l2,
        });
        side.flip = self.bracket(key, aim.of(table.origin.family))?;
        Ok(Some(side))
    }

    fn tags_of(&self, table: &mut Table) -> Result<()> {
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

struct Entry {
    path: String,
    label: Option<String>,
    found: Option<(i64, u64)>,
    reason: Option<String>,
}

impl Table {
    /// The number of a class, which is added where it is new.
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

    /// The letter of a model in queries.
    pub fn model_label(side: usize) -> char {
        (b'a' + side as u8) as char
    }

    /// Under what the attack of a model on a picture was kept, if there was one.
    pub(super) fn attacked_as(&self, side: usize, record: &Record) -> Option<(Key, StoredAttack)> {
        let subject = &self.subjects[side];
        let known = |class: usize| subject.classes.iter().position(|&known| known == class);
        let predicted = record.sides[side]?.class;
        let key = Key {
            picture: record.picture,
            model: *self.origin.models.get(side)?,
        };
        let attack = self.plan.as_ref().and_then(|plan| plan.attack.as_ref());
        let aim = StoredAttack {
            attack: self.origin.attack,
            label: record.truth.and_then(known).or(known(predicted))?,
            noise: attack.map_or(0, |attack| noise(attack, record.number)),
        };
        Some((key, aim))
    }

    /// The number of the scan.
    pub fn scan(&self) -> i64 {
        self.origin.scan
    }

    /// How many pictures the scan's source has, seen or not.
    pub fn total(&self) -> usize {
        self.origin.total
    }

    /// The same with these records alone.
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

    /// The class of that number, or nothing to say.
    pub fn class(&self, class: Option<usize>) -> &str {
        class.map_or("", |class| &self.classes[class])
    }
}
