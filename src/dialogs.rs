//! The system's own dialogs, each in a thread of its own, so that none holds up a frame.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::error::Error;
use crate::mask;
use crate::picture::{self, Picture};
use crate::view::Frame;

/// What a dialog led to.
pub enum Outcome {
    /// A folder of background pictures was chosen.
    Background(PathBuf),
    /// The true mask of a picture was chosen.
    Mask {
        /// The picture.
        of: Picture,
        /// White on black.
        mask: Picture,
    },
    /// It did not work.
    Trouble(Error),
}

/// Opens dialogs and collects what comes of them.
pub struct Dialogs {
    sender: Sender<Outcome>,
    receiver: Receiver<Outcome>,
    context: egui::Context,
}

impl Dialogs {
    /// Wakes `context` whenever there is an outcome.
    pub fn new(context: egui::Context) -> Self {
        let (sender, receiver) = channel();
        Self {
            sender,
            receiver,
            context,
        }
    }

    /// What has come of the dialogs since the last call.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.receiver.try_iter().collect()
    }

    /// Asks for a folder; it is read when it is used.
    pub fn choose_background(&self) {
        self.work(|| {
            let dialog = rfd::FileDialog::new().set_title("Folder of background pictures");
            dialog.pick_folder().map(Outcome::Background)
        });
    }

    /// Asks for the true mask of a picture, and opens it.
    pub fn choose_mask(&self, of: Picture) {
        self.work(move || {
            let dialog = rfd::FileDialog::new().set_title("Mask: white on black");
            let dialog = dialog.add_filter("Pictures", &picture::EXTENSIONS);
            let opened = mask::open(&dialog.pick_file()?, of.original);
            Some(opened.map_or_else(Outcome::Trouble, |mask| Outcome::Mask { of, mask }))
        });
    }

    /// Asks where, and writes the picture as PNG.
    pub fn save(&self, frame: Frame) {
        self.work(move || {
            let dialog = rfd::FileDialog::new()
                .set_title("Save the attacked picture")
                .set_file_name("attacked.png");
            let path = dialog.add_filter("PNG", &["png"]).save_file()?;
            let image = picture::to_rgb(frame.planes(), frame.size());
            let error = image.save(&path).err()?;
            Some(Outcome::Trouble(Error::io(&path, "write", error)))
        });
    }

    fn work(&self, work: impl FnOnce() -> Option<Outcome> + Send + 'static) {
        let (sender, context) = (self.sender.clone(), self.context.clone());
        std::thread::spawn(move || {
            if let Some(outcome) = work() {
                // The window may be gone by now.
                let _ = sender.send(outcome);
                context.request_repaint();
            }
        });
    }
}
