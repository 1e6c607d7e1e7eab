//! `epsiloscope report counterfactual`: quality of counterfactuals, segmentation, robustness and
//! uncertainty over several seeds.

mod generator_quality;
mod segmentation;
mod table;
mod test_set;
mod uncertainty;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::Args;
use serde::Serialize;

use super::{require_new_in, stopped_in, write_json};
use crate::cli::console::{answer, say, stop_on_signals};
use crate::cli::model_list::ModelList;
use crate::compute::{Backend, Compute};
use crate::data::mask::GroundTruthMask;
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::evaluate::masks::resized;
use crate::files::write_atomically;
use crate::model::{ModelRef, UNetConfig};
use crate::train::counterfactual::example_sheet;
use crate::train::segmentation::{SegmentationConfig, SegmentationData, cross_validated};
use table::{ReportTable, markdown};
use test_set::TestSet;

/// Index of the table of robust accuracy.
const RESILIENCE: usize = 1;

/// The files of the report.
const JSON: &str = "report-counterfactual.json";
const TEXT: &str = "report-counterfactual.md";
const EXAMPLES: &str = "report-counterfactual.png";

#[derive(Serialize)]
struct CounterfactualReport<'a> {
    models: &'a [ModelRef],
    ordinary: &'a [ModelRef],
    robust: &'a [ModelRef],
    /// Number of attacked pictures.
    attacked: usize,
    seeds: &'a [Vec<ReportTable>],
}

/// Evaluate counterfactuals, masks, robustness and uncertainty on the test pictures, over several seeds.
#[derive(Debug, Args)]
pub struct CounterfactualReportArguments {
    /// Folder of the data set: train/CLASS/FILE, test/CLASS/FILE, and masks of damaged test pictures
    /// under the same names in a folder whose name contains “mask”.
    #[arg(long)]
    data: PathBuf,
    /// Counterfactual models, one for each seed: ids of bundled ones or paths of files.
    #[arg(long, required = true)]
    models: ModelList,
    /// Ordinary classifiers for the same pictures, one for each seed.
    #[arg(long, default_value_t)]
    ordinary: ModelList,
    /// Adversarially trained classifiers, one for each seed.
    #[arg(long, default_value_t)]
    robust: ModelList,
    /// Number of test pictures to attack.
    #[arg(long, default_value_t = 200)]
    attacked: usize,
    /// Number of damaged test pictures to explain.
    #[arg(long, default_value_t = 100_000)]
    explained: usize,
    /// Epochs of the U-Net trained on masks; 0 leaves it out.
    #[arg(long, default_value_t = 40)]
    ceiling_epochs: usize,
    /// Folder for report-counterfactual.md and .json, and .png with examples.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Where models run: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    backend: Backend,
}

impl CounterfactualReportArguments {
    /// Computes, prints and writes the report.
    pub fn run(&self) -> Result<()> {
        let device = Compute::open(&self.backend)?.device;
        let out = self.out.as_deref();
        require_new_in(out, &[JSON, TEXT, EXAMPLES])?;
        let scenes = self.scenes(&device)?;
        let stop = stop_on_signals();
        let mut seeds: Vec<Vec<ReportTable>> = Vec::new();
        for (seed, test_set) in scenes.iter().enumerate() {
            if let (0, Some(folder)) = (seed, out) {
                let path = folder.join(EXAMPLES);
                example_sheet::write(&path, &test_set.model.generator, &test_set.data)?;
            }
            tracing::info!("{}", self.models[seed]);
            let ceiling = self.ceiling(test_set, seed as u64, &device);
            seeds.push(self.tables(test_set, ceiling.as_deref())?);
            // Intermediate results are written, in case a later seed fails.
            self.write(&seeds)?;
            if stop.is_cancelled() && seeds.len() < scenes.len() {
                say!("{}", self.report(&seeds));
                return Err(stopped_in(out, "the seeds that were measured to the end"));
            }
        }
        say!("{}", self.report(&seeds));
        answer(&self.facts(&seeds))
    }

    fn facts<'a>(&'a self, seeds: &'a [Vec<ReportTable>]) -> CounterfactualReport<'a> {
        CounterfactualReport {
            models: &self.models,
            ordinary: &self.ordinary,
            robust: &self.robust,
            attacked: self.attacked,
            seeds,
        }
    }

    fn write(&self, seeds: &[Vec<ReportTable>]) -> Result<()> {
        if let Some(folder) = &self.out {
            let text = self.report(seeds);
            write_atomically(&folder.join(TEXT), text.as_bytes())?;
        }
        write_json(self.out.as_deref(), JSON, &self.facts(seeds))
    }

