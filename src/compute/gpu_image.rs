//! Pictures from tensor memory to the screen.
//!
//! The only file that names burn's wgpu back end: where tensors live on the device that draws, a
//! picture is drawn from the very buffer that holds it.

use std::any::Any;
use std::num::NonZeroU64;
use std::sync::{Arc, OnceLock};

use burn::tensor::Tensor;
use burn_wgpu::{AutoCompiler, CubeTensor, Wgpu};
use wgpu::util::DeviceExt;

use crate::model::tensor_values;

/// A picture that can be drawn: three planes of 32-bit floats, or one for a map.
#[derive(Clone)]
pub struct GpuImage(Arc<Inner>);

struct Inner {
    size: [usize; 2],
    planes: Vec<f32>,
    shared: Option<Shared>,
    uploaded: OnceLock<wgpu::Buffer>,
}

/// Frames are the same if they share their memory.
impl PartialEq for GpuImage {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for GpuImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({:?})", self.0.size)
    }
}

/// Memory of a tensor on the drawing device: a slice of one of burn's buffers.
struct Shared {
    buffer: wgpu::Buffer,
    offset: u64,
    size: Option<NonZeroU64>,
    /// Keeps the slice where it is.
    _allocation: Box<dyn Any + Send + Sync>,
    /// Keeps burn from writing into it again.
    _tensor: Tensor<4>,
}

impl GpuImage {
    /// Takes the picture `[1, 3, h, w]`.
    ///
    /// Call it on the thread that computed the tensor. The values are also read back, for the
    /// read-out under the pointer and for saving; drawing does not use that copy when the memory is
    /// shared.
    pub fn new(picture: Tensor<4>) -> Self {
        let picture = picture.inner();
        let [_, _, h, w] = picture.dims();
        Self(Arc::new(Inner {
            size: [h, w],
            planes: tensor_values(picture.clone()),
            shared: share(picture),
            uploaded: OnceLock::new(),
        }))
    }

    /// Takes values in row-major planes; `size` is height and width.
    pub fn from_planes(planes: Vec<f32>, size: [usize; 2]) -> Self {
        Self(Arc::new(Inner {
            size,
            planes,
            shared: None,
            uploaded: OnceLock::new(),
        }))
    }

    /// Height and width in pixels.
    pub fn size(&self) -> [usize; 2] {
        self.0.size
    }

    /// The values, plane by plane, row by row.
    pub fn planes(&self) -> &[f32] {
        &self.0.planes
    }

    /// Red, green and blue at a pixel.
    pub fn pixel(&self, x: usize, y: usize) -> [f32; 3] {
        let [h, w] = self.0.size;
        std::array::from_fn(|channel| self.0.planes[(channel * h + y) * w + x])
    }

    /// Whether it is drawn from tensor memory.
    pub fn is_shared(&self) -> bool {
        self.0.shared.is_some()
    }

    /// What a shader reads: the tensor's own memory, or a copy uploaded the first time.
    pub fn binding(&self, device: &wgpu::Device) -> wgpu::BindingResource<'_> {
        if let Some(shared) = &self.0.shared {
            return wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &shared.buffer,
                offset: shared.offset,
                size: shared.size,
            });
        }
        let upload = || {
            device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
                label: Some("picture"),
                contents: bytemuck::cast_slice(&self.0.planes),
                usage: wgpu::BufferUsages::STORAGE,
            })
        };
        self.0.uploaded.get_or_init(upload).as_entire_binding()
    }
}

/// The wgpu buffer behind a tensor, its pending work submitted, or nothing if the tensor lives
/// elsewhere or is not laid out row by row.
fn share(picture: Tensor<4>) -> Option<Shared> {
    let primitive: CubeTensor = picture.clone().try_into_primitive::<Wgpu>().ok()?;
    if !primitive.is_contiguous() {
        return None;
    }
    let client = primitive.client.clone();
    let allocation = client
        .get_resource::<cubecl::wgpu::WgpuServer<AutoCompiler>>(primitive.handle.clone())
        .ok()?;
    client.flush().ok()?;
    let resource = allocation.resource();
    Some(Shared {
        buffer: resource.buffer.clone(),
        offset: resource.offset,
        size: NonZeroU64::new(resource.size),
        _allocation: Box::new(allocation),
        _tensor: picture,
    })
}
