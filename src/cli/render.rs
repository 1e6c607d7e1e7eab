//! `epsiloscope render`: figures, films and their numbers, without a window.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::{Args, ValueEnum};

use super::console::{answer, progress_bar, require_new, say, stop_on_signals};
use super::corruption::parse_severity;
use super::model_list::ModelList;
use super::{AttackOptions, default_models};
use crate::attack::{Goal, parse_epsilon};
use crate::compute::{Backend, Compute};
use crate::data::{CorruptionKind, Picture};
use crate::error::{Error, Result};
use crate::export::arrays;
use crate::export::figure::shots;
use crate::export::film::{self, Footage, Format};
use crate::export::headless::Headless;
use crate::files::write_atomically;
use crate::model::Fingerprint;
use crate::model::{ModelRef, zoo};
use crate::session::{self, Column, Figure, Film, Motion, Size, Spread, State, has_session_name};
use crate::tasks::TaskProgress;

/// Render a session, or some pictures, to figures, films or arrays.
///
/// A .png or .svg file is a figure; a .gif or .mp4 file is a film, and with --film so is a folder (of
/// numbered PNG files); a .csv file holds confidence against ε; a folder without --film holds all
/// numbers behind the figure as .csv and .npy.
#[derive(Debug, Args)]
pub struct RenderArguments {
    /// A session file, or pictures.
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// Where to write; may be given several times.
    #[arg(long, required = true)]
    out: Vec<PathBuf>,
    /// A figure's settings as JSON, on which the options below build.
    #[arg(long)]
    figure: Option<PathBuf>,
    /// Columns from left to right, with commas between; by default those of the session or window.
    #[arg(long, value_delimiter = ',', value_enum)]
    columns: Vec<Column>,
    /// Rows (models) from top to bottom, counted from 1, with commas between.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<usize>,
    /// Several ε, in units of pixels in [0, 1], with commas between, for instance 2/255,4/255.
    #[arg(long, value_delimiter = ',', value_parser = parse_epsilon)]
    epsilons: Vec<f32>,
    /// Layout of several ε.
    #[arg(long, value_enum)]
    spread: Option<Spread>,
    /// Width in units of which text is --text high.
    #[arg(long, conflicts_with = "millimetres")]
    width: Option<f32>,
    /// Pixels for each unit of the width.
    #[arg(long, conflicts_with = "dpi")]
    scale: Option<f32>,
    /// Width on paper; a unit is then 1/96 inch.
    #[arg(long)]
    millimetres: Option<f32>,
    /// Pixels of each inch on paper; by default 300.
    #[arg(long, requires = "millimetres")]
    dpi: Option<f32>,
    /// Height of text, in units.
    #[arg(long)]
    text: Option<f32>,
    /// Draw confidence against ε below the pictures.
    #[arg(long)]
    curves: bool,
    /// Leave parts out, with commas between.
    #[arg(long, value_delimiter = ',', value_enum)]
    without: Vec<Part>,
    /// What changes over a film.
    #[arg(long, value_enum)]
    film: Option<Moving>,
    /// Number of frames of a film; by default the session's value, else 60.
    #[arg(long)]
    frames: Option<usize>,
    /// Frames per second; by default the session's value, else 15.
    #[arg(long)]
    rate: Option<f32>,
    /// Seconds for which the last frame is held; by default the session's value, else 1.
    #[arg(long)]
    hold: Option<f32>,
    /// Without a session: the models, one a row.
    #[arg(long, default_value_t = default_models())]
    models: ModelList,
    /// Without a session: name of the true class of all pictures.
    #[arg(long = "class")]
    truth: Option<String>,
    /// Without a session: the attack. Films of ε end at its ε.
    #[command(flatten)]
    attack: AttackOptions,
    /// Kind of corruption, before any attack; by default the session's.
    #[arg(long, value_enum)]
    corruption: Option<CorruptionKind>,
    /// Its severity, from 0 to 5; by default the session's. Films of severity go from 0 to 5.
    #[arg(long, value_parser = parse_severity)]
    severity: Option<f32>,
    /// Where models run: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    backend: Backend,
}