    /// Opens all models and pictures first, so that errors in them are reported before computing.
    fn scenes(&self, device: &Device) -> Result<Vec<TestSet>> {
        for (flag, models) in [("--ordinary", &self.ordinary), ("--robust", &self.robust)] {
            if !models.is_empty() && models.len() != self.models.len() {
                let reason = format!("{flag} needs as many models as --models, or none");
                return Err(Error::Config(reason));
            }
        }
        // The background of expected gradients is of training pictures.
        let [train, test] = [Split::Train, Split::Test];
        if Dataset::has_split(&self.data, test) && !Dataset::has_split(&self.data, train) {
            let reason = "it has no folder named train, whose pictures expected gradients need";
            return Err(Error::data(&self.data, reason));
        }
        let test_set = |(seed, model): (usize, &ModelRef)| {
            let (ordinary, robust) = (self.ordinary.get(seed), self.robust.get(seed));
            TestSet::open(model, ordinary, robust, &self.data, device)
        };
        let scenes: Vec<TestSet> = self
            .models
            .iter()
            .enumerate()
            .map(test_set)
            .collect::<Result<_>>()?;
        if scenes
            .iter()
            .any(|test_set| test_set.data.size != scenes[0].data.size)
        {
            let reason = "the models of the seeds have different input sizes".into();
            return Err(Error::Config(reason));
        }
        Ok(scenes)
    }

    fn tables(&self, test_set: &TestSet, ceiling: Option<&[Vec<f32>]>) -> Result<Vec<ReportTable>> {
        let [accuracy, f1] = uncertainty::resilience(test_set, self.attacked);
        let mut tables = vec![
            generator_quality::classification(test_set),
            accuracy,
            f1,
            generator_quality::counterfactuals(test_set),
            generator_quality::faithfulness(test_set),
        ];
        if test_set.masks.iter().any(Option::is_some) {
            let table = segmentation::segmentation(test_set, &self.data, self.explained, ceiling)?;
            tables.push(table);
        }
        tables.extend(uncertainty::uncertainty(test_set, self.attacked));
        Ok(tables)
    }

    fn report(&self, seeds: &[Vec<ReportTable>]) -> String {
        let resilience = seeds.iter().map(|tables| tables[RESILIENCE].clone());
        let verdict = uncertainty::verdict(&resilience.collect::<Vec<_>>());
        let count = seeds.first().map_or(0, Vec::len);
        let of_seeds = |index: usize| -> Vec<ReportTable> {
            seeds.iter().map(|tables| tables[index].clone()).collect()
        };
        let tables: Vec<String> = (0..count).map(|index| markdown(&of_seeds(index))).collect();
        let seeds = match seeds.len() {
            1 => "one seed".into(),
            count => format!("{count} seeds: mean ± standard deviation"),
        };
        format!(
            "# Counterfactuals, {seeds}\n\n{verdict}\n\n{}",
            tables.join("\n")
        )
    }

    /// Cross-validated maps of a U-Net trained on ground-truth masks.
    fn ceiling(&self, test_set: &TestSet, seed: u64, device: &Device) -> Option<Vec<Vec<f32>>> {
        let pictures = segmentation::masked(test_set, self.explained);
        if self.ceiling_epochs == 0 || pictures.is_empty() {
            return None;
        }
        let size = test_set.data.size;
        let mask = |truth: &GroundTruthMask| {
            let values: Vec<f32> = truth
                .inside
                .iter()
                .map(|&inside| f32::from(u8::from(inside)))
                .collect();
            let small = resized(&values, truth.size, size);
            small
                .iter()
                .map(|&value| f32::from(u8::from(value >= 0.5)))
                .collect()
        };
        let masked = SegmentationData {
            pictures: pictures
                .iter()
                .map(|(at, _)| test_set.data.unit_planes(*at))
                .collect(),
            masks: pictures.iter().map(|(_, truth)| mask(truth)).collect(),
            groups: pictures
                .iter()
                .map(|(at, _)| photograph(&test_set.data.names[*at]))
                .collect(),
            size,
        };
        let config = SegmentationConfig {
            network: UNetConfig {
                width: 16,
                levels: size.map(usize::trailing_zeros).into_iter().min()?.min(3) as usize,
                outputs: 1,
                classes: 0,
            },
            epochs: self.ceiling_epochs,
            seed,
        };
        if masked.groups.iter().all(|group| *group == masked.groups[0]) {
            tracing::warn!(
                "all pictures are of one photograph, so there are no two folds to train a U-Net on"
            );
            return None;
        }
        let said = |epoch| tracing::info!("U-Net trained on masks: epoch {epoch}");
        Some(cross_validated(&masked, &config, device, said))
    }
}

/// Name of the photograph from which a patch was cut: the patch's name without the last two numbers.
fn photograph(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut parts: Vec<&str> = name.split('_').collect();
    parts.truncate(parts.len().saturating_sub(2).max(1));
    parts.join("_")
}
