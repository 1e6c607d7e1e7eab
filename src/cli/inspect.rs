//! `epsiloscope inspect`: architecture, normaliser, labels and training of a model file.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::Args;

use crate::error::{Error, Result};
use crate::model::{ModelRef, Precision, zoo};

/// Most class names that are printed.
const LISTED: usize = 12;

/// Print architecture, normaliser and labels of a model.
#[derive(Debug, Args)]
pub struct InspectArguments {
    /// A bundled model's id or a file: safetensors, PyTorch, ONNX, or a description in TOML.
    model: ModelRef,
    /// Also write the model to this file in this program's own format, safetensors in half precision, with
    /// all that is printed; the file must not exist.
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
        println!("name        {}", manifest.name);
        println!("network     {}", manifest.architecture);
        println!("input       {w}×{h} pixels");
        println!(
            "normaliser  mean {:?}, deviation {:?}",
            normalizer.mean, normalizer.std
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
        println!("labels      {}{more}", labels.join(", "));
        println!("training    {}", manifest.training);
        for note in &manifest.notes {
            println!("note        {note}");
        }
        for assumption in &manifest.assumptions {
            println!("assumed     {assumption}");
        }
        match &self.save {
            Some(path) => self.save(path),
            None => Ok(()),
        }
    }

    fn save(&self, path: &Path) -> Result<()> {
        if path.exists() {
            return Err(Error::io(path, "write", "it exists already"));
        }
        let source = zoo::source(&self.model, &Device::flex())?;
        source.into_weights().write(path, Precision::Half)
    }
}
