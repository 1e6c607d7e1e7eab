//! Robust twins in training: each a process of its own, at low priority, that the window starts, shows, pauses and
//! resumes. It goes on when the window is closed, and is found again when the window opens.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::attack::Norm;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::model::ModelRef;
use crate::train::{CHECKPOINT, PAUSE, Phase, STATUS, TrainingStatus, is_running};

/// What a person sets before a twin is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct TwinSettings {
    /// The model.
    pub model: ModelRef,
    /// Its display name.
    pub name: String,
    /// Folder of the data set.
    pub data: PathBuf,
    /// Norm of the attacks.
    pub norm: Norm,
    /// Their radius, in units of pixels in [0, 1].
    pub epsilon: f32,
    /// Number of epochs.
    pub epochs: usize,
}

/// A twin in training, or trained.
pub struct Twin {
    folder: PathBuf,
    /// The process, if this window started it.
    process: Option<Child>,
    status: TrainingStatus,
    /// Whether a process works on it.
    is_alive: bool,
    /// Whether it was asked to pause and has not ended yet.
    is_pausing: bool,
    /// Whether its model was opened, or was complete when the window opened.
    is_taken: bool,
}

/// What can be done with a twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwinAction {
    /// Ask it to write a checkpoint and end.
    Pause,
    /// Go on from its checkpoint.
    Resume,
    /// End it and delete what it has written.
    Delete,
    /// Open its model in the second row.
    Open,
}

/// Time between two looks at the status files.
const PERIOD: Duration = Duration::from_millis(500);

/// A model that was begun to be measured longer ago is measured no more.
const ALIVE: Duration = Duration::from_secs(300);

/// All twins of a folder.
pub struct Twins {
    folder: Option<PathBuf>,
    twins: Vec<Twin>,
    looked: Option<Instant>,
}

impl Twins {
    /// Those in `folder`, where new ones are written, too; without one, none can be trained.
    pub fn new(folder: Option<PathBuf>) -> Self {
        let entries = folder
            .iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok());
        let folders = entries
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()));
        let mut folders: Vec<PathBuf> =
            folders.filter(|path| path.join(STATUS).is_file()).collect();
        folders.sort();
        let twins = folders.into_iter().map(|folder| Twin {
            is_taken: folder.join(MODEL).is_file(),
            folder,
            process: None,
            status: TrainingStatus::default(),
            is_alive: false,
            is_pausing: false,
        });
        Self {
            twins: twins.collect(),
            folder,
            looked: None,
        }
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> &[Twin] {
        &self.twins
    }

    /// Looks at the status files, from time to time, while any twin is at work or they are shown. The models of twins
    /// that have finished since the last look, to be opened.
    pub fn poll(&mut self, are_shown: bool) -> Vec<PathBuf> {
        let is_due = self
            .looked
            .is_none_or(|looked| (are_shown || self.are_busy()) && looked.elapsed() >= PERIOD);
        if !is_due {
            return Vec::new();
        }
        self.looked = Some(Instant::now());
        self.twins.iter_mut().filter_map(Twin::poll).collect()
    }

    /// Whether any is at work, so that the window looks again soon.
    pub fn are_busy(&self) -> bool {
        self.twins
            .iter()
            .any(|twin| twin.process.is_some() || twin.is_alive)
    }

    /// Starts the training of a twin.
    ///
    /// # Errors
    /// [`Error::Io`] where its folder cannot be written or the process cannot be started.
    pub fn start(&mut self, settings: &TwinSettings) -> Result<()> {
        let home = self.folder.clone().ok_or_else(|| {
            Error::Config("this program has no folder of its own to keep a twin in".into())
        })?;
        let folder = free_folder(&home, &settings.name);
        std::fs::create_dir_all(&folder).map_err(|error| Error::io(&folder, "create", error))?;
        let model = model_argument(&settings.model, &folder)?;
        let data = std::path::absolute(&settings.data)
            .map_err(|error| Error::io(&settings.data, "find", error))?;
        let mut command = command(&folder)?;
        command.arg("--twin").arg(model).arg("--data").arg(data);
        let norm = clap::ValueEnum::to_possible_value(&settings.norm);
        let norm = norm.map_or_else(String::new, |norm| norm.get_name().to_owned());
        command.args(["--eps", &settings.epsilon.to_string(), "--norm", &norm]);
        command.args(["--epochs", &settings.epochs.to_string()]);
        let process = spawn(&folder, command)?;
        self.twins.push(Twin {
            folder,
            process: Some(process),
            status: TrainingStatus::default(),
            is_alive: true,
            is_pausing: false,
            is_taken: false,
        });
        Ok(())
    }

    /// Does something with the twin of this index; the model file, if it is to be opened.
    ///
    /// # Errors
    /// [`Error::Io`] where a file cannot be written or the process cannot be started.
    pub fn act(&mut self, index: usize, action: TwinAction) -> Result<Option<PathBuf>> {
        let Some(twin) = self.twins.get_mut(index) else {
            return Ok(None);
        };
        match action {
            TwinAction::Pause => {
                write_atomically(&twin.folder.join(PAUSE), &[])?;
                twin.is_pausing = true;
            }
            TwinAction::Resume => {
                let mut command = command(&twin.folder)?;
                command.arg("--resume");
                twin.process = Some(spawn(&twin.folder, command)?);
                twin.is_alive = true;
                twin.status.phase = Phase::Starting;
            }
            TwinAction::Delete => {
                if twin.process.is_none() && is_running(&twin.folder) {
                    let reason = "an earlier window started it and it still trains; pause it first";
                    return Err(Error::io(&twin.folder, "remove", reason));
                }
                if let Some(process) = &mut twin.process {
                    // It may have ended by itself.
                    let _ = process.kill();
                    let _ = process.wait();
                }
                std::fs::remove_dir_all(&twin.folder)
                    .map_err(|error| Error::io(&twin.folder, "remove", error))?;
                self.twins.remove(index);
            }
            TwinAction::Open => {
                twin.is_taken = true;
                return Ok(Some(twin.folder.join(MODEL)));
            }
        }
        Ok(None)
    }
}

