//! `epsiloscope scan`: predictions, attacks and flip ε of all pictures of a data set, in a database.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::console::{answer, picture_bar, require_new, say, stop_on_signals, stopped};
use super::model_list::ModelList;
use super::{AttackOptions, default_models};
use crate::attack::{Goal, parse_epsilon};
use crate::compute::{Backend, Compute};
use crate::error::{Error, Result};
use crate::evaluate::BATCH;
use crate::model::Examined;
use crate::triage::query::Vocabulary;
use crate::triage::{
    Axis, ConfusionMatrix, Database, FlipSearch, Part, Plan, Query, Scan, ScanStep, Table, report,
};

/// The database without --db.
const DEFAULT_DATABASE: &str = "epsiloscope.db";

/// Scan a data set: evaluate every model on every picture of SOURCE, clean and attacked, and store the
/// results in a database; the same command resumes an interrupted scan.
#[derive(Debug, Args)]
pub struct ScanArguments {
    /// A folder of pictures, a data set's folder (its test or val split is taken), or a text file of
    /// paths, one a line, each with its class after a tab where that is known.
    #[arg(required_unless_present = "merge")]
    source: Option<PathBuf>,
    /// Models, which queries call a, b, …: ids of bundled ones or paths of files, with commas between.
    #[arg(long, default_value_t = default_models())]
    models: ModelList,
    /// Database file of the results, which can contain many scans.
    #[arg(long, default_value = DEFAULT_DATABASE)]
    db: PathBuf,
    /// Scan only this one of several equal parts of SOURCE, for instance 3/8, so that processes or machines share
    /// the work, each with a database of its own.
    #[arg(long)]
    part: Option<Part>,
    /// Instead of scanning, merge the databases of all parts into --db.
    #[arg(long, num_args = 1.., value_name = "DB", conflicts_with_all = ["source", "part"])]
    merge: Vec<PathBuf>,
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

/// The answer of the command.
#[derive(Serialize)]
struct Answer<'a> {
    database: &'a Path,
    /// Number of pictures of the source.
    total: usize,
    /// Number of pictures that are done, of which `broken` could not be opened.
    done: usize,
    broken: usize,
    /// Number of pictures that --where selects.
    selected: usize,
    /// Matrices of the selection: names of rows and columns, and how many pictures each cell has.
    matrices: Vec<serde_json::Value>,
}

impl ScanArguments {
    /// Scans or merges, prints the matrices and writes the selection.
    pub fn run(&self) -> Result<()> {
        require_new([&self.csv, &self.html].into_iter().flatten().cloned())?;
        match &self.source {
            Some(source) => self.scan(source),
            None => self.merge(),
        }
    }

    fn scan(&self, source: &Path) -> Result<()> {
        let database = Database::open(&self.db)?;
        let device = Compute::open(&self.backend)?.device;
        let names = self.models.iter();
        let models = names.map(|name| Examined::open(name, &device));
        let models = models.collect::<Result<Vec<Examined>>>()?;
        let plan = self.plan(source)?;
        if database.is_read_only() {
            return self.tell_finished(&database, &plan);
        }
        let part = self.part.unwrap_or(Part::WHOLE);
        let mut scan = Scan::of_part(database, &plan, models, BATCH, part)?;
        let query = self.query(&scan.vocabulary())?;
        let finished = go(&mut scan)?;
        let counts = scan.progress();
        let id = scan.id();
        let table = scan.into_database().table(id)?;
        self.tell(&table, &query)?;
        if !finished {
            let (done, total) = (counts.done, counts.total);
            return Err(stopped(format!(
                "{done} of {total} pictures are in {}; the same command resumes the scan",
                self.db.display()
            )));
        }
        if let Some(part) = self.part {
            say!(
                "Part {part}; once all are done: epsiloscope scan --merge DB… --db {}",
                DEFAULT_DATABASE
            );
        }
        Ok(())
    }

