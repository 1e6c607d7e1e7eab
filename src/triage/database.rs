//! The SQLite database of scans: models, attacks, scans, tags, saved queries.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{
    Connection, OptionalExtension, Params, Row, Transaction, TransactionBehavior, params,
};

use super::plan::{MOST_MODELS, Plan};
use super::schema;
use crate::attack::Attack;
use crate::error::Result;
use crate::model::Fingerprint;

/// An open database of scans.
///
/// All writes are transactions: a program that is killed loses at most the current batch.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    connection: Connection,
}

/// A scan, a row of the database table `scans`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanRow {
    /// Id of the scan.
    pub id: i64,
    /// Display name.
    pub name: String,
    /// Settings of the scan.
    pub plan: Plan,
    /// Database ids of its models, in the plan's order.
    pub models: Vec<i64>,
    /// Start time, in seconds since 1970 (Unix time).
    pub begun: u64,
    /// Number of pictures of its source.
    pub total: usize,
    /// Number of finished pictures.
    pub done: usize,
    /// Whether all pictures are finished.
    pub finished: bool,
}

impl ScanRow {
    /// Its name with its attack, which distinguishes scans of the same pictures.
    pub fn title(&self) -> String {
        match &self.plan.attack {
            Some(attack) => format!("{} · {attack}", self.name),
            None => format!("{} · clean", self.name),
        }
    }
}

/// The endings of databases of scans, in lower case.
pub const DATABASE_EXTENSIONS: [&str; 2] = ["db", "sqlite"];

/// Whether a file is named like a database of scans.
pub fn has_database_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        DATABASE_EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
    })
}

/// Marks a scan as finished if all pictures of its source are.
pub(super) fn finish(transaction: &Transaction, scan: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE scans SET finished = \
               (SELECT count(*) FROM entries WHERE scan = id) >= total WHERE id = ?";
    transaction.execute(sql, [scan])?;
    Ok(())
}

