//! `epsiloscope graphics`: what runs models on this machine's graphics adapter, and how that was measured.

use clap::Args;

use super::console::{answer, say};
use super::model_list::ModelList;
use crate::compute::graphics::{self, Adapter, Execution, TestedAdapter, Verdict};
use crate::compute::{Backend, Compute};
use crate::error::{Error, Result};
use crate::files::data_folder;

/// Print the self-test of the graphics adapter: what each way to run models took, and which one is used.
#[derive(Debug, Args)]
pub struct GraphicsArguments {
    /// The adapter: wgpu for the first one, or a part of its name.
    #[arg(long, default_value_t = Backend::Wgpu)]
    backend: Backend,
    /// Test again, whatever is known.
    #[arg(long)]
    test: bool,
    /// The models of the test; by default the bundled ones that the window opens first, a small one, and one with depthwise
    /// convolutions.
    #[arg(long, requires = "test")]
    models: Option<ModelList>,
    /// Have models run this way from now on: cpu, burn, matrix-product or shaders.
    #[arg(long = "use", value_name = "WAY")]
    choice: Option<Execution>,
}

impl GraphicsArguments {
    /// Prints the verdict, after a test where one is asked for.
    pub fn run(&self) -> Result<()> {
        let compute = Compute::open_untested(&self.backend)?;
        let TestedAdapter {
            adapter, device, ..
        } = compute
            .adapter
            .as_ref()
            .ok_or_else(|| Error::Device("there is no graphics adapter".into()))?;
        let folder = data_folder();
        let folder = folder.as_deref();
        let mut verdict = match self.test {
            true => {
                let models = match &self.models {
                    Some(models) => models.to_vec(),
                    None => graphics::first_models(),
                };
                Some(graphics::test(adapter, device, &models, folder)?)
            }
            false => match folder {
                Some(folder) => Verdict::find(folder, adapter)?,
                None => None,
            },
        };
        if let Some(choice) = self.choice {
            let chosen = match verdict {
                Some(verdict) => verdict.chosen(choice),
                None => Verdict::by_person(adapter.clone(), choice),
            };
            if let Some(folder) = folder {
                chosen.keep(folder)?;
            }
            verdict = Some(chosen);
        }
        print(adapter, verdict.as_ref());
        answer(&verdict)
    }
}

fn print(adapter: &Adapter, verdict: Option<&Verdict>) {
    match verdict {
        Some(verdict) => say!("{}", graphics::table(verdict).trim_end()),
        None => say!("{adapter}\nnot tested yet with this driver and version; --test does it now"),
    }
    if adapter.is_software {
        say!("It is emulated in software: models run on the CPU where nothing else is asked for.");
    }
}
