//! Merging databases: scans of parts of a source, made by several processes or machines, become one.

mod results;

use std::collections::HashMap;
use std::path::PathBuf;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Transaction, params_from_iter};

use crate::attack::Attack;
use crate::error::{Error, Result};
use crate::model::Fingerprint;
use crate::triage::database::{Database, ScanRow, finish};
use crate::triage::plan::Plan;
use results::{RESULTS, ResultTable, existing};

/// A result that a database has otherwise than those merged before it, whose result is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The database.
    pub database: PathBuf,
    /// The picture's path.
    pub picture: String,
    /// What differs.
    pub what: &'static str,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (database, picture) = (self.database.display(), &self.picture);
        write!(f, "{database}: {picture}: {}", self.what)
    }
}

/// Ids of a database's rows in the one that it is merged into.
struct Ids {
    pictures: HashMap<i64, i64>,
    models: HashMap<i64, i64>,
    attacks: HashMap<i64, i64>,
}

/// A row of the table `entries`, without its scan.
struct Entry {
    position: i64,
    path: String,
    label: Option<String>,
    picture: Option<i64>,
    number: Option<i64>,
    reason: Option<String>,
}

impl Database {
    /// Adds the scans of `parts`, with their results, tags and saved queries. All must hold the same scans: plan,
    /// content of the models and number of pictures are compared by hash, of the source's path only the last name.
    /// A scan of which all pictures have come together is finished. Returns the conflicts; in each, the earlier
    /// result is kept.
    ///
    /// # Errors
    /// [`Error::Data`] names a database without scans, or with others than the first; nothing is merged then.
    pub fn merge(&mut self, parts: &[Self]) -> Result<Vec<Conflict>> {
        let mut scans = Vec::new();
        for part in parts {
            scans.push(part.hashed_scans()?);
        }
        for (part, found) in parts.iter().zip(&scans) {
            require_same_scans((&parts[0], &scans[0]), (part, found))?;
        }
        let mut conflicts = Vec::new();
        for (part, scans) in parts.iter().zip(&scans) {
            let ids = self.take_over_ids(part)?;
            for table in &RESULTS {
                conflicts.extend(self.merge_results(part, table, &ids)?);
            }
            for (hash, scan) in scans {
                conflicts.extend(self.merge_scan(part, hash, scan, &ids)?);
            }
            self.merge_tags(part, &ids)?;
        }
        Ok(conflicts)
    }

    /// The scans with the hashes by which they are compared.
    fn hashed_scans(&self) -> Result<Vec<(blake3::Hash, ScanRow)>> {
        let scans = self.scans()?.into_iter();
        scans.map(|scan| Ok((self.hash(&scan)?, scan))).collect()
    }

    /// Hash of what parts of one scan have in common.
    fn hash(&self, scan: &ScanRow) -> Result<blake3::Hash> {
        let mut models = Vec::new();
        for id in &scan.models {
            let sql = "SELECT hash FROM models WHERE id = ?";
            models.push(self.one(sql, [id], |row| row.get::<_, [u8; 32]>(0))?);
        }
        // The source may lie elsewhere on another machine, and a model's file too.
        let plan = Plan {
            source: scan.plan.source.file_name().unwrap_or_default().into(),
            models: Vec::new(),
            ..scan.plan.clone()
        };
        let text = serde_json::to_vec(&(plan, models, scan.total)).expect("plain data");
        Ok(blake3::hash(&text))
    }

