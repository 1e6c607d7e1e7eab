//! Where a training writes, and how it runs: options of `train` and of `train counterfactual`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use clap::Args;

use crate::compute::{Backend, Compute};
use crate::error::{Error, Result};
use crate::train::{CHECKPOINT, Interrupt};

/// Output and execution of a training.
#[derive(Debug, Args)]
pub(super) struct RunOptions {
    /// Folder for checkpoint.safetensors, metrics.csv and model.safetensors.
    // An option only because it is not given before a subcommand, where another one is.
    #[arg(long, required = true)]
    pub(super) out: Option<PathBuf>,
    /// Resume from the checkpoint in the output folder, with its settings.
    #[arg(long)]
    pub(super) resume: bool,
    /// Start a new training even if the output folder contains a checkpoint.
    #[arg(long, conflicts_with = "resume")]
    pub(super) overwrite: bool,
    /// Mixed precision with bfloat16 activations: faster on processors that support it; libtorch only.
    #[cfg(feature = "tch")]
    #[arg(long)]
    pub(super) mixed: bool,
    /// Back end: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    pub(super) backend: Backend,
}

impl RunOptions {
    /// The output folder.
    pub(super) fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new("."))
    }

    /// Refuses to overwrite a checkpoint without --overwrite.
    pub(super) fn check(&self, out: &Path) -> Result<()> {
        let checkpoint = out.join(CHECKPOINT);
        if checkpoint.exists() && !self.resume && !self.overwrite {
            let reason =
                "it exists already; --resume continues from it, --overwrite starts a new training";
            return Err(Error::io(&checkpoint, "write", reason));
        }
        Ok(())
    }

    /// Whether the training into `out` is resumed; of several, those without a checkpoint are started.
    pub(super) fn resumes(&self, out: &Path) -> bool {
        self.resume && (out == self.out() || out.join(CHECKPOINT).exists())
    }

    /// Whether to train in mixed precision.
    pub(super) fn mixed(&self) -> bool {
        #[cfg(feature = "tch")]
        return self.mixed;
        #[cfg(not(feature = "tch"))]
        false
    }

    /// The device, and a flag that Ctrl-C sets.
    pub(super) fn start(&self) -> Result<(Device, Interrupt)> {
        let device = Compute::open(&self.backend)?.device;
        let interrupt = Arc::new(AtomicBool::new(false));
        let flag = interrupt.clone();
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
            .map_err(|error| Error::Config(format!("cannot listen for Ctrl-C: {error}")))?;
        Ok((device, interrupt))
    }
}
