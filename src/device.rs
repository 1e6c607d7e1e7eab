//! Where tensors live: a real GPU through wgpu, or the CPU.

use burn::tensor::Device;
use burn_wgpu::WgpuSetup;

use crate::error::{Error, Result};

/// What a person can ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Backend {
    /// A real GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// wgpu (Vulkan, Metal, DirectX 12), even where it is emulated in software.
    Wgpu,
    /// The CPU.
    Cpu,
    /// libtorch on the CPU; for training.
    #[cfg(feature = "tch")]
    Libtorch,
    /// CUDA; for training.
    #[cfg(feature = "cuda")]
    Cuda,
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
    /// What it is, for people: the name of the GPU, or that the CPU stands in for one, and why.
    pub label: String,
}

impl Compute {
    /// Opens what `backend` asks for. Call it once in a process.
    ///
    /// A software GPU (Mesa's lavapipe, say) draws but does not compute unless it is asked for: it
    /// is ten times slower than the CPU backend.
    ///
    /// # Errors
    /// [`Error::Device`] when a backend asked for by name is not there; [`Backend::Auto`] never
    /// fails.
    pub fn open(backend: Backend) -> Result<Self> {
        match backend {
            Backend::Auto | Backend::Wgpu => {}
            Backend::Cpu => return Ok(Self::cpu("as asked")),
            #[cfg(feature = "tch")]
            #[allow(deprecated)]
            // burn will drop libtorch; until then it trains fastest on a CPU
            Backend::Libtorch => return Ok(Self::named(Device::libtorch(), "libtorch on the CPU")),
            #[cfg(feature = "cuda")]
            Backend::Cuda => return Ok(Self::named(Device::cuda(0), "CUDA")),
        }
        match Device::wgpu_options().init_with_setup() {
            Ok((device, graphics)) => Ok(Self::on_adapter(backend, device, graphics)),
            Err(error) if backend == Backend::Wgpu => Err(Error::Device(error.to_string())),
            Err(_) => Ok(Self::cpu("no graphics adapter")),
        }
    }

    fn on_adapter(backend: Backend, device: Device, graphics: WgpuSetup) -> Self {
        let info = graphics.adapter.get_info();
        let on_gpu = backend == Backend::Wgpu || info.device_type != wgpu::DeviceType::Cpu;
        if on_gpu {
            let label = format!("{} ({})", info.name, info.backend);
            return Self {
                device,
                graphics: Some(graphics),
                on_gpu,
                label,
            };
        }
        Self {
            graphics: Some(graphics),
            ..Self::cpu("only a software graphics adapter")
        }
    }

    fn cpu(why: &str) -> Self {
        Self::named(Device::flex(), &format!("CPU ({why})"))
    }

    fn named(device: Device, label: &str) -> Self {
        Self {
            device,
            graphics: None,
            on_gpu: false,
            label: label.into(),
        }
    }
}
