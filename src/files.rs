//! Writing files: whole or not at all, and text that markup does not misread.

use std::io::Write;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use crate::error::{Error, Result};

/// The folder in which the program keeps what it needs next time: where the system has programs keep their data, or the one
/// that `EPSILOSCOPE_HOME` names. Nothing where there is no such place.
pub fn data_folder() -> Option<PathBuf> {
    let asked = std::env::var_os("EPSILOSCOPE_HOME").map(PathBuf::from);
    let usual = || {
        let usual = ProjectDirs::from("", "", "epsiloscope")?;
        Some(usual.data_local_dir().into())
    };
    asked.or_else(usual)
}

/// Writes `bytes` beside `path` and renames: a reader meets the old file or the new one.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let writing = |error: std::io::Error| Error::io(path, "write", error);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(writing)?;
    let mut file = temporary_file(folder, "").map_err(writing)?;
    file.write_all(bytes).map_err(writing)?;
    file.as_file().sync_all().map_err(writing)?;
    file.persist(path).map_err(|error| writing(error.error))?;
    Ok(())
}

/// Creates `folder` where it is missing, and checks that files can be written into it; none is left or changed.
///
/// # Errors
/// [`Error::Io`] where they cannot.
pub(crate) fn require_writable(folder: &Path) -> Result<()> {
    let writing = |error: std::io::Error| Error::io(folder, "write", error);
    std::fs::create_dir_all(folder).map_err(writing)?;
    temporary_file(folder, "").map(drop).map_err(writing)
}

/// A temporary file in `folder` whose name ends in `suffix`, with the permissions of any new file: those that the umask leaves, not those of a
/// secret.
pub(crate) fn temporary_file(
    folder: &Path,
    suffix: &str,
) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.suffix(suffix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Text that is nothing but text in XML and HTML: without what no document may hold, and without what
/// turns the order of letters round or hides them.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{FFFE}' | '\u{FFFF}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => {
                safe.push('\u{FFFD}');
            }
            character if character.is_control() => safe.push(' '),
            character => safe.push(character),
        }
    }
    safe
}

/// Paths as text, for JSON and TOML: as they are, unless they are not UTF-8.
///
/// A path that is not UTF-8 is `file:` and its bytes, where all but ASCII letters, digits and `/-._~` are
/// percent-escaped as in RFC 8089; so is one that itself begins with `file:`. On systems whose paths are
/// not bytes what is not Unicode is replaced.
pub mod path_text {
    use std::borrow::Cow;
    use std::fmt::Write as _;
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serializer};

    const ESCAPED: &str = "file:";

    /// The text of a path.
    pub fn encode(path: &Path) -> Cow<'_, str> {
        match path.to_str() {
            Some(text) if !text.starts_with(ESCAPED) => text.into(),
            _ => escape(path).into(),
        }
    }

    /// The text of a path in the escaped form, whether it needs it or not.
    pub fn escape(path: &Path) -> String {
        let mut text = ESCAPED.to_owned();
        for &byte in bytes(path).iter() {
            if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                // Writing to a string never fails.
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    }

    /// The path of a text; what is no sound escape stays as it is.
    pub fn decode(text: &str) -> PathBuf {
        let escaped = text.strip_prefix(ESCAPED);
        escaped.map_or_else(|| text.into(), |rest| unescaped(rest.as_bytes()))
    }

    fn unescaped(text: &[u8]) -> PathBuf {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((&first, after)) = rest.split_first() {
            let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
            let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
            match byte.filter(|_| first == b'%') {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &after[2..];
                }
                None => {
                    bytes.push(first);
                    rest = after;
                }
            }
        }
        path(bytes)
    }

    #[cfg(unix)]
    fn bytes(path: &Path) -> Cow<'_, [u8]> {
        use std::os::unix::ffi::OsStrExt as _;
        path.as_os_str().as_bytes().into()
    }

    #[cfg(unix)]
    fn path(bytes: Vec<u8>) -> PathBuf {
        use std::os::unix::ffi::OsStringExt as _;
        std::ffi::OsString::from_vec(bytes).into()
    }

    #[cfg(not(unix))]
    fn bytes(path: &Path) -> Cow<'_, [u8]> {
        path.to_string_lossy().into_owned().into_bytes().into()
    }

    #[cfg(not(unix))]
    fn path(bytes: Vec<u8>) -> PathBuf {
        String::from_utf8_lossy(&bytes).into_owned().into()
    }

    /// For `#[serde(with)]`.
    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(path))
    }

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Ok(decode(&String::deserialize(deserializer)?))
    }

    /// The same for a path that may be missing.
    pub mod option {
        use std::path::PathBuf;

        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        /// For `#[serde(with)]`.
        pub fn serialize<S: Serializer>(
            path: &Option<PathBuf>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            path.as_deref().map(super::encode).serialize(serializer)
        }

        /// For `#[serde(with)]`.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<PathBuf>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            Ok(text.as_deref().map(super::decode))
        }
    }
}