    /// Adds a part's models, attacks and pictures where they are new.
    fn take_over_ids(&mut self, part: &Self) -> Result<Ids> {
        let models = part.all("SELECT id, hash, name, labels FROM models", [], |row| {
            let labels: String = row.get(3)?;
            let hash = Fingerprint(row.get(1)?);
            Ok((row.get(0)?, hash, row.get::<_, String>(2)?, labels))
        })?;
        let mut ids = Ids {
            pictures: HashMap::new(),
            models: HashMap::new(),
            // No attack has the id 0 everywhere.
            attacks: HashMap::from([(0, 0)]),
        };
        for (id, hash, name, labels) in models {
            if let Ok(labels) = serde_json::from_str::<Vec<String>>(&labels) {
                ids.models.insert(id, self.model(hash, &name, &labels)?);
            }
        }
        let attacks = part.all("SELECT id, config FROM attacks", [], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?))
        })?;
        for (id, config) in attacks {
            if let Ok(attack) = serde_json::from_str::<Attack>(&config) {
                ids.attacks.insert(id, self.attack(&attack)?);
            }
        }
        let pictures = part.all("SELECT id, hash, width, height FROM pictures", [], |row| {
            let content = Fingerprint(row.get(1)?);
            let size = [row.get(2)?, row.get(3)?];
            Ok((row.get::<_, i64>(0)?, (content, size)))
        })?;
        let (old, new): (Vec<i64>, Vec<_>) = pictures.into_iter().unzip();
        ids.pictures = old.into_iter().zip(self.add_pictures(&new)?).collect();
        Ok(ids)
    }

    /// Adds a part's rows of a table of results.
    fn merge_results(
        &mut self,
        part: &Self,
        table: &ResultTable,
        ids: &Ids,
    ) -> Result<Vec<Conflict>> {
        let columns = part.ask(|connection| {
            let statement = connection.prepare(&format!("SELECT * FROM {}", table.name))?;
            Ok(statement.column_count())
        })?;
        let sql = format!("SELECT * FROM {}", table.name);
        let rows = part.all(&sql, [], |row| {
            let values = (0..columns).map(|column| row.get::<_, Value>(column));
            values.collect::<rusqlite::Result<Vec<Value>>>()
        })?;
        let paths = part.picture_paths()?;
        let mut conflicts = Vec::new();
        self.change(|transaction| {
            for mut row in rows {
                let Value::Integer(picture) = row[0] else {
                    continue;
                };
                if !ids.translate(&mut row, table.key) {
                    continue;
                }
                if let Some(before) = existing(transaction, table, &row)? {
                    if !(table.agree)(&before[table.key..], &row[table.key..]) {
                        conflicts.push(Conflict {
                            database: part.path().into(),
                            picture: paths.get(&picture).cloned().unwrap_or_default(),
                            what: table.what,
                        });
                    }
                    continue;
                }
                let places = vec!["?"; row.len()].join(", ");
                let insert = format!("INSERT INTO {} VALUES ({places})", table.name);
                transaction
                    .prepare_cached(&insert)?
                    .execute(params_from_iter(row))?;
            }
            Ok(())
        })?;
        Ok(conflicts)
    }

    /// A path for each picture.
    fn picture_paths(&self) -> Result<HashMap<i64, String>> {
        let sql = "SELECT picture, path FROM entries WHERE picture IS NOT NULL";
        let rows = self.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.into_iter().collect())
    }

    /// Adds the pictures of a part's scan to the scan of the same hash, which is added if new.
    fn merge_scan(
        &mut self,
        part: &Self,
        hash: &blake3::Hash,
        scan: &ScanRow,
        ids: &Ids,
    ) -> Result<Vec<Conflict>> {
        let known = self.hashed_scans()?.into_iter();
        let known = known.filter(|(known, _)| known == hash).map(|(_, row)| row);
        let id = match known.into_iter().next() {
            Some(row) => row.id,
            None => {
                let models = scan.models.iter().map(|id| ids.models.get(id).copied());
                let models: Option<Vec<i64>> = models.collect();
                let unknown = || Error::data(part.path(), "it does not know a model of the scan");
                self.begin(&scan.plan, &models.ok_or_else(unknown)?, scan.total)?
            }
        };
        let sql = "SELECT position, path, label, picture, number, trouble FROM entries \
                   WHERE scan = ? ORDER BY position";
        let entries = part.all(sql, [scan.id], |row| {
            Ok(Entry {
                position: row.get(0)?,
                path: row.get(1)?,
                label: row.get(2)?,
                picture: row.get(3)?,
                number: row.get(4)?,
                reason: row.get(5)?,
            })
        })?;
        let mut conflicts = Vec::new();
        self.change(|transaction| {
            for mut entry in entries {
                entry.picture = entry.picture.and_then(|id| ids.pictures.get(&id)).copied();
                if let Some(what) = merge_entry(transaction, id, &entry)? {
                    conflicts.push(Conflict {
                        database: part.path().into(),
                        picture: entry.path,
                        what,
                    });
                }
            }
            finish(transaction, id)
        })?;
        Ok(conflicts)
    }

    /// Adds a part's tags and saved queries; a query's name that is taken keeps its query.
    fn merge_tags(&mut self, part: &Self, ids: &Ids) -> Result<()> {
        let tags = part.all("SELECT picture, tag FROM tags", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?;
        let views = part.views()?;
        self.change(|transaction| {
            for (picture, tag) in tags {
                if let Some(picture) = ids.pictures.get(&picture) {
                    let sql = "INSERT OR IGNORE INTO tags(picture, tag) VALUES (?, ?)";
                    transaction.prepare_cached(sql)?.execute((picture, tag))?;
                }
            }
            for (name, query) in views {
                let sql = "INSERT OR IGNORE INTO views(name, query) VALUES (?, ?)";
                transaction.prepare_cached(sql)?.execute((name, query))?;
            }
            Ok(())
        })
    }
}

