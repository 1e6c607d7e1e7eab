//! Drawing on the open picture: where attacks may change it, and painting on it.

mod attack_mask;
mod paint;
mod patch;

use crate::attack::Attack;
use crate::attack::patch::PatchShape;
use crate::data::Picture;
use crate::data::drawing::{self, PicturePoint};
use crate::session::State;

pub(super) use attack_mask::sound_attack_mask;
pub use attack_mask::{open_attack_mask, outside_of};
pub(super) use paint::drawn_bytes;
pub use patch::{PatchSearchProgress, patch_mask};

/// A tool that draws on the open picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Adds to the mask of attacks, or takes away from it, along a stroke.
    MaskBrush,
    /// The same in a rectangle.
    MaskRectangle,
    /// The same in an ellipse.
    MaskEllipse,
    /// The same where neighbouring pixels have nearly one colour.
    MaskFlood,
    /// Places the patch.
    Patch,
    /// Paints with a colour.
    Paint,
    /// Paints with the mean colour of the picture.
    Erase,
    /// Gives back what was there before painting.
    Restore,
    /// Copies another place of the picture.
    Clone,
    /// Blurs.
    Blur,
}

impl Tool {
    /// Tools that draw the mask of attacks.
    pub const MASK: [Self; 4] = [
        Self::MaskBrush,
        Self::MaskRectangle,
        Self::MaskEllipse,
        Self::MaskFlood,
    ];
    /// Tools that paint on the picture itself.
    pub const PAINT: [Self; 5] = [
        Self::Paint,
        Self::Erase,
        Self::Restore,
        Self::Clone,
        Self::Blur,
    ];

    /// Its name on a button.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaskBrush | Self::Paint => "Brush",
            Self::MaskRectangle => "Rectangle",
            Self::MaskEllipse => "Ellipse",
            Self::MaskFlood => "Flood",
            Self::Patch => "Patch",
            Self::Erase => "Eraser",
            Self::Restore => "Restore",
            Self::Clone => "Clone",
            Self::Blur => "Blur",
        }
    }

    /// What it does, in a sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::MaskBrush => "Draw where attacks may change the picture",
            Self::MaskRectangle => "A rectangle in which attacks may change the picture",
            Self::MaskEllipse => "An ellipse in which attacks may change the picture",
            Self::MaskFlood => "Attacks may change what has about the colour of the pixel clicked",
            Self::Patch => "Place the patch by a click or drag",
            Self::Paint => "Paint with the colour",
            Self::Erase => "Paint with the mean colour of the picture",
            Self::Restore => "Give back what was there before painting",
            Self::Clone => {
                "Paint with another place of the picture: choose it with the right button or Alt and a click"
            }
            Self::Blur => "Blur; again and again for more",
        }
    }

    /// Whether it covers a circle around the pointer.
    pub fn has_radius(self) -> bool {
        matches!(self, Self::MaskBrush) || Self::PAINT.contains(&self)
    }
}

/// What the pointer does, at points of the picture's kept pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DrawEvent {
    /// It is pressed.
    Press(PicturePoint),
    /// It moves while pressed.
    Move(PicturePoint),
    /// It is released.
    Release,
    /// It chooses from where [`Tool::Clone`] copies.
    Source(PicturePoint),
}

/// Settings of drawing.
#[derive(Clone, Debug)]
pub struct Editing {
    /// The active tool; without one the pointer moves pictures.
    pub tool: Option<Tool>,
    /// Radius of brushes, as a share of the picture's shorter side.
    pub radius: f32,
    /// Largest difference of channels that a flood crosses, in [0, 1].
    pub tolerance: f32,
    /// Whether mask tools take away instead of adding.
    pub removes: bool,
    /// Colour of [`Tool::Paint`].
    pub colour: [u8; 3],
    /// Outline of the patch.
    pub patch: PatchShape,
    /// Its side, as a share of the shorter side of what models see.
    pub patch_side: f32,
    /// Height and width of what the model sees on whose picture is drawn.
    pub input: [usize; 2],
    /// The attack before a patch was placed, to come back when its mask is cleared.
    before_patch: Option<Attack>,
    /// From where [`Tool::Clone`] copies.
    pub source: Option<PicturePoint>,
    /// The place of the keyboard's pointer, in shares of what the models see.
    pub cursor: PicturePoint,
    /// Whether the keyboard was used last, so that its pointer is shown.
    pub uses_keyboard: bool,
    /// The stroke under way.
    stroke: Option<Stroke>,
}

