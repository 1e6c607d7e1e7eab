//! Films: a figure of which one thing moves, frame by frame, as GIF, PNG files or MP4.

mod encode;
mod footage;
mod plots;

use serde::{Deserialize, Serialize};

use super::figure::{Figure, Size};
use crate::error::{Error, Result};
use crate::session::{Column, State};

pub use encode::{Format, ffmpeg, gif, mp4, pictures, write};
pub use footage::Footage;

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Motion {
    /// ε rises.
    Epsilon {
        /// First ε, in units of pixels in [0, 1].
        from: f32,
        /// Last ε; without one, the end of the timeline.
        to: Option<f32>,
    },
    /// A picture is made, from its start to the last iterate; the first steps, which change most,
    /// are slowest.
    Synthesis,
    /// A picture turns into its counterfactual.
    Counterfactual,
}

/// A film, as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Film {
    /// Every frame. Of several pictures the first is shown, and ε is the motion's or the chosen one.
    pub figure: Figure,
    /// What moves.
    pub motion: Motion,
    /// How many frames.
    pub frames: usize,
    /// Frames a second.
    pub rate: f32,
    /// How long the last frame stays, in seconds.
    pub hold: f32,
}

impl Default for Film {
    fn default() -> Self {
        Self {
            figure: Figure {
                curves: true,
                // Films are for screens, and long.
                size: Size::Pixels {
                    width: 960.0,
                    scale: 1.0,
                },
                ..Figure::default()
            },
            motion: Motion::Epsilon {
                from: 0.0,
                to: None,
            },
            frames: 60,
            rate: 15.0,
            hold: 1.0,
        }
    }
}

impl Film {
    /// Refuses numbers that make no film.
    ///
    /// # Errors
    /// [`Error::Config`] that says which.
    pub fn validate(&self) -> Result<()> {
        self.figure.validate()?;
        let is_epsilon = |value: f32| (0.0..=1e6).contains(&value);
        let wrong = match self.motion {
            Motion::Epsilon { from, to }
                if !is_epsilon(from) || to.is_some_and(|to| !is_epsilon(to) || from >= to) =>
            {
                "ε must rise from a number of at least 0"
            }
            _ if !(2..=5000).contains(&self.frames) => "there must be 2 to 5000 frames",
            _ if !(1.0..=100.0).contains(&self.rate) => "the rate must be 1 to 100 frames a second",
            _ if !(0.0..=60.0).contains(&self.hold) => "the last frame may stay up to 60 seconds",
            _ => return Ok(()),
        };
        Err(Error::Config(format!("film: {wrong}")))
    }

    /// The figure of every frame of a film of `state`: what moves is in it.
    fn figure(&self, state: &State) -> Figure {
        let needed: &[Column] = match self.motion {
            Motion::Epsilon { .. } => &[Column::Attacked],
            Motion::Synthesis => &[Column::Synthesis],
            Motion::Counterfactual => &[Column::Counterfactual],
        };
        let mut columns = self.figure.columns(state);
        let missing = needed.iter().filter(|column| !columns.contains(column));
        let missing: Vec<Column> = missing.copied().collect();
        columns.extend(missing);
        let pictures = self.figure.pictures(state);
        Figure {
            pictures: pictures.into_iter().take(1).collect(),
            whole_library: false,
            rows: self.figure.rows(state),
            columns,
            epsilons: Vec::new(),
            ..self.figure.clone()
        }
    }

    /// How long a frame of a GIF stays, in hundredths of a second, of which GIFs count whole ones. Rounding
    /// where frames end keeps the speed of the whole.
    pub fn hundredths(&self, frame: usize) -> f32 {
        let end = |frames: usize| (100.0 * frames as f32 / self.rate).round();
        let held = if frame + 1 == self.frames {
            self.hold
        } else {
            0.0
        };
        end(frame + 1) - end(frame) + (100.0 * held).round()
    }

    /// How far the film is at a frame, in [0, 1].
    fn share(&self, frame: usize) -> f32 {
        frame as f32 / (self.frames - 1).max(1) as f32
    }
}
