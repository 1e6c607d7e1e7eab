//! `epsiloscope invert`, `generate` and `neuron`: image synthesis by each model, as files.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, RgbImage};
use serde::Serialize;

use super::console::{answer_in, require_new, say};
use super::model_list::ModelList;
use super::pictures::{enlarged, save_png};
use super::{class_number, default_models, file_stems};
use crate::compute::{Backend, Compute, GpuImage, Place, Runner, SynthesisRequest};
use crate::data::picture::{montage, montage_part, unit_planes};
use crate::data::{Crop, Picture};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::model::{Classifier, ModelRef};
use crate::synthesis::{
    ClassObjective, Distances, Iterate, IterateHistory, Start, Synthesis, Task, Unit, distances,
    lock,
};

/// Representation inversion: make a picture that each model represents as it does another.
///
/// Writes MODEL-invert.png, MODEL-invert.gif (the progress) and invert.json.
#[derive(Debug, Args)]
pub struct InvertArguments {
    /// The picture to invert.
    picture: PathBuf,
    /// Invert the feature map after this stage, 0 for the stem, instead of the pooled representation.
    #[arg(long)]
    stage: Option<usize>,
    #[command(flatten)]
    options: Options,
}

/// Class-specific generation: make pictures of a class by optimisation.
///
/// Writes MODEL-generate.png, MODEL-generate.gif (the progress) and generate.json.
#[derive(Debug, Args)]
pub struct GenerateArguments {
    /// Name of the class.
    class: String,
    /// Objective to maximise.
    #[arg(long, alias = "aim", value_enum, default_value_t)]
    objective: ClassObjective,
    /// Start from this picture: image-to-image.
    #[arg(long)]
    picture: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

/// Neuron visualisation: make pictures that maximise the activation of one unit.
///
/// Writes MODEL-neuron.png, MODEL-neuron.gif (the progress) and neuron.json.
#[derive(Debug, Args)]
pub struct NeuronArguments {
    /// Index of the coordinate of the representation, or of the channel of the stage, from 0.
    unit: usize,
    /// Use a channel of the feature map after this stage, 0 for the stem.
    #[arg(long)]
    stage: Option<usize>,
    /// Start from this picture.
    #[arg(long)]
    picture: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

/// Default settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SynthesisPreset {
    /// The settings of arXiv 2307.02500.
    Paper,
    /// Momentum, annealed steps, preconditioning and total variation: better pictures in fewer steps.
    Fast,
}

/// The settings of a synthesis, each of which overrides the preset's.
#[derive(Clone, Debug, Args)]
pub(super) struct SynthesisFlags {
    /// Preset of the settings below.
    #[arg(long, value_enum, default_value_t = SynthesisPreset::Paper)]
    preset: SynthesisPreset,
    /// Initial picture.
    #[arg(long, value_enum)]
    start: Option<Start>,
    /// Radius of the L2 ball around the start, in units of pixels in [0, 1].
    #[arg(long)]
    radius: Option<f32>,
    /// Step size: L2 norm of a step.
    #[arg(long)]
    step: Option<f32>,
    /// Number of steps.
    #[arg(long)]
    iterations: Option<usize>,
    /// Momentum, at least 0 and below 1.
    #[arg(long)]
    momentum: Option<f32>,
    /// Whether to anneal the step size to 0 along half a cosine.
    #[arg(long)]
    anneal: Option<bool>,
    /// Weight of the total variation.
    #[arg(long)]
    variation: Option<f32>,
    /// Exponent of the spectral preconditioner, by which high frequencies are damped.
    #[arg(long)]
    spectrum: Option<f32>,
    /// Jitter: largest random shift of the picture before each gradient, in pixels.
    #[arg(long)]
    jitter: Option<usize>,
    /// Whether gradients pass the last ReLU unchanged (fake ReLU).
    #[arg(long)]
    fake_relu: Option<bool>,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl SynthesisFlags {
    /// The settings for `task`.
    pub(super) fn synthesis(&self, task: Task) -> Synthesis {
        let base = Synthesis {
            task,
            ..Synthesis::paper_inversion()
        };
        let preset = match self.preset {
            SynthesisPreset::Paper => base.paper(),
            SynthesisPreset::Fast => base.fast(),
        };
        Synthesis {
            task: base.task,
            start: self.start.unwrap_or(preset.start),
            radius: self.radius.unwrap_or(preset.radius),
            step: self.step.unwrap_or(preset.step),
            iterations: self.iterations.unwrap_or(preset.iterations),
            momentum: self.momentum.unwrap_or(preset.momentum),
            anneal: self.anneal.unwrap_or(preset.anneal),
            variation: self.variation.unwrap_or(preset.variation),
            spectrum: self.spectrum.unwrap_or(preset.spectrum),
            jitter: self.jitter.unwrap_or(preset.jitter),
            fake_relu: self.fake_relu.unwrap_or(preset.fake_relu),
            seed: self.seed,
            ..preset
        }
    }
}

/// Options of all three commands.
#[derive(Debug, Args)]
struct Options {
    /// Folder for the results.
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Models: ids of bundled ones or paths of files, with commas between.
    #[arg(long, default_value_t = default_models())]
    models: ModelList,
    #[command(flatten)]
    settings: SynthesisFlags,
    /// The picture of `--start other`.
    #[arg(long)]
    other: Option<PathBuf>,
    /// Number of pictures, each from its own random start.
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// Model whose features measure the perceptual distance.
    #[arg(long, alias = "judge", default_value = "cifar10-robust")]
    feature_model: ModelRef,
    /// Magnification of the written pictures.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    zoom: u32,
    /// Number of frames of the GIF.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(2..=1000))]
    frames: u32,
    /// Where models run: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    backend: Backend,
}

/// Results of one model in the JSON file.
#[derive(Serialize)]
struct Facts {
    model: String,
    synthesis: Synthesis,
    /// Loss curve of each picture: pairs of iteration and loss.
    curves: Vec<Vec<(usize, f32)>>,
    iterations_per_second: f64,
    /// Distances to the inverted picture; the perceptual one by the features of `feature_model`.
    distances: Vec<Distances>,
    #[serde(rename = "judge")]
    feature_model: String,
}

impl InvertArguments {
    /// Inverts the picture by every model.
    pub fn run(&self) -> Result<()> {
        let stage = self.stage;
        let task = |_: &Classifier| Ok(Task::Invert { stage });
        self.options.run("invert", Some(&self.picture), task)
    }
}

impl GenerateArguments {
    /// Generates by every model.
    pub fn run(&self) -> Result<()> {
        let task = |model: &Classifier| {
            let class = class_number(model, &self.class)?;
            let objective = self.objective;
            Ok(Task::Generate { class, objective })
        };
        self.options.run("generate", self.picture.as_deref(), task)
    }
}

impl NeuronArguments {
    /// Visualises the unit of every model.
    pub fn run(&self) -> Result<()> {
        let unit = Unit {
            stage: self.stage,
            index: self.unit,
        };
        let task = |_: &Classifier| Ok(Task::Neuron(unit));
        self.options.run("neuron", self.picture.as_deref(), task)
    }
}

impl Options {
    fn run(
        &self,
        command: &str,
        picture: Option<&Path>,
        task: impl Fn(&Classifier) -> Result<Task>,
    ) -> Result<()> {
        let mut runner = Runner::new(Compute::open(&self.backend)?.device);
        let feature_model = runner.models().get(&self.feature_model)?.classifier;
        let open = |path: &Path| Picture::open(path);
        let picture = picture.map(open).transpose()?;
        let other = self.other.as_deref().map(open).transpose()?;
        let models = self.models.open(runner.models())?;
        let stems = file_stems(models.iter().map(|model| model.name()));
        let facts_file = self.out.join(format!("{command}.json"));
        let pictures = stems.iter().flat_map(|stem| {
            let files = self.files(&format!("{stem}-{command}"));
            files.into_iter()
        });
        require_new(pictures.chain([facts_file.clone()]))?;
        let mut all = Vec::new();
        for ((reference, model), stem) in self.models.iter().zip(&models).zip(&stems) {
            let size = model.classifier.manifest().input;
            let cut = |picture: &Picture| unit_planes(&picture.cropped(Crop::default(), size));
            let subject = picture.as_ref().map(cut);
            let mut config = self.settings.synthesis(task(&model.classifier)?);
            config.count = self.count;
            let inverts = matches!(config.task, Task::Invert { .. });
            if subject.is_some() && !inverts && self.settings.start.is_none() {
                config.start = Start::Current;
            }
            let request = SynthesisRequest {
                place: Place::on_screen(0),
                model: reference.clone(),
                config,
                subject: subject.map(|planes| GpuImage::from_planes(planes, size)),
                other: other.clone(),
                library: None,
                attempt: 0,
            };
            let names = format!("{stem}-{command}");
            let facts = self.make(&mut runner, &names, model.name(), request, &feature_model)?;
            let config = &facts.synthesis;
            say!("{}: {config}: {}", facts.model, describe(&facts));
            all.push(facts);
        }
        answer_in(&facts_file, &all)
    }

