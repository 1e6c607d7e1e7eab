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
