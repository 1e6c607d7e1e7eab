//! Thumbnails of large data sets, decoded in background threads and cached on disk.

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::UNIX_EPOCH;

use image::RgbImage;
use rusqlite::{Connection, OptionalExtension};

use crate::data;
use crate::error::Result;

/// Side of a thumbnail, in pixels.
pub const SIDE: usize = 128;
/// Decoding threads; more would take cores from the models.
const THREADS: usize = 2;
/// Most thumbnails in the disk cache: about 400 MB.
const KEPT: i64 = 150_000;
/// JPEG quality of the cached thumbnails, of 100.
const QUALITY: u8 = 85;

/// The path of a picture and its thumbnail, [`SIDE`]×[`SIDE`]; `None` where it cannot be decoded.
pub type Thumbnail = (String, Option<RgbImage>);

/// Requested paths, shared with the decoding threads.
#[derive(Default)]
struct Queue {
    waiting: Mutex<(VecDeque<String>, bool)>,
    news: Condvar,
}

/// Requests thumbnails from the decoding threads and receives them.
pub struct Thumbnailer {
    queue: Arc<Queue>,
    inbox: Receiver<Thumbnail>,
    requested: HashSet<String>,
    /// Starts the threads at the first request; `None` afterwards.
    start: Option<Box<dyn FnOnce()>>,
}

impl Thumbnailer {
    /// Starts no thread before the first request. Thumbnails are cached in the SQLite file `cache`, if
    /// given; `wake` is called after each thumbnail.
    pub fn new(cache: Option<PathBuf>, wake: impl Fn() + Clone + Send + 'static) -> Self {
        let (outbox, inbox) = channel();
        let queue = Arc::new(Queue::default());
        let shared = queue.clone();
        let start = move || {
            for _ in 0..THREADS {
                let (queue, outbox, wake) = (shared.clone(), outbox.clone(), wake.clone());
                let cache = cache.clone();
                std::thread::spawn(move || work(&queue, cache.as_deref(), &outbox, &wake));
            }
        };
        Self {
            queue,
            inbox,
            requested: HashSet::new(),
            start: Some(Box::new(start)),
        }
    }

    /// Requests the thumbnails of these paths (see [`data::PictureLocation::at`]), the first of them
    /// first. Earlier requests that are not among them are dropped.
    pub fn want(&mut self, paths: Vec<String>) {
        let wanted: HashSet<String> = paths.iter().cloned().collect();
        if wanted == self.requested {
            return;
        }
        if let Some(start) = self.start.take() {
            start();
        }
        let mut waiting = self.queue.waiting.lock().unwrap_or_else(|p| p.into_inner());
        let new = paths.into_iter().rev();
        waiting.0 = new
            .filter(|path| !self.requested.contains(path) || waiting.0.contains(path))
            .collect();
        drop(waiting);
        self.requested = wanted;
        self.queue.news.notify_all();
    }

    /// The thumbnails decoded since the last call.
    pub fn arrived(&self) -> Vec<Thumbnail> {
        self.inbox.try_iter().collect()
    }
}

impl Drop for Thumbnailer {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting.lock().unwrap_or_else(|p| p.into_inner());
        waiting.1 = true;
        drop(waiting);
        self.queue.news.notify_all();
    }
}

fn work(queue: &Queue, cache: Option<&Path>, outbox: &Sender<Thumbnail>, wake: &dyn Fn()) {
    let cache = cache.and_then(|path| Cache::open(path).ok());
    loop {
        let mut waiting = queue.waiting.lock().unwrap_or_else(|p| p.into_inner());
        let path = loop {
            if waiting.1 {
                return;
            }
            match waiting.0.pop_back() {
                Some(path) => break path,
                None => waiting = queue.news.wait(waiting).unwrap_or_else(|p| p.into_inner()),
            }
        };
        drop(waiting);
        // A decoder that panics on an untrusted file must not end the thread.
        let made = catch_unwind(AssertUnwindSafe(|| thumbnail(&path, cache.as_ref())));
        let thumbnail = made.unwrap_or(None);
        if outbox.send((path, thumbnail)).is_err() {
            return;
        }
        wake();
    }
}

fn thumbnail(path: &str, cache: Option<&Cache>) -> Option<RgbImage> {
    let key = key(Path::new(path));
    if let Some(known) = cache.and_then(|cache| cache.get(&key)) {
        return Some(known);
    }
    let made = decode(path).ok()?;
    if let Some(cache) = cache {
        cache.put(&key, &made);
    }
    Some(made)
}

fn decode(path: &str) -> Result<RgbImage> {
    let entry = data::PictureLocation::at(path.into());
    let picture = entry.decode(&entry.bytes()?)?;
    Ok(picture.cropped_whole([SIDE; 2]))
}

/// Cache key: a hash of path, file length and modification time, computed without reading the file.
fn key(path: &Path) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(path.as_os_str().as_encoded_bytes());
    // The path of a record is the path of its file joined with its index.
    let about = std::fs::metadata(path).or_else(|_| match path.parent() {
        Some(file) => std::fs::metadata(file),
        None => std::fs::metadata(path),
    });
    if let Ok(about) = about {
        hasher.update(&about.len().to_le_bytes());
        let changed = about
            .modified()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        hasher.update(&changed.unwrap_or_default().as_nanos().to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// The disk cache of thumbnails, an SQLite file. On any error of it, pictures are decoded again.
struct Cache(Connection);

impl Cache {
    fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(1))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA trusted_schema = OFF; \
             CREATE TABLE IF NOT EXISTS thumbnails(key BLOB PRIMARY KEY, jpeg BLOB NOT NULL);",
        )?;
        let beyond = "DELETE FROM thumbnails WHERE rowid <= \
                      (SELECT max(rowid) FROM thumbnails) - ?";
        connection.execute(beyond, [KEPT])?;
        Ok(Self(connection))
    }

    fn get(&self, key: &[u8; 32]) -> Option<RgbImage> {
        let sql = "SELECT jpeg FROM thumbnails WHERE key = ?";
        let mut statement = self.0.prepare_cached(sql).ok()?;
        let found = statement.query_row([key.as_slice()], |row| row.get::<_, Vec<u8>>(0));
        let jpeg = found.optional().ok()??;
        let picture = crate::data::Picture::decode(Path::new("thumbnail"), &jpeg).ok()?;
        let side = SIDE as u32;
        let pixels = RgbImage::clone(&picture.pixels);
        (pixels.dimensions() == (side, side)).then_some(pixels)
    }

    fn put(&self, key: &[u8; 32], thumbnail: &RgbImage) {
        let mut jpeg = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
        if thumbnail.write_with_encoder(encoder).is_err() {
            return;
        }
        let sql = "INSERT OR REPLACE INTO thumbnails(key, jpeg) VALUES (?, ?)";
        // Failing to write the cache, for example on a full disk, is no error.
        let _ = self
            .0
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(rusqlite::params![key.as_slice(), jpeg]));
    }
}
