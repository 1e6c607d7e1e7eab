//! Session files on the disk.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

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
    let mut session: Session = serde_json::from_str(text).map_err(broken)?;
    let views = session.settings.views.iter();
    let rows = views.map(|view| view.models.len());
    let mut rows = rows.chain([session.models.len()]);
    if let Some(rows) = rows.find(|rows| !(1..=MOST_ROWS).contains(rows)) {
        return Err(format!(
            "it has {rows} models; 1 to {MOST_ROWS} are possible"
        ));
    }
    session.settings.sanitize();
    Ok(session)
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
