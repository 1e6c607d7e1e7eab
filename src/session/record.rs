//! Everything on the screen, in a file: versioned JSON that a person can read.
//!
//! A session names its pictures and models by path and hash, so that a missing or changed file is
//! noticed; pictures that have no file, such as pasted ones, are inside.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::{Bookmark, Exports, Framing, Navigation, Settings, State};
use crate::counterfactual::GeneratorEntry;
use crate::data::{Crop, Origin, Picture};
use crate::files::path_text;
use crate::model::ModelRef;
use crate::session::Missing;

/// The version of the format that this program writes.
pub const VERSION: u32 = 2;

/// What a session file holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// The version of the format; see [`VERSION`].
    pub version: u32,
    /// The program that wrote it.
    #[serde(default)]
    pub program: String,
    /// The models, a row each.
    pub models: Vec<ModelRecord>,
    /// The library.
    pub pictures: Vec<PictureRecord>,
    /// Selection, page and how far syntheses were.
    #[serde(default)]
    pub navigation: Navigation,
    /// The picture that a method compares with.
    #[serde(default)]
    pub reference: Option<FileRecord>,
    /// The picture at which a synthesis begins.
    #[serde(default)]
    pub start: Option<FileRecord>,
    /// Generators of counterfactuals in files of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generators: Vec<GeneratorEntry>,
    /// Views prepared for a presentation.
    #[serde(default)]
    pub bookmarks: Vec<BookmarkRecord>,
    /// Figure and film as they were last set up.
    #[serde(default)]
    pub exports: Exports,
    /// What was computed and how it was shown.
    pub settings: Settings,
}

/// What a session is made from: cheap to clone, so that it can be written in another thread.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What is on the screen.
    pub state: State,
    /// Hashes of the models that were opened, by row.
    pub hashes: Vec<Option<String>>,
    /// Pictures of an earlier session that are to be found yet.
    pub missing: Vec<Missing>,
}

/// A model of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Which model; the field was named when it was a string.
    #[serde(rename = "name")]
    pub model: ModelRef,
    /// BLAKE3 of the model, once it was opened; see [`crate::model::Fingerprint::of_model`].
    #[serde(default)]
    pub hash: Option<String>,
}

/// A picture of a session's library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureRecord {
    /// Where its pixels are.
    #[serde(flatten)]
    pub file: FileRecord,
    /// The part that models see.
    #[serde(default)]
    pub crop: Crop,
    /// Name of the true class, where known.
    #[serde(default)]
    pub truth: Option<String>,
    /// What of it is damaged.
    #[serde(default)]
    pub mask: Option<FileRecord>,
    /// The pixels that attacks may change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attack_mask: Option<FileRecord>,
    /// What it was before it was painted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<FileRecord>,
}

/// A view prepared for a presentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BookmarkRecord {
    /// All but the framing.
    #[serde(flatten)]
    pub bookmark: Bookmark,
    /// What of the picture models see and attacks may change; missing in older files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framing: Option<FramingRecord>,
}

/// What of a picture models see and attacks may change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FramingRecord {
    /// The part that models see.
    #[serde(default)]
    pub crop: Crop,
    /// The pixels that attacks may change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attack_mask: Option<FileRecord>,
}

impl FramingRecord {
    fn of(framing: &Framing) -> Self {
        Self {
            crop: framing.crop,
            attack_mask: framing.attack_mask.as_ref().map(FileRecord::of),
        }
    }
}

impl PictureRecord {
    /// All its files.
    fn files_mut(&mut self) -> impl Iterator<Item = &mut FileRecord> {
        let others = [&mut self.mask, &mut self.attack_mask, &mut self.original];
        std::iter::once(&mut self.file).chain(others.into_iter().flatten())
    }
}

/// A picture's pixels: where they are, or themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRecord {
    /// The file, absolute; for a picture without one, what a person calls it.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// Where to look for it.
    pub origin: Origin,
    /// BLAKE3 of the file, or of the pixels.
    pub hash: String,
    /// The pixels as PNG in Base64, where there is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub png: Option<String>,
}

