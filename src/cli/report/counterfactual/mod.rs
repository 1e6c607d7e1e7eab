//! `epsiloscope report counterfactual`: what reviewers of paper B asked.

mod doubt;
mod scene;
mod segmentation;
mod table;
mod turning;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::Args;

use super::write_json;
use crate::device::{Backend, Compute};
use crate::error::Result;
use crate::evaluate::masks::resized;
use crate::model::{UNetConfig, write_atomically};
use crate::train::segmentation::{Masked, SegmentationConfig, cross_validated};
use scene::Scene;
use table::{Table, markdown};

/// Scores counterfactuals, masks, resilience and doubt on the test pictures, over several seeds.
#[derive(Debug, Args)]
pub struct CounterfactualArguments {
    /// Folder of the data set: train/CLASS/FILE, test/CLASS/FILE, and masks of damaged test pictures
    /// under the same names in a folder whose name holds “mask”.
    #[arg(long)]
    data: PathBuf,
    /// Models of counterfactuals, one a seed: ids of bundled ones or paths of files.
    #[arg(long, value_delimiter = ',', required = true)]
    models: Vec<String>,
    /// Ordinary classifiers of the same pictures, one a seed.
    #[arg(long, value_delimiter = ',')]
    ordinary: Vec<String>,
    /// Adversarially trained classifiers, one a seed.
    #[arg(long, value_delimiter = ',')]
    robust: Vec<String>,
    /// Attack this many test pictures.
    #[arg(long, default_value_t = 200)]
    attacked: usize,
    /// Explain this many damaged test pictures.
    #[arg(long, default_value_t = 100_000)]
    explained: usize,
    /// Epochs of the U-Net trained on masks; 0 leaves it out.
    #[arg(long, default_value_t = 40)]
    ceiling_epochs: usize,
    /// Folder for report-counterfactual.md and .json.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Where the models run.
    #[arg(long, value_enum, default_value_t)]
    backend: Backend,
}

impl CounterfactualArguments {
    /// Measures, prints and writes.
    pub fn run(&self) -> Result<()> {
        let device = Compute::open(self.backend)?.device;
        let mut seeds: Vec<Vec<Table>> = Vec::new();
        let mut ceiling = None;
        for (seed, model) in self.models.iter().enumerate() {
            let (ordinary, robust) = (self.ordinary.get(seed), self.robust.get(seed));
            let scene = Scene::open(model, ordinary, robust, &self.data, &device)?;
            if seed == 0 && self.ceiling_epochs > 0 {
                ceiling = self.ceiling(&scene, &device);
            }
            tracing::info!("{model}");
            seeds.push(self.tables(&scene, ceiling.as_deref())?);
        }
        let text = self.report(&seeds);
        println!("{text}");
        if let Some(folder) = &self.out {
            write_atomically(&folder.join("report-counterfactual.md"), text.as_bytes())?;
        }
        write_json(self.out.as_deref(), "report-counterfactual.json", &seeds)
    }

    fn tables(&self, scene: &Scene, ceiling: Option<&[Vec<f32>]>) -> Result<Vec<Table>> {
        let mut tables = vec![
            turning::classification(scene),
            turning::counterfactuals(scene),
            turning::faithfulness(scene),
        ];
        if scene.masks.iter().any(Option::is_some) {
            let table = segmentation::segmentation(scene, &self.data, self.explained, ceiling)?;
            tables.push(table);
        }
        tables.extend(doubt::resilience(scene, self.attacked));
        tables.extend(doubt::uncertainty(scene, self.attacked));
        Ok(tables)
    }

    fn report(&self, seeds: &[Vec<Table>]) -> String {
        let count = seeds.first().map_or(0, Vec::len);
        let of_seeds = |index: usize| -> Vec<Table> {
            seeds.iter().map(|tables| tables[index].clone()).collect()
        };
        let tables: Vec<String> = (0..count).map(|index| markdown(&of_seeds(index))).collect();
        let seeds = match self.models.len() {
            1 => "one seed".into(),
            count => format!("{count} seeds: mean ± standard deviation"),
        };
        format!("# Counterfactuals, {seeds}\n\n{}", tables.join("\n"))
    }

    /// Maps of a network trained on true masks, of pictures it was not trained on.
    fn ceiling(&self, scene: &Scene, device: &Device) -> Option<Vec<Vec<f32>>> {
        let pictures = segmentation::masked(scene, self.explained);
        let size = scene.data.size;
        let mask = |truth: &crate::evaluate::masks::TrueMask| {
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
        let masked = Masked {
            pictures: pictures
                .iter()
                .map(|(at, _)| scene.data.unit_planes(*at))
                .collect(),
            masks: pictures.iter().map(|(_, truth)| mask(truth)).collect(),
            groups: pictures
                .iter()
                .map(|(at, _)| photograph(&scene.data.names[*at]))
                .collect(),
            size,
        };
        let config = SegmentationConfig {
            network: UNetConfig {
                width: 16,
                levels: 3,
                outputs: 1,
                classes: 0,
            },
            epochs: self.ceiling_epochs,
            seed: 0,
        };
        let several = masked.groups.iter().any(|group| *group != masked.groups[0]);
        several.then(|| {
            let said = |epoch| tracing::info!("U-Net trained on masks: epoch {epoch}");
            cross_validated(&masked, &config, device, said)
        })
    }
}

/// The photograph that a patch was cut from: its name without the last two numbers.
fn photograph(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut parts: Vec<&str> = name.split('_').collect();
    parts.truncate(parts.len().saturating_sub(2).max(1));
    parts.join("_")
}
