//! The opened pictures.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::data::{Crop, Picture};

/// A picture in the library strip.
#[derive(Clone, Debug, PartialEq)]
pub struct LibraryEntry {
    /// The pixels.
    pub picture: Picture,
    /// The part that models see.
    pub crop: Crop,
    /// Name of the true class, where known.
    pub truth: Option<String>,
    /// What of it is damaged: white on black, where known.
    pub mask: Option<Picture>,
    /// The pixels that attacks may change, white on black, as large as the picture's; all of them without one.
    pub attack_mask: Option<Picture>,
    /// What it was before it was painted on; nothing if it was not.
    pub original: Option<Picture>,
}

impl LibraryEntry {
    /// A picture of which nothing else is known.
    pub fn new(picture: Picture) -> Self {
        Self {
            picture,
            crop: Crop::default(),
            truth: None,
            mask: None,
            attack_mask: None,
            original: None,
        }
    }

    /// All its pictures.
    pub fn pictures(&self) -> impl Iterator<Item = &Picture> {
        let others = [&self.mask, &self.attack_mask, &self.original];
        std::iter::once(&self.picture).chain(others.into_iter().flatten())
    }
}

/// The pictures in their order. Copies share them until one is changed, so that a history of states
/// costs nothing; libraries are the same if they share their pictures.
#[derive(Clone, Debug, Default)]
pub struct Library(Arc<Vec<LibraryEntry>>);

impl Deref for Library {
    type Target = Vec<LibraryEntry>;

    fn deref(&self) -> &Vec<LibraryEntry> {
        &self.0
    }
}

impl DerefMut for Library {
    fn deref_mut(&mut self) -> &mut Vec<LibraryEntry> {
        Arc::make_mut(&mut self.0)
    }
}

impl PartialEq for Library {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
