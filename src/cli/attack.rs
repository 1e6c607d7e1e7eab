//! `epsiloscope attack`: adversarial attacks on one picture, written as files.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::console::{answer_in, require_new, say};
use super::model_list::ModelList;
use super::pictures::save_png;
use super::{AttackOptions, class_number, default_models, file_stems};
use crate::attack::{Attack, Goal, Norm};
use crate::compute::{
    AttackResult, Backend, Compute, ModelInput, PredictionResult, Runner, flipped_before, flips,
};
use crate::data::Picture;
use crate::error::Result;
use crate::evaluate::top;
use crate::model::Classifier;

/// Writes MODEL-attacked.png, MODEL-perturbation.png and attack.json.
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
    /// Factor by which the written perturbation is amplified, around grey.
    #[arg(long, default_value_t = 10.0)]
    gain: f32,
    #[command(flatten)]
    options: AttackOptions,
    /// Where models run: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    backend: Backend,
}

/// Results for one model in `attack.json`.
#[derive(Serialize)]
struct Facts {
    model: String,
    attack: Attack,
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
        let mut all = Vec::new();
        for ((reference, model), stem) in self.models.iter().zip(&models).zip(stems) {
            let input = ModelInput::new(reference, &picture, self.truth.clone());
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

    /// The files of the attacked picture and of the perturbation of a model.
    fn files(&self, stem: &str) -> [PathBuf; 2] {
        ["attacked", "perturbation"].map(|name| self.out.join(format!("{stem}-{name}.png")))
    }

    /// Attacks one model; the names of its pictures begin with `stem`.
    fn attack(
        &self,
        runner: &mut Runner,
        model: &Classifier,
        input: ModelInput,
        stem: &str,
    ) -> Result<Facts> {
        let class = |name: &String| class_number(model, name);
        self.truth.as_ref().map(class).transpose()?;
        let goal = match &self.target {
            Some(name) => Goal::Targeted(class(name)?),
            None => Goal::Untargeted,
        };
        let attack = self.options.attack(goal);
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
        let [attacked_file, perturbation_file] = self.files(stem);
        save_png(&attacked_file, attacked.picture.planes(), size)?;
        save_png(&perturbation_file, &perturbation, size)?;
        Ok(facts(&prediction, &attacked, attack))
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
