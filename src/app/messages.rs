//! Receiving what happened since the last frame: results, pictures, exports, dialogs, drops and pastes.

use std::path::PathBuf;

use burn::tensor::Device;

use super::dialogs::DialogOutcome;
use super::{App, panels, start_engine};
use crate::attribution::{Background, Method};
use crate::compute::{ComputeMessage, Lane, Models};
use crate::data::Picture;
use crate::error::Result;
use crate::export::job::Done;
use crate::model::import::{DescriptionEdit, LabelSource};
use crate::session::{LibraryEntry, OpenedSession, Row};

/// Shown when the pictures of one batch did not fit into memory.
const OUT_OF_MEMORY: &str =
    "The memory was full. The model goes on with half as many pictures at once.";

impl App {
    /// Receives everything that happened since the last frame.
    pub(super) fn receive(&mut self, context: &egui::Context) {
        self.receive_results(context);
        self.receive_pictures();
        self.receive_export(context);
        self.receive_dialogs(context);
        self.receive_autosave();
        self.receive_dropped(context);
        self.receive_pasted(context);
    }

    /// Receives what the engine computed.
    fn receive_results(&mut self, context: &egui::Context) {
        let mut synthesized = false;
        for (lane, message) in self.engine.messages() {
            match &message {
                ComputeMessage::Predicted(_) => self.metrics.prediction(),
                ComputeMessage::Synthesized(_) => synthesized = true,
                ComputeMessage::OutOfMemory => self.messages.push(OUT_OF_MEMORY.into()),
                ComputeMessage::Scanned(progress) => self.scanned(*progress),
                ComputeMessage::PatchSearched(result) => {
                    self.state.take_patch(result);
                }
                ComputeMessage::Failed(reason) if matches!(lane, Lane::PatchSearch(_)) => {
                    self.messages.push(reason.clone());
                    self.state.progress.patch = None;
                }
                ComputeMessage::Failed(reason) if lane == Lane::Scan => {
                    self.messages.push(reason.clone());
                    self.state.progress.scan.request = None;
                }
                ComputeMessage::DeviceLost(reason) => {
                    self.compute_on_cpu(context, reason);
                    break;
                }
                _ => {}
            }
            if let Some((row, own)) = self.row_of(lane) {
                row.take(own, message);
            }
        }
        if synthesized {
            let synthesis = &self.state.progress.synthesis;
            self.metrics
                .synthesis_frame(synthesis.running || synthesis.working);
        }
        self.metrics
            .shown(&self.rows, self.state.settings.attack.epsilon);
    }

    /// Receives decoded pictures, and tells the loader how much memory the library takes.
    fn receive_pictures(&mut self) {
        for result in self.loader.receive() {
            match result {
                Ok(opened) => {
                    let before = self.state.navigation.selected;
                    self.state
                        .add_with_mask(opened.picture, opened.truth, opened.mask);
                    // Of pictures opened together the first is selected.
                    if !opened.first {
                        self.state.navigation.selected = before;
                    }
                }
                Err(error) => self.messages.push(error.to_string()),
            }
        }
        let library = self.state.document.library.iter();
        let held = library.flat_map(LibraryEntry::pictures).map(Picture::bytes);
        self.loader.set_held(held.sum());
    }

    /// Receives the outcome of an export.
    fn receive_export(&mut self, context: &egui::Context) {
        match self.exporter.outcome() {
            Some(Ok(Done::Written(path))) => {
                self.export.status = format!("{} is written", path.display());
            }
            Some(Ok(Done::Copied(image))) => {
                let size = [image.width() as usize, image.height() as usize];
                context.copy_image(egui::ColorImage::from_rgb(size, image.as_raw()));
                self.export.status = "copied".into();
            }
            Some(Ok(Done::Cancelled)) => self.export.status = "cancelled".into(),
            Some(Err(error)) => self.messages.push(error.to_string()),
            None => {}
        }
    }

