//! The database behind the triage page, in a thread of its own: however slow the disk is, no frame waits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::map::{Layout, Point, map};
use super::{Database, ScanRow, Table};
use crate::error::{Error, Result};

/// How often a scan that may be under way is looked at anew.
const EVERY: Duration = Duration::from_secs(2);

/// What is known of a database.
#[derive(Clone, Default)]
pub struct Contents {
    /// All scans, the newest first.
    pub scans: Vec<ScanRow>,
    /// Saved queries by name.
    pub views: Vec<(String, String)>,
    /// What the chosen scan found so far.
    pub table: Arc<Table>,
    /// The scan.
    pub scan: Option<i64>,
}

/// Which scans of a database are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The scan; without a number, the newest.
    pub scan: Option<i64>,
    /// Another, whose findings on the same pictures stand beside.
    pub beside: Option<i64>,
}

/// A map of a scan's pictures.
pub struct Mapped {
    /// The scan.
    pub scan: i64,
    /// Whose representations.
    pub side: usize,
    /// The pictures.
    pub points: Vec<Point>,
    /// Share of the variance that it shows, where that is known.
    pub share: Option<f32>,
}

/// What the thread tells.
pub enum ReaderMessage {
    /// What is known now.
    Contents(Contents),
    /// Something could not be done; the database stays open.
    Trouble(Error),
    /// The database could not be opened or read, and is closed.
    Closed(Error),
}

/// What the window asks for.
enum ReaderReply {
    Choose(Chosen),
    Tag(Vec<i64>, String, bool),
    Save(String, Option<String>),
}

/// The window's end of an open database; dropping it closes the file.
pub struct DatabaseReader {
    path: PathBuf,
    chosen: Chosen,
    outbox: Sender<ReaderReply>,
    inbox: Receiver<ReaderMessage>,
    wake: Arc<dyn Fn() + Send + Sync>,
    maps: (Sender<Result<Mapped>>, Receiver<Result<Mapped>>),
}

impl DatabaseReader {
    /// Opens a database in the background and reads the chosen scans; `wake` is called after news.
    pub fn open(path: &Path, chosen: Chosen, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(wake);
        let waker = wake.clone();
        let (outbox, messages) = channel();
        let (news, inbox) = channel();
        let file = path.to_owned();
        std::thread::spawn(move || {
            let tell = |told: ReaderMessage| {
                let heard = news.send(told).is_ok();
                waker();
                heard
            };
            if let Err(error) = serve(&file, chosen, &messages, &tell) {
                tell(ReaderMessage::Closed(error));
            }
        });
        Self {
            path: path.into(),
            chosen,
            outbox,
            inbox,
            wake,
            maps: channel(),
        }
    }

    /// Draws a map of what a scan found, in a thread of its own.
    pub fn map(&self, table: Arc<Table>, side: usize, layout: Layout) {
        let (path, maps, wake) = (self.path.clone(), self.maps.0.clone(), self.wake.clone());
        std::thread::spawn(move || {
            let work = || draw(&path, &table, side, layout);
            let drawn = catch_unwind(AssertUnwindSafe(work));
            let drawn = drawn.unwrap_or_else(|_| Err(Error::Config("The map failed".into())));
            // The window may have turned to another database.
            let _ = maps.send(drawn);
            wake();
        });
    }