    /// Merges databases of parts, and tells of the scan if it is one.
    fn merge(&self) -> Result<()> {
        let mut parts = Vec::new();
        for path in &self.merge {
            if !path.is_file() {
                return Err(Error::io(path, "read", "there is no such file"));
            }
            parts.push(Database::open(path)?);
        }
        let mut database = Database::open(&self.db)?;
        let conflicts = database.merge(&parts)?;
        let scans = database.scans()?;
        for scan in &scans {
            let (title, done, total) = (scan.title(), scan.done, scan.total);
            say!("{title}: {done} of {total} pictures");
        }
        if let [scan] = scans.as_slice() {
            let table = database.table(scan.id)?;
            self.tell(&table, &self.query(&table.vocabulary())?)?;
        }
        for conflict in &conflicts {
            tracing::warn!("{conflict}; the earlier one is kept");
        }
        match conflicts.first() {
            None => Ok(()),
            Some(first) => Err(Error::data(
                &self.db,
                format!(
                    "{} results differ between the databases, and the earlier ones were kept; the first: {first}",
                    conflicts.len()
                ),
            )),
        }
    }

    /// The results of a finished scan of this plan in a database that can only be read.
    fn tell_finished(&self, database: &Database, plan: &Plan) -> Result<()> {
        let scans = database.scans()?.into_iter();
        let mut finished = scans.filter(|scan| scan.finished && scan.plan == *plan);
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

    fn plan(&self, source: &Path) -> Result<Plan> {
        let absolute = std::path::absolute(source);
        let source = absolute.map_err(|error| Error::io(source, "find", error))?;
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
            let source = self.source.as_deref().unwrap_or(&self.db);
            return Err(Error::data(source, reason));
        }
        say!("{} of {} pictures", selected.len(), table.records.len());
        if let Some((_, reason)) = table.broken.first() {
            let count = table.broken.len();
            say!("{count} cannot be opened; the first: {reason}");
        }
        let matrices = ConfusionMatrix::all(&table.part(&selected));
        matrices.iter().for_each(print);
        if let Some(path) = &self.csv {
            report::csv(table, &selected, path)?;
        }
        if let Some(path) = &self.html {
            report::html(table, query, &selected, path)?;
        }
        if let Some(folder) = &self.pictures {
            report::copy(table, &selected, folder)?;
        }
        answer(&Answer {
            database: &self.db,
            total: table.total(),
            done: table.records.len() + table.broken.len(),
            broken: table.broken.len(),
            selected: selected.len(),
            matrices: matrices.iter().map(json).collect(),
        })
    }
}

/// Scans to the end (`true`), or until Ctrl-C stops it (`false`).
fn go(scan: &mut Scan) -> Result<bool> {
    let stop = stop_on_signals();
    let bar = picture_bar("Scanning", scan.progress().total);
    loop {
        match scan.step()? {
            ScanStep::Working => {}
            ScanStep::Finished => break,
            ScanStep::Stored => bar.set_position(scan.progress().done as u64),
        }
        // The batch under way is computed again by whoever resumes: it may take minutes.
        if stop.is_cancelled() {
            bar.finish_and_clear();
            return Ok(false);
        }
    }
    bar.finish_and_clear();
    let progress = scan.progress();
    if let Some(rate) = progress.per_second() {
        let known = progress.known;
        say!("{rate:.1} pictures per second; the results of {known} were stored already");
    }
    Ok(true)
}

/// A matrix as JSON.
fn json(matrix: &ConfusionMatrix) -> serde_json::Value {
    let names = |axis: &Axis| -> Vec<String> {
        let parts = axis.parts.iter();
        parts.map(|(name, _)| name.clone()).collect()
    };
    serde_json::json!({
        "title": matrix.title,
        "rows": names(&matrix.rows),
        "columns": names(&matrix.columns),
        "counts": matrix.counts,
    })
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
    say!(
        "\n{} (down: {}; across: {})",
        matrix.title,
        rows.title,
        columns.title
    );
    let heads = columns.parts.iter().map(|(name, _)| format!("  {name:>6}"));
    say!("{:width$}{}", "", heads.collect::<String>());
    for ((name, _), counts) in rows.parts.iter().zip(&matrix.counts) {
        let cells = columns.parts.iter().zip(counts).map(|((name, _), count)| {
            let width = name.chars().count().max(6);
            format!("  {count:>width$}")
        });
        say!("{name:width$}{}", cells.collect::<String>());
    }
}