impl Twin {
    /// What it is called: its folder's name.
    pub fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// What its process wrote last; of one that ended without a word, that it failed.
    pub fn status(&self) -> &TrainingStatus {
        &self.status
    }

    /// Whether a process works on it.
    pub fn is_alive(&self) -> bool {
        self.is_alive
    }

    /// Whether it was asked to pause and has not ended yet.
    pub fn is_pausing(&self) -> bool {
        self.is_pausing
    }

    /// Whether it has a checkpoint to go on from.
    pub fn has_checkpoint(&self) -> bool {
        self.folder.join(CHECKPOINT).is_file()
    }

    /// Reads the status. The model, if it is complete since the last look.
    fn poll(&mut self) -> Option<PathBuf> {
        if let Some(status) = TrainingStatus::read(&self.folder) {
            self.status = status;
        }
        let ended = match &mut self.process {
            Some(process) => process.try_wait().ok().flatten(),
            None => None,
        };
        let works = matches!(
            self.status.phase,
            Phase::Starting | Phase::Running | Phase::Measuring
        );
        if let Some(ended) = ended {
            self.process = None;
            if works {
                self.status.phase = Phase::Failed;
                self.status.reason = Some(last_line(&self.folder).unwrap_or(ended.to_string()));
            }
        }
        self.is_alive = self.process.is_some()
            || is_running(&self.folder)
            || (self.status.phase == Phase::Measuring && self.is_recent());
        self.is_pausing &= self.is_alive;
        let model = self.folder.join(MODEL);
        let is_new = self.status.phase == Phase::Finished && !self.is_taken && model.is_file();
        is_new.then(|| {
            self.is_taken = true;
            model
        })
    }

    /// Whether the status was written a short time ago: by a process that an earlier window started.
    fn is_recent(&self) -> bool {
        let written = std::fs::metadata(self.folder.join(STATUS)).and_then(|file| file.modified());
        let age = written
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        age.is_some_and(|age| age < ALIVE)
    }
}

/// File name of the model.
const MODEL: &str = "model.safetensors";

/// What the process prints.
const LOG: &str = "training.log";

/// A folder in `home` that is not there yet.
fn free_folder(home: &Path, name: &str) -> PathBuf {
    let plain = |c: char| {
        if c.is_alphanumeric() || " -_".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = name.chars().map(plain).take(80).collect();
    let names = (1..).map(|number| match number {
        1 => home.join(&name),
        number => home.join(format!("{name} {number}")),
    });
    let mut free = names.filter(|path| !path.exists());
    free.next().unwrap_or_else(|| home.join(&name))
}

/// What names the model on a command line; what a person said of its file goes into a description in `folder`.
fn model_argument(model: &ModelRef, folder: &Path) -> Result<PathBuf> {
    let Some(description) = model.description() else {
        return Ok(model.origin().into());
    };
    let path = folder.join("original.toml");
    write_atomically(&path, description.to_toml().as_bytes())?;
    Ok(path)
}

/// This program's command `train` into `folder`, at low priority where the system has a command for that.
fn command(folder: &Path) -> Result<Command> {
    let program = std::env::current_exe()
        .map_err(|error| Error::Config(format!("this program's own file is not known: {error}")))?;
    let nice = Path::new("/usr/bin/nice");
    let mut command = if nice.is_file() {
        let mut command = Command::new(nice);
        command.args(["-n", "19"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.arg("train").arg("--out").arg(folder);
    Ok(command)
}

/// Starts a command that outlives the window, its output in a file of `folder`.
fn spawn(folder: &Path, mut command: Command) -> Result<Child> {
    let path = folder.join(LOG);
    let writing = |error: std::io::Error| Error::io(&path, "write", error);
    let log = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(writing)?;
    let errors = log.try_clone().map_err(writing)?;
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // A terminal that is closed, or Ctrl-C in it, ends the window alone.
        command.process_group(0);
    }
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    command
        .spawn()
        .map_err(|error| Error::Config(format!("the training cannot be started: {error}")))
}

/// The last line that the process printed.
fn last_line(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(LOG)).ok()?;
    let mut lines = text.lines().rev().filter(|line| !line.trim().is_empty());
    lines.next().map(str::to_owned)
}
