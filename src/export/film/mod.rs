//! Films: a figure of which one thing moves, frame by frame, as GIF, PNG files or MP4.

mod encode;
mod footage;
mod plots;

use crate::session::{Column, Figure, Film, Motion, State};

pub use encode::{Format, ffmpeg, gif, mp4, pictures, write};
pub use footage::Footage;

impl Film {
    /// The figure of every frame of a film of `state`: what moves is in it.
    fn figure(&self, state: &State) -> Figure {
        let needed: &[Column] = match self.motion {
            Motion::Epsilon { .. } => &[Column::Attacked],
            Motion::Severity { .. } => &[Column::Input],
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
