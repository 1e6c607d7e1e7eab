// Draws pictures straight from tensor memory: three planes of 32-bit floats, row by row.

struct View {
    // The part of the picture on the tile: left, top, right, bottom, in shares of the picture.
    window: vec4<f32>,
    // Width and height of the pictures, in pixels.
    size: vec2<u32>,
    // 0: first picture; 1: first minus second, amplified around grey.
    mode: u32,
    // Where the tile changes from the second picture to the first, in shares of its width.
    split: f32,
    // Amplification of a difference.
    gain: f32,
    // 1 where the picture is drawn smaller than it is, so that pixels are averaged.
    smooth_: u32,
    // 1 where the target wants linear light.
    linear: u32,
    padding: u32,
}

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var<storage, read> first: array<f32>;
@group(0) @binding(2) var<storage, read> second: array<f32>;

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) at: vec2<f32>,
}

// One triangle that covers the tile; `at` is (0, 0) top left and (1, 1) bottom right.
@vertex
fn vertex(@builtin(vertex_index) index: u32) -> Corner {
    let at = vec2<f32>(f32((index << 1u) & 2u), f32(index & 2u));
    return Corner(vec4<f32>(at.x * 2.0 - 1.0, 1.0 - at.y * 2.0, 0.0, 1.0), at);
}

fn texel(x: u32, y: u32, use_second: bool) -> vec3<f32> {
    let plane = view.size.x * view.size.y;
    let at = y * view.size.x + x;
    if use_second {
        return vec3<f32>(second[at], second[at + plane], second[at + 2u * plane]);
    }
    return vec3<f32>(first[at], first[at + plane], first[at + 2u * plane]);
}

fn nearest(place: vec2<f32>, use_second: bool) -> vec3<f32> {
    let limit = vec2<f32>(view.size) - 1.0;
    let pixel = vec2<u32>(clamp(floor(place), vec2<f32>(0.0), limit));
    return texel(pixel.x, pixel.y, use_second);
}

fn bilinear(place: vec2<f32>, use_second: bool) -> vec3<f32> {
    let low = floor(place - 0.5);
    let part = place - 0.5 - low;
    let a = nearest(low + vec2<f32>(0.5, 0.5), use_second);
    let b = nearest(low + vec2<f32>(1.5, 0.5), use_second);
    let c = nearest(low + vec2<f32>(0.5, 1.5), use_second);
    let d = nearest(low + vec2<f32>(1.5, 1.5), use_second);
    return mix(mix(a, b, part.x), mix(c, d, part.x), part.y);
}

fn sample(place: vec2<f32>, use_second: bool) -> vec3<f32> {
    if view.smooth_ == 1u {
        return bilinear(place, use_second);
    }
    return nearest(place, use_second);
}

fn to_linear(c: vec3<f32>) -> vec3<f32> {
    let low = c / 12.92;
    let high = pow((c + 0.055) / 1.055, vec3<f32>(2.4));
    return select(high, low, c <= vec3<f32>(0.04045));
}

@fragment
fn fragment(corner: Corner) -> @location(0) vec4<f32> {
    let share = mix(view.window.xy, view.window.zw, corner.at);
    if any(share < vec2<f32>(0.0)) || any(share >= vec2<f32>(1.0)) {
        discard;
    }
    let place = share * vec2<f32>(view.size);
    var color = sample(place, corner.at.x < view.split);
    if view.mode == 1u {
        color = 0.5 + view.gain * (sample(place, false) - sample(place, true));
    }
    color = clamp(color, vec3<f32>(0.0), vec3<f32>(1.0));
    if view.linear == 1u {
        color = to_linear(color);
    }
    return vec4<f32>(color, 1.0);
}