#[derive(Clone, Debug)]
struct Stroke {
    from: PicturePoint,
    last: PicturePoint,
    /// The mask before it, for shapes that follow the pointer.
    mask: Option<Picture>,
    /// The picture before it, and how far away a clone's source is.
    picture: Picture,
    offset: [i32; 2],
    /// The colour that it paints with.
    colour: [u8; 3],
    /// The tool, and the place in the library of what it draws on.
    tool: Tool,
    place: Option<usize>,
}

impl Default for Editing {
    fn default() -> Self {
        Self {
            tool: None,
            radius: 0.05,
            tolerance: 0.1,
            removes: false,
            colour: [230, 60, 40],
            patch: PatchShape::default(),
            patch_side: 0.25,
            input: [1; 2],
            before_patch: None,
            source: None,
            cursor: [0.5; 2],
            uses_keyboard: false,
            stroke: None,
        }
    }
}

impl Editing {
    /// Whether the pointer is down.
    pub fn is_drawing(&self) -> bool {
        self.stroke.is_some()
    }

    /// Ends the stroke under way.
    pub fn end_stroke(&mut self) {
        self.stroke = None;
    }

    /// The brush's radius in pixels of a picture.
    pub fn radius_in(&self, picture: &Picture) -> f32 {
        let (width, height) = picture.pixels.dimensions();
        self.radius * width.min(height) as f32
    }
}

impl State {
    /// Draws on the open picture with the active tool.
    pub fn draw(&mut self, event: DrawEvent) {
        let (Some(tool), Some(entry)) = (self.transient.editing.tool, self.entry()) else {
            return;
        };
        match event {
            DrawEvent::Source(at) => self.transient.editing.source = Some(at),
            DrawEvent::Release => self.transient.editing.stroke = None,
            DrawEvent::Press(at) => {
                let source = self.transient.editing.source.unwrap_or(at);
                self.transient.editing.stroke = Some(Stroke {
                    from: at,
                    last: at,
                    mask: entry.attack_mask.clone(),
                    picture: entry.picture.clone(),
                    offset: [0, 1].map(|axis| (source[axis] - at[axis]).round() as i32),
                    colour: match tool {
                        Tool::Erase => {
                            let original = entry.original.as_ref().unwrap_or(&entry.picture);
                            drawing::mean_colour(&original.pixels)
                        }
                        _ => self.transient.editing.colour,
                    },
                    tool,
                    place: self.navigation.selected,
                });
                self.draw_to(tool, at);
            }
            DrawEvent::Move(at) => {
                // What was begun on another picture, or with another tool, has ended.
                let selected = self.navigation.selected;
                let goes_on = |stroke: &Stroke| stroke.tool == tool && stroke.place == selected;
                if self.transient.editing.stroke.as_ref().is_some_and(goes_on) {
                    self.draw_to(tool, at);
                } else {
                    self.transient.editing.end_stroke();
                }
            }
        }
    }

    fn draw_to(&mut self, tool: Tool, at: PicturePoint) {
        let Some(stroke) = self.transient.editing.stroke.clone() else {
            return;
        };
        match tool {
            Tool::Patch => self.move_patch(at),
            tool if Tool::PAINT.contains(&tool) => self.paint(tool, &stroke, at),
            tool => self.draw_mask(tool, &stroke, at),
        }
        if let Some(stroke) = &mut self.transient.editing.stroke {
            stroke.last = at;
        }
    }
}
