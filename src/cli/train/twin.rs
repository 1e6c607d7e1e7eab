//! The verdict on a robust twin: accuracy under PGD-20 beside the one-step accuracy of its training, and whether its
//! inversions look more like pictures than those of the model that it was made of.

use std::path::Path;

use burn::tensor::Device;
use serde::Serialize;

use crate::attack::Attack;
use crate::cli::console::say;
use crate::cli::report::inversion::measure;
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::evaluate::accuracy;
use crate::files::write_atomically;
use crate::model::{Classifier, Manifest, ModelRef, Precision, Weights, zoo};
use crate::synthesis::{Synthesis, Task};
use crate::train::{Phase, TrainConfig, TrainingStatus, record_phase};

/// Pictures that are attacked, and pictures that are inverted.
const ATTACKED: usize = 200;
const INVERTED: usize = 8;

/// Share of its clean accuracy that a robust model keeps under PGD-20.
const KEPT: f64 = 0.5;

/// `twin.json`.
#[derive(Serialize)]
struct Verdict {
    /// The attack, in words.
    attack: String,
    /// Number of test pictures.
    pictures: usize,
    /// Accuracy without an attack.
    clean: f64,
    /// Accuracy under the attack.
    robust: f64,
    /// Accuracy on the adversarial pictures of the last training steps, which weaker attacks made.
    training: Option<f64>,
    /// Mean SSIM of inversions of the twin to the inverted pictures, and of the original model's.
    inversion_ssim: f32,
    original_inversion_ssim: f32,
    /// Whether it keeps half of its accuracy and its inversions are nearer to the pictures.
    is_robust: bool,
}

/// Measures the twin in the file `model`, writes `twin.json` into `out`, names the model by the verdict and prints it.
///
/// # Errors
/// Where a model or the test pictures cannot be opened; recorded in the status of the training, too.
pub(super) fn judge(config: &TrainConfig, model: &Path, out: &Path, device: &Device) -> Result<()> {
    let judged = measure_and_name(config, model, out, device);
    if let Err(error) = &judged {
        record_phase(out, Phase::Failed, Some(error.to_string()))?;
    }
    judged
}

fn measure_and_name(config: &TrainConfig, model: &Path, out: &Path, device: &Device) -> Result<()> {
    let twin = zoo::open(&ModelRef::file(model), device)?;
    let manifest = twin.manifest().clone();
    let init = config.init.clone().unwrap_or_default();
    let original = zoo::open(&ModelRef::from(init.into_os_string()), device)?;
    let usual = config.monitoring_attack();
    let attack = Attack::pgd(usual.norm, usual.epsilon, 20);
    let mut data = Dataset::open(&config.data, Split::Test, manifest.input)?;
    data.subsample(ATTACKED);
    data.relabel(&manifest.labels)
        .map_err(|reason| Error::data(&config.data, reason))?;
    let (clean, robust) = (
        accuracy(&twin, &data, None),
        accuracy(&twin, &data, Some(&attack)),
    );
    let ssim = |model: &Classifier| -> Result<f32> {
        let mut data = Dataset::open(&config.data, Split::Test, model.manifest().input)?;
        data.subsample(INVERTED);
        let synthesis = Synthesis {
            task: Task::Invert { stage: None },
            ..Synthesis::paper_inversion().fast()
        };
        let values = measure(
            model,
            std::slice::from_ref(model),
            &data,
            &synthesis,
            |_| true,
        )?;
        Ok(values[2].iter().sum::<f32>() / values[2].len() as f32)
    };
    let (inversion_ssim, original_inversion_ssim) = (ssim(&twin)?, ssim(&original)?);
    let curve = TrainingStatus::read(out).map(|status| status.curve);
    let verdict = Verdict {
        attack: attack.to_string(),
        pictures: data.len(),
        clean,
        robust,
        training: curve.and_then(|curve| curve.last().map(|point| point.accuracy)),
        inversion_ssim,
        original_inversion_ssim,
        is_robust: robust >= KEPT * clean && inversion_ssim > original_inversion_ssim,
    };
    let text = serde_json::to_string_pretty(&verdict).expect("plain data");
    write_atomically(&out.join("twin.json"), text.as_bytes())?;
    let line = verdict.line();
    say!("{line}");
    rename(model, &original.manifest().name, &verdict, &line)?;
    record_phase(out, Phase::Finished, Some(line))
}

impl Verdict {
    fn line(&self) -> String {
        let training = self.training.map_or("–".into(), percent);
        let robust = if self.is_robust {
            "robust"
        } else {
            "not robust"
        };
        format!(
            "{robust}: {} clean, {} under {} on {} test pictures, {training} in training; SSIM of inversions {:.2}, of the original's {:.2}",
            percent(self.clean),
            percent(self.robust),
            self.attack,
            self.pictures,
            self.inversion_ssim,
            self.original_inversion_ssim
        )
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Calls the model in the file a robust twin if it earned that, and says in its manifest how it was measured.
fn rename(model: &Path, original: &str, verdict: &Verdict, line: &str) -> Result<()> {
    let mut weights = Weights::read(model)?;
    let manifest = Manifest::of(&weights).map_err(|reason| Error::model(model, reason))?;
    let name = if verdict.is_robust {
        format!("{original}, robust twin")
    } else {
        manifest.name.clone()
    };
    let manifest = Manifest {
        name,
        training: format!("{}; {line}", manifest.training),
        ..manifest
    };
    manifest.attach(&mut weights);
    weights.write(model, Precision::Half)
}
