//! Painting on a copy of the open picture.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use image::RgbImage;

use super::{Editing, Stroke, Tool};
use crate::data::drawing::{self, PicturePoint, Pixel};
use crate::data::{Origin, Picture};
use crate::session::{LibraryEntry, State};

impl State {
    /// Paints on the open picture; the first stroke makes it an entry of its own.
    pub(super) fn paint(&mut self, tool: Tool, stroke: &Stroke, at: PicturePoint) {
        // Without a source there is nothing to clone, and nothing to restore without an original.
        let has_source = self.transient.editing.source.is_some();
        let is_painted = self.entry().is_some_and(|entry| entry.original.is_some());
        if (tool == Tool::Clone && !has_source) || (tool == Tool::Restore && !is_painted) {
            return;
        }
        self.begin_painting();
        let editing = self.transient.editing.clone();
        let Some(entry) = self.entry() else { return };
        let size = <[u32; 2]>::from(entry.picture.pixels.dimensions());
        let radius = editing.radius_in(&entry.picture);
        let pixels = drawing::stroke(size, stroke.last, at, radius);
        let mut image = RgbImage::clone(&entry.picture.pixels);
        painted(&mut image, tool, &pixels, (entry, stroke, &editing));
        let picture = Picture::from_image(entry.picture.path.clone(), image.into());
        if let Some(entry) = self.entry_mut() {
            entry.picture = picture;
        }
    }

    /// Makes a copy of the open picture to be painted on, unless it is one.
    fn begin_painting(&mut self) {
        let Some(entry) = self.entry().filter(|entry| entry.original.is_none()) else {
            return;
        };
        let original = entry.picture.clone();
        let stem = original
            .path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let path = PathBuf::from(format!("{stem}, painted.png"));
        let pixels = RgbImage::clone(&original.pixels);
        let copy = LibraryEntry {
            picture: Picture::from_image(path, pixels.into()),
            mask: entry
                .mask
                .clone()
                .filter(|mask| mask.original == <[u32; 2]>::from(original.pixels.dimensions())),
            original: Some(original),
            ..entry.clone()
        };
        // At the end, where it moves no other picture.
        self.document.library.push(copy);
        let place = Some(self.document.library.len() - 1);
        self.navigation.selected = place;
        if let Some(stroke) = &mut self.transient.editing.stroke {
            stroke.place = place;
        }
    }
}

/// Does to pixels of an image what a tool does.
fn painted(
    image: &mut RgbImage,
    tool: Tool,
    pixels: &[Pixel],
    (entry, stroke, editing): (&LibraryEntry, &Stroke, &Editing),
) {
    match tool {
        Tool::Restore => {
            if let Some(original) = &entry.original {
                drawing::copy(image, &original.pixels, pixels, [0, 0]);
            }
        }
        Tool::Clone => drawing::copy(image, &stroke.picture.pixels, pixels, stroke.offset),
        Tool::Blur => {
            let sigma = editing.radius_in(&entry.picture) / 3.0;
            drawing::blur(image, pixels, sigma);
        }
        _ => drawing::fill(image, pixels, stroke.colour),
    }
}

/// Memory of `past` pictures that have no file and are not among the `present` ones, in bytes, each counted once: what
/// undo keeps alive.
pub(in crate::session) fn drawn_bytes<'a>(
    past: impl Iterator<Item = &'a Picture>,
    present: impl Iterator<Item = &'a Picture>,
) -> usize {
    let address = |picture: &Picture| Arc::as_ptr(&picture.pixels);
    let mut seen: HashSet<*const RgbImage> = present.map(address).collect();
    let drawn = past.filter(|picture| picture.origin == Origin::Memory);
    let alive = drawn.filter(|picture| seen.insert(address(picture)));
    alive.map(Picture::bytes).sum()
}
