//! The next pictures of a source, opened as far as something is not known of them yet.

use std::path::Path;

use rayon::prelude::*;

use super::batch::{Case, Orders};
use super::database::Database;
use super::fingerprint::Fingerprint;
use super::store::EntryRow;
use crate::data::{Entry, Listing};
use crate::error::{Error, Result};

/// A picture that can be opened.
pub(super) struct Item {
    /// Planes of bytes at each of [`Orders::sizes`]; none if everything is known.
    pub(super) planes: Vec<Vec<u8>>,
    /// What is known and what is left to find out, model by model.
    pub(super) cases: Vec<Case>,
}

/// What a stretch of a source holds.
pub(super) struct Gathered {
    pub(super) items: Vec<Item>,
    pub(super) entries: Vec<EntryRow>,
    /// How many pictures up to here can be opened.
    pub(super) number: u64,
}

/// A picture on its way.
struct Sight<'a> {
    entry: &'a Entry,
    content: Fingerprint,
    /// Its number in the database, if it has been there before.
    known: Option<i64>,
    picture: i64,
    number: u64,
    /// Planes at every size; none before they are asked for.
    planes: Vec<Vec<u8>>,
    original: [u32; 2],
    cases: Vec<Case>,
}

impl<'a> Sight<'a> {
    fn new(entry: &'a Entry) -> Result<Self> {
        if entry.path.to_str().is_none() {
            return Err(Error::data(&entry.path, "its name is no Unicode text"));
        }
        Ok(Self {
            entry,
            content: Fingerprint::of_picture(&entry.bytes()?),
            known: None,
            picture: 0,
            number: 0,
            planes: Vec::new(),
            original: [0; 2],
            cases: Vec::new(),
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

/// Does something to all that have no error yet, in parallel.
fn each<T: Send>(all: &mut [Result<T>], work: impl Fn(&mut T) -> Result<()> + Sync) {
    all.par_iter_mut().for_each(|one| {
        if let Ok(value) = one
            && let Err(error) = work(value)
        {
            *one = Err(error);
        }
    });
}

/// Pictures read at a time; large ones take long, and others wait.
const PIECE: usize = 8;

impl Gathered {
    /// Nothing yet; `number` pictures before can be opened.
    pub(super) fn new(number: u64) -> Self {
        Self {
            items: Vec::new(),
            entries: Vec::new(),
            number,
        }
    }

    /// Reads some more of the pictures from `position` on. Whether `at_once` of them can be opened, or the
    /// source has ended.
    pub(super) fn gather(
        &mut self,
        database: &mut Database,
        listing: &Listing,
        orders: &Orders,
        position: usize,
        at_once: usize,
    ) -> Result<bool> {
        let from = position + self.entries.len();
        let wanted = (at_once - self.items.len()).min(PIECE);
        let entries = &listing.entries[from..];
        let entries = &entries[..wanted.min(entries.len())];
        let mut sights: Vec<Result<Sight>> = entries.par_iter().map(Sight::new).collect();
        identify(database, &mut sights, &orders.sizes)?;
        for sight in sights.iter_mut().flatten() {
            let label = sight
                .entry
                .label
                .map(|label| listing.classes[label].as_str());
            sight.number = self.number;
            sight.cases = orders.cases(database, sight.picture, label, sight.number)?;
            self.number += 1;
        }
        each(&mut sights, |sight| {
            let known = !sight.cases.iter().any(Case::is_open);
            if known || !sight.planes.is_empty() {
                return Ok(());
            }
            sight.open(&orders.sizes)
        });
        for ((index, sight), entry) in sights.into_iter().enumerate().zip(entries) {
            let label = entry.label.map(|label| listing.classes[label].clone());
            self.add(from + index, &entry.path, label, sight);
        }
        let ended = from + entries.len() == listing.entries.len();
        Ok(ended || self.items.len() == at_once)
    }

    fn add(&mut self, position: usize, path: &Path, label: Option<String>, sight: Result<Sight>) {
        let found = sight.map(|sight| {
            self.items.push(Item {
                planes: sight.planes,
                cases: sight.cases,
            });
            (sight.picture, sight.number)
        });
        self.entries.push(EntryRow {
            position,
            path: path.to_string_lossy().into_owned(),
            label,
            found: found.map_err(|error| error.to_string()),
        });
    }
}

/// Numbers the pictures as the database does; those that it does not know are opened first.
fn identify(
    database: &mut Database,
    sights: &mut [Result<Sight>],
    sizes: &[[usize; 2]],
) -> Result<()> {
    for sight in sights.iter_mut().flatten() {
        sight.known = database.picture(sight.content)?;
    }
    each(sights, |sight| match sight.known {
        Some(_) => Ok(()),
        None => sight.open(sizes),
    });
    let new = sights
        .iter()
        .flatten()
        .filter(|sight| sight.known.is_none());
    let new: Vec<(Fingerprint, [u32; 2])> =
        new.map(|sight| (sight.content, sight.original)).collect();
    let ids = if new.is_empty() {
        Vec::new()
    } else {
        database.add_pictures(&new)?
    };
    let mut ids = ids.into_iter();
    for sight in sights.iter_mut().flatten() {
        let id = sight.known.or_else(|| ids.next());
        sight.picture = id.expect("every new picture got a number");
    }
    Ok(())
}
