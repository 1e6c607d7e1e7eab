//! Background pictures, decoded and cut to a model's size once.

use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use super::requests::AttributionRequest;
use crate::attribution::{Background, Method};
use crate::data::Picture;
use crate::data::picture::{is_picture, unit_planes};
use crate::error::{Error, Result};

/// No more background pictures than this are used; of more, some spread evenly.
pub const BACKGROUND_MOST: usize = 200;

/// Pictures `[3, h, w]` in [0, 1].
pub type Pictures = Arc<Vec<Vec<f32>>>;

/// The sets used last.
#[derive(Default)]
pub(super) struct BackgroundCache {
    /// Source, the library's pictures if it is the source, and size.
    known: Vec<(Background, Vec<Picture>, [usize; 2], Pictures)>,
}

/// Sets kept.
const REMEMBERED: usize = 4;

impl BackgroundCache {
    /// What the case's method compares with; nothing for most methods.
    pub(super) fn background(&mut self, request: &AttributionRequest) -> Result<Pictures> {
        let Method::ExpectedGradients(config) = &request.explanation.method else {
            return Ok(Pictures::default());
        };
        let size = request.picture.size();
        let known = self.known.iter().find(|(source, library, of, _)| {
            *source == config.background && *library == request.background && *of == size
        });
        if let Some((.., pictures)) = known {
            return Ok(pictures.clone());
        }
        let pictures = background(&config.background, &request.background, size)?;
        self.known.truncate(REMEMBERED - 1);
        let entry = (
            config.background.clone(),
            request.background.clone(),
            size,
            pictures.clone(),
        );
        self.known.insert(0, entry);
        Ok(pictures)
    }
}

/// Background pictures of height and width `size`; `library` are the open ones.
///
/// # Errors
/// [`Error::Io`] or [`Error::Data`] for a folder that cannot be read or holds no picture.
pub fn background(source: &Background, library: &[Picture], size: [usize; 2]) -> Result<Pictures> {
    Ok(Arc::new(match source {
        Background::Bundled => crate::data::samples::background(size),
        Background::Library => cut(library, size),
        Background::Folder(folder) => read(folder, size)?,
    }))
}

fn cut(pictures: &[Picture], size: [usize; 2]) -> Vec<Vec<f32>> {
    let cut = |picture: &Picture| unit_planes(&picture.cropped_whole(size));
    pictures.par_iter().map(cut).collect()
}

/// The pictures of a folder that can be opened; each is cut before the next is decoded.
fn read(folder: &PathBuf, size: [usize; 2]) -> Result<Vec<Vec<f32>>> {
    let listed = std::fs::read_dir(folder).map_err(|error| Error::io(folder, "read", error))?;
    let paths = listed.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<PathBuf> = paths.filter(|path| is_picture(path)).collect();
    paths.sort();
    let paths = thinned(&paths, BACKGROUND_MOST);
    let cut = |path: &PathBuf| Some(unit_planes(&Picture::open(path).ok()?.cropped_whole(size)));
    let pictures: Vec<Vec<f32>> = paths.into_par_iter().filter_map(cut).collect();
    if pictures.is_empty() {
        return Err(Error::data(folder, "no picture in it can be opened"));
    }
    Ok(pictures)
}

/// At most `most` of the items, spread evenly.
pub fn thinned<T>(items: &[T], most: usize) -> Vec<&T> {
    let count = items.len().min(most);
    (0..count)
        .map(|index| &items[index * items.len() / count])
        .collect()
}
