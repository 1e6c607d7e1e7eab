//! The database's shape, and the checks that a file must pass before anything is believed of it.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{Error, Result};

/// What each version added to the one before; the number of a version is how many steps it took.
pub(super) const STEPS: [&str; 1] = [include_str!("schema.sql")];

/// `EPSL`: what the file says of itself to other programs.
const APPLICATION: i32 = 0x4550_534c;

/// What every SQLite file begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Longest text or blob that a file may hold, in bytes.
const LONGEST_VALUE: i32 = 64 << 20;

/// Longer checks are broken off: all reading stays checked anyway.
const CHECK: Duration = Duration::from_secs(10);

/// How long another program may keep the file to itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// An error of the library about a file.
pub(super) fn explained_error(path: &Path, error: &rusqlite::Error) -> Error {
    Error::data(path, format!("the database says: {error}"))
}

/// Opens the database at `path`, or makes an empty one where no file is.
///
/// # Errors
/// [`Error::Data`] names the file; it is then as it was before.
pub(super) fn open(path: &Path) -> Result<Connection> {
    open_as(path, &STEPS)
}

fn open_as(path: &Path, steps: &[&str]) -> Result<Connection> {
    if !path.exists() {
        create(path, steps)?;
    }
    let mut start = [0; MAGIC.len()];
    let reading = |error: std::io::Error| Error::io(path, "read", error);
    let mut file = std::fs::File::open(path).map_err(reading)?;
    let begins = file.read_exact(&mut start).is_ok() && start == MAGIC;
    drop(file);
    if !begins {
        return Err(Error::data(path, "it is no database of scanned pictures"));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let explain = |error: rusqlite::Error| explained_error(path, &error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(explain)?;
    guard(&connection).map_err(explain)?;
    let version = check(&mut connection, path, steps)?;
    if version < steps.len() {
        migrate(&mut connection, steps, version).map_err(explain)?;
    }
    Ok(connection)
}

/// Nothing in the file is run, trusted or larger than it may be.
fn guard(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(config, on)?;
    }
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST_VALUE)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "mmap_size", 0)
}

/// Whether the file is one of ours, whole, and of which version.
fn check(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<usize> {
    let explain = |error: rusqlite::Error| explained_error(path, &error);
    let number = |name: &str| -> Result<i32> {
        let value = connection.pragma_query_value(None, name, |row| row.get(0));
        value.map_err(explain)
    };
    if number("application_id")? != APPLICATION {
        return Err(Error::data(path, "it is another program's database"));
    }
    let version = usize::try_from(number("user_version")?).unwrap_or(0);
    if version > steps.len() {
        let reason = format!(
            "it was written by a newer version of this program (its format is {version}, \
             the newest known here {}); please open it with that",
            steps.len()
        );
        return Err(Error::data(path, reason));
    }
    let unlike = || Error::data(path, "its tables are not those of scanned pictures");
    if version == 0 || shape(connection).map_err(explain)? != expected(&steps[..version]) {
        return Err(unlike());
    }
    match sound(connection) {
        Ok(true) => Ok(version),
        Ok(false) => Err(Error::data(path, "the database is damaged")),
        Err(error) => Err(explain(error)),
    }
}

/// SQLite's own check of every page, as far as it comes in a few seconds.
fn sound(connection: &mut Connection) -> rusqlite::Result<bool> {
    let end = Instant::now() + CHECK;
    connection.progress_handler(10_000, Some(move || Instant::now() > end))?;
    let said = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match said {
        Ok(said) => Ok(said == "ok"),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// Everything that is declared in a database.
type Shape = Vec<[Option<String>; 4]>;

fn shape(connection: &Connection) -> rusqlite::Result<Shape> {
    let mut statement = connection.prepare(
        "SELECT type, name, tbl_name, sql FROM sqlite_master \
         WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name LIMIT 200",
    )?;
    let rows = statement.query_map([], |row| {
        Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
    })?;
    rows.collect()
}

/// What a sound file of that many steps declares.
fn expected(steps: &[&str]) -> Shape {
    let memory = Connection::open_in_memory().expect("a database in memory");
    for step in steps {
        memory.execute_batch(step).expect("the schema is sound");
    }
    shape(&memory).expect("the schema can be read")
}

fn migrate(connection: &mut Connection, steps: &[&str], from: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for step in &steps[from..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", steps.len() as i64)?;
    transaction.commit()
}

/// A new file appears whole or not at all.
fn create(path: &Path, steps: &[&str]) -> Result<()> {
    let writing = |error: &dyn std::fmt::Display| Error::io(path, "write", error);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(|error| writing(&error))?;
    let file = tempfile::NamedTempFile::new_in(folder).map_err(|error| writing(&error))?;
    let fill = || -> rusqlite::Result<()> {
        let mut connection = Connection::open(file.path())?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
        migrate(&mut connection, steps, 0)
    };
    fill().map_err(|error| writing(&error))?;
    file.persist_noclobber(path)
        .map_err(|error| writing(&error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: [&str; 2] = [STEPS[0], "CREATE TABLE notes(text TEXT) STRICT"];

    #[test]
    fn older_files_are_brought_up_and_newer_ones_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pictures.db");
        let tag = "INSERT INTO views(name, query) VALUES ('kept', 'disagree')";
        open_as(&path, &STEPS)
            .expect("a new file")
            .execute(tag, [])
            .expect("a row");
        let newer = open_as(&path, &NEXT).expect("an older file opens");
        let kept = newer.query_row("SELECT query FROM views", [], |row| row.get::<_, String>(0));
        assert_eq!(kept.expect("a row"), "disagree");
        newer
            .execute("INSERT INTO notes VALUES ('new')", [])
            .expect("a row");
        drop(newer);
        let bytes = std::fs::read(&path).expect("the file is there");
        let refused = open_as(&path, &STEPS).expect_err("a newer file is refused");
        assert!(refused.to_string().contains("newer version"), "{refused}");
        assert_eq!(std::fs::read(&path).expect("still there"), bytes);
    }
}
