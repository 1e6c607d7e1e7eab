//! Opening pictures in the background, so that no file can hold up a frame.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::data::mask::{self, MaskFinder};
use crate::data::picture::has_picture_name;
use crate::data::{self, Picture};
use crate::error::{Error, Result};

/// A folder with more pictures than this is cut off, with a message.
const MOST: usize = 10_000;

/// Decoded pictures may take this many bytes together; the rest of a folder is then left unopened.
const BUDGET: usize = 512 << 20;

/// A picture of a scanned set.
pub struct LoadRequest {
    /// Its path; see [`data::PictureLocation::at`].
    pub path: PathBuf,
    /// Its class, where that is known.
    pub truth: Option<String>,
}

/// A picture that has been opened.
pub struct LoadedFile {
    /// The picture.
    pub picture: Picture,
    /// Its true mask, if one was found beside it.
    pub mask: Option<Picture>,
    /// Its class, where that is known.
    pub truth: Option<String>,
    /// Whether it is the first of those that were opened together.
    pub first: bool,
}

/// Where opened pictures arrive.
pub struct Loader {
    sender: Sender<Result<LoadedFile>>,
    receiver: Receiver<Result<LoadedFile>>,
    context: egui::Context,
    /// Bytes of the pictures in the library, as last told.
    held: Arc<AtomicUsize>,
}

/// One opening: where its pictures go, and how much they may still take.
struct Delivery {
    sender: Sender<Result<LoadedFile>>,
    context: egui::Context,
    held: Arc<AtomicUsize>,
    first: bool,
    masks: MaskFinder,
}

impl Loader {
    /// Wakes `context` whenever a picture arrives.
    pub fn new(context: egui::Context) -> Self {
        let (sender, receiver) = channel();
        Self {
            sender,
            receiver,
            context,
            held: Arc::default(),
        }
    }

    /// Tells how many bytes the library holds, so that no folder can fill the memory.
    pub fn set_held(&self, bytes: usize) {
        self.held.store(bytes, Ordering::Relaxed);
    }

    /// Opens files and folders (all pictures inside, not deeper).
    pub fn open(&self, paths: Vec<PathBuf>) {
        self.work(move || paths);
    }

    /// Opens a picture of a scanned set, be it a file or a record of one.
    pub fn open_entry(&self, wanted: LoadRequest) {
        let mut delivery = self.delivery();
        std::thread::spawn(move || {
            let entry = data::PictureLocation::at(wanted.path);
            let opened = entry.bytes().and_then(|bytes| entry.decode(&bytes));
            delivery.send(opened, wanted.truth);
        });
    }

    /// Asks for files, or for a folder, in the system's own dialog.
    pub fn open_dialog(&self, folder: bool) {
        self.work(move || {
            let dialog = rfd::FileDialog::new().set_title("Open pictures");
            let chosen = if folder {
                dialog.pick_folder().map(|path| vec![path])
            } else {
                let dialog = dialog.add_filter("Pictures", &crate::data::picture::EXTENSIONS);
                dialog.pick_files()
            };
            chosen.unwrap_or_default()
        });
    }

    /// The pictures and troubles that have arrived.
    pub fn arrived(&self) -> Vec<Result<LoadedFile>> {
        self.receiver.try_iter().collect()
    }

    fn delivery(&self) -> Delivery {
        Delivery {
            sender: self.sender.clone(),
            context: self.context.clone(),
            held: self.held.clone(),
            first: true,
            masks: MaskFinder::default(),
        }
    }

    fn work(&self, choose: impl FnOnce() -> Vec<PathBuf> + Send + 'static) {
        let mut delivery = self.delivery();
        std::thread::spawn(move || {
            for path in choose() {
                delivery.path(&path);
            }
        });
    }
}

impl Delivery {
    fn send(&mut self, result: Result<Picture>, truth: Option<String>) {
        let result = result.map(|picture| LoadedFile {
            // A mask that cannot be opened, or is of another size, is as good as none.
            mask: self
                .masks
                .find(&picture.path)
                .and_then(|path| mask::open(&path, picture.original).ok()),
            picture,
            truth,
            first: std::mem::replace(&mut self.first, false),
        });
        // The window may be gone; then nobody waits.
        let _ = self.sender.send(result);
        self.context.request_repaint();
    }

    /// Opens one file, unless the library is full.
    fn file(&mut self, path: &Path) -> bool {
        if self.held.load(Ordering::Relaxed) > BUDGET {
            let reason = format!(
                "the library is full ({} MB of pictures); it and what follows is not opened. \
                 Remove some, or open fewer",
                BUDGET >> 20
            );
            self.send(Err(Error::data(path, reason)), None);
            return false;
        }
        let opened = Picture::open(path);
        if let Ok(picture) = &opened {
            self.held.fetch_add(picture.bytes(), Ordering::Relaxed);
        }
        self.send(opened, None);
        true
    }

    fn path(&mut self, path: &Path) {
        if !path.is_dir() {
            self.file(path);
            return;
        }
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => return self.send(Err(Error::io(path, "read", error)), None),
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|file| file.is_file() && has_picture_name(file))
            .collect();
        files.sort();
        if files.is_empty() {
            return self.send(Err(Error::data(path, "it holds no picture")), None);
        }
        if files.len() > MOST {
            let count = files.len();
            let reason = format!("it holds {count} pictures; only the first {MOST} are opened");
            self.send(Err(Error::data(path, reason)), None);
        }
        for file in files.into_iter().take(MOST) {
            if !self.file(&file) {
                return;
            }
        }
    }
}
