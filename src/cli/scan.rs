//! `epsiloscope scan`: predictions, attacks and flip ε of all pictures of a data set, in a database.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use indicatif::ProgressBar;

use super::model_list::ModelList;
use super::{AttackOptions, default_models};
use crate::attack::{Goal, parse_epsilon};
use crate::compute::{Backend, Compute};
use crate::error::{Error, Result};
use crate::evaluate::BATCH;
use crate::model::Examined;
use crate::triage::query::Vocabulary;
use crate::triage::{
    ConfusionMatrix, Database, FlipSearch, Plan, Query, Scan, ScanStep, Table, report,
};

/// Scan a data set: evaluate every model on every picture of SOURCE, clean and attacked, and store the
/// results in a database; the same command resumes an interrupted scan.
#[derive(Debug, Args)]
pub struct ScanArguments {
    /// A folder of pictures, a data set's folder (its test or val split is taken), or a text file of
    /// paths, one a line, each with its class after a tab where that is known.
    source: PathBuf,
    /// Models, which queries call a, b, …: ids of bundled ones or paths of files, with commas between.
    #[arg(long, default_value_t = default_models())]
    models: ModelList,
    /// Database file of the results, which can contain many scans.
    #[arg(long, default_value = "epsiloscope.db")]
    db: PathBuf,
    /// Do not attack.
    #[arg(long, conflicts_with = "flip")]
    clean: bool,
    #[command(flatten)]
    options: AttackOptions,
    /// Search the smallest ε at which each prediction flips, by bisection.
    #[arg(long)]
    flip: bool,
    /// Largest ε of that search; by default four times --eps.
    #[arg(long, value_parser = parse_epsilon, requires = "flip")]
    flip_most: Option<f32>,
    /// Tolerance of that search, in units of ε; by default a hundredth of the largest ε.
    #[arg(long, value_parser = parse_epsilon, requires = "flip")]
    tolerance: Option<f32>,
    /// Store representations, for maps by PCA or t-SNE.
    #[arg(long)]
    map: bool,
    /// Query that selects and sorts the pictures of the matrices and files below, for instance
    /// 'a.wrong and b.right sort by a.confidence desc'.
    #[arg(long = "where", default_value = "")]
    query: String,
    /// Write the selection as CSV.
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Write an HTML report of the selection, with its matrices and worst errors.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Copy the selected pictures to this folder.
    #[arg(long)]
    pictures: Option<PathBuf>,
    /// Where models run: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    backend: Backend,
}

impl ScanArguments {
    /// Scans, prints the matrices and writes the selection.
    pub fn run(&self) -> Result<()> {
        let database = Database::open(&self.db)?;
        let device = Compute::open(&self.backend)?.device;
        let names = self.models.iter();
        let models = names.map(|name| Examined::open(name, &device));
        let models = models.collect::<Result<Vec<Examined>>>()?;
        if database.is_read_only() {
            return self.tell_finished(&database);
        }
        let mut scan = Scan::new(database, &self.plan()?, models, BATCH)?;
        let query = self.query(&scan.vocabulary())?;
        let finished = go(&mut scan)?;
        let id = scan.id();
        let table = scan.into_database().table(id)?;
        if !finished {
            let (done, total) = (table.records.len() + table.broken.len(), table.total());
            println!("Stopped after {done} of {total} pictures; the same command resumes the scan");
        }
        self.tell(&table, &query)
    }

    /// The results of a finished scan of this plan in a database that can only be read.
    fn tell_finished(&self, database: &Database) -> Result<()> {
        let plan = self.plan()?;
        let scans = database.scans()?.into_iter();
        let mut finished = scans.filter(|scan| scan.finished && scan.plan == plan);
        let scan = finished.next().ok_or_else(|| {
            let reason = "it can only be read, and holds no finished scan of these pictures, models and attacks";
            Error::data(&self.db, reason)
        })?;
        let table = database.table(scan.id)?;
        let query = self.query(&table.vocabulary())?;
        self.tell(&table, &query)
    }