/// Parts of a figure that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Heads,
    Names,
    Notes,
    ColorBar,
    Caption,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Moving {
    /// ε rises from 0.
    Epsilon,
    /// The severity of the corruption rises from 0.
    Severity,
    /// The iterations of a synthesis.
    Synthesis,
    /// The interpolation from a picture to its counterfactual.
    Counterfactual,
}

/// Kind of an output file, from its extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OutputKind {
    Figure,
    Film,
    Csv,
    Data,
}

impl RenderArguments {
    /// Computes what is needed and writes every file.
    pub fn run(&self) -> Result<()> {
        let kinds: Vec<OutputKind> = self
            .out
            .iter()
            .map(|path| self.kind(path))
            .collect::<Result<_>>()?;
        require_new(self.out.iter().cloned())?;
        let (mut state, pictures) = self.state()?;
        self.corrupt(&mut state);
        let figure = self.arranged(&state.document.exports.figure, &pictures)?;
        let mut engine = Headless::new(Compute::open(&self.backend)?.device);
        let cancel = stop_on_signals();
        let bar = progress_bar(1000, "{msg} {wide_bar} {percent} %");
        let mut progress = |share: f32| bar.set_position((1000.0 * share) as u64);
        let mut watch = TaskProgress {
            progress: &mut progress,
            cancel: &cancel,
        };
        bar.set_message("computing");
        if kinds.contains(&OutputKind::Film) {
            let film = self.film(&state, &pictures)?;
            let footage = Footage::compute(&film, &state, &mut engine, &mut watch)?;
            for (path, _) in self.wanting(&kinds, &[OutputKind::Film]) {
                bar.set_message(path.display().to_string());
                film::write(&footage, path, &mut watch)?;
                bar.suspend(|| say!("{}", path.display()));
            }
        }
        let still = self.wanting(
            &kinds,
            &[OutputKind::Figure, OutputKind::Csv, OutputKind::Data],
        );
        if !still.is_empty() {
            self.stills(&still, &figure, &state, &mut engine, &mut watch)?;
        }
        bar.finish_and_clear();
        answer(&self.out)
    }

