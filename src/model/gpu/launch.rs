//! Runs shaders on burn's own queue: what they read and write are burn's tensors, and nothing waits for the host.
//!
//! The only file of the model that names burn's GPU back end.

use std::collections::HashMap;
use std::sync::Mutex;

use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::cubecl::prelude::{CubeDim, KernelId};
use burn_cubecl::cubecl::server::{CubeCount, Handle, KernelArguments};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::template::{KernelSource, SourceKernel, SourceTemplate};

use super::header::{SIZES, Sizes};
use crate::tasks;

/// burn's GPU back end, and its tensors.
pub(super) use burn_cubecl::CubeBackend as GpuBackend;
pub(super) use burn_cubecl::tensor::CubeTensor as GpuTensor;

/// Work groups that every GPU takes along one axis.
const MOST_GROUPS: usize = 65_535;

/// A shader in `shaders/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shader {
    Convolution,
    Depthwise,
    ReluGradient,
    Unfold,
    Fold,
}

impl Shader {
    fn text(self) -> &'static str {
        match self {
            Self::Convolution => concat!(
                include_str!("../../../shaders/epilogue.wgsl"),
                include_str!("../../../shaders/convolution.wgsl")
            ),
            Self::Depthwise => concat!(
                include_str!("../../../shaders/epilogue.wgsl"),
                include_str!("../../../shaders/depthwise.wgsl")
            ),
            Self::ReluGradient => include_str!("../../../shaders/relu_gradient.wgsl"),
            Self::Unfold => include_str!("../../../shaders/unfold.wgsl"),
            Self::Fold => include_str!("../../../shaders/fold.wgsl"),
        }
    }
}

/// A shader with the constants that come before it.
struct Source {
    shader: Shader,
    constants: String,
}

impl KernelSource for Source {
    fn source(&self) -> SourceTemplate {
        let (constants, text) = (&self.constants, self.shader.text());
        SourceTemplate::new(format!("{constants}{SIZES}{text}"))
    }

    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info((self.shader, self.constants.clone()))
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// Sizes in the memory of the GPU, each written once.
#[derive(Default)]
pub(super) struct WrittenSizes(Mutex<HashMap<Sizes, Handle>>);

/// Most sizes that are kept; those of a network for some numbers of pictures.
const MOST_SIZES: usize = 4096;

impl WrittenSizes {
    fn get(&self, sizes: Sizes, on: &GpuTensor) -> Handle {
        let mut known = tasks::lock(&self.0);
        if known.len() >= MOST_SIZES {
            known.clear();
        }
        let written = known
            .entry(sizes)
            .or_insert_with(|| on.client.create_from_slice(bytemuck::cast_slice(&sizes)));
        written.clone()
    }
}

/// One run of a shader.
pub(super) struct Launch<'a> {
    pub(super) shader: Shader,
    /// The constants of the kernel's shape.
    pub(super) constants: String,
    pub(super) sizes: Sizes,
    /// Work groups for the pictures' values, and of each of those.
    pub(super) groups: [usize; 2],
    /// What it binds, in order; the sizes follow.
    pub(super) tensors: &'a [&'a GpuTensor],
}

impl Launch<'_> {
    /// Puts it on the queue.
    pub(super) fn run(self, written: &WrittenSizes) {
        let first = self.tensors[0];
        let sizes = written.get(self.sizes, first);
        let bindings = self.tensors.iter().map(|tensor| tensor.handle.clone());
        let bindings = bindings.chain([sizes]).map(Handle::binding).collect();
        let arguments = KernelArguments::new().with_buffers(bindings);
        let source = Source {
            shader: self.shader,
            constants: self.constants,
        };
        let [groups, each] = self.groups;
        let rows = groups.div_ceil(MOST_GROUPS).max(1);
        let count = CubeCount::Static(groups.div_ceil(rows) as u32, each as u32, rows as u32);
        // The shader's text says how many threads a group has.
        let kernel = SourceKernel::new(source, CubeDim::new_single());
        first.client.launch(Box::new(kernel), count, arguments);
    }
}

/// Values of one thread each, in groups of 256.
pub(super) fn groups_of_values(values: usize) -> [usize; 2] {
    [values.div_ceil(256), 1]
}

/// A tensor of the same device, in rows, of which nothing is written yet.
pub(super) fn empty(like: &GpuTensor, dims: [usize; 4]) -> GpuTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    empty_device_contiguous_dtype(client, device, Shape::from(dims), DType::F32)
}

/// A tensor's memory, laid out row by row; `None` if it is not on a GPU.
pub(super) fn on_gpu<const D: usize>(tensor: Tensor<D>) -> Option<GpuTensor> {
    let tensor = tensor.try_into_primitive::<GpuBackend>().ok()?;
    Some(in_rows(tensor))
}

/// The memory of a tensor that is known to be on a GPU.
pub(super) fn memory<const D: usize>(tensor: Tensor<D>) -> GpuTensor {
    on_gpu(tensor).expect("what is computed of tensors on a GPU is there too")
}

/// A tensor, laid out row by row.
pub(super) fn in_rows(tensor: GpuTensor) -> GpuTensor {
    into_contiguous(tensor)
}

/// Its lengths.
pub(super) fn dims(tensor: &GpuTensor) -> [usize; 4] {
    std::array::from_fn(|axis| tensor.meta.shape()[axis])
}

/// Burn's tensor of a tensor's memory.
pub(super) fn as_tensor<const D: usize>(tensor: GpuTensor) -> Tensor<D> {
    Tensor::from_primitive::<GpuBackend>(tensor)
}
