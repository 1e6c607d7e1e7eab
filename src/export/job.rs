//! Figures, films and numbers out of the window: computed and written in a thread of their own.

#![expect(
    clippy::disallowed_methods,
    reason = "not yet moved to the module `tasks`, which names threads and turns panics into messages"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};

use burn::tensor::Device;
use image::RgbImage;

use super::arrays;
use super::figure::{self, Sheet, Shot, on_screen, page, raster, shots};
use super::film::{self, Footage};
use super::headless::Headless;
use crate::error::{Error, Result};
use crate::session::{Figure, Film, Row, State};
use crate::tasks::TaskProgress;

/// What is to be made of what is on the screen.
#[derive(Clone, Debug, PartialEq)]
pub enum ExportJob {
    /// A figure for a file.
    Figure(Figure),
    /// A figure for the clipboard.
    Copy(Figure),
    /// The numbers behind a figure, for a folder.
    Numbers(Figure),
    /// A film.
    Film(Film),
}

/// What came of it.
pub enum Done {
    /// It is in this file or folder.
    Written(PathBuf),
    /// It is for the clipboard.
    Copied(RgbImage),
    /// Somebody changed their mind.
    Nothing,
}

/// One work at a time, with its progress.
pub struct Exporter {
    /// Where models run.
    device: Device,
    context: egui::Context,
    running: Option<Running>,
}

struct Running {
    /// Thousandths that are done.
    progress: Arc<AtomicU32>,
    cancel: Arc<AtomicBool>,
    outcome: Receiver<Result<Done>>,
}

impl Exporter {
    /// Computes on `device` and wakes `context` when there is something to see.
    pub fn new(device: Device, context: egui::Context) -> Self {
        Self {
            device,
            context,
            running: None,
        }
    }

    /// Computes on another device from now on.
    pub fn compute_on(&mut self, device: Device) {
        self.device = device;
    }

    /// Share of the work done, while there is some.
    pub fn progress(&self) -> Option<f32> {
        let running = self.running.as_ref()?;
        Some(running.progress.load(Ordering::Relaxed) as f32 / 1000.0)
    }

    /// Stops the work at the next opportunity.
    pub fn cancel(&self) {
        if let Some(running) = &self.running {
            running.cancel.store(true, Ordering::Relaxed);
        }
    }

    /// Begins a work on what is on the screen, unless one is under way. The path is asked for first.
    pub fn begin(&mut self, work: ExportJob, state: &State, rows: &[Row]) {
        if self.running.is_some() {
            return;
        }
        let (sender, outcome) = channel();
        let running = Running {
            progress: Arc::default(),
            cancel: Arc::default(),
            outcome,
        };
        let (told, cancel) = (running.progress.clone(), running.cancel.clone());
        let (device, context) = (self.device.clone(), self.context.clone());
        let (state, rows) = (state.clone(), rows.to_vec());
        self.running = Some(running);
        std::thread::spawn(move || {
            let mut progress = |share: f32| {
                let now = (1000.0 * share) as u32;
                if told.swap(now, Ordering::Relaxed) != now {
                    context.request_repaint();
                }
            };
            let mut watch = TaskProgress {
                progress: &mut progress,
                cancel: &cancel,
            };
            let done = match finish(work, &state, &rows, device, &mut watch) {
                Err(Error::Cancelled) => Ok(Done::Nothing),
                done => done,
            };
            // The window may be gone by now.
            let _ = sender.send(done);
            context.request_repaint();
        });
    }

    /// What came of the work, once it has ended.
    pub fn outcome(&mut self) -> Option<Result<Done>> {
        let running = self.running.as_ref()?;
        let done = match running.outcome.try_recv() {
            Ok(done) => done,
            Err(std::sync::mpsc::TryRecvError::Empty) => return None,
            Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                Err(Error::Config("the export ended before it was done".into()))
            }
        };
        self.running = None;
        Some(done)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.cancel();
    }
}

fn finish(
    work: ExportJob,
    state: &State,
    rows: &[Row],
    device: Device,
    watch: &mut TaskProgress,
) -> Result<Done> {
    let asked = match &work {
        ExportJob::Copy(_) => Some(PathBuf::new()),
        work => ask(work),
    };
    let Some(path) = asked else {
        return Ok(Done::Nothing);
    };
    match work {
        ExportJob::Film(film) => {
            let mut engine = Headless::new(device);
            // Computing takes longer than drawing where models are large, and the other way round.
            let footage = watch.part([0.0, 0.5], |watch| {
                Footage::compute(&film, state, &mut engine, watch)
            })?;
            watch.part([0.5, 1.0], |watch| film::write(&footage, &path, watch))?;
        }
        ExportJob::Figure(figure) => {
            figure.require_cells(state)?;
            let shots = results(&figure, state, rows, device, watch)?;
            figure::write(&figure, &shots, &path)?;
        }
        ExportJob::Copy(figure) => {
            let shots = results(&figure, state, rows, device, watch)?;
            let page = page(&figure, &Sheet::new(&figure, &shots)?);
            return Ok(Done::Copied(raster(&page)?));
        }
        ExportJob::Numbers(figure) => {
            figure.require_cells(state)?;
            let figure = Figure {
                curves: true,
                ..figure
            };
            let mut engine = Headless::new(device);
            let shots = shots(&figure, state, &mut engine, watch)?;
            arrays::write(&path, &shots)?;
        }
    }
    Ok(Done::Written(path))
}

/// The window's own results where they are all there, else computed ones.
fn results(
    figure: &Figure,
    state: &State,
    rows: &[Row],
    device: Device,
    watch: &mut TaskProgress,
) -> Result<Vec<Shot>> {
    // Whether the whole curve is there is not known.
    let known = on_screen(figure, state, rows).filter(|_| !figure.curves);
    match known {
        Some(shots) => Ok(shots),
        None => shots(figure, state, &mut Headless::new(device), watch),
    }
}

/// Asks where to write.
fn ask(work: &ExportJob) -> Option<PathBuf> {
    let dialog = rfd::FileDialog::new();
    match work {
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
