//! `shaders/view.wgsl` against the same arithmetic on the CPU.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use eframe::egui_wgpu::{RenderState, RendererOptions, WgpuSetup, WgpuSetupExisting};
use egui_kittest::Harness;
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state};
use epsiloscope::app::renderer::{self, Mode, Tile};
use epsiloscope::compute::{Blend, Compute, GpuImage, HeatMap, HeatStyle, Palette, Sign};

const SIDE: f32 = 64.0;

/// A renderer on the device that the tensors are on, with our pipeline in it.
pub fn render_state(gpu: &Compute) -> RenderState {
    let setup = gpu.graphics.as_ref().expect("wgpu hands its set-up out");
    let state = create_render_state(
        WgpuSetup::Existing(WgpuSetupExisting {
            instance: setup.instance.clone(),
            adapter: setup.adapter.clone(),
            device: setup.device.clone(),
            queue: setup.queue.clone(),
        }),
        RendererOptions::PREDICTABLE,
    );
    renderer::install(&state);
    state
}

fn draw(gpu: &Compute, tile: Tile) -> image::RgbaImage {
    gpu.device.sync().expect("the device answers");
    let renderer = WgpuTestRenderer::from_render_state(render_state(gpu));
    let tile = Arc::new(tile);
    let mut harness = Harness::builder()
        .with_size([SIDE, SIDE])
        .renderer(renderer)
        .build_ui(move |ui| {
            let area = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::Vec2::splat(SIDE));
            let callback = eframe::egui_wgpu::Callback::new_paint_callback(area, (*tile).clone());
            ui.ctx()
                .layer_painter(egui::LayerId::background())
                .add(callback);
        });
    harness.render().expect("the tile renders")
}

fn gradient_planes(size: [usize; 2], phase: f32) -> Vec<f32> {
    let count = size[0] * size[1];
    (0..3 * count)
        .map(|index| ((index as f32 * 0.37 + phase).sin() + 1.0) / 2.0)
        .collect()
}

fn byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// Compares the middle of every picture pixel with `expected(x, y, channel)`.
fn assert_pixels(
    drawn: &image::RgbaImage,
    size: [usize; 2],
    expected: impl Fn(usize, usize, usize) -> f32,
) {
    let [h, w] = size;
    let scale = SIDE / w as f32;
    for y in 0..h {
        for x in 0..w {
            let at = |pixel: usize| ((pixel as f32 + 0.5) * scale) as u32;
            let found = drawn.get_pixel(at(x), at(y)).0;
            for (channel, &found) in found[..3].iter().enumerate() {
                let requests = byte(expected(x, y, channel));
                let off = found.abs_diff(requests);
                assert!(
                    off <= 1,
                    "pixel {x}, {y} channel {channel}: {found} instead of {requests}"
                );
            }
        }
    }
}

fn tile(first: GpuImage, second: GpuImage, mode: Mode) -> Tile {
    Tile {
        id: 0,
        first,
        second,
        mode,
        window: [0.0, 0.0, 1.0, 1.0],
        shrunk: false,
    }
}

/// Uploaded pictures, drawn as they are and as an amplified difference.
pub fn pictures_and_differences(gpu: &Compute) {
    let size = [8, 8];
    let (a, b) = (gradient_planes(size, 0.0), gradient_planes(size, 0.1));
    let frame = |planes: &[f32]| GpuImage::from_planes(planes.to_vec(), size);
    let at = |x: usize, y: usize, channel: usize| (channel * 8 + y) * 8 + x;
    let picture = draw(
        gpu,
        tile(frame(&a), frame(&b), Mode::Picture { split: 0.0 }),
    );
    assert_pixels(&picture, size, |x, y, channel| a[at(x, y, channel)]);
    let difference = draw(
        gpu,
        tile(frame(&a), frame(&b), Mode::Difference { gain: 3.0 }),
    );
    assert_pixels(&difference, size, |x, y, channel| {
        let at = at(x, y, channel);
        0.5 + 3.0 * (a[at] - b[at])
    });
}

/// A tensor on the drawing device reaches the screen without an upload, also as a slice.
pub fn shared_memory(gpu: &Compute) {
    let size = [8, 8];
    let planes = gradient_planes([8, 16], 0.5);
    let both: Tensor<4> = Tensor::from_data(TensorData::new(planes, [2, 3, 8, 8]), &gpu.device);
    for index in 0..2 {
        let one = both.clone().narrow(0, index, 1).clamp(0.0, 0.9);
        let frame = GpuImage::new(one);
        assert!(frame.is_shared(), "picture {index} was copied");
        let drawn = draw(
            gpu,
            tile(frame.clone(), frame.clone(), Mode::Picture { split: 0.0 }),
        );
        assert_pixels(&drawn, size, |x, y, channel| frame.pixel(x, y)[channel]);
    }
}

/// Left of the divider the second picture; a window onto a quarter magnifies it twice.
pub fn zoom_and_divider(gpu: &Compute) {
    let size = [8, 8];
    let (a, b) = (gradient_planes(size, 0.0), gradient_planes(size, 2.0));
    let frame = |planes: &[f32]| GpuImage::from_planes(planes.to_vec(), size);
    let at = |x: usize, y: usize, channel: usize| (channel * 8 + y) * 8 + x;
    let divided = draw(
        gpu,
        tile(frame(&a), frame(&b), Mode::Picture { split: 0.5 }),
    );
    assert_pixels(&divided, size, |x, y, channel| {
        if x < 4 {
            b[at(x, y, channel)]
        } else {
            a[at(x, y, channel)]
        }
    });
    let quarter = Tile {
        window: [0.5, 0.25, 1.0, 0.75],
        ..tile(frame(&a), frame(&b), Mode::Picture { split: 0.0 })
    };
    let zoomed = draw(gpu, quarter);
    assert_pixels(&zoomed, [4, 4], |x, y, channel| {
        a[at(x + 4, y + 2, channel)]
    });
}

/// Maps in every sign, blend and kind of palette.
pub fn heat_maps(gpu: &Compute) {
    let size = [8, 8];
    let picture = gradient_planes(size, 0.0);
    let values: Vec<f32> = (0..64).map(|at| (at as f32 * 0.9).sin()).collect();
    let map = HeatMap::new(values.clone(), size);
    let frame = GpuImage::from_planes(picture, size);
    for sign in Sign::ALL {
        for (blend, palette) in [
            (Blend::Grey, Palette::RedBlue),
            (Blend::Picture, Palette::Viridis),
            (Blend::Alone, Palette::OrangePurple),
        ] {
            let style = HeatStyle {
                sign,
                blend,
                palette,
                threshold: 0.2,
                ..HeatStyle::default()
            };
            let scale = 0.8;
            let mode = Mode::Heat {
                style,
                scale,
                contour: None,
            };
            let drawn = draw(gpu, tile(frame.clone(), map.frame().clone(), mode));
            assert_pixels(&drawn, size, |x, y, channel| {
                style.color(frame.pixel(x, y), values[y * 8 + x], scale)[channel]
            });
        }
    }
}
