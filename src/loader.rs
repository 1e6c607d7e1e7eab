//! Opening pictures in the background, so that no file can hold up a frame.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::error::{Error, Result};
use crate::picture::{Picture, has_picture_name};

/// A folder with more pictures than this is cut off, with a message.
const MOST: usize = 10_000;

/// Where opened pictures arrive.
pub struct Loader {
    sender: Sender<Result<Picture>>,
    receiver: Receiver<Result<Picture>>,
    context: egui::Context,
}

impl Loader {
    /// Wakes `context` whenever a picture arrives.
    pub fn new(context: egui::Context) -> Self {
        let (sender, receiver) = channel();
        Self {
            sender,
            receiver,
            context,
        }
    }

    /// Opens files and folders (all pictures inside, not deeper).
    pub fn open(&self, paths: Vec<PathBuf>) {
        self.work(move |send| {
            for path in paths {
                open_path(&path, send);
            }
        });
    }

    /// Asks for files, or for a folder, in the system's own dialog.
    pub fn open_dialog(&self, folder: bool) {
        self.work(move |send| {
            let dialog = rfd::FileDialog::new().set_title("Open pictures");
            let chosen = if folder {
                dialog.pick_folder().map(|path| vec![path])
            } else {
                dialog
                    .add_filter("Pictures", &crate::picture::EXTENSIONS)
                    .pick_files()
            };
            for path in chosen.unwrap_or_default() {
                open_path(&path, send);
            }
        });
    }

    /// The pictures and troubles that have arrived.
    pub fn arrived(&self) -> Vec<Result<Picture>> {
        self.receiver.try_iter().collect()
    }

    fn work(&self, work: impl FnOnce(&dyn Fn(Result<Picture>)) + Send + 'static) {
        let (sender, context) = (self.sender.clone(), self.context.clone());
        std::thread::spawn(move || {
            work(&|result| {
                // The window may be gone; then nobody waits.
                let _ = sender.send(result);
                context.request_repaint();
            });
        });
    }
}

fn open_path(path: &Path, send: &dyn Fn(Result<Picture>)) {
    if !path.is_dir() {
        send(Picture::open(path));
        return;
    }
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => return send(Err(Error::io(path, "read", error))),
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.retain(|file| file.is_file() && has_picture_name(file));
    files.sort();
    if files.is_empty() {
        return send(Err(Error::data(path, "it holds no picture")));
    }
    if files.len() > MOST {
        let reason = format!(
            "it holds {} pictures; only the first {MOST} are opened",
            files.len()
        );
        send(Err(Error::data(path, reason)));
    }
    for file in files.into_iter().take(MOST) {
        send(Picture::open(&file));
    }
}
