//! Session files on the disk.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::record::{Session, VERSION};
use crate::compute::MOST_ROWS;
use crate::error::{Error, Result};
use crate::files::write_atomically;

/// What the names of session files end with.
pub const EXTENSION: &str = "epsiloscope";

/// Longer files are refused unread: ten thousand pictures take 4 MB, pasted ones some more.
const MOST_BYTES: u64 = 256 << 20;

/// Whether a file is named like a session.
pub fn has_session_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case(EXTENSION))
}

/// Only the version: a newer format may differ in all else.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Reads a session file.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Data`] when it is too long, broken, no session, or of
/// a newer version.
pub fn read(path: &Path) -> Result<Session> {
    let reading = |error: std::io::Error| Error::io(path, "read", error);
    let file = File::open(path).map_err(reading)?;
    let mut text = String::new();
    let read = file.take(MOST_BYTES + 1).read_to_string(&mut text);
    let length = read.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => Error::data(path, "it is no session: it is no text"),
        _ => reading(error),
    })?;
    if length as u64 > MOST_BYTES {
        return Err(Error::data(path, "it is too long for a session"));
    }
    parse(&text).map_err(|reason| Error::data(path, reason))
}

fn parse(text: &str) -> Result<Session, String> {
    let broken = |error: serde_json::Error| format!("it is no session, or a broken one: {error}");
    let Version { version } = serde_json::from_str(text).map_err(broken)?;
    if version > VERSION {
        return Err(format!(
            "it was saved by a newer Epsiloscope (format {version}, this one knows {VERSION}); the \
             file is left as it is"
        ));
    }
    let mut session: Session = if version < 2 {
        let first = serde_json::from_str(text).map_err(broken)?;
        serde_json::from_value(from_version_1(first)).map_err(broken)?
    } else {
        serde_json::from_str(text).map_err(broken)?
    };
    let bookmarks = session.bookmarks.iter();
    let rows = bookmarks.map(|record| record.bookmark.models.len());
    let mut rows = rows.chain([session.models.len()]);
    if let Some(rows) = rows.find(|rows| !(1..=MOST_ROWS).contains(rows)) {
        return Err(format!(
            "it has {rows} models; 1 to {MOST_ROWS} are possible"
        ));
    }
    session.sanitize();
    Ok(session)
}

/// A session of format 1, in which the settings held all else, as one of format 2.
fn from_version_1(mut session: Value) -> Value {
    let mut settings = take(&mut session, "settings");
    let mut navigation = Value::Object(Map::new());
    put(&mut navigation, "selected", take(&mut session, "selected"));
    put(&mut navigation, "page", take(&mut settings, "page"));
    let mut triage = take(&mut settings, "triage");
    let tab = take(&mut triage, "sight");
    put(&mut triage, "tab", tab);
    put(&mut navigation, "triage", triage);
    put(
        &mut navigation,
        "playhead",
        settings_from_version_1(&mut settings),
    );
    let Value::Array(mut bookmarks) = take(&mut settings, "views") else {
        return with(session, settings, navigation, Vec::new());
    };
    for bookmark in &mut bookmarks {
        let mut settings = take(bookmark, "settings");
        let playhead = settings_from_version_1(&mut settings);
        put(bookmark, "settings", settings);
        put(bookmark, "playhead", playhead);
    }
    with(session, settings, navigation, bookmarks)
}

fn with(
    mut session: Value,
    mut settings: Value,
    navigation: Value,
    bookmarks: Vec<Value>,
) -> Value {
    put(&mut session, "exports", take(&mut settings, "exports"));
    put(&mut session, "navigation", navigation);
    put(&mut session, "bookmarks", Value::Array(bookmarks));
    put(&mut session, "settings", settings);
    session
}

/// Gives settings their new names; returns how far the synthesis was.
fn settings_from_version_1(settings: &mut Value) -> Value {
    let mut synthesis = take(settings, "studio");
    let mut playhead = Value::Object(Map::new());
    for key in ["until", "cursor"] {
        put(&mut playhead, key, take(&mut synthesis, key));
    }
    put(settings, "synthesis", synthesis);
    let counterfactual = take(settings, "contrasts");
    put(settings, "counterfactual", counterfactual);
    playhead
}

/// The value of a key, taken out of an object; null without one.
fn take(object: &mut Value, key: &str) -> Value {
    let fields = object.as_object_mut();
    fields
        .and_then(|fields| fields.remove(key))
        .unwrap_or_default()
}

/// Puts a value under a key; null is left out, so that defaults hold.
fn put(object: &mut Value, key: &str, value: Value) {
    if let (Some(fields), false) = (object.as_object_mut(), value.is_null()) {
        fields.insert(key.into(), value);
    }
}

/// Writes a session: the file is the old one or the new one, never half of it.
///
/// # Errors
/// [`Error::Io`] when it cannot be written.
pub fn write(session: &Session, path: &Path) -> Result<()> {
    let text = serde_json::to_vec_pretty(session);
    let text = text.map_err(|error| Error::io(path, "write", error))?;
    write_atomically(path, &text)
}