impl FileRecord {
    fn of(picture: &Picture) -> Self {
        let absolute = || std::path::absolute(&picture.path);
        Self {
            path: match picture.origin {
                Origin::File => absolute().unwrap_or_else(|_| picture.path.clone()),
                Origin::Bundled | Origin::Memory => picture.path.clone(),
            },
            origin: picture.origin,
            hash: picture.hash.to_hex().to_string(),
            png: (picture.origin == Origin::Memory).then(|| BASE64_STANDARD.encode(picture.png())),
        }
    }
}

/// Where the picture at a place of the library is among all pictures, the missing ones with them; these
/// are in the order of their places.
fn place_among(at: usize, missing: &[Missing]) -> usize {
    missing
        .iter()
        .fold(at, |at, missing| at + usize::from(missing.place <= at))
}

impl Session {
    /// The session of what is on the screen.
    pub fn of(snapshot: &Snapshot) -> Self {
        let Snapshot {
            state,
            hashes,
            missing,
        } = snapshot;
        let models = state.document.models.iter().enumerate();
        let record = |(row, model): (usize, &ModelRef)| ModelRecord {
            model: model.clone(),
            hash: hashes.get(row).cloned().flatten(),
        };
        let picture = |entry: &crate::session::LibraryEntry| PictureRecord {
            file: FileRecord::of(&entry.picture),
            crop: entry.crop,
            truth: entry.truth.clone(),
            mask: entry.mask.as_ref().map(FileRecord::of),
            attack_mask: entry.attack_mask.as_ref().map(FileRecord::of),
            original: entry.original.as_ref().map(FileRecord::of),
        };
        let bookmark = |bookmark: &Bookmark| BookmarkRecord {
            bookmark: bookmark.clone(),
            framing: bookmark.framing.as_ref().map(FramingRecord::of),
        };
        let mut pictures: Vec<_> = state.document.library.iter().map(picture).collect();
        for missing in missing {
            let place = missing.place.min(pictures.len());
            pictures.insert(place, missing.record.clone());
        }
        Self {
            version: VERSION,
            program: format!("Epsiloscope {}", env!("CARGO_PKG_VERSION")),
            models: models.map(record).collect(),
            pictures,
            navigation: Navigation {
                selected: state.navigation.selected.map(|at| place_among(at, missing)),
                playhead: state.saved_playhead(),
                ..state.navigation.clone()
            },
            reference: state.document.reference.as_ref().map(FileRecord::of),
            start: state.document.start.as_ref().map(FileRecord::of),
            generators: state.document.generators.clone(),
            bookmarks: state.document.bookmarks.iter().map(bookmark).collect(),
            exports: state.document.exports.clone(),
            settings: state.settings.clone(),
        }
    }

    /// Puts files at other places: pictures and models that are in `folder` by their name and not where
    /// they were.
    pub fn relink(&mut self, folder: &Path) {
        let records = self.pictures.iter_mut().flat_map(PictureRecord::files_mut);
        let framings = self
            .bookmarks
            .iter_mut()
            .flat_map(|record| &mut record.framing);
        let masks = framings.flat_map(|framing| &mut framing.attack_mask);
        let single = self.reference.iter_mut().chain(&mut self.start);
        for record in records.chain(masks).chain(single) {
            let there = record.path.file_name().map(|name| folder.join(name));
            if let Some(there) = there.filter(|there| !record.path.exists() && there.is_file()) {
                record.path = there;
            }
        }
        let bookmarks = self.bookmarks.iter_mut();
        let viewed = bookmarks.flat_map(|record| &mut record.bookmark.models);
        let models = self.models.iter_mut().map(|record| &mut record.model);
        let generators = self.generators.iter_mut().map(|entry| &mut entry.path);
        let models = models.chain(viewed).filter_map(ModelRef::path_mut);
        for path in models.chain(generators) {
            let there = path.file_name().map(|name| folder.join(name));
            if let Some(there) = there.filter(|there| !path.exists() && there.is_file()) {
                *path = there;
            }
        }
    }
}
