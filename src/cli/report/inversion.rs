//! `epsiloscope report inversion`: distances of representation inversions to the inverted pictures.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{finish, require_new_in};
use crate::cli::console::{picture_bar, say, stop_on_signals};
use crate::cli::mean::Mean;
use crate::cli::synthesis::SynthesisFlags;
use crate::cli::{ModelList, default_feature_models, default_models};
use crate::compute::{Backend, Compute};
use crate::data::{Dataset, Split};
use crate::error::Result;
use crate::model::{Classifier, tensor_values};
use crate::synthesis::{
    Distances, Start, Synthesis, SynthesisInputs, SynthesisRun, Task, distances,
};

/// Invert test pictures by every model and compute the distances of the results to them.
#[derive(Debug, Args)]
pub struct InversionArguments {
    /// Folder of the data set; its test (or val) split is used.
    #[arg(long)]
    data: PathBuf,
    /// Number of pictures, evenly spaced over the set.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Models to compare, the first with each other: ids of bundled ones or paths of files.
    #[arg(long, default_value_t = default_models())]
    models: ModelList,
    /// Models in whose features the perceptual distance is computed.
    #[arg(long, alias = "judges", default_value_t = default_feature_models())]
    feature_models: ModelList,
    /// Invert the feature map after this stage instead of the pooled representation.
    #[arg(long)]
    stage: Option<usize>,
    #[command(flatten)]
    settings: SynthesisFlags,
    /// Folder for report-inversion.json.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Where models run: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    backend: Backend,
}

/// The file of the report.
const FILE: &str = "report-inversion.json";

/// Batch size.
const AT_ONCE: usize = 16;

/// Results of one model.
#[derive(Serialize)]
struct InversionResult {
    model: String,
    /// Name of each measure, and its mean.
    measures: Vec<(String, Mean)>,
    /// Mean of the paired differences to the first model.
    minus_first: Vec<(String, Mean)>,
    #[serde(skip)]
    values: Vec<Vec<f32>>,
}

#[derive(Serialize)]
struct InversionReport {
    pictures: usize,
    synthesis: Synthesis,
    outcomes: Vec<InversionResult>,
}

impl InversionArguments {
    /// Computes, prints and writes the report.
    pub fn run(&self) -> Result<()> {
        let device = Compute::open(&self.backend)?.device;
        let models = self.models.classifiers(&device)?;
        let feature_models = self.feature_models.classifiers(&device)?;
        for feature_model in &feature_models {
            for model in &models {
                feature_model.require_size(model.manifest().input)?;
            }
        }
        require_new_in(self.out.as_deref(), &[FILE])?;
        let stop = stop_on_signals();
        let synthesis = self.settings.synthesis(Task::Invert { stage: self.stage });
        say!("{synthesis}");
        let mut names = vec![
            "representation distance".to_owned(),
            "pixel L2".into(),
            "SSIM".into(),
        ];
        let predictions = feature_models
            .iter()
            .map(|feature_model| &feature_model.manifest().name);
        names.extend(predictions.map(|name| format!("perceptual, by {name}")));
        let mut outcomes: Vec<InversionResult> = Vec::new();
        let mut count = 0;
        for model in &models {
            let mut data = Dataset::open(&self.data, Split::Test, model.manifest().input)?;
            data.subsample(self.limit);
            count = data.len();
            let bar = picture_bar(&model.manifest().name, data.len());
            let goes_on = |done: usize| {
                bar.set_position(done as u64);
                !stop.is_cancelled()
            };
            let values = measure(model, &feature_models, &data, &synthesis, goes_on)?;
            bar.finish_and_clear();
            if stop.is_cancelled() {
                break;
            }
            let named = |values: Vec<Vec<f32>>| -> Vec<(String, Mean)> {
                let means = values.iter().map(|values| Mean::of(values.iter().copied()));
                names.iter().cloned().zip(means).collect()
            };
            let minus_first = outcomes
                .first()
                .map_or_else(Vec::new, |first: &InversionResult| {
                    let pairs = values.iter().zip(&first.values);
                    let minus = |(a, b): (&Vec<f32>, &Vec<f32>)| {
                        a.iter().zip(b).map(|(a, b)| a - b).collect()
                    };
                    named(pairs.map(minus).collect())
                });
            let outcome = InversionResult {
                model: model.manifest().name.clone(),
                measures: named(values.clone()),
                minus_first,
                values,
            };
            outcome.print();
            outcomes.push(outcome);
        }
        let report = InversionReport {
            pictures: count,
            synthesis,
            outcomes,
        };
        finish(self.out.as_deref(), FILE, &report, &stop)
    }
}

impl InversionResult {
    fn print(&self) {
        say!("{}", self.model);
        for (name, mean) in &self.measures {
            say!("  {name}: {mean}");
        }
        for (name, mean) in &self.minus_first {
            say!("  {name}, minus the first model's: {mean}");
        }
    }
}

/// For each measure (representation distance, pixel L2, SSIM, perceptual distance by each feature model), its value for
/// each picture. `goes_on` is asked with the number of finished pictures; `false` ends the measuring there.
pub(in crate::cli) fn measure(
    model: &Classifier,
    feature_models: &[Classifier],
    data: &Dataset,
    synthesis: &Synthesis,
    goes_on: impl Fn(usize) -> bool,
) -> Result<Vec<Vec<f32>>> {
    let mut values = vec![Vec::new(); 3 + feature_models.len()];
    let indices: Vec<usize> = (0..data.len()).collect();
    for some in indices.chunks(AT_ONCE) {
        let targets: Vec<f32> = some.iter().flat_map(|&at| data.unit_planes(at)).collect();
        let config = Synthesis {
            count: some.len(),
            ..synthesis.clone()
        };
        let first = (config.start == Start::Current).then_some(targets.as_slice());
        let material = SynthesisInputs {
            target: Some(&targets),
            current: first,
            ..SynthesisInputs::default()
        };
        let mut run = SynthesisRun::new(&config, model, &material)?;
        while !run.finished() {
            run.step(model)?;
        }
        let made = tensor_values(run.current().clone());
        let history = run.history().lock().expect("this thread alone uses it");
        let losses = history.newest().map(|kept| kept.losses.clone());
        values[0].extend(losses.iter().flatten().copied());
        let length = targets.len() / some.len();
        let pairs = made.chunks_exact(length).zip(targets.chunks_exact(length));
        for (made, target) in pairs {
            for (place, feature_model) in feature_models.iter().enumerate() {
                let Distances {
                    l2,
                    ssim,
                    perceptual,
                } = distances(feature_model, made, target, data.size);
                if place == 0 {
                    values[1].push(l2);
                    values[2].push(ssim);
                }
                values[3 + place].push(perceptual);
            }
        }
        if !goes_on(values[0].len()) {
            break;
        }
    }
    Ok(values)
}
