//! What happened since the last frame.

use std::path::PathBuf;

use burn::tensor::Device;

use super::dialogs::DialogOutcome;
use super::{App, panels, start_engine};
use crate::attribution::{Background, Method};
use crate::compute::{ComputeMessage, Lane};
use crate::data::Picture;
use crate::export::job::Done;
use crate::model::ModelRef;
use crate::model::import::{DescriptionEdit, LabelSource, has_model_name};
use crate::session::Row;

/// When pictures did not fit into memory at once.
const SCARCE: &str = "The memory was full. The model goes on with half as many pictures at once.";

impl App {
    pub(super) fn hear(&mut self, context: &egui::Context) {
        let mut made = false;
        for (lane, news) in self.engine.news() {
            match &news {
                ComputeMessage::Predicted(_) => self.vitals.prediction(),
                ComputeMessage::Synthesized(_) => made = true,
                ComputeMessage::OutOfMemory => self.messages.push(SCARCE.into()),
                ComputeMessage::Scanned(progress) => self.scanned(*progress),
                ComputeMessage::Failed(message) if lane == Lane::Scan => {
                    self.messages.push(message.clone());
                    self.state.triage.scanning = None;
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
        if made {
            let synthesis = &self.state.synthesis;
            self.vitals.made(synthesis.running || synthesis.working);
        }
        self.vitals.shown(&self.rows, self.state.attack.epsilon);
        for result in self.loader.arrived() {
            match result {
                Ok(opened) => {
                    let before = self.state.selected;
                    self.state
                        .add_with_mask(opened.picture, opened.truth, opened.mask);
                    if !opened.first {
                        self.state.selected = before;
                    }
                }
                Err(error) => self.messages.push(error.to_string()),
            }
        }
        let held = self.state.library.iter().map(|entry| {
            let mask = entry.mask.as_ref().map_or(0, Picture::bytes);
            entry.picture.bytes() + mask
        });
        self.loader.set_held(held.sum());
        self.hear_exporter(context);
        for outcome in self.dialogs.outcomes() {
            match outcome {
                DialogOutcome::Mask { of, mask } => {
                    let mut entries = self.state.library.iter_mut();
                    if let Some(entry) = entries.find(|entry| entry.picture == of) {
                        entry.mask = Some(mask);
                    }
                }
                DialogOutcome::Model { row, path } => {
                    self.use_model(row, ModelRef::file(path));
                    self.state.about = Some(row);
                }
                DialogOutcome::Labels { row, path } => {
                    let labels = LabelSource::Named(path.to_string_lossy().into_owned());
                    self.describe(row, DescriptionEdit::Labels(labels));
                }
                DialogOutcome::Session { path, opened } => {
                    self.leave_stage(context);
                    let rescued = self.rescue_at(&path).filter(|_| opened.is_ok());
                    self.show_session(path, *opened);
                    if let Some(rescue) = rescued {
                        self.act(context, panels::Action::Discard(rescue));
                    }
                }
                DialogOutcome::Saved { path, state } => self.session_saved(path, *state),
                DialogOutcome::Database(path) => self.use_database(path),
                DialogOutcome::Source(path) => self.state.triage.source = Some(path),
                DialogOutcome::NewDatabase(path) => {
                    self.state.triage.database = Some(path);
                    self.start_scan();
                }
                DialogOutcome::Found(found) => self.found_again(found),
                DialogOutcome::Trouble(error) => self.messages.push(error.to_string()),
                DialogOutcome::Background(folder) => {
                    if let Method::ExpectedGradients(config) = &mut self.state.explanation.method {
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
        let (models, pictures): (Vec<_>, Vec<_>) =
            dropped.into_iter().partition(|path| has_model_name(path));
        if let Some(model) = models.into_iter().next_back() {
            self.state.arriving = Some(model);
        }
        self.open_all(pictures);
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
    fn hear_exporter(&mut self, context: &egui::Context) {
        match self.exporter.outcome() {
            Some(Ok(Done::Written(path))) => {
                self.export.said = format!("{} is written", path.display());
            }
            Some(Ok(Done::Copied(image))) => {
                let size = [image.width() as usize, image.height() as usize];
                context.copy_image(egui::ColorImage::from_rgb(size, image.as_raw()));
                self.export.said = "copied".into();
            }
            Some(Err(error)) => self.messages.push(error.to_string()),
            Some(Ok(Done::Nothing)) => self.export.said = "cancelled".into(),
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
            "The GPU was lost; everything is computed anew, on the CPU. It said: {reason}"
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
