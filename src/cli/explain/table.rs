//! Quality of attribution maps over a data set: faithfulness, conciseness and stability, as means with
//! confidence intervals.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::activation::softmax;
use serde::Serialize;

use super::ExplainArguments;
use crate::attack::Goal;
use crate::attribution::{CurvesRun, Input, explain, gini, spearman, ssim};
use crate::cli::console::{answer_in, picture_bar, require_new, say, stop_on_signals, stopped};
use crate::cli::mean::Mean;
use crate::cli::require_classes;
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::evaluate::top_two;
use crate::files::write_atomically;
use crate::model::{Classifier, tensor_values};
use crate::tasks::CancelToken;

/// Measures of a map, in the order of [`MapMeasures::measures`], and their direction.
const MEASURES: [(&str, &str); 6] = [
    ("deletion_area", "lower is more faithful"),
    ("insertion_area", "higher is more faithful"),
    ("gini", "higher is more concise"),
    ("attacked_spearman", "higher is more stable"),
    ("attacked_ssim", "higher is more stable"),
    ("gap", "lower is more complete"),
];

/// Measures of one picture and model.
#[derive(Clone, Debug, Serialize)]
struct MapMeasures {
    model: String,
    picture: String,
    label: String,
    explained: String,
    deletion_area: f32,
    insertion_area: f32,
    gini: f32,
    attacked_spearman: f32,
    attacked_ssim: f32,
    /// Completeness gap in units of the score, for methods that satisfy completeness.
    gap: Option<f32>,
}

impl MapMeasures {
    fn measures(&self) -> [Option<f32>; 6] {
        [
            Some(self.deletion_area),
            Some(self.insertion_area),
            Some(self.gini),
            Some(self.attacked_spearman),
            Some(self.attacked_ssim),
            self.gap,
        ]
    }
}

/// A measure for all models.
#[derive(Serialize)]
struct MeasureRow {
    measure: &'static str,
    meaning: &'static str,
    /// Mean of each model, in their order.
    means: Vec<Mean>,
    /// Mean of the paired differences, last model minus first.
    difference: Mean,
}

/// Explains the pictures of the data set with every model and prints the table.
pub(super) fn run(arguments: &ExplainArguments, models: &[Arc<Classifier>]) -> Result<()> {
    let root = arguments.data.as_deref().expect("clap asks for it");
    check(arguments, models, root)?;
    let stop = stop_on_signals();
    let mut lines = Vec::new();
    for model in models {
        lines.push(explain_all(arguments, model, root, &stop)?);
    }
    // A model that was not reached before the stop has no means.
    lines.retain(|lines| !lines.is_empty());
    if lines.is_empty() {
        return Err(stopped("before the first picture was explained"));
    }
    let models = &models[..lines.len()];
    let all = lines.concat();
    // The means of all models are of the same pictures.
    let shared = lines.iter().map(Vec::len).min().unwrap_or(0);
    lines.iter_mut().for_each(|lines| lines.truncate(shared));
    let rows = rows(&lines);
    let names: Vec<&str> = models.iter().map(|m| m.manifest().name.as_str()).collect();
    say!(
        "{} pictures, means ± 95 % confidence; difference: {} minus {}",
        lines[0].len(),
        names[names.len() - 1],
        names[0]
    );
    say!("{:<20}{}difference", "", columns(&names));
    for row in &rows {
        let numbers = columns(row.means.iter().chain([&row.difference]));
        say!("{:<20}{numbers}({})", row.measure, row.meaning);
    }
    write(&arguments.out, &rows, &all)?;
    if stop.is_cancelled() {
        return Err(stopped(format!(
            "explain.json and explain.csv in {} have the pictures explained so far; the command begins anew",
            arguments.out.display()
        )));
    }
    Ok(())
}

/// Checks, before the work, what every model needs and that the results can be written.
fn check(arguments: &ExplainArguments, models: &[Arc<Classifier>], root: &Path) -> Result<()> {
    let files = ["explain.json", "explain.csv"].map(|name| arguments.out.join(name));
    require_new(files)?;
    for model in models {
        let manifest = model.manifest();
        let explanation = arguments.method.explanation(manifest)?;
        explanation.validate(model.classes(), manifest.input)?;
        arguments
            .attack
            .attack(Goal::Untargeted)
            .validate(model.classes())?;
    }
    require_classes(root, models.iter().map(Arc::as_ref))
}