    /// Receives what was chosen in dialogs.
    fn receive_dialogs(&mut self, context: &egui::Context) {
        for outcome in self.dialogs.receive() {
            match outcome {
                DialogOutcome::Open(paths) => self.open_all(paths),
                DialogOutcome::Mask { of, mask } => self.set_mask(&of, mask),
                DialogOutcome::AttackMask { of, mask, told } => {
                    self.set_attack_mask(&of, mask);
                    self.messages.extend(told);
                }
                DialogOutcome::Model { row, path } => self.open_model(row, path),
                DialogOutcome::Labels { row, path } => {
                    let labels = LabelSource::Named(path.to_string_lossy().into_owned());
                    self.describe(row, DescriptionEdit::Labels(labels));
                }
                DialogOutcome::Session { path, opened } => {
                    self.receive_session(context, path, *opened);
                }
                DialogOutcome::Saved { path, state } => self.session_saved(path, *state),
                DialogOutcome::Database(path) => self.use_database(path),
                DialogOutcome::TwinData(path) => {
                    self.twin_form.data = path.to_string_lossy().into_owned();
                }
                DialogOutcome::Source(path) => self.state.navigation.triage.source = Some(path),
                DialogOutcome::NewDatabase(path) => {
                    self.state.navigation.triage.database = Some(path);
                    self.start_scan();
                }
                DialogOutcome::Found(found) => self.found_again(found),
                DialogOutcome::Failed(error) => self.messages.push(error.to_string()),
                DialogOutcome::Background(folder) => self.use_background(folder),
            }
        }
    }

    /// Shows a session that was opened; an autosave of a crashed process is deleted then.
    fn receive_session(
        &mut self,
        context: &egui::Context,
        path: PathBuf,
        opened: Result<OpenedSession>,
    ) {
        self.end_presentation(context);
        let rescued = self.rescue_at(&path).filter(|_| opened.is_ok());
        self.show_session(path, opened);
        if let Some(rescue) = rescued {
            self.act(context, panels::Action::Discard(rescue));
        }
    }

    /// Sets the true mask of a picture, if it is still in the library.
    fn set_mask(&mut self, of: &Picture, mask: Picture) {
        let mut entries = self.state.document.library.iter_mut();
        if let Some(entry) = entries.find(|entry| entry.picture == *of) {
            entry.mask = Some(mask);
        }
    }

    fn set_attack_mask(&mut self, of: &Picture, mask: Picture) {
        let mut entries = self.state.document.library.iter_mut();
        if let Some(entry) = entries.find(|entry| entry.picture == *of) {
            entry.attack_mask = Some(mask);
        }
    }

    /// Takes the baselines of expected gradients from a folder, while that method is chosen.
    fn use_background(&mut self, folder: PathBuf) {
        if let Method::ExpectedGradients(config) = &mut self.state.settings.explanation.method {
            config.background = Background::Folder(folder);
        }
    }

    /// Opens files and folders that were dropped onto the window.
    fn receive_dropped(&mut self, context: &egui::Context) {
        let dropped = context.input(|input| {
            let files = input.raw.dropped_files.iter();
            files.map(|file| file.path().to_path_buf()).collect()
        });
        self.open_all(dropped);
    }

    /// Adds a picture that was pasted from the clipboard.
    fn receive_pasted(&mut self, context: &egui::Context) {
        let pasted = context.input(|input| {
            let image = |event: &egui::Event| match event {
                egui::Event::PasteImage(image) => Some(image.clone()),
                _ => None,
            };
            input.events.iter().find_map(image)
        });
        if let Some(image) = pasted {
            self.state.add(from_clipboard(&image), None);
        }
    }

    /// Computes everything anew on the CPU after the GPU was lost.
    pub(super) fn compute_on_cpu(&mut self, context: &egui::Context, reason: &str) {
        let models = Models::from(Device::flex());
        self.engine = start_engine(context, models.clone());
        self.rows.fill(Row::default());
        self.exporter.compute_with(models);
        self.device = "CPU (the GPU was lost)".into();
        self.messages.push(format!(
            "The GPU was lost; everything is recomputed on the CPU. Reason: {reason}"
        ));
    }
}

/// A picture with the pixels of an image of the clipboard.
fn from_clipboard(image: &egui::ColorImage) -> Picture {
    let [width, height] = image.size.map(|side| side as u32);
    let bytes = image
        .pixels
        .iter()
        .flat_map(egui::Color32::to_srgba_unmultiplied)
        .collect();
    let image = image::RgbaImage::from_raw(width, height, bytes).unwrap_or_default();
    Picture::from_image("pasted picture".into(), image.into())
}
