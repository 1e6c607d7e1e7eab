//! Where tensors live: a real GPU through wgpu, or the CPU.

use burn::tensor::Device;
use burn_wgpu::WgpuSetup;
use pollster::block_on;

use super::graphics::{Adapter, Execution, TestedAdapter, Verdict};
use crate::error::{Error, Result};
use crate::files::data_folder;

/// What a person can ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// A real GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// wgpu (Vulkan, Metal, DirectX 12), even where it is emulated in software.
    Wgpu,
    /// The graphics adapter whose name holds this text, whatever it is.
    Adapter(String),
    /// The CPU.
    Cpu,
    /// libtorch on the CPU; for training.
    #[cfg(feature = "tch")]
    Libtorch,
    /// CUDA; for training.
    #[cfg(feature = "cuda")]
    Cuda,
}

impl std::str::FromStr for Backend {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => Self::Auto,
            "wgpu" => Self::Wgpu,
            "cpu" => Self::Cpu,
            #[cfg(feature = "tch")]
            "libtorch" => Self::Libtorch,
            #[cfg(feature = "cuda")]
            "cuda" => Self::Cuda,
            name => Self::Adapter(name.into()),
        })
    }
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Wgpu => "wgpu",
            Self::Adapter(name) => name,
            Self::Cpu => "cpu",
            #[cfg(feature = "tch")]
            Self::Libtorch => "libtorch",
            #[cfg(feature = "cuda")]
            Self::Cuda => "cuda",
        })
    }
}

/// A device for tensors and, where there is one, the graphics device to draw with.
pub struct Compute {
    /// Where models run.
    pub device: Device,
    /// The adapter, device and queue to draw with; the very ones `device` computes on when
    /// `on_gpu` is set. Without any, the window system has to find its own.
    pub graphics: Option<WgpuSetup>,
    /// Whether models run through wgpu.
    pub on_gpu: bool,
    /// The graphics adapter, and what was decided on it, if anything was.
    pub adapter: Option<TestedAdapter>,
    /// What it is, for people: the name of the GPU, or that the CPU stands in for one, and why.
    pub label: String,
}

impl Compute {
    /// Opens what `backend` asks for, and has models run as the self-test of its graphics adapter says, which is made if
    /// there was none. Call it once in a process.
    ///
    /// A software GPU (Mesa's lavapipe, say) draws but does not compute unless it is asked for: it
    /// is ten times slower than the CPU backend.
    ///
    /// # Errors
    /// [`Error::Device`] when a backend asked for by name is not there; [`Backend::Auto`] never
    /// fails.
    pub fn open(backend: &Backend) -> Result<Self> {
        let mut compute = Self::open_untested(backend)?;
        if let Some(tested) = &mut compute.adapter
            && tested.verdict.is_none()
            && !tested.adapter.is_software
        {
            tested.verdict = tested.first_test(data_folder().as_deref());
            compute.follow(backend);
        }
        Ok(compute)
    }

    /// As [`Compute::open`], without a self-test: models run as is known already.
    ///
    /// # Errors
    /// As [`Compute::open`].
    pub fn open_untested(backend: &Backend) -> Result<Self> {
        let mut compute = Self::open_device(backend)?;
        if let Some((tested, folder)) = compute.adapter.as_mut().zip(data_folder()) {
            // What is damaged is made anew.
            tested.verdict = Verdict::find(&folder, &tested.adapter).unwrap_or_else(|error| {
                tracing::warn!("{error}");
                None
            });
            compute.follow(backend);
        }
        Ok(compute)
    }

    /// Has models run as is decided; on the CPU only where no adapter was asked for.
    fn follow(&mut self, backend: &Backend) {
        let Some(verdict) = self
            .adapter
            .as_ref()
            .and_then(|tested| tested.verdict.as_ref())
        else {
            return;
        };
        if let Some(algorithm) = verdict.algorithm() {
            algorithm.choose();
        }
        if verdict.choice == Execution::Cpu && *backend == Backend::Auto && self.on_gpu {
            self.label = format!("CPU ({})", verdict.reason());
            self.device = Device::flex();
            self.on_gpu = false;
        }
    }