/// Formats cells in columns of equal width.
fn columns(texts: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    let padded = texts
        .into_iter()
        .map(|text| format!("{:<22}", text.to_string()));
    padded.collect()
}

fn explain_all(
    arguments: &ExplainArguments,
    model: &Classifier,
    root: &Path,
    stop: &CancelToken,
) -> Result<Vec<MapMeasures>> {
    let size = model.manifest().input;
    let explanation = arguments.method.explanation(model.manifest())?;
    let mut data = Dataset::open(root, Split::Test, size)?;
    data.log_skipped();
    data.subsample(arguments.limit);
    data.relabel(&model.manifest().labels)
        .map_err(|reason| Error::data(root, reason))?;
    let bar = picture_bar(&model.manifest().name, data.len());
    let empty = vec![0.0; 3 * size[0] * size[1]];
    // All pictures have the same background and reference.
    let base = arguments.method.input(&explanation.method, &empty, size)?;
    let mut lines = Vec::new();
    for index in (0..data.len()).take_while(|_| !stop.is_cancelled()) {
        lines.push(line(arguments, model, &data, index, &base)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(lines)
}

/// The maps of a picture, clean and attacked, both of the class that is explained on the clean one.
fn line(
    arguments: &ExplainArguments,
    model: &Classifier,
    data: &Dataset,
    index: usize,
    base: &Input,
) -> Result<MapMeasures> {
    let labels = &model.manifest().labels;
    let x = data.tensor(&[index], model.device());
    let label = data.labels[index];
    let attack = arguments.attack.attack(Goal::Untargeted);
    let attacked = attack.run(model, &x, &[label], &[index as u64]);
    let explanation = arguments.method.explanation(model.manifest())?;
    let probabilities = tensor_values(softmax(model.logits(x.clone()), 1));
    let target = explanation.question.target(top_two(&probabilities), label);
    let input = |pixels| Input {
        pixels,
        ..base.clone()
    };
    let clean = input(tensor_values(x));
    let map = explain(model, &explanation.method, target, &clean)?;
    let after = input(tensor_values(attacked));
    let other = explain(model, &explanation.method, target, &after)?.pixels();
    let curves = CurvesRun::new(target, &clean, &map).finish(model);
    let pixels = map.pixels();
    Ok(MapMeasures {
        model: model.manifest().name.clone(),
        picture: data.names[index].display().to_string(),
        label: labels[label].clone(),
        explained: labels[target.class].clone(),
        deletion_area: curves.deletion_area(),
        insertion_area: curves.insertion_area(),
        gini: gini(&pixels),
        attacked_spearman: spearman(&pixels, &other),
        attacked_ssim: ssim(&pixels, &other, map.size),
        gap: map.gap.map(|gap| gap.absolute() as f32),
    })
}

fn rows(lines: &[Vec<MapMeasures>]) -> Vec<MeasureRow> {
    let row = |(at, &(measure, meaning)): (usize, &(&'static str, &'static str))| {
        let values = |lines: &[MapMeasures]| -> Vec<f32> {
            let values = lines.iter().filter_map(|line| line.measures()[at]);
            values.collect()
        };
        let first = values(&lines[0]);
        let last = values(&lines[lines.len() - 1]);
        // Measures that the method does not have are left out.
        (!first.is_empty()).then(|| MeasureRow {
            measure,
            meaning,
            means: lines
                .iter()
                .map(|lines| Mean::of(values(lines).into_iter()))
                .collect(),
            difference: Mean::of(first.iter().zip(last).map(|(first, last)| last - first)),
        })
    };
    MEASURES.iter().enumerate().filter_map(row).collect()
}

fn write(out: &Path, rows: &[MeasureRow], lines: &[MapMeasures]) -> Result<()> {
    answer_in(&out.join("explain.json"), &rows)?;
    let path = out.join("explain.csv");
    let mut writer = csv::Writer::from_writer(Vec::new());
    for line in lines {
        writer
            .serialize(line)
            .map_err(|error| Error::io(&path, "write", error))?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| Error::io(&path, "write", error))?;
    write_atomically(&path, &bytes)
}
