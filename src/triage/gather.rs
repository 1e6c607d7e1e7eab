//! Reading the pictures of a scan's next batch; those with complete results are hashed but not decoded.

use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;

use super::database::Database;
use super::item::{ScanItem, ScanPlan};
use super::store::EntryRow;
use crate::data::{PictureList, PictureLocation};
use crate::error::{Error, Result};
use crate::model::Fingerprint;

/// A picture of a batch that can be decoded.
pub(super) struct GatheredItem {
    /// Bytes `[3, h, w]` at each of [`ScanPlan::sizes`]; empty if all results are stored already.
    pub(super) planes: Vec<Vec<u8>>,
    /// What is known and what is left to find out, model by model.
    pub(super) items: Vec<ScanItem>,
}

/// The pictures of a batch, being read.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) items: Vec<GatheredItem>,
    pub(super) entries: Vec<EntryRow>,
}

/// A picture being read.
struct PendingPicture<'a> {
    entry: &'a PictureLocation,
    content: Fingerprint,
    /// Its id in the database, if the database has it.
    known: Option<i64>,
    picture: i64,
    /// Bytes `[3, h, w]` at every size; empty before it is decoded.
    planes: Vec<Vec<u8>>,
    original: [u32; 2],
    items: Vec<ScanItem>,
}

impl<'a> PendingPicture<'a> {
    fn new(entry: &'a PictureLocation) -> Result<Self> {
        if entry.path.to_str().is_none() {
            return Err(Error::data(&entry.path, "its name is no Unicode text"));
        }
        Ok(Self {
            entry,
            content: Fingerprint::of_picture(&entry.bytes()?),
            known: None,
            picture: 0,
            planes: Vec::new(),
            original: [0; 2],
            items: Vec::new(),
        })
    }

    fn open(&mut self, sizes: &[[usize; 2]]) -> Result<()> {
        let bytes = self.entry.bytes()?;
        if Fingerprint::of_picture(&bytes) != self.content {
            return Err(Error::data(&self.entry.path, "it changed as it was read"));
        }
        let picture = self.entry.decode(&bytes)?;
        self.original = picture.original;
        self.planes = sizes.iter().map(|&size| picture.planes(size)).collect();
        Ok(())
    }
}

/// Applies `work` in parallel to all that have no error yet.
fn each<T: Send>(all: &mut [Result<T>], work: impl Fn(&mut T) -> Result<()> + Sync) {
    all.par_iter_mut().for_each(|one| {
        if let Ok(value) = one
            && let Err(error) = work(value)
        {
            *one = Err(error);
        }
    });
}

/// Number of pictures read at a time; small, as large pictures delay other work.
const PIECE: usize = 8;

impl Gathered {
    /// Reads some more pictures of a batch that begins at `places.start`. Returns whether it is complete: it has
    /// `at_once` pictures, or `places` has ended.
    pub(super) fn gather(
        &mut self,
        database: &mut Database,
        listing: &PictureList,
        plan: &ScanPlan,
        places: Range<usize>,
        at_once: usize,
    ) -> Result<bool> {
        let from = places.start + self.entries.len();
        let wanted = (at_once - self.items.len()).min(PIECE);
        let entries = &listing.entries[from..(from + wanted).min(places.end)];
        let mut pending: Vec<Result<PendingPicture>> =
            entries.par_iter().map(PendingPicture::new).collect();
        identify(database, &mut pending, &plan.sizes)?;
        for (index, picture) in pending.iter_mut().enumerate() {
            let Ok(picture) = picture else { continue };
            let label = picture
                .entry
                .label
                .map(|label| listing.classes[label].as_str());
            let number = (from + index) as u64;
            picture.items = plan.items(database, picture.picture, label, number)?;
        }
        each(&mut pending, |picture| {
            let known = !picture.items.iter().any(ScanItem::is_open);
            if known || !picture.planes.is_empty() {
                return Ok(());
            }
            picture.open(&plan.sizes)
        });
        for ((index, picture), entry) in pending.into_iter().enumerate().zip(entries) {
            let label = entry.label.map(|label| listing.classes[label].clone());
            self.add(from + index, &entry.path, label, picture);
        }
        let ended = from + entries.len() == places.end;
        Ok(ended || self.items.len() == at_once)
    }

    fn add(
        &mut self,
        position: usize,
        path: &Path,
        label: Option<String>,
        picture: Result<PendingPicture>,
    ) {
        let found = picture.map(|picture| {
            self.items.push(GatheredItem {
                planes: picture.planes,
                items: picture.items,
            });
            (picture.picture, position as u64)
        });
        self.entries.push(EntryRow {
            position,
            path: path.to_string_lossy().into_owned(),
            label,
            found: found.map_err(|error| error.to_string()),
        });
    }
}

/// Sets the database ids of the pictures; new ones are decoded and added to the database.
fn identify(
    database: &mut Database,
    pending: &mut [Result<PendingPicture>],
    sizes: &[[usize; 2]],
) -> Result<()> {
    for picture in pending.iter_mut().flatten() {
        picture.known = database.picture(picture.content)?;
    }
    each(pending, |picture| match picture.known {
        Some(_) => Ok(()),
        None => picture.open(sizes),
    });
    let new = pending
        .iter()
        .flatten()
        .filter(|picture| picture.known.is_none());
    let new: Vec<(Fingerprint, [u32; 2])> = new
        .map(|picture| (picture.content, picture.original))
        .collect();
    let ids = if new.is_empty() {
        Vec::new()
    } else {
        database.add_pictures(&new)?
    };
    let mut ids = ids.into_iter();
    for picture in pending.iter_mut().flatten() {
        let id = picture.known.or_else(|| ids.next());
        picture.picture = id.expect("every new picture got a number");
    }
    Ok(())
}
