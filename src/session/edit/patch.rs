//! Patches on the open picture, and the search for their best place.

use image::RgbImage;

use super::Tool;
use super::attack_mask::mask_of;
use crate::attack::patch::{PatchShape, patch_attack};
use crate::compute::{ModelInput, PatchRequest, PatchResult};
use crate::data::drawing::{self, PicturePoint};
use crate::data::{Crop, Picture};
use crate::session::State;

/// A search for the best place of a patch.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchSearchProgress {
    /// The row whose model is attacked.
    pub row: usize,
    /// What is searched.
    pub request: PatchRequest,
    /// Share of the places that were tried.
    pub progress: f32,
}

impl State {
    /// Puts a patch in the middle of what models of height and width `input` see, and sets the attack for it.
    pub fn place_patch(&mut self, input: [usize; 2]) {
        self.transient.editing.input = input;
        let Some(entry) = self.entry() else { return };
        let [left, top, width, height] = entry.picture.crop_rectangle(entry.crop, input);
        let at = [
            left as f32 + width as f32 / 2.0,
            top as f32 + height as f32 / 2.0,
        ];
        self.use_patch_attack();
        self.transient.editing.tool = Some(Tool::Patch);
        self.move_patch(at);
    }

    fn use_patch_attack(&mut self) {
        let attack = patch_attack(&self.settings.attack);
        if attack != self.settings.attack {
            let before = std::mem::replace(&mut self.settings.attack, attack);
            self.transient.editing.before_patch = Some(before);
        }
        let epsilon = self.settings.attack.epsilon;
        let range = self.range_mut();
        *range = range.max(epsilon);
    }

    /// Comes back to the attack before a patch was placed, unless another was chosen since.
    pub(super) fn leave_patch_attack(&mut self) {
        let before = self.transient.editing.before_patch.take();
        if let Some(before) = before
            && self.settings.attack == patch_attack(&self.settings.attack)
        {
            self.settings.attack = before;
        }
    }

    /// Moves the patch so that its middle is at a point of the picture, or as near as it stays inside what the models
    /// see.
    pub(super) fn move_patch(&mut self, at: PicturePoint) {
        let Some(entry) = self.entry() else { return };
        let editing = &self.transient.editing;
        let part = entry.picture.crop_rectangle(entry.crop, editing.input);
        let [left, top, width, height] = part.map(|at| at as f32);
        let half = (editing.patch_side.clamp(0.0, 1.0) * width.min(height) / 2.0).max(0.5);
        let inside = |at: f32, from: f32, length: f32| {
            // What is not a number is in the middle.
            let at = if at.is_finite() {
                at
            } else {
                from + length / 2.0
            };
            at.clamp(
                from + half.min(length / 2.0),
                from + length - half.min(length / 2.0),
            )
        };
        let at = [inside(at[0], left, width), inside(at[1], top, height)];
        self.draw_patch(at.map(|at| at - half), at.map(|at| at + half));
    }

    fn draw_patch(&mut self, low: PicturePoint, high: PicturePoint) {
        let Some(entry) = self.entry() else { return };
        let shape = self.transient.editing.patch;
        self.set_drawn_mask(drawn_patch(&entry.picture, shape, low, high));
    }

    /// Takes in a search for the place of a patch: once finished, the patch is put there.
    pub fn take_patch(&mut self, result: &PatchResult) {
        let asked = self.patch_search();
        if asked.is_none_or(|search| search.request != result.request) {
            return;
        }
        if let Some(search) = &mut self.progress.patch {
            search.progress = result.progress;
        }
        let (Some(place), true) = (result.place, result.progress >= 1.0) else {
            return;
        };
        self.progress.patch = None;
        let Some(entry) = self.entry() else { return };
        let shape = result.request.shape;
        let mask = patch_mask((&entry.picture, entry.crop), result.input, shape, place);
        self.use_patch_attack();
        if let Some(entry) = self.entry_mut() {
            entry.attack_mask = Some(mask);
        }
    }

    /// Asks for the best place of a patch against the model of a row.
    pub fn search_patch(&mut self, row: usize) {
        let Some(input) = self.searched_input(row) else {
            return;
        };
        let request = PatchRequest {
            input,
            attack: patch_attack(&self.settings.attack),
            shape: self.transient.editing.patch,
            side: self.transient.editing.patch_side,
        };
        self.progress.patch = Some(PatchSearchProgress {
            row,
            request,
            progress: 0.0,
        });
    }

    /// The open picture as the model of a row sees it.
    fn searched_input(&self, row: usize) -> Option<ModelInput> {
        let (model, entry) = (self.document.models.get(row)?, self.entry()?);
        Some(ModelInput {
            crop: entry.crop,
            corruption: self.settings.corruption,
            ..ModelInput::new(model, &entry.picture, entry.truth.clone())
        })
    }

    /// The search for the best place of a patch that is asked for, if it is for the open picture as it is now.
    pub fn patch_search(&self) -> Option<&PatchSearchProgress> {
        let search = self.progress.patch.as_ref()?;
        let input = self.searched_input(search.row)?;
        (input == search.request.input).then_some(search)
    }
}

/// The mask of a patch with these corners, as large as the picture.
fn drawn_patch(
    picture: &Picture,
    shape: PatchShape,
    low: PicturePoint,
    high: PicturePoint,
) -> RgbImage {
    let size = <[u32; 2]>::from(picture.pixels.dimensions());
    let pixels = match shape {
        PatchShape::Square => drawing::rectangle(size, low, high),
        PatchShape::Disk => drawing::ellipse(size, low, high),
    };
    let mut mask = RgbImage::new(size[0], size[1]);
    drawing::fill(&mut mask, &pixels, [255; 3]);
    // The smallest patch is the pixel in its middle.
    let middle = [0, 1].map(|axis| {
        let last = size[axis].saturating_sub(1) as f32;
        ((low[axis] + high[axis]) / 2.0).clamp(0.0, last) as u32
    });
    drawing::fill(&mut mask, &[middle], [255; 3]);
    mask
}

/// The mask of a patch on a part of a picture: `place` has left, top, right and bottom in shares of what a model of
/// height and width `input` gets.
pub fn patch_mask(
    (picture, crop): (&Picture, Crop),
    input: [usize; 2],
    shape: PatchShape,
    place: [f32; 4],
) -> Picture {
    let [left, top, width, height] = picture.crop_rectangle(crop, input).map(|at| at as f32);
    let at = |x: f32, y: f32| [left + x * width, top + y * height];
    let [x0, y0, x1, y1] = place;
    mask_of(drawn_patch(picture, shape, at(x0, y0), at(x1, y1)))
}
