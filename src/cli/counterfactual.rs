//! `epsiloscope counterfactual`: counterfactuals of one picture, their change maps and masks, as files.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::console::{answer_in, require_new, say};
use super::mask::open_mask;
use super::model_list::ModelList;
use super::pictures::save_png;
use super::{class_number, default_models, file_stems};
use crate::attack::Norm;
use crate::compute::{
    Backend, CachedModel, Compute, CounterfactualMethod, CounterfactualRequest,
    CounterfactualResult, GpuImage, HeatStyle, Runner,
};
use crate::counterfactual::{DescentSettings, GeneratorManifest, GeneratorRef, Overlap, overlap};
use crate::data::mask::{self, GroundTruthMask, MaskFinder};
use crate::data::{Crop, Picture};
use crate::error::{Error, Result};
use crate::evaluate::masks::resized;
use crate::model::{Classifier, ModelRef};

/// Compute counterfactuals of a picture: what it would look like as another class, for each model.
///
/// Writes MODEL-counterfactual.png, MODEL-back.png, MODEL-change.png, MODEL-mask.png and
/// counterfactual.json.
#[derive(Debug, Args)]
pub struct CounterfactualArguments {
    /// The picture to change.
    picture: PathBuf,
    /// Models: ids of bundled ones or paths of files, with commas between.
    #[arg(long, alias = "model", default_value_t = default_models())]
    models: ModelList,
    /// How; by default the generator of models that have one, descent for others.
    #[arg(long, value_enum)]
    method: Option<MethodName>,
    /// Generators in files of their own, as `train counterfactual --classifier` writes them, with commas between;
    /// each is used for the model that it was made for.
    #[arg(long, value_delimiter = ',')]
    generator: Vec<PathBuf>,
    /// The target class; by default the likeliest class other than the predicted one.
    #[arg(long)]
    target: Option<String>,
    /// Norm of the ball around the picture within which a descent changes it.
    #[arg(long, value_enum, default_value_t = Norm::L2)]
    norm: Norm,
    /// Its radius, in units of pixels in [0, 1]; by default L2 6, L1.5 16 or L∞ 24/255 at 64×64 pixels, and as
    /// much for each value at other sizes.
    #[arg(long, value_parser = crate::attack::parse_epsilon)]
    radius: Option<f32>,
    /// Gradient steps of a descent.
    #[arg(long, default_value_t = DescentSettings::default().steps)]
    steps: usize,
    /// Threshold of the change above which a pixel belongs to the mask; by default Otsu's.
    #[arg(long)]
    threshold: Option<f32>,
    /// Ground-truth mask, white on black; by default a file of the same name in a nearby folder whose name
    /// contains “mask”.
    #[arg(long)]
    mask: Option<PathBuf>,
    /// Change the picture only where this one, of the same shape, is white.
    #[arg(long)]
    within: Option<PathBuf>,
    /// Change it only where the picture of --within is not white.
    #[arg(long, requires = "within")]
    outside: bool,
    /// Folder for the results.
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Where models run: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    backend: Backend,
}

/// How counterfactuals are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MethodName {
    /// By the generator that was trained for a model, or with it.
    Generator,
    /// By descent on pixels.
    Descent,
}

/// Results for one model in `counterfactual.json`.
#[derive(Serialize)]
struct Facts {
    model: String,
    method: &'static str,
    labels: Vec<String>,
    source: String,
    target: String,
    /// Probabilities in the order of `labels`, for the picture, its counterfactual, and the translation back.
    seen: [Vec<f32>; 3],
    /// Probabilities of the generator's classification head for the picture.
    head: Option<Vec<f32>>,
    /// Norm in which the next three are measured, in units of pixels in [0, 1].
    norm: Norm,
    length: f32,
    /// Length of the change where the prediction flips on the straight way to the counterfactual.
    flips_at: Option<f32>,
    /// The same where the target class first has a probability of 0.9.
    sure_at: Option<f32>,
    /// Mean absolute change.
    change: f32,
    perceptual: Option<f32>,
    threshold: f32,
    masked: f64,
    overlap: Option<Overlap>,
}

