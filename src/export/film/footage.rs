//! The frames of a film: computed results, drawn one by one.

use image::{Rgb, RgbImage};

use super::plots::{severity_plot, synthesis_plot, way_plot};
use crate::error::{Error, Result};
use crate::export::figure::{Plot, Sheet, Shot, caption, epsilon_plot, page, raster, scale, shots};
use crate::export::headless::Headless;
use crate::session::{Figure, Film, Motion, Row, State};
use crate::tasks::TaskProgress;

/// A film whose results are all there.
pub struct Footage {
    film: Film,
    figure: Figure,
    /// One for each frame of a sweep of ε or severity, else one.
    shots: Vec<Shot>,
    /// Where the colours of maps end in every frame.
    scale: Option<f32>,
    /// Curves over the whole film.
    plot: Plot,
    caption: String,
    /// Steps of the synthesis.
    steps: usize,
}

impl Footage {
    /// Computes what the film of `state` shows.
    ///
    /// # Errors
    /// As [`shots`]; [`Error::Config`] for numbers that make no film, or when nothing moves.
    pub fn compute(
        film: &Film,
        state: &State,
        engine: &mut Headless,
        watch: &mut TaskProgress,
    ) -> Result<Self> {
        film.validate()?;
        // The curves of a sweep are those of its own frames.
        let mut figure = Figure {
            curves: false,
            ..film.figure(state)
        };
        let mut state = state.clone();
        match film.motion {
            Motion::Epsilon { from, to } => {
                let to = to.unwrap_or(state.range());
                let value = |frame| from + film.share(frame) * (to - from);
                figure.epsilons = (0..film.frames).map(value).collect();
            }
            Motion::Severity { from, to } => {
                let value = |frame| from + film.share(frame) * (to - from);
                let severities: Vec<f32> = (0..film.frames).map(value).collect();
                return Self::of(
                    film,
                    corrupted_shots(&figure, &state, &severities, engine, watch)?,
                );
            }
            Motion::Synthesis => {
                state.navigation.playhead.cursor = None;
                // A synthesis that nobody has begun runs to its end.
                state.progress.synthesis.running |= state.navigation.playhead.until == 0;
            }
            Motion::Counterfactual => state.settings.counterfactual.along = 1.0,
        }
        Self::of(film, shots(&figure, &state, engine, watch)?)
    }

    /// Puts a film together from what is computed: a shot for each frame of a sweep of ε or severity, else one.
    ///
    /// # Errors
    /// [`Error::Config`] when nothing moves.
    pub fn of(film: &Film, shots: Vec<Shot>) -> Result<Self> {
        film.validate()?;
        let Some(Shot { state, .. }) = shots.first() else {
            return Err(Error::Config("there is no picture to film".into()));
        };
        let figure = film.figure(state);
        let bare = |epsilon| state.settings.attack.norm.format(epsilon);
        let epsilons = match film.motion {
            Motion::Epsilon { from, to } => {
                let to = to.unwrap_or(state.range());
                format!("{} to {}", bare(from), bare(to))
            }
            _ => bare(state.settings.attack.epsilon),
        };
        let models = figure.rows(&shots[0].state);
        let steps_of = |row: &Row| {
            row.synthesis
                .as_ref()
                .map_or(0, |synthesis| synthesis.steps)
        };
        let steps = shots[0].rows.iter().map(steps_of).max().unwrap_or(0);
        let (plot, still) = match film.motion {
            Motion::Epsilon { from, to } => {
                let mut plot = epsilon_plot(&swept(&shots), &models);
                let unit = plot.x[1] / f64::from(shots[0].state.range()).max(f64::MIN_POSITIVE);
                let to = to.unwrap_or(state.range());
                plot.x = [from, to].map(|epsilon| f64::from(epsilon) * unit);
                (plot, false)
            }
            Motion::Severity { from, to } => (severity_plot(&shots, &models, [from, to]), false),
            Motion::Synthesis => (synthesis_plot(&shots[0], &models, steps), steps == 0),
            Motion::Counterfactual => {
                let plot = way_plot(&shots[0], &models);
                let empty = plot.curves.is_empty();
                (plot, empty)
            }
        };
        if still {
            let reason = match film.motion {
                Motion::Synthesis => "there is no synthesis",
                _ => "there is no counterfactual",
            };
            return Err(Error::Config(format!(
                "nothing moves in the film: {reason}"
            )));
        }
        Ok(Self {
            film: film.clone(),
            scale: scale(&shots),
            caption: caption(&figure, &shots, &epsilons),
            figure,
            shots,
            plot,
            steps,
        })
    }

