//! `epsiloscope report generation`: Fréchet distances of generated to real pictures.

use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use super::write_json;
use crate::cli::synthesis::SynthesisFlags;
use crate::cli::{ModelList, class_number, default_feature_models, default_models};
use crate::compute::{Backend, Compute};
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::model::{Classifier, tensor_values, zoo};
use crate::synthesis::{
    ClassGaussians, ClassObjective, Gaussian, Synthesis, SynthesisInputs, SynthesisRun, Task,
    activations, frechet,
};

/// Generate pictures of every class by every model, and compute the Fréchet distance to the real test
/// pictures in the representation of each feature model; that of real training pictures is the floor.
///
/// The formula is FID's, but the network is not Inception: values are comparable only with each other.
#[derive(Debug, Args)]
pub struct GenerationArguments {
    /// Folder of the data set.
    #[arg(long)]
    data: PathBuf,
    /// Number of pictures of each class.
    #[arg(long, default_value_t = 100)]
    per_class: usize,
    /// Models to compare: ids of bundled ones or paths of files, with commas between.
    #[arg(long, default_value_t = default_models())]
    models: ModelList,
    /// Models in whose representation the distance is computed.
    #[arg(long, alias = "judges", default_value_t = default_feature_models())]
    feature_models: ModelList,
    /// Objective to maximise.
    #[arg(long, alias = "aim", value_enum, default_value_t)]
    objective: ClassObjective,
    #[command(flatten)]
    settings: SynthesisFlags,
    /// Folder for report-generation.json.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Where models run: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    backend: Backend,
}

/// Batch size.
const AT_ONCE: usize = 50;

/// A row of the table.
#[derive(Serialize)]
struct FrechetRow {
    pictures: String,
    /// Name of each feature model, and the Fréchet distance in its representation.
    distances: Vec<(String, f64)>,
}

#[derive(Serialize)]
struct GenerationReport {
    per_class: usize,
    synthesis: Synthesis,
    lines: Vec<FrechetRow>,
}

/// A feature model with the Gaussian of the real test pictures in its representation.
struct FeatureModel {
    model: Classifier,
    real: Gaussian,
}

impl GenerationArguments {
    /// Computes, prints and writes the report.
    pub fn run(&self) -> Result<()> {
        let device = Compute::open(&self.backend)?.device;
        let mut feature_models = Vec::new();
        for name in self.feature_models.iter() {
            let model = zoo::open(name, &device)?;
            let real = Dataset::open(&self.data, Split::Test, model.manifest().input)?;
            let real = gaussian(&model, &planes_of(&real))?;
            feature_models.push(FeatureModel { model, real });
        }
        let mut lines = vec![self.floor(&feature_models)?];
        let mut synthesis = None;
        for name in self.models.iter() {
            let model = zoo::open(name, &device)?;
            let (pictures, config) = self.generate(&model)?;
            synthesis = Some(config);
            let name = model.manifest().name.clone();
            lines.push(line(name, &feature_models, |_| Ok(pictures.clone()))?);
        }
        let report = GenerationReport {
            per_class: self.per_class,
            synthesis: synthesis.ok_or_else(|| Error::Config("no model to measure".into()))?,
            lines,
        };
        write_json(self.out.as_deref(), "report-generation.json", &report)
    }

    /// As many real training pictures as are generated.
    fn floor(&self, feature_models: &[FeatureModel]) -> Result<FrechetRow> {
        line("real training pictures".into(), feature_models, |model| {
            let mut data = Dataset::open(&self.data, Split::Train, model.manifest().input)?;
            data.subsample(self.per_class * data.classes.len());
            Ok(planes_of(&data))
        })
    }

    fn generate(&self, model: &Classifier) -> Result<(Vec<Vec<f32>>, Synthesis)> {
        let seeds = ClassGaussians::bundled()?;
        let labels = model.manifest().labels.clone();
        let bar = ProgressBar::new((labels.len() * self.per_class) as u64);
        let mut pictures = Vec::new();
        let mut last = None;
        for label in &labels {
            let class = class_number(model, label)?;
            let task = Task::Generate {
                class,
                objective: self.objective,
            };
            let mut made = 0;
            while made < self.per_class {
                let mut config = self.settings.synthesis(task.clone());
                config.count = AT_ONCE.min(self.per_class - made);
                // Every picture has its own random start.
                config.seed = config.seed.wrapping_add(made as u64);
                let material = SynthesisInputs {
                    class_gaussians: Some(&seeds),
                    ..SynthesisInputs::default()
                };
                let mut run = SynthesisRun::new(&config, model, &material)?;
                while !run.finished() {
                    run.step(model)?;
                }
                let values = tensor_values(run.current().clone());
                let each = values.chunks_exact(values.len() / config.count);
                pictures.extend(each.map(<[f32]>::to_vec));
                made += config.count;
                bar.inc(config.count as u64);
                last = Some(config);
            }
        }
        bar.finish_and_clear();
        let config = last.ok_or_else(|| Error::Config("no picture to generate".into()))?;
        Ok((pictures, config))
    }
}

fn planes_of(data: &Dataset) -> Vec<Vec<f32>> {
    (0..data.len()).map(|at| data.unit_planes(at)).collect()
}

/// Computes and prints the Fréchet distances of some pictures to the real ones.
fn line(
    name: String,
    feature_models: &[FeatureModel],
    pictures: impl Fn(&Classifier) -> Result<Vec<Vec<f32>>>,
) -> Result<FrechetRow> {
    let mut distances = Vec::new();
    for feature_model in feature_models {
        let made = gaussian(&feature_model.model, &pictures(&feature_model.model)?)?;
        let distance = frechet(&made, &feature_model.real);
        let by = feature_model.model.manifest().name.clone();
        println!("{name}: Fréchet distance {distance:.2} in the representation of {by}");
        distances.push((by, distance));
    }
    Ok(FrechetRow {
        pictures: name,
        distances,
    })
}

/// The Gaussian of pictures in the representation of a model.
fn gaussian(model: &Classifier, pictures: &[Vec<f32>]) -> Result<Gaussian> {
    let size = model.manifest().input;
    let length = 3 * size[0] * size[1];
    if pictures.iter().any(|picture| picture.len() != length) {
        let text = format!(
            "{} is for pictures of {}×{} pixels only",
            model.manifest().name,
            size[1],
            size[0]
        );
        return Err(Error::Config(text));
    }
    let rows: Vec<Vec<f32>> = pictures
        .chunks(AT_ONCE)
        .flat_map(|some| activations(model, None, some.concat()))
        .collect();
    let fitted = Gaussian::fit(rows.iter().map(Vec::as_slice));
    fitted.ok_or_else(|| Error::Config("two pictures at least are needed".into()))
}
