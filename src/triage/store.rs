//! Results under what they depend on: looked up before they are computed, kept in one go after.

use half::f16;
use rusqlite::{Transaction, params};

use super::database::Database;
use super::fingerprint::Fingerprint;
use super::plan::Bracket;
use crate::error::Result;

/// What a model says of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StoredPrediction {
    pub(super) class: usize,
    /// Its probability.
    pub(super) confidence: f32,
    /// Probability of “fake”, of models that know it.
    pub(super) fakeness: Option<f32>,
}

/// What the result of an attack depends on besides the picture's content and the model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct StoredAttack {
    /// Of the attack, in the database.
    pub(super) attack: i64,
    /// The class to leave, as the model counts.
    pub(super) label: usize,
    /// The number of the noise.
    pub(super) noise: u64,
}

impl StoredAttack {
    /// The same with another attack.
    pub(super) fn of(self, attack: i64) -> Self {
        Self { attack, ..self }
    }
}

/// A picture and the model that looks at it, both by their numbers in the database.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) picture: i64,
    pub(super) model: i64,
}

/// What an attack did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hit {
    pub(super) class: usize,
    pub(super) confidence: f32,
    pub(super) linf: f32,
    pub(super) l2: f32,
}

/// A picture of a scan's source.
pub(super) struct EntryRow {
    pub(super) position: usize,
    pub(super) path: String,
    pub(super) label: Option<String>,
    /// The picture and the how manieth of those that can be opened it is, or why it cannot be.
    pub(super) found: Result<(i64, u64), String>,
}

/// What a batch found, to be kept as a whole.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) predictions: Vec<(Key, StoredPrediction)>,
    pub(super) hits: Vec<(Key, StoredAttack, Hit)>,
    pub(super) brackets: Vec<(Key, StoredAttack, Bracket)>,
    pub(super) representations: Vec<(Key, StoredAttack, Vec<f32>)>,
    pub(super) entries: Vec<EntryRow>,
}

/// The SQL that reads the result of an attack; parameters are those of [`aimed`].
const AIMED: &str = "picture = ? AND model = ? AND attack = ? AND label = ? AND noise = ?";

fn aimed(key: Key, attack_key: StoredAttack) -> [i64; 5] {
    let (label, noise) = (attack_key.label as i64, attack_key.noise as i64);
    [key.picture, key.model, attack_key.attack, label, noise]
}

impl Database {
    /// The picture of this content, if it was opened before.
    pub(super) fn picture(&self, content: Fingerprint) -> Result<Option<i64>> {
        let sql = "SELECT id FROM pictures WHERE hash = ?";
        self.one(sql, [content.0], |row| row.get(0))
    }

    /// Numbers for pictures that were opened for the first time, by content, width and height.
    pub(super) fn add_pictures(&mut self, new: &[(Fingerprint, [u32; 2])]) -> Result<Vec<i64>> {
        let add = "INSERT INTO pictures(hash, width, height) VALUES (?, ?, ?) \
                   ON CONFLICT(hash) DO UPDATE SET width = excluded.width RETURNING id";
        self.change(|transaction| {
            let mut statement = transaction.prepare_cached(add)?;
            let ids = new.iter().map(|(content, [width, height])| {
                statement.query_row((content.0, width, height), |row| row.get(0))
            });
            ids.collect()
        })
    }

    /// What the model said of the picture, if it is one of its `classes`.
    pub(super) fn prediction(&self, key: Key, classes: usize) -> Result<Option<StoredPrediction>> {
        let sql = "SELECT class, confidence, fakeness FROM looks WHERE picture = ? AND model = ?";
        let prediction = self.one(sql, [key.picture, key.model], |row| {
            Ok(StoredPrediction {
                class: row.get(0)?,
                confidence: row.get(1)?,
                fakeness: row.get(2)?,
            })
        })?;
        Ok(prediction.filter(|prediction| prediction.class < classes))
    }

    /// What the attack did, if that led to one of the model's `classes`.
    pub(super) fn hit(
        &self,
        key: Key,
        attack_key: StoredAttack,
        classes: usize,
    ) -> Result<Option<Hit>> {
        let sql = format!("SELECT class, confidence, linf, l2 FROM attacked WHERE {AIMED}");
        let hit = self.one(&sql, aimed(key, attack_key), |row| {
            Ok(Hit {
                class: row.get(0)?,
                confidence: row.get(1)?,
                linf: row.get(2)?,
                l2: row.get(3)?,
            })
        })?;
        Ok(hit.filter(|hit| hit.class < classes))
    }