/// Requires that a database has the scans of the first, and at least one.
fn require_same_scans(
    (first, wanted): (&Database, &[(blake3::Hash, ScanRow)]),
    (part, found): (&Database, &[(blake3::Hash, ScanRow)]),
) -> Result<()> {
    if found.is_empty() {
        return Err(Error::data(part.path(), "it holds no scan"));
    }
    let lacks = |scans: &[(blake3::Hash, ScanRow)], hash| !scans.iter().any(|(it, _)| it == hash);
    if let Some((hash, scan)) = wanted.iter().find(|(hash, _)| lacks(found, hash)) {
        let reason = format!(
            "it holds no part of the scan “{}” of {} pictures in {} (scan {}): \
             plan, models and number of pictures must be the same",
            scan.title(),
            scan.total,
            first.path().display(),
            &hash.to_hex()[..8],
        );
        return Err(Error::data(part.path(), reason));
    }
    if let Some((_, scan)) = found.iter().find(|(hash, _)| lacks(wanted, hash)) {
        let reason = format!(
            "it holds a scan “{}” that {} lacks; only parts of the same scans are merged",
            scan.title(),
            first.path().display()
        );
        return Err(Error::data(part.path(), reason));
    }
    Ok(())
}

impl Ids {
    /// Puts the ids of the database that is merged into in place of a row's own; `false` where there is none.
    fn translate(&self, row: &mut [Value], key: usize) -> bool {
        let maps = [&self.pictures, &self.models, &self.attacks];
        for (value, map) in row[..key].iter_mut().zip(maps) {
            let Value::Integer(id) = value else {
                return false;
            };
            match map.get(id) {
                Some(new) => *id = *new,
                None => return false,
            }
        }
        true
    }
}

/// Adds a picture to a scan, unless its place is taken; says what differs there.
fn merge_entry(
    transaction: &Transaction,
    scan: i64,
    entry: &Entry,
) -> rusqlite::Result<Option<&'static str>> {
    let sql = "SELECT picture, label FROM entries WHERE scan = ? AND position = ?";
    let before = transaction
        .prepare_cached(sql)?
        .query_row((scan, entry.position), |row| {
            Ok((
                row.get::<_, Option<i64>>(0)?,
                row.get::<_, Option<String>>(1)?,
            ))
        })
        .optional()?;
    match before {
        Some((Some(picture), label)) => {
            let other = entry.picture.is_some_and(|other| other != picture);
            return Ok(match (other, label == entry.label) {
                (true, _) => Some("another picture at the same place of the source"),
                (false, false) => Some("another class of the same picture"),
                (false, true) => None,
            });
        }
        // A picture that could not be opened may have been opened elsewhere.
        Some((None, _)) if entry.picture.is_none() => return Ok(None),
        Some((None, _)) | None => {}
    }
    let sql = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)";
    transaction.prepare_cached(sql)?.execute((
        scan,
        entry.position,
        &entry.path,
        &entry.label,
        entry.picture,
        entry.number,
        &entry.reason,
    ))?;
    Ok(None)
}