    /// The files of a model's picture and of the film of its iterations; their names begin with `names`.
    fn files(&self, names: &str) -> [PathBuf; 2] {
        ["png", "gif"].map(|kind| self.out.join(format!("{names}.{kind}")))
    }

    /// Makes the pictures of one model; the names of its files begin with `names`.
    fn make(
        &self,
        runner: &mut Runner,
        names: &str,
        model: &str,
        request: SynthesisRequest,
        feature_model: &Classifier,
    ) -> Result<Facts> {
        let started = std::time::Instant::now();
        let made = runner.synthesize(request)?;
        let seconds = started.elapsed().as_secs_f64();
        let (config, size) = (&made.request.config, made.size);
        let [picture_file, film_file] = self.files(names);
        let pixels = made.picture.planes();
        let (planes, whole) = enlarged(pixels, made.picture.size(), self.zoom);
        save_png(&picture_file, &planes, whole)?;
        let history = lock(&made.history);
        self.save_gif(&film_file, &history, config.count, size)?;
        let curve = |picture: usize| {
            let point = |kept: &Iterate| (kept.iteration, kept.losses[picture]);
            history.iter().map(point).collect()
        };
        let each = (0..config.count).map(|index| montage_part(pixels, config.count, index, size));
        let subject = made.request.subject.as_ref();
        Ok(Facts {
            model: model.to_owned(),
            curves: (0..config.count).map(curve).collect(),
            iterations_per_second: made.steps as f64 / seconds.max(1e-9),
            distances: subject.map_or_else(Vec::new, |subject| {
                each.map(|pixels| distances(feature_model, &pixels, subject.planes(), size))
                    .collect()
            }),
            feature_model: feature_model.manifest().name.clone(),
            synthesis: config.clone(),
        })
    }