    fn open_device(backend: &Backend) -> Result<Self> {
        match backend {
            Backend::Auto | Backend::Wgpu => {}
            Backend::Adapter(name) => return Self::on_named(name),
            Backend::Cpu => return Ok(Self::cpu("as asked")),
            #[cfg(feature = "tch")]
            #[allow(
                deprecated,
                reason = "burn will drop libtorch; until then it trains fastest on a CPU"
            )]
            Backend::Libtorch => return Ok(Self::named(Device::libtorch(), "libtorch on the CPU")),
            #[cfg(feature = "cuda")]
            Backend::Cuda => return Ok(Self::named(Device::cuda(0), "CUDA")),
        }
        match Device::wgpu_options().init_with_setup() {
            Ok((device, graphics)) => Ok(Self::on_adapter(backend, device, graphics)),
            Err(error) if *backend == Backend::Wgpu => Err(Error::Device(error.to_string())),
            Err(_) => Ok(Self::cpu("no graphics adapter")),
        }
    }

    fn on_adapter(backend: &Backend, device: Device, graphics: WgpuSetup) -> Self {
        let adapter = Adapter::new(&graphics.adapter.get_info());
        let on_gpu = *backend != Backend::Auto || !adapter.is_software;
        let tested = TestedAdapter {
            adapter: adapter.clone(),
            device: device.clone(),
            verdict: None,
        };
        if on_gpu {
            let label = adapter.to_string();
            return Self {
                device,
                graphics: Some(graphics),
                on_gpu,
                adapter: Some(tested),
                label,
            };
        }
        Self {
            graphics: Some(graphics),
            adapter: Some(tested),
            ..Self::cpu("only a software graphics adapter")
        }
    }

    /// The first adapter whose name holds `name`.
    fn on_named(name: &str) -> Result<Self> {
        let refuse = |reason: String| Error::Device(reason);
        let descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        let instance = wgpu::Instance::new(descriptor);
        let adapters = block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        let is_it = |adapter: &&wgpu::Adapter| {
            let full = adapter.get_info().name.to_lowercase();
            full.contains(&name.to_lowercase())
        };
        let Some(adapter) = adapters.iter().find(is_it).cloned() else {
            let names: Vec<String> = adapters
                .iter()
                .map(|adapter| adapter.get_info().name)
                .collect();
            let there = if names.is_empty() {
                "none".into()
            } else {
                names.join("; ")
            };
            return Err(refuse(format!(
                "no adapter's name holds “{name}”; there are: {there}"
            )));
        };
        let features = adapter.features()
            - wgpu::Features::MAPPABLE_PRIMARY_BUFFERS
            - wgpu::Features::all_experimental_mask();
        let wanted = wgpu::DeviceDescriptor {
            required_features: features,
            required_limits: adapter.limits(),
            ..wgpu::DeviceDescriptor::default()
        };
        let made = block_on(adapter.request_device(&wanted));
        let (device, queue) = made.map_err(|error| refuse(error.to_string()))?;
        let graphics = WgpuSetup {
            backend: adapter.get_info().backend,
            instance,
            adapter,
            device,
            queue,
        };
        let device = Device::wgpu_options().setup(graphics.clone()).init();
        let device = device.map_err(|error| refuse(error.to_string()))?;
        Ok(Self::on_adapter(&Backend::Wgpu, device, graphics))
    }

    fn cpu(why: &str) -> Self {
        Self::named(Device::flex(), &format!("CPU ({why})"))
    }

    fn named(device: Device, label: &str) -> Self {
        Self {
            device,
            graphics: None,
            on_gpu: false,
            adapter: None,
            label: label.into(),
        }
    }
}
