//! Thumbnails of large data sets, decoded in background threads and cached on disk.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use image::RgbImage;
use rusqlite::{Connection, OptionalExtension};

use crate::data;
use crate::error::Result;
use crate::tasks::{Inbox, Pool};

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

/// Requests thumbnails from the decoding threads and receives them.
pub struct Thumbnailer {
    inbox: Inbox<Thumbnail>,
    /// The decoding threads, once there was a request.
    pool: Option<Pool<String>>,
    cache: Option<PathBuf>,
    requested: HashSet<String>,
}

impl Thumbnailer {
    /// Starts no thread before the first request. Thumbnails are cached in the SQLite file `cache`, if
    /// given; `wake` is called after each thumbnail.
    pub fn new(cache: Option<PathBuf>, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            inbox: Inbox::new(wake),
            pool: None,
            cache,
            requested: HashSet::new(),
        }
    }

    /// Requests the thumbnails of these paths (see [`data::PictureLocation::at`]), the first of them first.
    /// Earlier requests that are not among them are dropped.
    pub fn submit(&mut self, paths: Vec<String>) {
        let now: HashSet<String> = paths.iter().cloned().collect();
        if now == self.requested {
            return;
        }
        let before = std::mem::replace(&mut self.requested, now);
        let pool = self
            .pool
            .get_or_insert_with(|| start(&self.inbox, self.cache.clone()));
        pool.edit(|waiting| {
            // What was requested before and no longer waits is decoded, or is being decoded.
            let new = |path: &String| !before.contains(path) || waiting.contains(path);
            *waiting = paths.into_iter().filter(new).collect();
        });
    }

    /// The thumbnails decoded since the last call.
    pub fn receive(&self) -> Vec<Thumbnail> {
        self.inbox.receive()
    }
}

/// Starts the decoding threads, each with its own connection to the cache.
fn start(inbox: &Inbox<Thumbnail>, cache: Option<PathBuf>) -> Pool<String> {
    let worker = move || {
        let cache = cache.as_deref().and_then(|path| Cache::open(path).ok());
        move |path: String| {
            let decoded = thumbnail(&path, cache.as_ref());
            (path, decoded)
        }
    };
    // A decoder that panics on an untrusted file is one that cannot decode it.
    inbox.pool("thumbnails", THREADS, |path, _| (path, None), worker)
}

fn thumbnail(path: &str, cache: Option<&Cache>) -> Option<RgbImage> {
    let key = key(Path::new(path));
    if let Some(cached) = cache.and_then(|cache| cache.get(&key)) {
        return Some(cached);
    }
    let decoded = decode(path).ok()?;
    if let Some(cache) = cache {
        cache.put(&key, &decoded);
    }
    Some(decoded)
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