impl Database {
    /// Opens a database file, or creates an empty one.
    ///
    /// # Errors
    /// [`crate::error::Error::Data`] names a file that is damaged, of another program or of a newer
    /// version of this one; it is left as it is.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            connection: schema::open(path)?,
            path: path.into(),
        })
    }

    /// Whether the file can only be read.
    pub fn is_read_only(&self) -> bool {
        self.connection.is_readonly("main").unwrap_or(false)
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        question(&self.connection).map_err(|error| schema::explained_error(&self.path, &error))
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_row(parameters, read).optional()
        })
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_map(parameters, read)?.collect()
        })
    }

    pub(super) fn change<T>(
        &mut self,
        work: impl FnOnce(&Transaction) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let all = || {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        all().map_err(|error| schema::explained_error(&self.path, &error))
    }

    /// Id of the model with that fingerprint, which is added if new; its name is updated.
    pub(super) fn model(&self, hash: Fingerprint, name: &str, labels: &[String]) -> Result<i64> {
        let labels = serde_json::to_string(labels).expect("plain data");
        let sql = "INSERT INTO models(hash, name, labels) VALUES (?, ?, ?) \
                   ON CONFLICT(hash) DO UPDATE SET name = excluded.name RETURNING id";
        self.ask(|connection| {
            connection.query_row(sql, params![hash.0, name, labels], |row| row.get(0))
        })
    }

    /// Id of the attack with exactly these settings, which is added if new.
    pub(super) fn attack(&self, attack: &Attack) -> Result<i64> {
        if let Some(known) = self.known_attack(attack)? {
            return Ok(known);
        }
        let sql = "INSERT INTO attacks(config) VALUES (?) RETURNING id";
        let config = serde_json::to_string(attack).expect("plain data");
        self.ask(|connection| connection.query_row(sql, [config], |row| row.get(0)))
    }

    /// Id of the attack with exactly these settings, if the database has it.
    pub(super) fn known_attack(&self, attack: &Attack) -> Result<Option<i64>> {
        let config = serde_json::to_string(attack).expect("plain data");
        let sql = "SELECT id FROM attacks WHERE config = ?";
        self.one(sql, [config], |row| row.get(0))
    }

    /// Id of the scan with that plan and those models, which is added if new.
    pub(super) fn begin(&mut self, plan: &Plan, models: &[i64], total: usize) -> Result<i64> {
        let name = plan.source.file_name().unwrap_or(plan.source.as_os_str());
        let name = name.to_string_lossy().into_owned();
        let plan = serde_json::to_string(plan).expect("plain data");
        let models: Vec<String> = models.iter().map(i64::to_string).collect();
        let models = models.join(" ");
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs() as i64);
        let sql = "INSERT INTO scans(name, plan, models, begun, total, finished) \
                   VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT(plan, models) \
                   DO UPDATE SET total = excluded.total, finished = 0 RETURNING id";
        self.change(|transaction| {
            let values = params![name, plan, models, now, total];
            let id: i64 = transaction.query_row(sql, values, |row| row.get(0))?;
            let beyond = "DELETE FROM entries WHERE scan = ? AND position >= ?";
            transaction.execute(beyond, params![id, total])?;
            Ok(id)
        })
    }

    /// Marks a scan as finished if all pictures of its source are, not a part of them alone.
    pub(super) fn finish(&mut self, scan: i64) -> Result<()> {
        self.change(|transaction| finish(transaction, scan))
    }

    /// All scans, the newest first; rows that cannot be parsed are left out.
    pub fn scans(&self) -> Result<Vec<ScanRow>> {
        let sql = "SELECT id, name, plan, models, begun, total, finished, \
                   (SELECT count(*) FROM entries WHERE scan = id) FROM scans \
                   ORDER BY begun DESC, id DESC LIMIT 10000";
        let rows = self.all(sql, [], |row| {
            let (plan, models): (String, String) = (row.get(2)?, row.get(3)?);
            let Ok(plan) = serde_json::from_str::<Plan>(&plan) else {
                return Ok(None);
            };
            let models: Vec<i64> = models.split(' ').filter_map(|id| id.parse().ok()).collect();
            if models.len() != plan.models.len() || models.len() > MOST_MODELS {
                return Ok(None);
            }
            Ok(Some(ScanRow {
                id: row.get(0)?,
                name: row.get(1)?,
                plan,
                models,
                begun: row.get::<_, i64>(4)?.unsigned_abs(),
                total: row.get(5)?,
                finished: row.get(6)?,
                done: row.get(7)?,
            }))
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// Renames a scan.
    pub fn rename(&mut self, scan: i64, name: &str) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "UPDATE scans SET name = ? WHERE id = ?",
                params![name, scan],
            )?;
            Ok(())
        })
    }

    /// Deletes a scan but keeps all results, so that repeating it computes nothing.
    pub fn forget(&mut self, scan: i64) -> Result<()> {
        self.change(|transaction| {
            transaction.execute("DELETE FROM entries WHERE scan = ?", [scan])?;
            transaction.execute("DELETE FROM scans WHERE id = ?", [scan])?;
            Ok(())
        })
    }

    /// Adds a tag to pictures (`on`), or removes it.
    pub fn tag(&mut self, pictures: &[i64], tag: &str, on: bool) -> Result<()> {
        let sql = if on {
            "INSERT OR IGNORE INTO tags(picture, tag) VALUES (?, ?)"
        } else {
            "DELETE FROM tags WHERE picture = ? AND tag = ?"
        };
        self.change(|transaction| {
            let mut statement = transaction.prepare_cached(sql)?;
            for picture in pictures {
                statement.execute(params![picture, tag])?;
            }
            Ok(())
        })
    }

    /// Saved queries by name, in alphabetical order.
    pub fn views(&self) -> Result<Vec<(String, String)>> {
        let sql = "SELECT name, query FROM views ORDER BY name LIMIT 10000";
        self.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Saves a query under a name; without a query, deletes the name.
    pub fn save_view(&mut self, name: &str, query: Option<&str>) -> Result<()> {
        self.change(|transaction| {
            match query {
                Some(query) => transaction.execute(
                    "INSERT OR REPLACE INTO views(name, query) VALUES (?, ?)",
                    params![name, query],
                )?,
                None => transaction.execute("DELETE FROM views WHERE name = ?", [name])?,
            };
            Ok(())
        })
    }
}
