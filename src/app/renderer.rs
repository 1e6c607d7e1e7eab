//! Tiles: pictures drawn by `shaders/view.wgsl` inside an egui paint callback.
//!
//! Everything here is a uniform: zoom, gain and divider change without any tensor being touched.

use std::collections::HashMap;

use bytemuck::Zeroable;
use eframe::egui_wgpu::{
    Callback, CallbackResources, CallbackTrait, RenderState, ScreenDescriptor,
};
use egui::PaintCallbackInfo;

use crate::compute::{Compute, GpuImage, HeatStyle};

/// What a tile shows of its pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// The first picture; left of `split` (a share of the tile's width) the second.
    Picture {
        /// 0 shows the first picture alone.
        split: f32,
    },
    /// Grey plus `gain` times the first minus the second: brighter where light was added.
    Difference {
        /// Amplification; 1 shows the largest possible difference as black or white, clipped.
        gain: f32,
    },
    /// The second picture is the one plane of a [`crate::compute::HeatMap`], drawn over the first.
    Heat {
        /// Colours and what is under them.
        style: HeatStyle,
        /// The magnitude where the colours end.
        scale: f32,
        /// The magnitude around which a line is drawn, if there is one.
        contour: Option<f32>,
    },
}

/// A rectangle on the screen with a picture in it.
#[derive(Clone)]
pub struct Tile {
    /// Tells tiles apart from frame to frame.
    pub id: u64,
    /// The picture.
    pub first: GpuImage,
    /// What it is compared with; of the same size.
    pub second: GpuImage,
    /// How they are shown.
    pub mode: Mode,
    /// The visible part: left, top, right, bottom, in shares of the picture.
    pub window: [f32; 4],
    /// Whether it is drawn smaller than it is.
    pub shrunk: bool,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Uniforms {
    window: [f32; 4],
    size: [u32; 2],
    mode: u32,
    split: f32,
    gain: f32,
    smooth: u32,
    linear: u32,
    sign: u32,
    blend: u32,
    diverges: u32,
    scale: f32,
    threshold: f32,
    opacity: f32,
    contour: f32,
    padding: [u32; 2],
    palette: [[f32; 4]; 256],
}

impl Tile {
    fn uniforms(&self, linear: bool) -> Uniforms {
        let [h, w] = self.first.size();
        let mut uniforms = Uniforms {
            window: self.window,
            size: [w as u32, h as u32],
            smooth: u32::from(self.shrunk),
            linear: u32::from(linear),
            ..Uniforms::zeroed()
        };
        match self.mode {
            Mode::Picture { split } => uniforms.split = split,
            Mode::Difference { gain } => (uniforms.mode, uniforms.gain) = (1, gain),
            Mode::Heat {
                style,
                scale,
                contour,
            } => {
                uniforms.mode = 2;
                uniforms.sign = style.sign as u32;
                uniforms.blend = style.blend as u32;
                uniforms.diverges = u32::from(style.palette.diverges());
                uniforms.scale = scale.max(f32::MIN_POSITIVE);
                uniforms.threshold = style.threshold;
                uniforms.opacity = style.opacity;
                uniforms.contour = contour.unwrap_or(0.0);
                uniforms.palette = *style.palette.table();
            }
        }
        uniforms
    }
}

/// What is kept of each tile from frame to frame, until a frame in which the tile is not drawn.
struct TileCache<T> {
    tiles: HashMap<u64, CachedTile<T>>,
}

struct CachedTile<T> {
    content: T,
    /// Whether the tile was drawn since the last [`TileCache::release_hidden`].
    drawn: bool,
}

impl<T> TileCache<T> {
    fn new() -> Self {
        Self {
            tiles: HashMap::new(),
        }
    }

    fn get(&self, id: u64) -> Option<&T> {
        self.tiles.get(&id).map(|tile| &tile.content)
    }

    /// What was kept of a tile that is drawn now, to be put back by [`Self::insert`].
    fn take(&mut self, id: u64) -> Option<T> {
        self.tiles.remove(&id).map(|tile| tile.content)
    }

    /// Keeps the content of a tile that is drawn now.
    fn insert(&mut self, id: u64, content: T) {
        let drawn = true;
        self.tiles.insert(id, CachedTile { content, drawn });
    }

