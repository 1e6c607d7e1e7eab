//! Stored results of scans, keyed by all that they depend on: read before and written after a batch.

use half::f16;
use rusqlite::{Transaction, params};

use super::database::Database;
use super::plan::Bracket;
use crate::error::Result;
use crate::model::Fingerprint;

/// Stored prediction of a model for a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StoredPrediction {
    pub(super) class: usize,
    /// Probability of the predicted class.
    pub(super) confidence: f32,
    /// Probability of “fake”, of models with that output.
    pub(super) fakeness: Option<f32>,
}

/// Key of an attack's result, besides picture and model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct StoredAttack {
    /// Id of the attack's settings in the database; 0 for no attack.
    pub(super) attack: i64,
    /// Label, as a class index of the model.
    pub(super) label: usize,
    /// Noise id of the random start.
    pub(super) noise: u64,
}

impl StoredAttack {
    /// The same key for another attack.
    pub(super) fn of(self, attack: i64) -> Self {
        Self { attack, ..self }
    }
}

/// Key of a prediction: database ids of picture and model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) picture: i64,
    pub(super) model: i64,
}

/// Stored result of an attack: prediction for the adversarial picture and norms of the perturbation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hit {
    pub(super) class: usize,
    pub(super) confidence: f32,
    pub(super) linf: f32,
    pub(super) l2: f32,
}

/// A picture of a scan's source, a row of the database table `entries`.
pub(super) struct EntryRow {
    pub(super) position: usize,
    pub(super) path: String,
    pub(super) label: Option<String>,
    /// Database id of the picture and its noise id, or the error.
    pub(super) found: Result<(i64, u64), String>,
}

/// Results of a batch, stored in one transaction.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) predictions: Vec<(Key, StoredPrediction)>,
    pub(super) hits: Vec<(Key, StoredAttack, Hit)>,
    pub(super) brackets: Vec<(Key, StoredAttack, Bracket)>,
    pub(super) representations: Vec<(Key, StoredAttack, Vec<f32>)>,
    pub(super) entries: Vec<EntryRow>,
}

/// SQL condition of an attack's key; the parameters are those of [`aimed`].
const AIMED: &str = "picture = ? AND model = ? AND attack = ? AND label = ? AND noise = ?";

fn aimed(key: Key, attack_key: StoredAttack) -> [i64; 5] {
    let (label, noise) = (attack_key.label as i64, attack_key.noise as i64);
    [key.picture, key.model, attack_key.attack, label, noise]
}

impl Database {
    /// Id of the picture with this content, if the database has it.
    pub(super) fn picture(&self, content: Fingerprint) -> Result<Option<i64>> {
        let sql = "SELECT id FROM pictures WHERE hash = ?";
        self.one(sql, [content.0], |row| row.get(0))
    }

    /// Adds pictures, by content, width and height, and returns their ids.
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

    /// Stored prediction; `None` also where its class is out of the model's range `classes`.
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

    /// Stored result of an attack; `None` also where its class is out of the model's range `classes`.
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

    /// Whether the representation of the picture, or of the attacked picture, is stored.
    pub(super) fn is_represented(&self, key: Key, attack_key: StoredAttack) -> Result<bool> {
        let sql = format!("SELECT 1 FROM representations WHERE {AIMED}");
        let found = self.one(&sql, aimed(key, attack_key), |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// Stored representation of the picture, or of the attacked picture, if all values are finite.
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

    /// Stored bracket of the flip ε.
    pub(super) fn bracket(&self, key: Key, attack_key: StoredAttack) -> Result<Option<Bracket>> {
        let sql = format!("SELECT low, high FROM flips WHERE {AIMED}");
        self.one(&sql, aimed(key, attack_key), |row| {
            Ok(Bracket {
                low: row.get(0)?,
                high: row.get(1)?,
            })
        })
    }

    /// Stores the results of a batch in one transaction.
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
        // Values beyond the range of half precision are clamped instead of becoming infinite.
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