impl CounterfactualArguments {
    /// Computes the counterfactuals and writes all files.
    pub fn run(&self) -> Result<()> {
        let mut runner = Runner::new(Compute::open(&self.backend)?.device);
        let picture = Picture::open(&self.picture)?;
        let opened = self.models.open(runner.models())?;
        let stems = file_stems(opened.iter().map(|model| model.name()));
        let facts_file = self.out.join("counterfactual.json");
        let pictures = stems.iter().flat_map(|stem| {
            let names = ["counterfactual", "back", "change", "mask"];
            names.map(|name| self.file(stem, name))
        });
        require_new(pictures.chain([facts_file.clone()]))?;
        let mut all = Vec::new();
        let generators = self.generators(&opened)?;
        for (((reference, model), generator), stem) in
            self.models.iter().zip(&opened).zip(generators).zip(&stems)
        {
            let request = self.request(reference, model, generator, &picture)?;
            let answer = runner.counterfactual(request)?;
            let facts = self.facts(&answer, &model.classifier)?;
            self.write(&answer, &facts, stem)?;
            print(&facts);
            all.push(facts);
        }
        answer_in(&facts_file, &all)
    }

    /// The file of a model's picture of this name.
    fn file(&self, stem: &str, name: &str) -> PathBuf {
        self.out.join(format!("{stem}-{name}.png"))
    }

    /// The generator of each model that has one.
    ///
    /// # Errors
    /// [`Error::Model`] for a file that is no generator or was made for none of the models.
    fn generators(&self, models: &[CachedModel]) -> Result<Vec<Option<GeneratorRef>>> {
        let own = |model: &CachedModel| model.generator.as_ref().map(|_| GeneratorRef::WithModel);
        let mut generators: Vec<Option<GeneratorRef>> = models.iter().map(own).collect();
        for path in &self.generator {
            let made_for = GeneratorManifest::read(path)?.classifier;
            let is_for =
                |model: &CachedModel| model.fingerprint.to_string() == made_for.fingerprint;
            let place = models.iter().position(is_for).ok_or_else(|| {
                let reason = format!(
                    "this generator was made for {} (BLAKE3 {}), which is none of the models",
                    made_for.name, made_for.fingerprint
                );
                Error::model(path, reason)
            })?;
            generators[place] = Some(GeneratorRef::File(path.clone()));
        }
        Ok(generators)
    }

    fn request(
        &self,
        reference: &ModelRef,
        model: &CachedModel,
        generator: Option<GeneratorRef>,
        picture: &Picture,
    ) -> Result<CounterfactualRequest> {
        let input = model.classifier.manifest().input;
        let manifest = model.classifier.manifest();
        let planes = manifest.planes_of(&picture.cropped_whole(input));
        let target = self.target.as_ref();
        let target = target.map(|name| class_number(&model.classifier, name));
        let descent = CounterfactualMethod::Descent(DescentSettings {
            norm: self.norm,
            radius: self.radius,
            steps: self.steps,
        });
        let method = match (self.method, generator) {
            (Some(MethodName::Descent), _) | (None, None) => descent,
            // Without a generator the model's own is missed by name.
            (_, generator) => {
                CounterfactualMethod::Generator(generator.unwrap_or(GeneratorRef::WithModel))
            }
        };
        Ok(CounterfactualRequest {
            model: reference.clone(),
            picture: GpuImage::from_planes(planes, input),
            epsilon: 0.0,
            target: target.transpose()?,
            method,
            mask: open_mask(self.within.as_deref(), self.outside, picture)?
                .map(|mask| (mask, Crop::default())),
            attempt: 0,
        })
    }

