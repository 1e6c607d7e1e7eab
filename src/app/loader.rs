//! Decoding pictures in background tasks, so that no file holds up a frame.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::data::mask::{self, MaskFinder};
use crate::data::picture::is_picture;
use crate::data::{self, Picture};
use crate::error::{Error, Result};
use crate::tasks::{self, Inbox, Outbox, TaskProgress};

/// Most pictures that are opened of one folder; a message says so.
const MOST: usize = 10_000;

/// Most bytes of decoded pictures in the library; the rest of a folder is then left unopened.
const BUDGET: usize = 512 << 20;

/// A picture of a scanned set, to be opened.
pub struct LoadRequest {
    /// Its path; see [`data::PictureLocation::at`].
    pub path: PathBuf,
    /// Its class, where that is known.
    pub truth: Option<String>,
}

/// A decoded picture.
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

/// Starts decoding tasks and receives their pictures.
pub struct Loader {
    inbox: Inbox<Result<LoadedFile>>,
    /// Bytes of the pictures in the library, and of those decoded since that was last set.
    held: Arc<AtomicUsize>,
}

impl Loader {
    /// `wake` is called after each picture.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            inbox: Inbox::new(wake),
            held: Arc::default(),
        }
    }

    /// Sets how many bytes the library holds, so that no folder can fill the memory.
    pub fn set_held(&self, bytes: usize) {
        self.held.store(bytes, Ordering::Relaxed);
    }

    /// Opens files and folders; of a folder all pictures in it, not in folders below.
    pub fn open(&self, paths: Vec<PathBuf>) {
        self.start(move |decoder| {
            for path in paths {
                decoder.open(&path);
            }
        });
    }

    /// Opens a picture of a scanned set: a file, or a record of one.
    pub fn open_entry(&self, request: LoadRequest) {
        self.start(move |decoder| {
            let entry = data::PictureLocation::at(request.path);
            let decode = || entry.bytes().and_then(|bytes| entry.decode(&bytes));
            decoder.send(tasks::guard("open a picture", decode), request.truth);
        });
    }

    /// The pictures decoded since the last call, and the errors.
    pub fn receive(&self) -> Vec<Result<LoadedFile>> {
        self.inbox.receive()
    }

    fn start(&self, work: impl FnOnce(&mut Decoder) + Send + 'static) {
        let held = self.held.clone();
        let work = move |outbox: &Outbox<_>, _: &mut TaskProgress| {
            work(&mut Decoder {
                outbox: outbox.clone(),
                held,
                first: true,
                masks: MaskFinder::default(),
            });
        };
        self.inbox.start("open pictures", Err, work).detach();
    }
}

/// Decodes the pictures of one request.
struct Decoder {
    outbox: Outbox<Result<LoadedFile>>,
    held: Arc<AtomicUsize>,
    /// Whether nothing was decoded yet.
    first: bool,
    masks: MaskFinder,
}

impl Decoder {
    /// Sends a picture with the mask beside it, or an error. False if nobody receives them any more.
    fn send(&mut self, decoded: Result<Picture>, truth: Option<String>) -> bool {
        let result = decoded.map(|picture| LoadedFile {
            // A mask that cannot be opened, or is of another size, is treated as missing.
            mask: self
                .masks
                .find(&picture.path)
                .and_then(|path| mask::open(&path, picture.original).ok()),
            picture,
            truth,
            first: std::mem::replace(&mut self.first, false),
        });
        self.outbox.send(result)
    }

    fn fail(&mut self, path: &Path, reason: impl Into<String>) {
        self.send(Err(Error::data(path, reason)), None);
    }

    /// Opens a file, or all pictures of a folder.
    fn open(&mut self, path: &Path) {
        if !path.is_dir() {
            self.open_file(path);
            return;
        }
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => {
                self.send(Err(Error::io(path, "read", error)), None);
                return;
            }
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|file| file.is_file() && is_picture(file))
            .collect();
        files.sort();
        if files.is_empty() {
            return self.fail(path, "it holds no picture");
        }
        if files.len() > MOST {
            let count = files.len();
            let reason = format!("it holds {count} pictures; only the first {MOST} are opened");
            self.fail(path, reason);
        }
        for file in files.into_iter().take(MOST) {
            if !self.open_file(&file) {
                return;
            }
        }
    }

    /// Opens one file. False if no further file is to be opened: the library is full, or the window gone.
    fn open_file(&mut self, path: &Path) -> bool {
        if self.held.load(Ordering::Relaxed) > BUDGET {
            let reason = format!(
                "the library is full ({} MB of pictures); it and what follows is not opened. \
                 Remove some, or open fewer",
                BUDGET >> 20
            );
            self.fail(path, reason);
            return false;
        }
        // A decoder that panics on one file must not keep the next from being opened.
        let decoded = tasks::guard(&path.display().to_string(), || Picture::open(path));
        if let Ok(picture) = &decoded {
            self.held.fetch_add(picture.bytes(), Ordering::Relaxed);
        }
        self.send(decoded, None)
    }
}
