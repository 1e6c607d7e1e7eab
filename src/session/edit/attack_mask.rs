//! The mask of attacks: where they may change the open picture.

use std::path::{Path, PathBuf};

use image::{DynamicImage, Rgb, RgbImage};

use super::{Stroke, Tool};
use crate::data::drawing::{self, PicturePoint};
use crate::data::mask::{is_inside, share_inside};
use crate::data::{Origin, Picture};
use crate::error::{Error, Result};
use crate::session::State;

/// The name of a mask that was drawn here.
const DRAWN_MASK: &str = "mask.png";

/// A mask from drawn pixels.
pub(super) fn mask_of(pixels: RgbImage) -> Picture {
    Picture::from_image(PathBuf::from(DRAWN_MASK), DynamicImage::ImageRgb8(pixels))
}

impl State {
    pub(super) fn draw_mask(&mut self, tool: Tool, stroke: &Stroke, at: PicturePoint) {
        let editing = self.transient.editing.clone();
        let Some(entry) = self.entry() else { return };
        let picture = &entry.picture;
        let size = <[u32; 2]>::from(picture.pixels.dimensions());
        let pixels = match tool {
            Tool::MaskRectangle => drawing::rectangle(size, stroke.from, at),
            Tool::MaskEllipse => drawing::ellipse(size, stroke.from, at),
            Tool::MaskFlood => {
                let start = at.map(|at| at.max(0.0) as u32);
                drawing::flood(&picture.pixels, start, editing.tolerance)
            }
            _ => drawing::stroke(size, stroke.last, at, editing.radius_in(picture)),
        };
        let is_shape = matches!(tool, Tool::MaskRectangle | Tool::MaskEllipse);
        let before = match is_shape {
            true => stroke.mask.clone(),
            false => entry.attack_mask.clone(),
        };
        // What is taken away is taken from all.
        let mut mask = match before {
            Some(mask) => RgbImage::clone(&mask.pixels),
            None => {
                RgbImage::from_pixel(size[0], size[1], Rgb([255 * u8::from(editing.removes); 3]))
            }
        };
        drawing::fill(&mut mask, &pixels, [255 * u8::from(!editing.removes); 3]);
        self.set_drawn_mask(mask);
    }

    /// Sets the mask of attacks; one without any pixel is none.
    pub(super) fn set_drawn_mask(&mut self, mask: RgbImage) {
        let any = mask.pixels().any(is_inside);
        if let Some(entry) = self.entry_mut() {
            entry.attack_mask = any.then(|| mask_of(mask));
        }
    }

    /// Lets attacks change the whole open picture again.
    pub fn clear_attack_mask(&mut self) {
        if let Some(entry) = self.entry_mut() {
            entry.attack_mask = None;
        }
        self.leave_patch_attack();
    }

    /// Swaps what is inside the mask of attacks and what is outside; a mask of all pixels is none.
    pub fn invert_attack_mask(&mut self) {
        let Some(mask) = self.entry().and_then(|entry| entry.attack_mask.clone()) else {
            return;
        };
        self.set_drawn_mask(inverted(&mask));
    }

    /// Makes the true mask of the open picture, or all but that, the mask of attacks.
    ///
    /// # Errors
    /// [`Error::Config`] where there is no true mask, or where it leaves attacks no pixel.
    pub fn use_true_mask(&mut self, background: bool) -> Result<()> {
        let entry = self.entry();
        let Some((entry, mask)) = entry.and_then(|entry| Some((entry, entry.mask.as_ref()?)))
        else {
            return Err(Error::Config("the picture has no true mask".into()));
        };
        let mask = resized_to(mask, &entry.picture);
        let mask = match background {
            true => outside_of(&mask)?,
            false => mask,
        };
        require_inside(&mask)?;
        if let Some(entry) = self.entry_mut() {
            entry.attack_mask = Some(mask);
        }
        Ok(())
    }