    fn kind(&self, path: &Path) -> Result<OutputKind> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("png" | "svg") => Ok(OutputKind::Figure),
            Some("csv") => Ok(OutputKind::Csv),
            None if self.film.is_none() => Ok(OutputKind::Data),
            _ if Format::of(path).is_some() => Ok(OutputKind::Film),
            _ => {
                let reason = "it ends with none of .png .svg .gif .mp4 .csv and names no folder";
                Err(Error::io(path, "write", reason))
            }
        }
    }

    fn wanting(&self, kinds: &[OutputKind], wanted: &[OutputKind]) -> Vec<(&PathBuf, OutputKind)> {
        let pairs = self.out.iter().zip(kinds.iter().copied());
        pairs.filter(|(_, kind)| wanted.contains(kind)).collect()
    }

    /// The state to render, and the indices of the given pictures.
    fn state(&self) -> Result<(State, Vec<usize>)> {
        if let [path] = self.inputs.as_slice()
            && has_session_name(path)
        {
            let opened = session::open(path)?;
            // Missing pictures or models are errors: the figure would differ from the saved one.
            if let Some(problem) = opened.problems.first() {
                return Err(Error::Config(problem.to_string()));
            }
            for (model, hash) in opened.state.document.models.iter().zip(&opened.hashes) {
                require_same(model, hash.as_deref())?;
            }
            return Ok((opened.state, Vec::new()));
        }
        let mut state = State::new(self.models.to_vec());
        state.settings.attack = self.attack.attack(Goal::Untargeted);
        let range = state.settings.attack.epsilon.max(f32::MIN_POSITIVE);
        *state.range_mut() = range;
        state.progress.synthesis.running = self.columns.contains(&Column::Synthesis);
        for path in &self.inputs {
            state.add(Picture::open(path)?, self.truth.clone());
        }
        state.navigation.selected = Some(0);
        Ok((state, (0..self.inputs.len()).collect()))
    }

    /// Sets the corruption as the options say it.
    fn corrupt(&self, state: &mut State) {
        let corruption = &mut state.settings.corruption;
        corruption.kind = self.corruption.unwrap_or(corruption.kind);
        corruption.severity = self.severity.unwrap_or(corruption.severity);
    }

    /// The figure's settings: those of --figure, else `usual` from the session, overridden by the options.
    fn arranged(&self, usual: &Figure, pictures: &[usize]) -> Result<Figure> {
        let mut figure = match &self.figure {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|error| Error::io(path, "read", error))?;
                serde_json::from_str(&text).map_err(|error| Error::data(path, error.to_string()))?
            }
            None => usual.clone(),
        };
        if figure.pictures.is_empty() {
            figure.pictures = pictures.to_vec();
        }
        if !self.columns.is_empty() {
            figure.columns.clone_from(&self.columns);
        }
        if !self.rows.is_empty() {
            let rows = self.rows.iter();
            figure.rows = rows.filter_map(|row| row.checked_sub(1)).collect();
        }
        if !self.epsilons.is_empty() {
            figure.epsilons.clone_from(&self.epsilons);
        }
        figure.spread = self.spread.unwrap_or(figure.spread);
        figure.text = self.text.unwrap_or(figure.text);
        figure.curves |= self.curves;
        figure.size = self.size(figure.size);
        for part in &self.without {
            *match part {
                Part::Heads => &mut figure.heads,
                Part::Names => &mut figure.names,
                Part::Notes => &mut figure.notes,
                Part::ColorBar => &mut figure.color_bar,
                Part::Caption => &mut figure.caption,
            } = false;
        }
        figure.validate()?;
        Ok(figure)
    }

    fn size(&self, usual: Size) -> Size {
        if let Some(width) = self.millimetres {
            let dpi = self.dpi.unwrap_or(300.0);
            return Size::Millimetres { width, dpi };
        }
        if self.width.is_none() && self.scale.is_none() {
            return usual;
        }
        Size::Pixels {
            width: self.width.unwrap_or(usual.width()),
            scale: self.scale.unwrap_or(usual.scale()),
        }
    }

    /// The film's settings: the session's, overridden by the options.
    fn film(&self, state: &State, pictures: &[usize]) -> Result<Film> {
        let usual = &state.document.exports.film;
        let epsilon = Motion::Epsilon {
            from: 0.0,
            to: None,
        };
        let film = Film {
            figure: Figure {
                curves: true,
                ..self.arranged(&usual.figure, pictures)?
            },
            motion: match self.film {
                Some(Moving::Epsilon) => epsilon,
                Some(Moving::Severity) => Motion::ALL_SEVERITIES,
                Some(Moving::Synthesis) => Motion::Synthesis,
                Some(Moving::Counterfactual) => Motion::Counterfactual,
                None => usual.motion,
            },
            frames: self.frames.unwrap_or(usual.frames),
            rate: self.rate.unwrap_or(usual.rate),
            hold: self.hold.unwrap_or(usual.hold),
        };
        film.validate()?;
        Ok(film)
    }

    /// Writes figures, CSV files and arrays.
    fn stills(
        &self,
        files: &[(&PathBuf, OutputKind)],
        figure: &Figure,
        state: &State,
        engine: &mut Headless,
        watch: &mut TaskProgress,
    ) -> Result<()> {
        let tables = files
            .iter()
            .any(|(_, kind)| matches!(kind, OutputKind::Csv | OutputKind::Data));
        let computed = Figure {
            curves: figure.curves || tables,
            ..figure.clone()
        };
        computed.require_cells(state)?;
        let shots = shots(&computed, state, engine, watch)?;
        for (path, kind) in files {
            match kind {
                OutputKind::Figure => crate::export::figure::write(figure, &shots, path)?,
                OutputKind::Csv => {
                    let shot = &shots[0];
                    let table = arrays::epsilon_csv(&shot.state, &shot.rows);
                    write_atomically(path, table.as_bytes())?;
                }
                OutputKind::Film | OutputKind::Data => {
                    arrays::write(path, &shots)?;
                }
            }
            say!("{}", path.display());
        }
        Ok(())
    }
}

/// Refuses a model whose content differs from when the session was saved.
fn require_same(model: &ModelRef, hash: Option<&str>) -> Result<()> {
    let Some(hash) = hash else { return Ok(()) };
    let source = zoo::source(model, &Device::flex())?;
    if Fingerprint::of_model(model, &source)?.to_string() == hash {
        return Ok(());
    }
    let reason = "the model has changed since the session was saved";
    Err(Error::model(model.origin(), reason))
}
