//! The mask of what commands may change of a picture.

use std::path::Path;

use crate::data::Picture;
use crate::error::Result;
use crate::session::{open_attack_mask, outside_of};

/// Opens the mask for a picture, if one is given: what is white in the file, or all but that.
///
/// # Errors
/// As [`open_attack_mask`].
pub(super) fn open_mask(
    path: Option<&Path>,
    outside: bool,
    picture: &Picture,
) -> Result<Option<Picture>> {
    let Some(path) = path else { return Ok(None) };
    let (mask, told) = open_attack_mask(path, picture)?;
    if let Some(told) = told {
        tracing::warn!("{told}");
    }
    let mask = if outside { outside_of(&mask)? } else { mask };
    Ok(Some(mask))
}
