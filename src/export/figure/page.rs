//! A page: pictures, words and lines with their places.

use image::RgbImage;

use super::text;

/// Which part of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// A line of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    /// What it says.
    pub text: String,
    /// Where its anchor is on the baseline.
    pub at: [f32; 2],
    /// Which part of it is there.
    pub anchor: Anchor,
    /// Height.
    pub size: f32,
    /// Red, green, blue.
    pub color: [u8; 3],
    /// Whether its lines are thicker.
    pub strong: bool,
    /// Whether it runs upward.
    pub upward: bool,
}

/// Something on a page; places and lengths are in units from the top left.
#[derive(Clone, Debug, PartialEq)]
pub enum PageItem {
    /// Text.
    Words(Words),
    /// A picture.
    Picture {
        /// The pixels.
        image: RgbImage,
        /// Left, top, width, height.
        area: [f32; 4],
    },
    /// A filled rectangle.
    Block {
        /// Left, top, width, height.
        area: [f32; 4],
        /// Red, green, blue.
        color: [u8; 3],
    },
    /// Lines, each through some points.
    Lines {
        /// The lines.
        paths: Vec<Vec<[f32; 2]>>,
        /// Red, green, blue.
        color: [u8; 3],
        /// Thickness.
        width: f32,
        /// Length of dashes and of the gaps between them; 0 for a line without gaps.
        dash: f32,
    },
}

/// A figure ready to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct FigurePage {
    /// Width and height, in units.
    pub size: [f32; 2],
    /// Width in millimetres, if it is for paper.
    pub millimetres: Option<f32>,
    /// Pixels for each unit.
    pub scale: f32,
    /// From back to front.
    pub items: Vec<PageItem>,
}

impl Words {
    /// Left, top, right, bottom.
    pub fn bounds(&self) -> [f32; 4] {
        let wide = text::width(&self.text, self.size);
        let before = match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => wide / 2.0,
            Anchor::End => wide,
        };
        let (rise, fall) = (0.78 * self.size, 0.22 * self.size);
        let [x, y] = self.at;
        if self.upward {
            [x - rise, y + before - wide, x + fall, y + before]
        } else {
            [x - before, y - rise, x - before + wide, y + fall]
        }
    }
}

impl PageItem {
    /// Left, top, right, bottom.
    pub fn bounds(&self) -> [f32; 4] {
        match self {
            Self::Words(words) => words.bounds(),
            Self::Picture { area, .. } | Self::Block { area, .. } => {
                [area[0], area[1], area[0] + area[2], area[1] + area[3]]
            }
            Self::Lines { paths, .. } => {
                let nowhere = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
                let points = paths.iter().flatten();
                points.fold(nowhere, |[left, top, right, bottom], &[x, y]| {
                    [left.min(x), top.min(y), right.max(x), bottom.max(y)]
                })
            }
        }
    }
}

impl FigurePage {
    /// Width and height of the drawn page, in pixels.
    pub fn pixels(&self) -> [u32; 2] {
        self.size
            .map(|side| (side * self.scale).round().max(1.0) as u32)
    }
}
