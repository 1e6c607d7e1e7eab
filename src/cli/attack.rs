//! `epsiloscope attack`: adversarial attacks on one picture, written as files.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::console::{answer_in, require_new, say};
use super::mask::open_mask;
use super::model_list::ModelList;
use super::pictures::save_png;
use super::{AttackOptions, class_number, default_models, file_stems};
use crate::attack::patch::{PatchShape, patch_attack};
use crate::attack::{Attack, Goal, Norm, parse_number};
use crate::compute::{
    AttackResult, Backend, Compute, ModelInput, PatchRequest, PredictionResult, Runner,
    flipped_before, flips,
};
use crate::data::Picture;
use crate::data::mask::{binary_mask, share_inside};
use crate::error::{Error, Result};
use crate::evaluate::top;
use crate::files::write_atomically;
use crate::model::Classifier;
use crate::session::patch_mask;

/// Writes MODEL-attacked.png, MODEL-perturbation.png and attack.json; of a patch also MODEL-mask.png.
#[derive(Debug, Args)]
pub struct AttackArguments {
    /// The picture to attack.
    picture: PathBuf,
    /// Folder for the results.
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Models to attack: ids of bundled ones or paths of files, with commas between.
    #[arg(long, default_value_t = default_models())]
    models: ModelList,
    /// Name of the true class; by default the predicted one.
    #[arg(long = "class")]
    truth: Option<String>,
    /// Name of the target class of a targeted attack.
    #[arg(long)]
    target: Option<String>,
    /// Attack only where this picture, of the same shape as the one attacked, is white.
    #[arg(long)]
    mask: Option<PathBuf>,
    /// Attack only where the picture of --mask is not white.
    #[arg(long, requires = "mask")]
    outside: bool,
    /// Attack inside a patch, where every value is allowed (L∞ with ε 1): square or disk, its side as a share of what
    /// the model sees, and its middle as shares from the left and from the top, for instance disk:0.25:0.5,0.5;
    /// without a middle the best place is searched for every model.
    #[arg(long, conflicts_with_all = ["mask", "eps", "norm", "attack_method", "step_size"], value_parser = Patch::parse)]
    patch: Option<Patch>,
    /// Factor by which the written perturbation is amplified, around grey.
    #[arg(long, default_value_t = 10.0)]
    gain: f32,
    #[command(flatten)]
    options: AttackOptions,
    /// Where models run: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    backend: Backend,
}

/// A patch as given on the command line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Patch {
    shape: PatchShape,
    /// Side, as a share of the shorter side of what the model sees.
    side: f32,
    /// Middle, as shares of what the model sees.
    middle: Option<[f32; 2]>,
}

impl Patch {
    fn parse(text: &str) -> Result<Self, String> {
        let usual = "a patch is square or disk, its side in (0, 1] and, if wanted, its middle, such as disk:0.25:0.5,0.5";
        let refused = || usual.to_owned();
        let share = |text: &str| parse_number(text).filter(|share| (0.0..=1.0).contains(share));
        let mut parts = text.split(':');
        let shape = parts.next().unwrap_or_default();
        let shape = PatchShape::from_str(shape, true).map_err(|_| refused())?;
        let side = parts.next().and_then(share).filter(|side| *side > 0.0);
        let middle = match parts.next() {
            None => None,
            Some(text) => {
                let (x, y) = text.split_once(',').ok_or_else(refused)?;
                Some([x, y].map(share).map(|at| at.ok_or_else(refused)))
            }
        };
        let middle = match middle {
            Some([x, y]) => Some([x?, y?]),
            None => None,
        };
        match (side, parts.next()) {
            (Some(side), None) => Ok(Self {
                shape,
                side,
                middle,
            }),
            _ => Err(refused()),
        }
    }
}

/// Results for one model in `attack.json`.
#[derive(Serialize)]
struct Facts {
    model: String,
    attack: Attack,
    /// Share of the picture that the attack could change, where that is not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mask_share: Option<f32>,
    /// Left, top, right and bottom of the patch, as shares of what the model sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<[f32; 4]>,
    label: String,
    clean: Vec<Confidence>,
    attacked: Vec<Confidence>,
    predicted_clean: String,
    /// Prediction in a new forward pass on the adversarial picture.
    predicted_attacked: String,
    /// Whether the clean prediction already satisfied the attack's goal, which then counts as no success.
    flipped_before: bool,
    success: bool,
    linf: f32,
    l2: f32,
    inside_box: bool,
}

#[derive(Serialize)]
struct Confidence {
    class: String,
    probability: f32,
}

