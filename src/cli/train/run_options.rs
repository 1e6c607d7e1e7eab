//! Where a training writes, and how it runs: options of `train` and of `train counterfactual`.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::Args;

use crate::cli::console::{is_quiet, may_overwrite, say, stop_on_signals, stopped};
use crate::compute::{Backend, Compute};
use crate::error::{Error, Result};
use crate::train::{CHECKPOINT, TrainingOutcome, TrainingWatch};

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
        if self.resume && may_overwrite() {
            let reason = "--resume continues a training, --overwrite starts a new one".to_owned();
            return Err(Error::Config(reason));
        }
        if checkpoint.exists() && !self.resume && !may_overwrite() {
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

    /// The device, and how Ctrl-C stops the training.
    pub(super) fn start(&self) -> Result<(Device, TrainingWatch)> {
        let device = Compute::open(&self.backend)?.device;
        let watch = TrainingWatch {
            cancel: stop_on_signals(),
            quiet: is_quiet(),
        };
        Ok((device, watch))
    }
}

/// Tells where the model of a training is.
///
/// # Errors
/// [`Error::Stopped`] with how to go on, for a training that was stopped.
pub(super) fn finished(outcome: TrainingOutcome) -> Result<PathBuf> {
    match outcome {
        TrainingOutcome::Finished(path) => {
            say!("the model is in {}", path.display());
            Ok(path)
        }
        TrainingOutcome::Interrupted(path) => {
            let path = path.display();
            Err(stopped(format!("continue from {path} with --resume")))
        }
    }
}
