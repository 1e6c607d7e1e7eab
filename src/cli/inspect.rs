//! `epsiloscope inspect`: architecture, normaliser, labels and training of a model file.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::Args;

use super::console::{answer, require_new, say};
use crate::error::Result;
use crate::model::{ModelRef, Precision, zoo};

/// Most class names that are printed.
const LISTED: usize = 12;

/// Print architecture, normaliser and labels of a model.
#[derive(Debug, Args)]
pub struct InspectArguments {
    /// A bundled model's id or a file: safetensors, PyTorch, ONNX, or a description in TOML.
    model: ModelRef,
    /// Also write the model to this file in this program's own format, safetensors in half precision, with
    /// all that is printed.
    #[arg(long)]
    save: Option<PathBuf>,
}

impl InspectArguments {
    /// Prints the manifest, with what was recognised and what was assumed.
    pub fn run(&self) -> Result<()> {
        let model = zoo::open(&self.model, &Device::flex())?;
        let manifest = model.manifest();
        let [h, w] = manifest.input;
        let normalizer = manifest.normalizer;
        say!("name        {}", manifest.name);
        say!("network     {}", manifest.architecture);
        say!("input       {w}×{h} pixels");
        say!(
            "normaliser  mean {:?}, deviation {:?}",
            normalizer.mean,
            normalizer.std
        );
        let labels: Vec<&str> = manifest
            .labels
            .iter()
            .map(String::as_str)
            .take(LISTED)
            .collect();
        let more = manifest.labels.len().saturating_sub(LISTED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        say!("labels      {}{more}", labels.join(", "));
        say!("training    {}", manifest.training);
        for note in &manifest.notes {
            say!("note        {note}");
        }
        for assumption in &manifest.assumptions {
            say!("assumed     {assumption}");
        }
        if let Some(path) = &self.save {
            self.save(path)?;
        }
        answer(manifest)
    }

    fn save(&self, path: &Path) -> Result<()> {
        require_new([path.into()])?;
        let source = zoo::source(&self.model, &Device::flex())?;
        source.into_weights().write(path, Precision::Half)
    }
}
