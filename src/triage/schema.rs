//! Schema, migrations and integrity checks of the scan database; files are untrusted until checked.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{Error, Result};
use crate::files::temporary_file;

/// The SQL migration of each schema version from the one before; the version is their number.
pub(super) const MIGRATIONS: [&str; 1] = [include_str!("schema.sql")];

/// SQLite application id of the file: `EPSL`.
const APPLICATION: i32 = 0x4550_534c;

/// First bytes of every SQLite file.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Largest text or blob that is read, in bytes.
const LONGEST_VALUE: i32 = 64 << 20;

/// Time limit of the integrity check, which is then skipped: every read is checked anyway.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait for another program's lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Converts an SQLite error about a file.
pub(super) fn explained_error(path: &Path, error: &rusqlite::Error) -> Error {
    Error::data(path, format!("the database says: {error}"))
}

/// Opens the database at `path`, or creates an empty one.
///
/// # Errors
/// [`Error::Data`] names a file that fails the checks; it is left unchanged.
pub(super) fn open(path: &Path) -> Result<Connection> {
    open_as(path, &MIGRATIONS)
}

fn open_as(path: &Path, migrations: &[&str]) -> Result<Connection> {
    if !path.exists() {
        create(path, migrations)?;
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
    harden(&connection).map_err(explain)?;
    let version = check(&mut connection, path, migrations)?;
    if version < migrations.len() {
        migrate(&mut connection, migrations, version).map_err(explain)?;
    }
    Ok(connection)
}

/// Hardens a connection to an untrusted file: no triggers, views or attached files, limited sizes.
fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(LOCK_TIMEOUT)?;
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

/// Checks application id, schema and integrity; returns the schema version.
fn check(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<usize> {
    let explain = |error: rusqlite::Error| explained_error(path, &error);
    let number = |name: &str| -> Result<i32> {
        let value = connection.pragma_query_value(None, name, |row| row.get(0));
        value.map_err(explain)
    };
    if number("application_id")? != APPLICATION {
        return Err(Error::data(path, "it is another program's database"));
    }
    let version = usize::try_from(number("user_version")?).unwrap_or(0);
    if version > migrations.len() {
        let reason = format!(
            "it was written by a newer version of this program (its format is {version}, \
             the newest known here {}); please open it with that",
            migrations.len()
        );
        return Err(Error::data(path, reason));
    }
    let unlike = || Error::data(path, "its tables are not those of scanned pictures");
    if version == 0
        || declarations(connection).map_err(explain)?
            != expected_declarations(&migrations[..version])
    {
        return Err(unlike());
    }
    match passes_quick_check(connection) {
        Ok(true) => Ok(version),
        Ok(false) => Err(Error::data(path, "the database is damaged")),
        Err(error) => Err(explain(error)),
    }
}

/// SQLite's quick check of every page, within a time limit.
fn passes_quick_check(connection: &mut Connection) -> rusqlite::Result<bool> {
    let end = Instant::now() + CHECK_TIMEOUT;
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

/// All declarations of a database: type, name, table and SQL.
type Declarations = Vec<[Option<String>; 4]>;

fn declarations(connection: &Connection) -> rusqlite::Result<Declarations> {
    let mut statement = connection.prepare(
        "SELECT type, name, tbl_name, sql FROM sqlite_master \
         WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name LIMIT 200",
    )?;
    let rows = statement.query_map([], |row| {
        Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
    })?;
    rows.collect()
}

/// The declarations that a valid file of that version has.
fn expected_declarations(migrations: &[&str]) -> Declarations {
    let memory = Connection::open_in_memory().expect("a database in memory");
    for migration in migrations {
        memory
            .execute_batch(migration)
            .expect("the schema is sound");
    }
    declarations(&memory).expect("the schema can be read")
}

fn migrate(connection: &mut Connection, migrations: &[&str], from: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for migration in &migrations[from..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", migrations.len() as i64)?;
    transaction.commit()
}

/// Creates an empty database atomically.
fn create(path: &Path, migrations: &[&str]) -> Result<()> {
    let writing = |error: &dyn std::fmt::Display| Error::io(path, "write", error);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(|error| writing(&error))?;
    let file = temporary_file(folder, "").map_err(|error| writing(&error))?;
    let fill = || -> rusqlite::Result<()> {
        let mut connection = Connection::open(file.path())?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
        migrate(&mut connection, migrations, 0)
    };
    fill().map_err(|error| writing(&error))?;
    file.persist_noclobber(path)
        .map_err(|error| writing(&error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: [&str; 2] = [MIGRATIONS[0], "CREATE TABLE notes(text TEXT) STRICT"];

    #[test]
    fn older_files_are_brought_up_and_newer_ones_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pictures.db");
        let tag = "INSERT INTO views(name, query) VALUES ('kept', 'disagree')";
        open_as(&path, &MIGRATIONS)
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
        let refused = open_as(&path, &MIGRATIONS).expect_err("a newer file is refused");
        assert!(refused.to_string().contains("newer version"), "{refused}");
        assert_eq!(std::fs::read(&path).expect("still there"), bytes);
    }
}
