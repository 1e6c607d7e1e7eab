//! What happened since the last frame.

use std::path::PathBuf;

use burn::tensor::Device;

use super::dialogs::DialogOutcome;
use super::{App, panels, start_engine};
use crate::attribution::{Background, Method};
use crate::compute::{ComputeMessage, Lane};
use crate::data::Picture;
use crate::export::job::Done;
use crate::model::import::{DescriptionEdit, LabelSource};
use crate::session::Row;

/// When pictures did not fit into memory at once.
const SCARCE: &str = "Out of memory: the model continues with half the batch size.";

impl App {
    pub(super) fn receive(&mut self, context: &egui::Context) {
        let mut synthesized = false;
        for (lane, news) in self.engine.news() {
            match &news {
                ComputeMessage::Predicted(_) => self.metrics.prediction(),
                ComputeMessage::Synthesized(_) => synthesized = true,
                ComputeMessage::OutOfMemory => self.messages.push(SCARCE.into()),
                ComputeMessage::Scanned(progress) => self.scanned(*progress),
                ComputeMessage::Failed(message) if lane == Lane::Scan => {
                    self.messages.push(message.clone());
                    self.state.progress.scan.request = None;
                }
                ComputeMessage::DeviceLost(reason) => {
                    self.compute_on_cpu(context, reason);
                    break;
                }
                _ => {}
            }
            if let Some((row, own)) = self.row_of(lane) {
                row.take(own, news);
            }
        }
        if synthesized {
            let synthesis = &self.state.progress.synthesis;
            self.metrics
                .synthesis_frame(synthesis.running || synthesis.working);
        }
        self.metrics
            .shown(&self.rows, self.state.settings.attack.epsilon);
        for result in self.loader.arrived() {
            match result {
                Ok(opened) => {
                    let before = self.state.navigation.selected;
                    self.state
                        .add_with_mask(opened.picture, opened.truth, opened.mask);
                    if !opened.first {
                        self.state.navigation.selected = before;
                    }
                }
                Err(error) => self.messages.push(error.to_string()),
            }
        }
        let held = self.state.document.library.iter().map(|entry| {
            let mask = entry.mask.as_ref().map_or(0, Picture::bytes);
            entry.picture.bytes() + mask
        });
        self.loader.set_held(held.sum());
        self.receive_export(context);
        for outcome in self.dialogs.outcomes() {
            match outcome {
                DialogOutcome::Mask { of, mask } => {
                    let mut entries = self.state.document.library.iter_mut();
                    if let Some(entry) = entries.find(|entry| entry.picture == of) {
                        entry.mask = Some(mask);
                    }
                }
                DialogOutcome::Model { row, path } => {
                    self.use_model(row, path.to_string_lossy().into_owned());
                    self.state.transient.about = Some(row);
                }
                DialogOutcome::Labels { row, path } => {
                    let labels = LabelSource::Named(path.to_string_lossy().into_owned());
                    self.describe(row, DescriptionEdit::Labels(labels));
                }
                DialogOutcome::Session { path, opened } => {
                    self.end_presentation(context);
                    let rescued = self.rescue_at(&path).filter(|_| opened.is_ok());
                    self.show_session(path, *opened);
                    if let Some(rescue) = rescued {
                        self.act(context, panels::Action::Discard(rescue));
                    }
                }
                DialogOutcome::Saved { path, state } => self.session_saved(path, *state),
                DialogOutcome::Database(path) => self.use_database(path),
                DialogOutcome::Source(path) => self.state.navigation.triage.source = Some(path),
                DialogOutcome::NewDatabase(path) => {
                    self.state.navigation.triage.database = Some(path);
                    self.start_scan();
                }
                DialogOutcome::Found(found) => self.found_again(found),
                DialogOutcome::Trouble(error) => self.messages.push(error.to_string()),
                DialogOutcome::Background(folder) => {
                    if let Method::ExpectedGradients(config) =
                        &mut self.state.settings.explanation.method
                    {
                        config.background = Background::Folder(folder);
                    }
                }
            }
        }
        let dropped: Vec<PathBuf> = context.input(|input| {
            input
                .raw
                .dropped_files
                .iter()
                .map(|file| file.path().to_path_buf())
                .collect()
        });
        self.open_all(dropped);
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
}

impl App {
    /// Takes in what became of a figure or film.
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
            Some(Err(error)) => self.messages.push(error.to_string()),
            Some(Ok(Done::Nothing)) => self.export.status = "cancelled".into(),
            None => {}
        }
    }

    /// Begins all computations anew on the CPU, the device being gone.
    pub(super) fn compute_on_cpu(&mut self, context: &egui::Context, reason: &str) {
        self.engine = start_engine(context, Device::flex());
        self.rows.fill(Row::default());
        self.exporter.compute_on(Device::flex());
        self.device = "CPU (the GPU was lost)".into();
        self.messages.push(format!(
            "The GPU was lost; everything is recomputed on the CPU. Reason: {reason}"
        ));
    }
}

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