    /// Share of the open picture that attacks may change, in (0, 1]; nothing without a mask.
    pub fn attack_mask_share(&self) -> Option<f32> {
        let mask = self.entry()?.attack_mask.as_ref()?;
        Some(share_inside(mask.pixels.pixels().map(is_inside)))
    }
}

/// A mask with inside and outside swapped.
fn inverted(mask: &Picture) -> RgbImage {
    let (width, height) = mask.pixels.dimensions();
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([255 * u8::from(!is_inside(mask.pixels.get_pixel(x, y))); 3])
    })
}

/// A mask, as large as the kept pixels of a picture, black and white.
fn resized_to(mask: &Picture, picture: &Picture) -> Picture {
    let (width, height) = picture.pixels.dimensions();
    let filter = image::imageops::FilterType::Triangle;
    let mut pixels = match mask.has_size_of(picture) {
        true => RgbImage::clone(&mask.pixels),
        false => image::imageops::resize(&*mask.pixels, width, height, filter),
    };
    for pixel in pixels.pixels_mut() {
        *pixel = Rgb([255 * u8::from(is_inside(pixel)); 3]);
    }
    let drawn = mask_of(pixels);
    // A mask of a file stays that file's where not a bit of it was changed.
    match mask.origin == Origin::File && drawn.pixels == mask.pixels {
        true => mask.clone(),
        false => Picture {
            path: mask.path.clone(),
            ..drawn
        },
    }
}

/// A mask of attacks from a session: black and white, and as large as its picture.
///
/// # Errors
/// [`Error::Picture`] when it is of another size, or has no white pixel.
pub(in crate::session) fn sound_attack_mask(mask: &Picture, picture: &Picture) -> Result<Picture> {
    if !mask.has_size_of(picture) {
        return Err(Error::Picture {
            path: mask.path.clone(),
            reason: "the mask of attacks is of another size than its picture, and is left out"
                .into(),
        });
    }
    let mask = resized_to(mask, picture);
    require_inside(&mask)?;
    Ok(mask)
}

/// All but what is inside a mask.
///
/// # Errors
/// [`Error::Picture`] when that is nothing.
pub fn outside_of(mask: &Picture) -> Result<Picture> {
    let outside = Picture {
        path: mask.path.clone(),
        ..mask_of(inverted(mask))
    };
    require_inside(&outside)?;
    Ok(outside)
}

fn require_inside(mask: &Picture) -> Result<()> {
    if mask.pixels.pixels().any(is_inside) {
        return Ok(());
    }
    Err(Error::Picture {
        path: mask.path.clone(),
        reason: "a mask of attacks needs a white pixel: nothing of it is inside".into(),
    })
}

/// How much the aspect ratio of a mask may differ from its picture's, as a share.
const ASPECT: f32 = 0.02;

/// Opens a mask of attacks on a picture, white where they may change it, and resizes it to the picture; says so where
/// it had another size.
///
/// # Errors
/// As [`Picture::open`]; [`Error::Picture`] when it has another shape than the picture, or no white pixel.
pub fn open_attack_mask(path: &Path, picture: &Picture) -> Result<(Picture, Option<String>)> {
    let mask = Picture::open(path)?;
    let aspect = |[width, height]: [u32; 2]| width as f32 / height as f32;
    let apart = aspect(mask.original) / aspect(picture.original) - 1.0;
    let [[w, h], [width, height]] = [mask.original, picture.original];
    if apart.abs() > ASPECT {
        let reason = format!(
            "the mask has {w}×{h} pixels, which is of another shape than its picture's {width}×{height}"
        );
        return Err(Error::Picture {
            path: path.into(),
            reason,
        });
    }
    let resized = mask.original != picture.original;
    let told = resized.then(|| {
        let path = path.display();
        format!(
            "{path}: the mask has {w}×{h} pixels and was resized to its picture's {width}×{height}"
        )
    });
    let mask = resized_to(&mask, picture);
    require_inside(&mask)?;
    Ok((mask, told))
}
