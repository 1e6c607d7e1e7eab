//! The program's own folder: what was on the screen when it ended, and recent sessions.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{EXTENSION, has_session_name};
use crate::error::{Error, Result};
use crate::files::{data_folder, path_text, write_atomically};

/// The file that says that the tour was shown.
const STARTED: &str = "tour";

/// Recent sessions that are remembered.
const REMEMBERED: usize = 10;

/// The folder in which the program keeps what it needs next time.
#[derive(Debug)]
pub struct DataFolder {
    folder: PathBuf,
    /// Held while this process runs, so that others know whose autosave is whose.
    lock: Option<(PathBuf, File)>,
}

/// What a process left behind that did not end by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Rescue {
    /// Its last autosave.
    pub path: PathBuf,
}

impl DataFolder {
    /// Where the system has programs keep their data, or the folder that `EPSILOSCOPE_HOME` names.
    /// Nothing where there is no such place.
    pub fn usual() -> Option<Self> {
        data_folder().map(Self::at)
    }

    /// Another folder.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, lock: None }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Whether nobody has used the program with this folder, or ended its tour.
    pub fn is_new(&self) -> bool {
        !self.folder.join(STARTED).exists() && !self.last().exists()
    }

    /// Remembers that the program was used.
    ///
    /// # Errors
    /// [`Error::Io`] when nothing can be written there.
    pub fn remember_start(&self) -> Result<()> {
        write_atomically(&self.folder.join(STARTED), b"The tour was shown.\n")
    }

    /// Where this process saves what is on the screen; marks the file as that of a running process.
    ///
    /// # Errors
    /// [`Error::Io`] when nothing can be written there.
    pub fn autosave(&mut self) -> Result<PathBuf> {
        if self.lock.is_none() {
            // Numbers of processes come again; the time does not.
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.map_or(0, |since| since.as_millis());
            let name = format!("autosave-{now}-{}", std::process::id());
            let path = self.folder.join(name).with_extension("lock");
            let refuse = |error: std::io::Error| Error::io(&path, "write", error);
            fs::create_dir_all(&self.folder).map_err(refuse)?;
            let file = File::create(&path).map_err(refuse)?;
            // Where locks are unknown, an autosave may be offered while its process still runs.
            let _ = file.try_lock();
            self.lock = Some((path, file));
        }
        let (path, _) = self.lock.as_ref().expect("it was just made");
        Ok(path.with_extension(EXTENSION))
    }

    /// The session that was on the screen when the program last ended by itself.
    pub fn last(&self) -> PathBuf {
        self.folder.join("last").with_extension(EXTENSION)
    }

    /// Where small pictures of scanned sets are kept.
    pub fn thumbnails(&self) -> PathBuf {
        // There must be a folder for it; without one nothing is kept.
        let _ = fs::create_dir_all(&self.folder);
        self.folder.join("thumbnails.db")
    }

    /// Turns the autosave into the last session, as the program ends by itself.
    pub fn close(&mut self) {
        if let Some((path, file)) = self.lock.take() {
            // Without an autosave there is nothing to keep; without the right there never was.
            let _ = fs::rename(path.with_extension(EXTENSION), self.last());
            drop(file);
            let _ = fs::remove_file(path);
        }
    }

    /// Autosaves of processes that no longer run, newest first.
    pub fn rescues(&self) -> Vec<Rescue> {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut found: Vec<_> = paths
            .filter(|path| has_session_name(path) && is_orphan(path))
            .filter_map(|path| {
                let saved = fs::metadata(&path)
                    .and_then(|about| about.modified())
                    .ok()?;
                Some((saved, Rescue { path }))
            })
            .collect();
        found.sort_by_key(|(saved, _)| std::cmp::Reverse(*saved));
        found.into_iter().map(|(_, rescue)| rescue).collect()
    }

    /// Forgets what a process left behind.
    pub fn discard(&self, rescue: &Rescue) {
        // What cannot be removed is offered again.
        let _ = fs::remove_file(&rescue.path);
        let _ = fs::remove_file(rescue.path.with_extension("lock"));
    }

    /// Sessions opened or saved lately, newest first.
    pub fn recent(&self) -> Vec<PathBuf> {
        let text = fs::read(self.recent_path()).unwrap_or_default();
        let paths: Vec<String> = serde_json::from_slice(&text).unwrap_or_default();
        paths.iter().map(|path| path_text::decode(path)).collect()
    }

    /// Puts a session at the head of the recent ones.
    pub fn remember(&self, path: &Path) {
        let mut recent = self.recent();
        recent.retain(|known| known != path);
        recent.insert(0, path.into());
        recent.truncate(REMEMBERED);
        let recent: Vec<_> = recent.iter().map(|path| path_text::encode(path)).collect();
        let text = serde_json::to_vec_pretty(&recent).unwrap_or_default();
        if let Err(error) = write_atomically(&self.recent_path(), &text) {
            tracing::warn!("{error}");
        }
    }

    fn recent_path(&self) -> PathBuf {
        self.folder.join("recent.json")
    }
}

/// Whether an autosave's process has gone without ending by itself: nobody holds its lock.
fn is_orphan(autosave: &Path) -> bool {
    match File::open(autosave.with_extension("lock")) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(_) => false,
    }
}