    fn facts(&self, answer: &CounterfactualResult, model: &Classifier) -> Result<Facts> {
        let labels = &model.manifest().labels;
        let threshold = self.threshold.unwrap_or(answer.otsu);
        let change = answer.heat.values();
        let masked = change.iter().filter(|value| **value > threshold).count();
        let length = answer.length();
        let back = answer.back.as_ref();
        let back = back.map_or_else(Vec::new, |back| back.probabilities.clone());
        Ok(Facts {
            model: model.manifest().name.clone(),
            method: match answer.request.method {
                CounterfactualMethod::Generator(_) => "generator",
                CounterfactualMethod::Descent(_) => "descent",
            },
            labels: labels.clone(),
            source: labels[answer.source].clone(),
            target: labels[answer.target].clone(),
            seen: [answer.seen(0.0), answer.seen(1.0), back],
            head: answer.head.clone(),
            norm: answer.norm(),
            length,
            flips_at: answer.flip().map(|share| share * length),
            sure_at: answer.sure().map(|share| share * length),
            change: answer.change(),
            perceptual: answer
                .distances
                .as_ref()
                .map(|distances| distances.perceptual),
            threshold,
            masked: masked as f64 / change.len().max(1) as f64,
            overlap: self.overlap(answer, threshold)?,
        })
    }

    /// Writes a model's pictures, whose names begin with `stem`.
    fn write(&self, answer: &CounterfactualResult, facts: &Facts, stem: &str) -> Result<()> {
        let size = answer.picture.size();
        let change = answer.heat.values();
        let white = change
            .iter()
            .map(|&value| f32::from(u8::from(value > facts.threshold)));
        let white: Vec<f32> = white.collect();
        let style = HeatStyle::default();
        let scale = answer.heat.scale(&style);
        let coloured = style.paint(answer.request.picture.planes(), &answer.heat, scale);
        let write = |name: &str, planes: &[f32]| save_png(&self.file(stem, name), planes, size);
        write("counterfactual", answer.picture.planes())?;
        if let Some(back) = &answer.back {
            write("back", back.picture.planes())?;
        }
        write("change", &coloured)?;
        write("mask", &[white.clone(), white.clone(), white].concat())
    }

    /// Overlap with the ground-truth mask, at its own resolution, if there is one.
    fn overlap(&self, answer: &CounterfactualResult, threshold: f32) -> Result<Option<Overlap>> {
        let found = || MaskFinder::default().find(&self.picture);
        let Some(path) = self.mask.clone().or_else(found) else {
            return Ok(None);
        };
        let original = Picture::open(&self.picture)?.original;
        let truth = GroundTruthMask::of(&mask::open(&path, original)?, answer.picture.size());
        let map = resized(answer.heat.values(), answer.picture.size(), truth.size);
        Ok(Some(overlap(
            map.iter().map(|&value| value > threshold),
            truth.inside.into_iter(),
        )))
    }
}

fn print(facts: &Facts) {
    say!("{}, by {}:", facts.model, facts.method);
    let percent = |seen: &[f32]| {
        let mut sorted: Vec<(&String, &f32)> = facts.labels.iter().zip(seen).collect();
        sorted.sort_by(|a, b| b.1.total_cmp(a.1));
        let words = sorted.into_iter().take(MOST_CLASSES);
        let words = words.map(|(label, value)| format!("{label} {:.1} %", value * 100.0));
        words.collect::<Vec<_>>().join(", ")
    };
    let names = ["picture", "counterfactual", "translated back"];
    for (name, seen) in names.iter().zip(&facts.seen) {
        say!("  {name}: {}", percent(seen));
    }
    let norm = facts.norm;
    let lengths = [("flips at", facts.flips_at), ("sure at", facts.sure_at)];
    let lengths = lengths.into_iter().filter_map(|(what, length)| {
        length.map(|length| format!(", {what} {}", norm.format(length)))
    });
    say!(
        "  {} to {}, {norm} {}{}, mean change {:.4}, mask {:.1} % of the pixels above {:.3}",
        facts.source,
        facts.target,
        norm.format(facts.length),
        lengths.collect::<String>(),
        facts.change,
        facts.masked * 100.0,
        facts.threshold
    );
    if let Some(Overlap {
        iou,
        dice,
        precision,
        recall,
    }) = facts.overlap
    {
        say!("  IoU {iou:.3}, Dice {dice:.3}, precision {precision:.3}, recall {recall:.3}");
    }
}

/// Classes that are printed of each prediction.
const MOST_CLASSES: usize = 5;