    /// Drops the tiles that were not drawn since the last call.
    fn release_hidden(&mut self) {
        self.tiles.retain(|_, tile| std::mem::take(&mut tile.drawn));
    }
}

/// What a tile keeps on the graphics device from frame to frame.
struct Prepared {
    uniforms: wgpu::Buffer,
    group: wgpu::BindGroup,
    /// The pictures that `group` binds.
    first: GpuImage,
    second: GpuImage,
}

/// The pipeline, and the tiles of the last frame.
struct Pipeline {
    pipeline: wgpu::RenderPipeline,
    layout: wgpu::BindGroupLayout,
    linear: bool,
    tiles: TileCache<Prepared>,
}

/// Draws on the device that burn computes on, where there is one to share.
pub fn graphics(compute: &Compute) -> eframe::egui_wgpu::WgpuConfiguration {
    let mut configuration = eframe::egui_wgpu::WgpuConfiguration::default();
    if let Some(setup) = &compute.graphics {
        configuration.wgpu_setup =
            eframe::egui_wgpu::WgpuSetup::Existing(eframe::egui_wgpu::WgpuSetupExisting {
                instance: setup.instance.clone(),
                adapter: setup.adapter.clone(),
                device: setup.device.clone(),
                queue: setup.queue.clone(),
            });
    }
    configuration
}

/// Compiles the shader for the window's device. Call it once, before the first tile.
pub fn install(state: &RenderState) {
    let pipeline = Pipeline::new(&state.device, state.target_format);
    state.renderer.write().callback_resources.insert(pipeline);
}

/// Releases the pictures of tiles that this frame does not draw. Call it once in each frame.
pub fn release_hidden(ui: &egui::Ui) {
    let callback = Callback::new_paint_callback(ui.ctx().content_rect(), ReleaseHidden);
    // The clip rectangle of `ui` may be empty, and a callback without any is skipped.
    let painter = ui.ctx().layer_painter(egui::LayerId::background());
    painter.add(callback);
}

/// Draws nothing; it releases hidden tiles after all tiles of the frame are prepared. That no tile is drawn
/// at all is known only from a callback of its own.
struct ReleaseHidden;

impl CallbackTrait for ReleaseHidden {
    fn finish_prepare(
        &self,
        _device: &wgpu::Device,
        _queue: &wgpu::Queue,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        if let Some(pipeline) = resources.get_mut::<Pipeline>() {
            pipeline.tiles.release_hidden();
        }
        Vec::new()
    }

    fn paint(
        &self,
        _info: PaintCallbackInfo,
        _pass: &mut wgpu::RenderPass<'static>,
        _resources: &CallbackResources,
    ) {
    }
}

impl Pipeline {
    fn new(device: &wgpu::Device, format: wgpu::TextureFormat) -> Self {
        let module = device.create_shader_module(wgpu::include_wgsl!("../../shaders/view.wgsl"));
        let buffer = |binding: u32, ty: wgpu::BufferBindingType| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let storage = wgpu::BufferBindingType::Storage { read_only: true };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("tile"),
            entries: &[
                buffer(0, wgpu::BufferBindingType::Uniform),
                buffer(1, storage),
                buffer(2, storage),
            ],
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("tile"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("tile"),
            layout: Some(&pipeline_layout),
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("vertex"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("fragment"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                targets: &[Some(format.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        Self {
            pipeline,
            layout,
            linear: format.is_srgb(),
            tiles: TileCache::new(),
        }
    }
}

impl Prepared {
    fn new(device: &wgpu::Device, layout: &wgpu::BindGroupLayout, tile: &Tile) -> Self {
        let uniforms = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("tile"),
            size: size_of::<Uniforms>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let entry = |binding: u32, resource| wgpu::BindGroupEntry { binding, resource };
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("tile"),
            layout,
            entries: &[
                entry(0, uniforms.as_entire_binding()),
                entry(1, tile.first.binding(device)),
                entry(2, tile.second.binding(device)),
            ],
        });
        Self {
            uniforms,
            group,
            first: tile.first.clone(),
            second: tile.second.clone(),
        }
    }

    fn shows(&self, tile: &Tile) -> bool {
        self.first == tile.first && self.second == tile.second
    }
}

impl CallbackTrait for Tile {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        _screen: &ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        let Some(pipeline) = resources.get_mut::<Pipeline>() else {
            return Vec::new();
        };
        let kept = pipeline.tiles.take(self.id);
        let prepared = kept
            .filter(|prepared| prepared.shows(self))
            .unwrap_or_else(|| Prepared::new(device, &pipeline.layout, self));
        let uniforms = self.uniforms(pipeline.linear);
        queue.write_buffer(&prepared.uniforms, 0, bytemuck::bytes_of(&uniforms));
        pipeline.tiles.insert(self.id, prepared);
        Vec::new()
    }

    fn paint(
        &self,
        _info: PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        resources: &CallbackResources,
    ) {
        let Some(pipeline) = resources.get::<Pipeline>() else {
            return;
        };
        if let Some(prepared) = pipeline.tiles.get(self.id) {
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, &prepared.group, &[]);
            pass.draw(0..3, 0..1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_tile_that_is_not_drawn_is_released() {
        let pictures: Vec<Arc<()>> = (0..3).map(|_| Arc::default()).collect();
        let mut cache = TileCache::new();
        let held = || pictures.iter().map(Arc::strong_count).collect::<Vec<_>>();
        for drawn in [
            [true, true, true],
            [true, false, true],
            [false, true, false],
        ] {
            for (id, picture) in pictures.iter().enumerate().filter(|(id, _)| drawn[*id]) {
                let kept = cache.take(id as u64);
                cache.insert(id as u64, kept.unwrap_or_else(|| picture.clone()));
            }
            cache.release_hidden();
            assert_eq!(held(), drawn.map(|drawn| 1 + usize::from(drawn)));
        }
        cache.release_hidden();
        assert_eq!(held(), [1, 1, 1], "a frame without any tile");
    }
}