impl AttackArguments {
    /// Attacks the picture with every model.
    pub fn run(&self) -> Result<()> {
        let mut runner = Runner::new(Compute::open(&self.backend)?.device);
        let models = self.models.open(runner.models())?;
        let picture = Picture::open(&self.picture)?;
        let stems = file_stems(models.iter().map(|model| model.name()));
        let facts_file = self.out.join("attack.json");
        let pictures = stems.iter().flat_map(|stem| self.files(stem));
        require_new(pictures.chain([facts_file.clone()]))?;
        let mask = open_mask(self.mask.as_deref(), self.outside, &picture)?;
        let mut all = Vec::new();
        for ((reference, model), stem) in self.models.iter().zip(&models).zip(stems) {
            let input = ModelInput {
                attack_mask: mask.clone(),
                ..ModelInput::new(reference, &picture, self.truth.clone())
            };
            all.push(self.attack(&mut runner, &model.classifier, input, &stem)?);
        }
        for facts in &all {
            say!(
                "{}: {} → {} ({}), L∞ {}, L2 {}",
                facts.model,
                facts.predicted_clean,
                facts.predicted_attacked,
                verdict(facts),
                Norm::Linf.format(facts.linf),
                Norm::L2.format(facts.l2)
            );
        }
        answer_in(&facts_file, &all)
    }

    /// The files of the attacked picture, of the perturbation and, of a patch, of its mask.
    fn files(&self, stem: &str) -> Vec<PathBuf> {
        let names = ["attacked", "perturbation", "mask"].into_iter();
        let names = names.take(if self.patch.is_some() { 3 } else { 2 });
        names
            .map(|name| self.out.join(format!("{stem}-{name}.png")))
            .collect()
    }

    /// Where the patch is, as shares of what the model sees: where it was put, or the best place.
    fn place(
        &self,
        runner: &mut Runner,
        patch: Patch,
        (input, attack): (&ModelInput, &Attack),
        size: [usize; 2],
    ) -> Result<[f32; 4]> {
        let request = PatchRequest {
            input: input.clone(),
            attack: attack.clone(),
            shape: patch.shape,
            side: patch.side,
        };
        let pixels = request.side_in(size) as f32;
        if let Some([x, y]) = patch.middle {
            let [height, width] = size.map(|side| pixels / side as f32 / 2.0);
            return Ok([x - width, y - height, x + width, y + height]);
        }
        let found = runner.search_patch(request)?.place;
        found.ok_or_else(|| Error::Config("no place was found for the patch".into()))
    }

    /// Attacks one model; the names of its pictures begin with `stem`.
    fn attack(
        &self,
        runner: &mut Runner,
        model: &Classifier,
        mut input: ModelInput,
        stem: &str,
    ) -> Result<Facts> {
        let class = |name: &String| class_number(model, name);
        self.truth.as_ref().map(class).transpose()?;
        let goal = match &self.target {
            Some(name) => Goal::Targeted(class(name)?),
            None => Goal::Untargeted,
        };
        let mut attack = self.options.attack(goal);
        let size = model.manifest().input;
        let mut place = None;
        if let Some(patch) = self.patch {
            attack = patch_attack(&attack);
            let found = self.place(runner, patch, (&input, &attack), size)?;
            let mask = patch_mask((&input.picture, input.crop), size, patch.shape, found);
            write_atomically(&self.files(stem)[2], &mask.png())?;
            (input.attack_mask, place) = (Some(mask), Some(found));
        }
        let mask = input.attack_mask.as_ref();
        let inside = mask.map(|mask| binary_mask(mask, input.crop, size));
        let mask_share = inside.map(|inside| share_inside(inside.into_iter()));
        let prediction = runner.predict(input.clone())?;
        let attacked = runner.attack(input, attack.clone())?;
        let size = attacked.picture.size();
        let perturbation: Vec<f32> = attacked
            .picture
            .planes()
            .iter()
            .zip(prediction.input.planes())
            .map(|(after, before)| 0.5 + self.gain * (after - before))
            .collect();
        let files = self.files(stem);
        save_png(&files[0], attacked.picture.planes(), size)?;
        save_png(&files[1], &perturbation, size)?;
        Ok(Facts {
            mask_share,
            patch: place,
            ..facts(&prediction, &attacked, attack)
        })
    }
}

fn verdict(facts: &Facts) -> &'static str {
    match (facts.flipped_before, facts.success) {
        (true, _) => "no attack needed: the clean prediction already meets the goal",
        (false, true) => "the attack succeeds",
        (false, false) => "the attack fails",
    }
}

fn facts(prediction: &PredictionResult, attacked: &AttackResult, attack: Attack) -> Facts {
    let labels = &prediction.manifest.labels;
    let confidences = |probabilities: &[f32]| {
        let pairs = labels.iter().zip(probabilities);
        pairs
            .map(|(class, &probability)| Confidence {
                class: class.clone(),
                probability,
            })
            .collect()
    };
    Facts {
        model: prediction.manifest.name.clone(),
        mask_share: None,
        patch: None,
        label: labels[prediction.label].clone(),
        clean: confidences(&prediction.probabilities),
        attacked: confidences(&attacked.probabilities),
        predicted_clean: labels[top(&prediction.probabilities)].clone(),
        predicted_attacked: labels[top(&attacked.probabilities)].clone(),
        flipped_before: flipped_before(&attack, prediction),
        success: !flipped_before(&attack, prediction)
            && flips(&attack, prediction.label, &attacked.probabilities),
        linf: attacked.linf,
        l2: attacked.l2,
        inside_box: attacked.inside_box,
        attack,
    }
}
