//! What runs models on this machine's graphics adapter: a self-test once for each adapter, driver and version of the program,
//! and its verdict, kept in a small file.

mod self_test;
mod table;
mod verdict;

use std::path::Path;
use std::time::Duration;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::{ConvolutionAlgorithm, ModelRef, zoo};

pub use self_test::{Candidate, TestNetwork, measure};
pub use table::{outcome, table};
pub use verdict::{Measurement, Outcome, Verdict};

/// The longest time that a self-test begins new work.
const LIMIT: Duration = Duration::from_secs(10);

/// A graphics adapter with its driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapter {
    /// What the driver calls it.
    pub name: String,
    /// The graphics interface: Vulkan, Metal, DirectX 12.
    pub backend: String,
    /// The driver and its version.
    pub driver: String,
    /// Whether it is emulated in software.
    pub is_software: bool,
}

impl Adapter {
    /// What wgpu knows of an adapter.
    pub(super) fn new(info: &wgpu::AdapterInfo) -> Self {
        Self {
            name: info.name.clone(),
            backend: info.backend.to_string(),
            driver: format!("{} {}", info.driver, info.driver_info)
                .trim()
                .into(),
            is_software: info.device_type == wgpu::DeviceType::Cpu,
        }
    }
}

impl std::fmt::Display for Adapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.backend)
    }
}

/// A graphics adapter that is open, and what was decided on it.
#[derive(Clone, Debug)]
pub struct TestedAdapter {
    /// The adapter.
    pub adapter: Adapter,
    /// Its device, whether or not models run there.
    pub device: Device,
    /// What runs models; `None` where nobody decided.
    pub verdict: Option<Verdict>,
}

/// What models run on and, on a graphics adapter, how their convolutions are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Execution {
    /// The CPU.
    Cpu,
    /// The graphics adapter.
    Gpu(ConvolutionAlgorithm),
}

impl Execution {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let on_gpu = ConvolutionAlgorithm::ALL.into_iter().map(Self::Gpu);
        std::iter::once(Self::Cpu).chain(on_gpu)
    }

    /// Name in commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu(algorithm) => algorithm.name(),
        }
    }
}

impl std::str::FromStr for Execution {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "cpu" => Ok(Self::Cpu),
            name => name.parse().map(Self::Gpu),
        }
    }
}

/// Measures everything that can run models, and keeps the verdict in `folder` if it is one of a real adapter.
///
/// # Errors
/// As [`zoo::open`], and [`crate::error::Error::Io`] when nothing can be written there.
pub fn test(
    adapter: &Adapter,
    device: &Device,
    models: &[ModelRef],
    folder: Option<&Path>,
) -> Result<Verdict> {
    // Emulation in software never wins, and its numbers are of no use later.
    let folder = folder.filter(|_| !adapter.is_software);
    if let Some(folder) = folder {
        // Where the driver ends the program, the next run knows.
        Verdict::unfinished(adapter.clone()).keep(folder)?;
    }
    let networks = TestNetwork::open(models, device)?;
    let candidates: Vec<Candidate> = Execution::all().map(Candidate::new).collect();
    let measured = measure(&networks, &candidates, LIMIT);
    let verdict = Verdict::of(adapter.clone(), measured);
    if let Some(folder) = folder {
        verdict.keep(folder)?;
    }
    Ok(verdict)
}

impl TestedAdapter {
    /// The verdict of a self-test with the models that the program opens first; `None` where none could be made.
    pub(super) fn first_test(&self, folder: Option<&Path>) -> Option<Verdict> {
        let adapter = &self.adapter;
        tracing::info!("testing {adapter}, once for this driver and version of the program");
        let tested = test(adapter, &self.device, &first_models(), folder);
        tested.map_err(|error| tracing::warn!("{error}")).ok()
    }
}

/// The models that a self-test runs: those that the program opens first, a small one, and one of depthwise convolutions.
pub fn first_models() -> Vec<ModelRef> {
    let first = zoo::SETS[0].references().into_iter().take(1);
    let others = [SMALL, zoo::JUDGE].map(ModelRef::from);
    first.chain(others).collect()
}

/// A network of few and small layers.
const SMALL: &str = "cifar10-standard";
