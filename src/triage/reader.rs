//! Reads and writes the database of the triage page in a background thread, so that no frame waits for the
//! disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::map::{Layout, Point, map};
use super::{Database, ScanRow, Table};
use crate::error::{Error, Result};
use crate::tasks::{Inbox, Outbox, Service, TaskProgress};

/// How often the database is polled for results of a running scan.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// What was read from a database.
#[derive(Clone, Default)]
pub struct Contents {
    /// All scans, the newest first.
    pub scans: Vec<ScanRow>,
    /// Saved queries by name.
    pub views: Vec<(String, String)>,
    /// The results of the chosen scan so far, with those of the one to compare with.
    pub table: Arc<Table>,
    /// The chosen scan; nothing in a database without scans.
    pub scan: Option<i64>,
}

/// Which scans of a database are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The scan; `None` for the newest.
    pub scan: Option<i64>,
    /// A scan to compare with, joined by picture.
    pub beside: Option<i64>,
}

/// A two-dimensional embedding of a scan's pictures.
pub struct Mapped {
    /// The scan.
    pub scan: i64,
    /// Index of the model whose representations are embedded.
    pub side: usize,
    /// The pictures.
    pub points: Vec<Point>,
    /// Share of the variance along the two axes, in [0, 1], where the layout is a projection.
    pub share: Option<f32>,
}

/// What the background threads send.
pub enum ReaderMessage {
    /// What the database holds now.
    Contents(Contents),
    /// A map that was requested, or why there is none.
    Map(Result<Mapped>),
    /// A command failed; the database stays open.
    Failed(Error),
    /// The database could not be opened or read, and is closed.
    Closed(Error),
}

/// What the reading thread is told to do.
enum ReaderCommand {
    Choose(Chosen),
    Tag(Vec<i64>, String, bool),
    SaveView(String, Option<String>),
}

/// An open database; dropping it ends the thread and closes the file.
pub struct DatabaseReader {
    path: PathBuf,
    chosen: Chosen,
    inbox: Inbox<ReaderMessage>,
    service: Service<ReaderCommand>,
}

impl DatabaseReader {
    /// Opens a database in the background and reads the chosen scans; `wake` is called after each
    /// message.
    pub fn open(path: &Path, chosen: Chosen, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let inbox = Inbox::new(wake);
        let file = path.to_owned();
        let work = move |commands: &_, outbox: &Outbox<_>| {
            if let Err(error) = serve(&file, chosen, commands, outbox) {
                outbox.send(ReaderMessage::Closed(error));
            }
        };
        Self {
            path: path.into(),
            chosen,
            service: inbox.serve("scan database", ReaderMessage::Closed, work),
            inbox,
        }
    }

    /// Embeds the pictures of a scan in two dimensions, in a thread of its own: it takes longer than a
    /// command should wait.
    pub fn map(&self, table: Arc<Table>, side: usize, layout: Layout) {
        let path = self.path.clone();
        let failed = |error| ReaderMessage::Map(Err(error));
        let work = move |outbox: &Outbox<_>, _: &mut TaskProgress| {
            outbox.send(ReaderMessage::Map(embed(&path, &table, side, layout)));
        };
        self.inbox.start("map of a scan", failed, work).detach();
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The messages since the last call.
    pub fn receive(&self) -> Vec<ReaderMessage> {
        self.inbox.receive()
    }

    /// Reads these scans, unless they are the chosen ones already.
    pub fn choose(&mut self, chosen: Chosen) {
        if chosen != self.chosen {
            self.chosen = chosen;
            self.service.send(ReaderCommand::Choose(chosen));
        }
    }

    /// Puts a tag on pictures, or takes it off.
    pub fn tag(&self, pictures: Vec<i64>, tag: &str, on: bool) {
        let command = ReaderCommand::Tag(pictures, tag.into(), on);
        self.service.send(command);
    }

    /// Saves a query under a name; `None` deletes the query of that name.
    pub fn save_view(&self, name: &str, query: Option<&str>) {
        let query = query.map(str::to_owned);
        self.service
            .send(ReaderCommand::SaveView(name.into(), query));
    }
}

/// Runs commands until the reader is dropped, and polls in between. Only a failure to open the database or
/// to read it the first time ends it.
fn serve(
    path: &Path,
    chosen: Chosen,
    commands: &Receiver<ReaderCommand>,
    outbox: &Outbox<ReaderMessage>,
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
    let mut connected = outbox.send(ReaderMessage::Contents(thread.contents.clone()));
    while connected {
        let changed = match commands.recv_timeout(POLL_INTERVAL) {
            Ok(command) => thread.run(command).map(|()| true),
            Err(RecvTimeoutError::Timeout) => thread.poll(),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        connected = match changed {
            Ok(true) => outbox.send(ReaderMessage::Contents(thread.contents.clone())),
            Ok(false) => true,
            Err(error) => outbox.send(ReaderMessage::Failed(error)),
        };
    }
    Ok(())
}

/// An open database and what was read from it.
struct ReaderThread {
    database: Database,
    contents: Contents,
    chosen: Chosen,
    /// The table of the chosen scan.
    own: Table,
    /// The table of the scan to compare with.
    other: Option<Table>,
}

impl ReaderThread {
    /// Runs one command, after which the contents have changed.
    fn run(&mut self, command: ReaderCommand) -> Result<()> {
        match command {
            ReaderCommand::Choose(chosen) => {
                self.chosen = chosen;
                self.read()
            }
            ReaderCommand::Tag(pictures, tag, on) => {
                self.database.tag(&pictures, &tag, on)?;
                self.extend()
            }
            ReaderCommand::SaveView(name, query) => {
                self.database.save_view(&name, query.as_deref())?;
                self.contents.views = self.database.views()?;
                Ok(())
            }
        }
    }

    /// Reads the results that scans wrote since the last call. Whether there are any.
    fn poll(&mut self) -> Result<bool> {
        let scans = self.database.scans()?;
        if scans == self.contents.scans {
            return Ok(false);
        }
        let before = std::mem::replace(&mut self.contents.scans, scans);
        if self.contents.scan.is_none() || self.restarted(&before) {
            self.read()?;
        } else {
            self.extend()?;
        }
        Ok(true)
    }

    /// Whether a scan that is shown was restarted since `before`, so that rows already read may be stale.
    fn restarted(&self, before: &[ScanRow]) -> bool {
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

    /// Reads the tables of the chosen scans from the beginning.
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

    /// Appends the results that were written since the tables were read.
    fn extend(&mut self) -> Result<()> {
        self.database.extend(&mut self.own)?;
        if let Some(other) = &mut self.other {
            self.database.extend(other)?;
        }
        self.join();
        Ok(())
    }

    /// Puts the tables of both scans together.
    fn join(&mut self) {
        let table = self.own.clone();
        self.contents.table = Arc::new(match &self.other {
            Some(other) => table.joined_with(other),
            None => table,
        });
    }
}

/// Embeds the representations of a scan's pictures in two dimensions.
fn embed(path: &Path, table: &Table, side: usize, layout: Layout) -> Result<Mapped> {
    let represented = Database::open(path)?.representations(table, side)?;
    let (points, share) = map(&represented, layout)?;
    Ok(Mapped {
        scan: table.scan(),
        side,
        points,
        share,
    })
}