    /// The film.
    pub fn film(&self) -> &Film {
        &self.film
    }

    /// What a frame shows.
    ///
    /// # Errors
    /// As [`Sheet::new`].
    pub fn sheet(&self, frame: usize) -> Result<Sheet> {
        let share = self.film.share(frame);
        let mut plot = self.plot.clone();
        let [begin, end] = plot.x;
        let mut shot = self.shots[frame.min(self.shots.len() - 1)].clone();
        match self.film.motion {
            Motion::Epsilon { .. } | Motion::Severity { .. } => {
                plot.until = Some(begin + f64::from(share) * (end - begin));
            }
            Motion::Synthesis => {
                let step = (share * share * self.steps as f32).round() as usize;
                shot.state.navigation.playhead.cursor = Some(step);
                plot.until = Some(step as f64);
            }
            Motion::Counterfactual => {
                shot.state.settings.counterfactual.along = share;
                plot.until = Some(f64::from(share));
            }
        }
        let figure = Figure {
            curves: false,
            ..self.figure.clone()
        };
        let mut sheet = Sheet::with_scale(&figure, &[shot], self.scale)?;
        sheet.caption.clone_from(&self.caption);
        sheet.plots.extend(self.figure.curves.then_some(plot));
        Ok(sheet)
    }

    /// Draws all frames, of one size with even sides.
    pub fn frames(&self) -> impl Iterator<Item = Result<RgbImage>> + '_ {
        let mut size = None;
        (0..self.film.frames).map(move |frame| {
            let image = raster(&page(&self.figure, &self.sheet(frame)?))?;
            let even = [image.width(), image.height()].map(|side| side.next_multiple_of(2));
            let size = *size.get_or_insert(even);
            Ok(laid_on(image, size))
        })
    }
}

/// A shot of each severity of the corruption.
fn corrupted_shots(
    figure: &Figure,
    state: &State,
    severities: &[f32],
    engine: &mut Headless,
    watch: &mut TaskProgress,
) -> Result<Vec<Shot>> {
    let mut all = Vec::new();
    for (done, &severity) in severities.iter().enumerate() {
        let mut state = state.clone();
        state.set_severity(severity);
        let part = [done, done + 1].map(|place| place as f32 / severities.len() as f32);
        let of_severity = watch.part(part, |watch| shots(figure, &state, engine, watch))?;
        all.extend(of_severity.into_iter().take(1));
    }
    Ok(all)
}

/// The first shot with the attacks of all as its grid of ε.
fn swept(shots: &[Shot]) -> Shot {
    let mut swept = shots[0].clone();
    for (index, row) in swept.rows.iter_mut().enumerate() {
        let attacks = shots.iter().filter_map(|shot| shot.rows.get(index));
        row.sweep = attacks.filter_map(|row| row.attacked.clone()).collect();
    }
    swept
}

/// The image on white of this width and height.
fn laid_on(image: RgbImage, [width, height]: [u32; 2]) -> RgbImage {
    if image.dimensions() == (width, height) {
        return image;
    }
    let mut ground = RgbImage::from_pixel(width, height, Rgb([255; 3]));
    image::imageops::replace(&mut ground, &image, 0, 0);
    ground
}
