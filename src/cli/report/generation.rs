//! `epsiloscope report generation`: Fréchet distances of generated to real pictures.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{finish, require_new_in};
use crate::cli::console::{picture_bar, say, stop_on_signals};
use crate::cli::synthesis::SynthesisFlags;
use crate::cli::{ModelList, class_number, default_feature_models, default_models};
use crate::compute::{Backend, Compute};
use crate::counterfactual::real_classes;
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::model::{Classifier, tensor_values};
use crate::synthesis::{
    ClassGaussians, ClassObjective, Gaussian, Start, Synthesis, SynthesisInputs, SynthesisRun,
    Task, activations, frechet,
};
use crate::tasks::CancelToken;

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

/// The file of the report.
const FILE: &str = "report-generation.json";

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
    /// Settings of the last class; `None` if no model was measured before a stop.
    synthesis: Option<Synthesis>,
    lines: Vec<FrechetRow>,
}

/// A feature model with the Gaussian of the real test pictures in its representation.
struct FeatureModel {
    model: Classifier,
    real: Gaussian,
    /// Height and width of the pictures.
    size: [usize; 2],
}

impl GenerationArguments {
    /// Computes, prints and writes the report.
    ///
    /// All feature models see the pictures at the size at which they are generated.
    pub fn run(&self) -> Result<()> {
        let device = Compute::open(&self.backend)?.device;
        let models = self.models.classifiers(&device)?;
        let feature_models = self.feature_models.classifiers(&device)?;
        let size = common_size(&models)?;
        for feature_model in &feature_models {
            feature_model.require_size(size)?;
        }
        require_new_in(self.out.as_deref(), &[FILE])?;
        let train = Dataset::open(&self.data, Split::Train, size)?;
        let test = Dataset::open(&self.data, Split::Test, size)?;
        let stop = stop_on_signals();
        let class_gaussians = class_gaussians(&models, &train, size)?;
        self.check_starts(&models, &class_gaussians)?;
        let real = planes_of(&test);
        let real = |model: Classifier| {
            let real = gaussian(&model, &real, size)?;
            Ok(FeatureModel { model, real, size })
        };
        let feature_models: Vec<FeatureModel> = feature_models
            .into_iter()
            .map(real)
            .collect::<Result<_>>()?;
        let mut lines = vec![self.floor(train, &feature_models)?];
        let mut synthesis = None;
        for model in &models {
            let Some((pictures, config)) = self.generate(model, &class_gaussians, &stop)? else {
                break;
            };
            synthesis = Some(config);
            lines.push(line(
                model.manifest().name.clone(),
                &feature_models,
                &pictures,
            )?);
        }
        let report = GenerationReport {
            per_class: self.per_class,
            synthesis,
            lines,
        };
        finish(self.out.as_deref(), FILE, &report, &stop)
    }

    /// Checks that every class has a start, before hours of work.
    fn check_starts(&self, models: &[Classifier], class_gaussians: &ClassGaussians) -> Result<()> {
        let task = Task::Generate {
            class: 0,
            objective: self.objective,
        };
        if self.settings.synthesis(task).start != Start::ClassGaussian {
            return Ok(());
        }
        let missing = models
            .iter()
            .flat_map(classes_of)
            .find(|label| !class_gaussians.knows(label));
        missing.map_or(Ok(()), |label| {
            let folder = &self.data;
            let reason = format!("fewer than two training pictures of the class {label}");
            Err(Error::data(folder, reason))
        })
    }

    /// As many real training pictures as are generated.
    fn floor(&self, mut train: Dataset, feature_models: &[FeatureModel]) -> Result<FrechetRow> {
        train.subsample(self.per_class * train.classes.len());
        line(
            "real training pictures".into(),
            feature_models,
            &planes_of(&train),
        )
    }

    /// Pictures of all classes, and the settings of the last; `None` when stopped.
    fn generate(
        &self,
        model: &Classifier,
        class_gaussians: &ClassGaussians,
        stop: &CancelToken,
    ) -> Result<Option<(Vec<Vec<f32>>, Synthesis)>> {
        let labels = classes_of(model);
        let bar = picture_bar(&model.manifest().name, labels.len() * self.per_class);
        let mut pictures = Vec::new();
        let mut last = None;
        for label in labels {
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
                    class_gaussians: Some(class_gaussians),
                    ..SynthesisInputs::default()
                };
                let mut run = SynthesisRun::new(&config, model, &material)?;
                while !run.finished() {
                    if stop.is_cancelled() {
                        bar.finish_and_clear();
                        return Ok(None);
                    }
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
        Ok(Some((pictures, config)))
    }
}

/// Height and width of the pictures that all models see.
fn common_size(models: &[Classifier]) -> Result<[usize; 2]> {
    let sizes: Vec<[usize; 2]> = models.iter().map(|model| model.manifest().input).collect();
    let first = *sizes
        .first()
        .ok_or_else(|| Error::Config("no model to measure".into()))?;
    let other = sizes.iter().position(|size| *size != first);
    other.map_or(Ok(first), |at| {
        let [a, b] = [0, at].map(|at| &models[at].manifest().name);
        let reason = format!("{a} and {b} see pictures of different sizes: measure them in turn");
        Err(Error::Config(reason))
    })
}

/// The labels of a model that are classes of pictures.
fn classes_of(model: &Classifier) -> &[String] {
    let labels = &model.manifest().labels;
    &labels[..real_classes(labels)]
}

/// The bundled Gaussians where they know all classes of the models, else Gaussians of the training pictures.
fn class_gaussians(
    models: &[Classifier],
    train: &Dataset,
    size: [usize; 2],
) -> Result<ClassGaussians> {
    let mut labels = models.iter().flat_map(classes_of);
    if let Some(bundled) = ClassGaussians::bundled(size)?
        && labels.all(|label| bundled.knows(label))
    {
        return Ok(bundled);
    }
    let pictures = (0..train.len()).map(|at| (train.labels[at], train.unit_planes(at)));
    Ok(ClassGaussians::fit(&train.classes, size, pictures))
}

fn planes_of(data: &Dataset) -> Vec<Vec<f32>> {
    (0..data.len()).map(|at| data.unit_planes(at)).collect()
}

/// Computes and prints the Fréchet distances of some pictures to the real ones.
fn line(
    name: String,
    feature_models: &[FeatureModel],
    pictures: &[Vec<f32>],
) -> Result<FrechetRow> {
    let mut distances = Vec::new();
    for feature_model in feature_models {
        let made = gaussian(&feature_model.model, pictures, feature_model.size)?;
        let distance = frechet(&made, &feature_model.real);
        let by = feature_model.model.manifest().name.clone();
        say!("{name}: Fréchet distance {distance:.2} in the representation of {by}");
        distances.push((by, distance));
    }
    Ok(FrechetRow {
        pictures: name,
        distances,
    })
}

/// The Gaussian of pictures in the representation of a model.
fn gaussian(model: &Classifier, pictures: &[Vec<f32>], size: [usize; 2]) -> Result<Gaussian> {
    let rows: Vec<Vec<f32>> = pictures
        .chunks(AT_ONCE)
        .flat_map(|some| activations(model, None, size, some.concat()))
        .collect();
    let fitted = Gaussian::fit(rows.iter().map(Vec::as_slice));
    fitted.ok_or_else(|| Error::Config("two pictures at least are needed".into()))
}