    /// The selection that --query asks for.
    fn query(&self, vocabulary: &Vocabulary) -> Result<Query> {
        Query::parse(&self.query, vocabulary).map_err(|mistake| {
            let place = " ".repeat(mistake.at);
            Error::Config(format!("{}\n{place}^\n{mistake}", self.query))
        })
    }

    fn plan(&self) -> Result<Plan> {
        let source = std::path::absolute(&self.source);
        let source = source.map_err(|error| Error::io(&self.source, "find", error))?;
        let usual = FlipSearch::REACH * self.options.eps;
        let usual = FlipSearch::up_to(self.flip_most.unwrap_or(usual));
        Ok(Plan {
            source,
            models: self.models.to_vec(),
            attack: (!self.clean).then(|| self.options.attack(Goal::Untargeted)),
            flip: self.flip.then(|| FlipSearch {
                tolerance: self.tolerance.unwrap_or(usual.tolerance),
                ..usual
            }),
            map: self.map,
        })
    }

    fn tell(&self, table: &Table, query: &Query) -> Result<()> {
        let selected = query.select(table);
        if let (true, Some((_, reason))) = (table.records.is_empty(), table.broken.first()) {
            let count = table.broken.len();
            let reason = format!("none of its {count} pictures opens; the first: {reason}");
            return Err(Error::data(&self.source, reason));
        }
        println!("{} of {} pictures", selected.len(), table.records.len());
        if let Some((_, reason)) = table.broken.first() {
            let count = table.broken.len();
            println!("{count} cannot be opened; the first: {reason}");
        }
        for matrix in ConfusionMatrix::all(&table.part(&selected)) {
            print(&matrix);
        }
        if let Some(path) = &self.csv {
            report::csv(table, &selected, path)?;
        }
        if let Some(path) = &self.html {
            report::html(table, query, &selected, path)?;
        }
        if let Some(folder) = &self.pictures {
            report::copy(table, &selected, folder)?;
        }
        Ok(())
    }
}

/// Scans to the end (`true`), or until Ctrl-C stops it after a batch (`false`).
fn go(scan: &mut Scan) -> Result<bool> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    let handler = move || asked.store(true, Ordering::Relaxed);
    // Without a handler, Ctrl-C would end the program and lose the current batch.
    let _ = ctrlc::set_handler(handler);
    let bar: ProgressBar = super::evaluate::progress("Scanning", scan.progress().total);
    loop {
        match scan.step()? {
            ScanStep::Working => continue,
            ScanStep::Finished => break,
            ScanStep::Stored => bar.set_position(scan.progress().done as u64),
        }
        if stop.load(Ordering::Relaxed) {
            bar.finish_and_clear();
            return Ok(false);
        }
    }
    bar.finish_and_clear();
    let progress = scan.progress();
    if let Some(rate) = progress.per_second() {
        let known = progress.known;
        println!("{rate:.1} pictures per second; the results of {known} were stored already");
    }
    Ok(true)
}

/// Prints a matrix as text.
fn print(matrix: &ConfusionMatrix) {
    let (rows, columns) = (&matrix.rows, &matrix.columns);
    let width = rows
        .parts
        .iter()
        .map(|(name, _)| name.chars().count())
        .max();
    let width = width.unwrap_or(0);
    println!(
        "\n{} (down: {}; across: {})",
        matrix.title, rows.title, columns.title
    );
    let heads = columns.parts.iter().map(|(name, _)| format!("  {name:>6}"));
    println!("{:width$}{}", "", heads.collect::<String>());
    for ((name, _), counts) in rows.parts.iter().zip(&matrix.counts) {
        let cells = columns.parts.iter().zip(counts).map(|((name, _), count)| {
            let width = name.chars().count().max(6);
            format!("  {count:>width$}")
        });
        println!("{name:width$}{}", cells.collect::<String>());
    }
}
