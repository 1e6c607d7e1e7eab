//! Exports from the window: figures, films and arrays, computed and written in a background task.

use std::path::PathBuf;

use image::RgbImage;

use super::arrays;
use super::figure::{self, Sheet, Shot, on_screen, page, raster, shots};
use super::film::{self, Footage};
use super::headless::Headless;
use crate::compute::Models;
use crate::error::{Error, Result};
use crate::session::{Figure, Film, Row, State};
use crate::tasks::{BackgroundTask, Inbox, Outbox, TaskProgress};

/// What is exported.
#[derive(Clone, Debug, PartialEq)]
pub enum ExportJob {
    /// A figure, to a file.
    Figure(Figure),
    /// A figure, to the clipboard.
    Copy(Figure),
    /// The arrays behind a figure, to a folder.
    Numbers(Figure),
    /// A film, to a file or a folder of pictures.
    Film(Film),
}

/// How an export ended, if not with an error.
pub enum Done {
    /// It was written to this file or folder.
    Written(PathBuf),
    /// A figure for the clipboard.
    Copied(RgbImage),
    /// It was cancelled, before or after its path was chosen.
    Cancelled,
}

/// Runs one export at a time.
pub struct Exporter {
    /// What computes: the window's own models.
    models: Models,
    inbox: Inbox<Result<Done>>,
    running: Option<BackgroundTask>,
}

impl Exporter {
    /// Computes with `models`; `wake` is called when the progress changes and at the end.
    pub fn new(models: impl Into<Models>, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            models: models.into(),
            inbox: Inbox::new(wake),
            running: None,
        }
    }

    /// Computes with other models from the next export on.
    pub fn compute_with(&mut self, models: Models) {
        self.models = models;
    }

    /// Share of the running export that is done, in [0, 1]; `None` while none runs.
    pub fn progress(&self) -> Option<f32> {
        self.running.as_ref().map(BackgroundTask::progress)
    }

    /// Cancels the running export, if there is one, at its next report of progress.
    pub fn cancel(&self) {
        if let Some(task) = &self.running {
            task.cancel();
        }
    }

    /// Starts an export of what is on the screen, unless one is running: asks for the path, then computes
    /// and writes.
    pub fn begin(&mut self, job: ExportJob, state: &State, rows: &[Row]) {
        if self.running.is_some() {
            return;
        }
        let (state, rows, models) = (state.clone(), rows.to_vec(), self.models.clone());
        let work = move |outbox: &Outbox<_>, progress: &mut TaskProgress| {
            outbox.send(match finish(job, &state, &rows, models, progress) {
                Err(Error::Cancelled) => Ok(Done::Cancelled),
                done => done,
            });
        };
        self.running = Some(self.inbox.start("export", Err, work));
    }

    /// How the running export ended, once it has.
    pub fn outcome(&mut self) -> Option<Result<Done>> {
        let done = self.inbox.receive().pop()?;
        self.running = None;
        Some(done)
    }
}

/// Asks for the path of an export, computes it and writes it.
fn finish(
    job: ExportJob,
    state: &State,
    rows: &[Row],
    models: Models,
    progress: &mut TaskProgress,
) -> Result<Done> {
    let chosen = match &job {
        ExportJob::Copy(_) => Some(PathBuf::new()),
        job => choose_path(job),
    };
    let Some(path) = chosen else {
        return Ok(Done::Cancelled);
    };
    match job {
        ExportJob::Film(film) => {
            let mut engine = Headless::new(models);
            // Computing takes longer than drawing where models are large, and the other way round.
            let footage = progress.part([0.0, 0.5], |progress| {
                Footage::compute(&film, state, &mut engine, progress)
            })?;
            progress.part([0.5, 1.0], |progress| {
                film::write(&footage, &path, progress)
            })?;
        }
        ExportJob::Figure(figure) => {
            figure.require_cells(state)?;
            let shots = results(&figure, state, rows, models, progress)?;
            figure::write(&figure, &shots, &path)?;
        }
        ExportJob::Copy(figure) => {
            let shots = results(&figure, state, rows, models, progress)?;
            let page = page(&figure, &Sheet::new(&figure, &shots)?);
            return Ok(Done::Copied(raster(&page)?));
        }
        ExportJob::Numbers(figure) => {
            figure.require_cells(state)?;
            let figure = Figure {
                curves: true,
                ..figure
            };
            let mut engine = Headless::new(models);
            let shots = shots(&figure, state, &mut engine, progress)?;
            arrays::write(&path, &shots)?;
        }
    }
    Ok(Done::Written(path))
}

/// The results on the screen where they are complete, else computed ones.
fn results(
    figure: &Figure,
    state: &State,
    rows: &[Row],
    models: Models,
    progress: &mut TaskProgress,
) -> Result<Vec<Shot>> {
    // The screen does not tell whether the sweep over ε is complete.
    let known = on_screen(figure, state, rows).filter(|_| !figure.curves);
    match known {
        Some(shots) => Ok(shots),
        None => shots(figure, state, &mut Headless::new(models), progress),
    }
}

/// Lets a person choose the path in the system's own dialog; `None` when they cancel.
fn choose_path(job: &ExportJob) -> Option<PathBuf> {
    let dialog = rfd::FileDialog::new();
    match job {
        ExportJob::Numbers(_) => dialog.set_title("Folder for the numbers").pick_folder(),
        ExportJob::Film(_) => {
            let dialog = dialog
                .set_title("Export the film; a name without an ending is a folder of pictures")
                .set_file_name("film.gif");
            let dialog = dialog.add_filter("Film", &["gif", "mp4"]);
            dialog.add_filter("Folder of pictures", &["*"]).save_file()
        }
        ExportJob::Figure(_) | ExportJob::Copy(_) => {
            let dialog = dialog
                .set_title("Export the figure")
                .set_file_name("figure.png");
            dialog.add_filter("Figure", &["png", "svg"]).save_file()
        }
    }
}
