//! From a session file to a state.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rayon::prelude::*;

use super::edit::sound_attack_mask;
use super::record::{BookmarkRecord, FileRecord, PictureRecord, Session};
use super::state::State;
use super::{Bookmark, Framing, LibraryEntry, read};
use crate::data::{Origin, Picture, samples};
use crate::error::{Error, Result};

/// A session as it could be restored.
pub struct OpenedSession {
    /// What is to be on the screen.
    pub state: State,
    /// The hash that each row's model had.
    pub hashes: Vec<Option<String>>,
    /// Pictures that are not as they were.
    pub problems: Vec<OpeningProblem>,
    /// Pictures that are not there; kept for the next time that the session is saved.
    pub missing: Vec<Missing>,
}

/// A picture that could not be restored, and where in the library it was.
#[derive(Clone, Debug)]
pub struct Missing {
    /// The place in the library.
    pub place: usize,
    /// What the session knows of it.
    pub record: PictureRecord,
}

/// What is wrong with a file of a session.
#[derive(Clone, Debug)]
pub enum OpeningProblem {
    /// It is gone, or cannot be opened.
    Missing(Error),
    /// It is another one than when the session was saved.
    Changed(PathBuf),
}

impl std::fmt::Display for OpeningProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(error) => write!(f, "{error}"),
            Self::Changed(path) => write!(
                f,
                "{}: it has changed since the session was saved",
                path.display()
            ),
        }
    }
}

/// Reads a session and opens its pictures. Those that are missing below their own path are looked for
/// beside the session file.
///
/// # Errors
/// As [`read`]; a picture that cannot be opened is no error but one of the [`OpenedSession::problems`].
pub fn open(path: &Path) -> Result<OpenedSession> {
    let mut session = read(path)?;
    if let Some(folder) = path.parent() {
        session.relink(folder);
    }
    Ok(restore(session))
}

/// Opens the pictures of a session.
fn restore(session: Session) -> OpenedSession {
    let mut problems = Vec::new();
    let mut missing = Vec::new();
    let pictures: Vec<_> = session.pictures.par_iter().map(entry).collect();
    let mut state = State {
        settings: session.settings,
        navigation: session.navigation,
        ..State::default()
    };
    state.document.generators = session.generators;
    state.document.exports = session.exports;
    for (place, (found, record)) in pictures.into_iter().zip(session.pictures).enumerate() {
        let (entry, mut problem) = found;
        problems.append(&mut problem);
        match entry {
            Some(entry) => state.document.library.push(entry),
            None => missing.push(Missing { place, record }),
        }
    }
    let mut single = |record: Option<FileRecord>| {
        let (picture, problem) = picture(&record?);
        problems.extend(problem);
        picture
    };
    state.document.reference = single(session.reference);
    state.document.start = single(session.start);
    let bookmarks = session.bookmarks.into_iter();
    let bookmarks =
        bookmarks.map(|record| bookmark(record, &state.document.library, &mut problems));
    state.document.bookmarks = bookmarks.collect();
    // The selection stays with its picture.
    let at = state.navigation.selected.unwrap_or(0);
    let gone = missing.iter().filter(|missing| missing.place < at);
    let last = state.document.library.len().checked_sub(1);
    state.navigation.selected = last.map(|last| at.saturating_sub(gone.count()).min(last));
    let models = session.models.into_iter();
    let hashes;
    (state.document.models, hashes) = models.map(|record| (record.model, record.hash)).unzip();
    OpenedSession {
        state,
        hashes,
        problems,
        missing,
    }
}

/// Looks for missing pictures at `place`: a folder that holds them by their names, or the file that the
/// one and only of them is now.
pub fn find_again(missing: &[Missing], place: &Path) -> Vec<(Missing, LibraryEntry)> {
    let prediction = |missing: &Missing| {
        let mut record = missing.record.clone();
        record.file.path = if place.is_dir() {
            place.join(record.file.path.file_name()?)
        } else {
            place.into()
        };
        let (entry, _) = entry(&record);
        Some((missing.clone(), entry?))
    };
    missing.iter().filter_map(prediction).collect()
}

/// A picture of the library with its mask, and what is wrong with either.
fn entry(record: &PictureRecord) -> (Option<LibraryEntry>, Vec<OpeningProblem>) {
    let (found, problem) = picture(&record.file);
    let mut problems: Vec<OpeningProblem> = problem.into_iter().collect();
    let mut other = |record: &Option<FileRecord>| {
        let (found, problem) = picture(record.as_ref()?);
        problems.extend(problem);
        found
    };
    let (mask, original) = (other(&record.mask), other(&record.original));
    let attack_mask = record.attack_mask.as_ref().zip(found.as_ref());
    let attack_mask =
        attack_mask.and_then(|(record, found)| attack_mask_of(record, found, &mut problems));
    let entry = found.map(|found| LibraryEntry {
        mask: mask.filter(|mask| mask.original == found.original),
        attack_mask,
        original: original.filter(|original| original.has_size_of(&found)),
        picture: found,
        crop: record.crop.sanitized(),
        truth: record.truth.clone(),
    });
    (entry, problems)
}

/// A bookmark with its framing. A mask that is no longer right is left out and is a problem.
fn bookmark(
    record: BookmarkRecord,
    library: &[LibraryEntry],
    problems: &mut Vec<OpeningProblem>,
) -> Bookmark {
    let BookmarkRecord {
        mut bookmark,
        framing,
    } = record;
    let shown = library.iter().find(|entry| bookmark.is_of(entry));
    bookmark.framing = framing.map(|framing| Framing {
        crop: framing.crop.sanitized(),
        attack_mask: framing
            .attack_mask
            .and_then(|record| attack_mask_of(&record, &shown?.picture, problems)),
    });
    bookmark
}

/// The mask of attacks on a picture. One that is not right is a problem.
fn attack_mask_of(
    record: &FileRecord,
    of: &Picture,
    problems: &mut Vec<OpeningProblem>,
) -> Option<Picture> {
    let (mask, problem) = picture(record);
    problems.extend(problem);
    let sound = sound_attack_mask(&mask?, of);
    sound
        .map_err(|error| problems.push(OpeningProblem::Missing(error)))
        .ok()
}

/// A picture, and what is wrong with it.
fn picture(record: &FileRecord) -> (Option<Picture>, Option<OpeningProblem>) {
    match pixels(record) {
        Err(error) => (None, Some(OpeningProblem::Missing(error))),
        Ok(picture) => {
            let same = picture.hash.to_hex().as_str() == record.hash;
            let changed = || OpeningProblem::Changed(record.path.clone());
            (Some(picture), (!same).then(changed))
        }
    }
}

fn pixels(record: &FileRecord) -> Result<Picture> {
    let path = &record.path;
    let unreadable = |reason: &str| Error::Picture {
        path: path.clone(),
        reason: reason.into(),
    };
    match record.origin {
        Origin::File => Picture::open(path),
        Origin::Bundled => samples::named(path)
            .ok_or_else(|| unreadable("it is none of the pictures that come with the program")),
        Origin::Memory => {
            let png = record.png.as_deref().unwrap_or_default();
            let bytes = BASE64_STANDARD.decode(png);
            let bytes = bytes.map_err(|_| unreadable("the session's copy of it is broken"))?;
            // Hashed by its pixels, as when it was pasted.
            let decoded = Picture::decode(path, &bytes)?;
            let pixels = image::RgbImage::clone(&decoded.pixels);
            Ok(Picture::from_image(path.clone(), pixels.into()))
        }
    }
}
