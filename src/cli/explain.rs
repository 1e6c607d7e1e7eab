//! `epsiloscope explain`: attribution maps of one picture as files, or their quality over a data set.

mod options;
mod table;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::console::{answer_in, require_new, say};
use super::model_list::ModelList;
use super::pictures::{enlarged, save_png};
use super::{AttackOptions, class_number, default_models, file_stems};
use crate::attack::{Attack, Goal};
use crate::attribution::{Attribution, Curves, Explanation, Gap, Target, gini};
use crate::compute::{
    AttributionRequest, Backend, Blend, Compute, HeatMap, HeatStyle, ModelInput, Palette, Runner,
    Sign,
};
use crate::data::Picture;
use crate::error::Result;
use crate::evaluate::top_two;
use crate::export::arrays::npy;
use crate::files::write_atomically;
use crate::model::Classifier;
use options::MethodOptions;

/// Compute attribution maps of one picture, or their quality over a data set.
///
/// For a picture: writes MODEL.npy (values, channels × height × width), MODEL.png (the overlay) and
/// explain.json. With --data: prints how faithful, concise and stable each model's maps are, and
/// writes explain.json and explain.csv (one line a picture).
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// The picture to explain.
    #[arg(required_unless_present = "data", conflicts_with = "data")]
    picture: Option<PathBuf>,
    /// Folder of a data set; its test (or val) split is used.
    #[arg(long)]
    data: Option<PathBuf>,
    /// With --data: number of pictures, evenly spaced over the set.
    #[arg(long, default_value_t = 200)]
    limit: usize,
    /// Folder for the results.
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Models to explain: ids of bundled ones or paths of files, with commas between.
    #[arg(long, alias = "model", default_value_t = default_models())]
    models: ModelList,
    #[command(flatten)]
    method: MethodOptions,
    /// Name of the true class.
    #[arg(long)]
    truth: Option<String>,
    /// Explain the attacked picture; with --data, the maps of clean and attacked pictures are compared.
    #[arg(long)]
    attacked: bool,
    #[command(flatten)]
    attack: AttackOptions,
    /// Signs of the attributions that the overlay shows.
    #[arg(long, value_enum, default_value_t)]
    sign: Sign,
    /// Colour map of the overlay.
    #[arg(long, value_enum, default_value_t)]
    palette: Palette,
    /// What the overlay is drawn over.
    #[arg(long, value_enum, default_value_t)]
    blend: Blend,
    /// Magnification of the overlay.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    zoom: u32,
    /// Where models run: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    backend: Backend,
}

/// Results for one picture and model in explain.json.
#[derive(Serialize)]
struct Facts {
    model: String,
    explanation: Explanation,
    target: Target,
    class: String,
    predicted: String,
    attack: Option<Attack>,
    gap: Option<Gap>,
    /// Relative Monte-Carlo standard error of the map.
    relative_error: Option<f32>,
    evaluations: usize,
    gini: f32,
    deletion_area: f32,
    insertion_area: f32,
    curves: Curves,
}

impl ExplainArguments {
    /// Explains the picture, or evaluates the maps of the data set.
    pub fn run(&self) -> Result<()> {
        let mut runner = Runner::new(Compute::open(&self.backend)?.device);
        let models = self.models.open(runner.models())?;
        let Some(picture) = &self.picture else {
            let classifiers = models.into_iter().map(|model| model.classifier);
            return table::run(self, &classifiers.collect::<Vec<_>>());
        };
        let picture = Picture::open(picture)?;
        let mut all = Vec::new();
        let stems = file_stems(models.iter().map(|model| model.name()));
        let facts_file = self.out.join("explain.json");
        let maps = stems.iter().flat_map(|stem| self.files(stem));
        require_new(maps.chain([facts_file.clone()]))?;
        for ((reference, model), stem) in self.models.iter().zip(&models).zip(&stems) {
            let input = ModelInput::new(reference, &picture, self.truth.clone());
            let facts = self.explain(&mut runner, &model.classifier, input, stem)?;
            say!(
                "{}: {} of {}, deletion {:.3}, insertion {:.3}, gap {} of the score",
                facts.model,
                facts.explanation,
                facts.class,
                facts.deletion_area,
                facts.insertion_area,
                facts.gap.map_or_else(
                    || "–".into(),
                    |gap| format!("{:.2} %", 100.0 * gap.relative())
                )
            );
            all.push(facts);
        }
        answer_in(&facts_file, &all)
    }

    /// The files of a model's map: its values, and the overlay.
    fn files(&self, stem: &str) -> [PathBuf; 2] {
        ["npy", "png"].map(|kind| self.out.join(format!("{stem}.{kind}")))
    }

    fn explain(
        &self,
        runner: &mut Runner,
        model: &Classifier,
        input: ModelInput,
        stem: &str,
    ) -> Result<Facts> {
        let labels = &model.manifest().labels;
        let explanation = self.method.explanation(model.manifest())?;
        if let Some(truth) = &self.truth {
            class_number(model, truth)?;
        }
        explanation.validate(model.classes(), model.manifest().input)?;
        let attack = self.attacked.then(|| self.attack.attack(Goal::Untargeted));
        let prediction = runner.predict(input.clone())?;
        let (picture, probabilities) = match &attack {
            Some(attack) => {
                let attacked = runner.attack(input.clone(), attack.clone())?;
                (attacked.picture, attacked.probabilities)
            }
            None => (prediction.input, prediction.probabilities),
        };
        let likeliest = top_two(&probabilities);
        let (explained, curves) = runner.explain(AttributionRequest {
            model: input.model,
            picture: picture.clone(),
            likeliest,
            label: prediction.label,
            epsilon: attack.as_ref().map_or(0.0, |attack| attack.epsilon),
            reference: self.method.reference(&explanation.method)?,
            explanation: explanation.clone(),
            background: Vec::new(),
        })?;
        let (target, map) = (explained.request.target(), &explained.attribution);
        self.write(stem, map, picture.planes())?;
        Ok(Facts {
            model: model.manifest().name.clone(),
            target,
            class: labels[target.class].clone(),
            predicted: labels[likeliest[0]].clone(),
            attack,
            gap: map.gap,
            relative_error: map.relative_error(),
            evaluations: map.evaluations,
            gini: gini(&map.pixels()),
            deletion_area: curves.deletion_area(),
            insertion_area: curves.insertion_area(),
            curves,
            explanation,
        })
    }

    fn write(&self, stem: &str, map: &Attribution, picture: &[f32]) -> Result<()> {
        let [h, w] = map.size;
        let shape = [map.channels, h, w];
        let [values_file, overlay_file] = self.files(stem);
        write_atomically(&values_file, &npy(&shape, &map.values))?;
        let style = HeatStyle {
            sign: self.sign,
            palette: self.palette,
            blend: self.blend,
            ..HeatStyle::default()
        };
        let heat = HeatMap::new(map.pixels(), map.size);
        let scale = heat.scale(&style);
        let painted = style.paint(picture, &heat, scale);
        let (planes, whole) = enlarged(&painted, [h, w], self.zoom);
        save_png(&overlay_file, &planes, whole)
    }
}