    /// Writes the iterations as a looping GIF, with evenly spaced frames.
    fn save_gif(
        &self,
        path: &Path,
        history: &IterateHistory,
        count: usize,
        size: [usize; 2],
    ) -> Result<()> {
        let failed = |error: image::ImageError| Error::io(path, "write", error);
        let last = history.newest().map_or(0, |kept| kept.iteration);
        let frames = (self.frames as usize).min(history.len());
        let mut bytes = Vec::new();
        let mut film = GifEncoder::new(&mut bytes);
        film.set_repeat(Repeat::Infinite).map_err(failed)?;
        for frame in 0..frames {
            let iteration = frame * last / (frames - 1).max(1);
            let Some(kept) = history.at(iteration) else {
                continue;
            };
            let (planes, whole) = montage(&kept.unit_planes(), count, size);
            let (planes, [h, w]) = enlarged(&planes, whole, self.zoom);
            let image: RgbImage = crate::data::picture::to_rgb(&planes, [h, w]);
            let image = image::DynamicImage::from(image).into_rgba8();
            // The last frame is held longer.
            let pause = if frame + 1 == frames { 1500 } else { 60 };
            let delay = Delay::from_numer_denom_ms(pause, 1);
            film.encode_frame(image::Frame::from_parts(image, 0, 0, delay))
                .map_err(failed)?;
        }
        drop(film);
        write_atomically(path, &bytes)
    }
}

fn describe(facts: &Facts) -> String {
    let last = |curve: &Vec<(usize, f32)>| curve.last().map_or(f32::NAN, |(_, loss)| *loss);
    let losses: Vec<f32> = facts.curves.iter().map(last).collect();
    let mean = losses.iter().sum::<f32>() / losses.len().max(1) as f32;
    let result = match facts.synthesis.task {
        Task::Invert { .. } => format!("relative distance {mean:.3}"),
        Task::Generate {
            objective: ClassObjective::Logit,
            ..
        } => format!("logit {:.2}", -mean),
        Task::Generate { .. } => format!("probability {:.3}", (-mean).exp()),
        Task::Neuron(_) => format!("activation {:.3}", -mean),
    };
    let alike = facts.distances.first().map_or_else(String::new, |d| {
        format!(
            ", L2 {:.2}, SSIM {:.3}, perceptual {:.4} ({})",
            d.l2, d.ssim, d.perceptual, facts.feature_model
        )
    });
    let rate = facts.iterations_per_second;
    format!("{result}{alike}, {rate:.0} iterations/s")
}