    /// The newest map, if there is a new one, or what went wrong.
    pub fn drawn(&self) -> Option<Result<Mapped>> {
        self.maps.1.try_iter().last()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the thread has told since the last call.
    pub fn news(&self) -> Vec<ReaderMessage> {
        self.inbox.try_iter().collect()
    }

    /// Reads these scans, unless they are shown.
    pub fn choose(&mut self, chosen: Chosen) {
        if chosen != self.chosen {
            self.chosen = chosen;
            self.send(ReaderReply::Choose(chosen));
        }
    }

    /// Puts a tag on pictures, or takes it off.
    pub fn tag(&self, pictures: Vec<i64>, tag: &str, on: bool) {
        self.send(ReaderReply::Tag(pictures, tag.into(), on));
    }

    /// Saves a query under a name, or without one forgets the name.
    pub fn save_view(&self, name: &str, query: Option<&str>) {
        self.send(ReaderReply::Save(name.into(), query.map(str::to_owned)));
    }

    fn send(&self, message: ReaderReply) {
        // A thread that is gone has said why.
        let _ = self.outbox.send(message);
    }
}

/// Answers letters until the window drops its end or no longer listens. What cannot be done is told; only
/// a database that cannot be opened or read at first ends it.
fn serve(
    path: &Path,
    chosen: Chosen,
    messages: &Receiver<ReaderReply>,
    tell: &dyn Fn(ReaderMessage) -> bool,
) -> Result<()> {
    let mut thread = ReaderThread {
        database: Database::open(path)?,
        contents: Contents::default(),
        chosen,
        own: Table::default(),
        other: None,
    };
    thread.contents.views = thread.database.views()?;
    thread.read()?;
    let mut heard = tell(ReaderMessage::Contents(thread.contents.clone()));
    while heard {
        let message = match messages.recv_timeout(EVERY) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        heard = match thread.answer(message) {
            Ok(true) => tell(ReaderMessage::Contents(thread.contents.clone())),
            Ok(false) => true,
            Err(error) => tell(ReaderMessage::Trouble(error)),
        };
    }
    Ok(())
}

/// An open database with what was read of it.
struct ReaderThread {
    database: Database,
    contents: Contents,
    chosen: Chosen,
    /// The table of the scan that is shown, and of the one beside it.
    own: Table,
    other: Option<Table>,
}

impl ReaderThread {
    /// Does what a letter asks, or without one looks for news. Whether the contents are others now.
    fn answer(&mut self, message: Option<ReaderReply>) -> Result<bool> {
        match message {
            Some(ReaderReply::Choose(chosen)) => {
                self.chosen = chosen;
                self.read()?;
            }
            Some(ReaderReply::Tag(pictures, tag, on)) => {
                self.database.tag(&pictures, &tag, on)?;
                self.extend()?;
            }
            Some(ReaderReply::Save(name, query)) => {
                self.database.save_view(&name, query.as_deref())?;
                self.contents.views = self.database.views()?;
            }
            None => {
                let scans = self.database.scans()?;
                if scans == self.contents.scans {
                    return Ok(false);
                }
                let before = std::mem::replace(&mut self.contents.scans, scans);
                if self.contents.scan.is_none() || self.begun_anew(&before) {
                    self.read()?;
                } else {
                    self.extend()?;
                }
            }
        }
        Ok(true)
    }

    /// Whether a scan that is shown was begun once more since, so that its entries may be others.
    fn begun_anew(&self, before: &[ScanRow]) -> bool {
        let shown =
            |row: &&ScanRow| [self.contents.scan, self.chosen.beside].contains(&Some(row.id));
        self.contents.scans.iter().filter(shown).any(|row| {
            let before = before.iter().find(|before| before.id == row.id);
            before.is_none_or(|before| {
                before.total != row.total
                    || before.finished && !row.finished
                    || before.done > row.done
            })
        })
    }

    /// Reads the chosen scans.
    fn read(&mut self) -> Result<()> {
        let chosen = self.chosen;
        let scans = self.database.scans()?;
        let known = |scan: &i64| scans.iter().any(|row| row.id == *scan);
        let scan = chosen.scan.filter(known);
        let scan = scan.or(scans.first().map(|row| row.id));
        let other = chosen.beside.filter(known);
        let other = other.filter(|beside| Some(*beside) != scan);
        let table = |scan: i64| self.database.table(scan);
        self.own = scan.map(table).transpose()?.unwrap_or_default();
        self.other = other.map(table).transpose()?;
        self.contents.scan = scan;
        self.contents.scans = scans;
        self.join();
        Ok(())
    }

    /// Reads what the scans found since.
    fn extend(&mut self) -> Result<()> {
        self.database.extend(&mut self.own)?;
        if let Some(other) = &mut self.other {
            self.database.extend(other)?;
        }
        self.join();
        Ok(())
    }

    fn join(&mut self) {
        let table = self.own.clone();
        self.contents.table = Arc::new(match &self.other {
            Some(other) => table.joined_with(other),
            None => table,
        });
    }
}

fn draw(path: &Path, table: &Table, side: usize, layout: Layout) -> Result<Mapped> {
    let represented = Database::open(path)?.representations(table, side)?;
    let (points, share) = map(&represented, layout)?;
    Ok(Mapped {
        scan: table.scan(),
        side,
        points,
        share,
    })
}