    /// Whether the representation is kept of the picture, or of what an attack made of it.
    pub(super) fn is_represented(&self, key: Key, attack_key: StoredAttack) -> Result<bool> {
        let sql = format!("SELECT 1 FROM representations WHERE {AIMED}");
        let found = self.one(&sql, aimed(key, attack_key), |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// The representation of a picture, or of what an attack made of it, if all of it are numbers.
    pub(super) fn halves(&self, key: Key, attack_key: StoredAttack) -> Result<Option<Vec<f32>>> {
        let sql = format!("SELECT halves FROM representations WHERE {AIMED}");
        let bytes: Option<Vec<u8>> = self.one(&sql, aimed(key, attack_key), |row| row.get(0))?;
        let values = bytes.map(|bytes| -> Vec<f32> {
            let pairs = bytes.chunks_exact(2);
            pairs
                .map(|pair| f16::from_le_bytes([pair[0], pair[1]]).to_f32())
                .collect()
        });
        let sound =
            |values: &Vec<f32>| !values.is_empty() && values.iter().all(|value| value.is_finite());
        Ok(values.filter(sound))
    }

    /// Between which ε the picture flips, as far as that is known.
    pub(super) fn bracket(&self, key: Key, attack_key: StoredAttack) -> Result<Option<Bracket>> {
        let sql = format!("SELECT low, high FROM flips WHERE {AIMED}");
        self.one(&sql, aimed(key, attack_key), |row| {
            Ok(Bracket {
                low: row.get(0)?,
                high: row.get(1)?,
            })
        })
    }

    /// Keeps all that a batch of the scan found, or nothing of it.
    pub(super) fn store(&mut self, scan: i64, tolerance: f32, found: &Findings) -> Result<()> {
        self.change(|transaction| {
            results(transaction, found)?;
            brackets(transaction, tolerance, found)?;
            entries(transaction, scan, found)
        })
    }
}

fn results(transaction: &Transaction, found: &Findings) -> rusqlite::Result<()> {
    let mut add =
        transaction.prepare_cached("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?)")?;
    for (key, prediction) in &found.predictions {
        let StoredPrediction {
            class,
            confidence,
            fakeness,
        } = prediction;
        add.execute((key.picture, key.model, class, confidence, fakeness))?;
    }
    let sql = "INSERT OR REPLACE INTO attacked VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let mut add = transaction.prepare_cached(sql)?;
    for (key, attack_key, hit) in &found.hits {
        let [picture, model, attack, label, noise] = aimed(*key, *attack_key);
        add.execute(params![
            picture,
            model,
            attack,
            label,
            noise,
            hit.class,
            hit.confidence,
            hit.linf,
            hit.l2
        ])?;
    }
    let sql = "INSERT OR REPLACE INTO representations VALUES (?, ?, ?, ?, ?, ?)";
    let mut add = transaction.prepare_cached(sql)?;
    for (key, attack_key, values) in &found.representations {
        // What is too large for half precision is cut off, not made infinite.
        let most = f16::MAX.to_f32();
        let halves = values
            .iter()
            .map(|&value| f16::from_f32(value.clamp(-most, most)));
        let halves: Vec<u8> = halves.flat_map(f16::to_le_bytes).collect();
        let [picture, model, attack, label, noise] = aimed(*key, *attack_key);
        add.execute(params![picture, model, attack, label, noise, halves])?;
    }
    Ok(())
}

fn brackets(transaction: &Transaction, tolerance: f32, found: &Findings) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO flips VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let mut add = transaction.prepare_cached(sql)?;
    for (key, attack_key, Bracket { low, high }) in &found.brackets {
        let [picture, model, attack, label, noise] = aimed(*key, *attack_key);
        add.execute(params![
            picture, model, attack, label, noise, low, high, tolerance
        ])?;
    }
    Ok(())
}

fn entries(transaction: &Transaction, scan: i64, found: &Findings) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)";
    let mut add = transaction.prepare_cached(sql)?;
    for entry in &found.entries {
        let (picture, number, reason) = match &entry.found {
            Ok((picture, number)) => (Some(picture), Some(*number as i64), None),
            Err(reason) => (None, None, Some(reason)),
        };
        add.execute(params![
            scan,
            entry.position,
            entry.path,
            entry.label,
            picture,
            number,
            reason
        ])?;
    }
    Ok(())
}
