// Draws pictures straight from tensor memory: three planes of 32-bit floats, row by row.

struct View {
    // The part of the picture on the tile: left, top, right, bottom, in shares of the picture.
    window: vec4<f32>,
    // Width and height of the pictures, in pixels.
    size: vec2<u32>,
    // 0: first picture; 1: first minus second, amplified around grey; 2: the second, a map of one
    // plane, in colours over the first.
    mode: u32,
    // Where the tile changes from the second picture to the first, in shares of its width.
    split: f32,
    // Amplification of a difference.
    gain: f32,
    // 1 where the picture is drawn smaller than it is, so that pixels are averaged.
    smooth_: u32,
    // 1 where the target wants linear light.
    linear: u32,
    // What of a map shows. 0: both signs apart; 1: positive; 2: negative; 3: both alike.
    sign: u32,
    // What is under a map. 0: the picture in grey; 1: the picture; 2: nothing.
    blend: u32,
    // 1 where the middle of the palette stands for 0.
    diverges: u32,
    // The magnitude where the colours end.
    scale: f32,
    // Shares of it that do not show.
    threshold: f32,
    opacity: f32,
    // The magnitude around which a line is drawn; 0 for none.
    contour: f32,
    padding: vec2<u32>,
    palette: array<vec4<f32>, 256>,
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

// The value of the map at a place.
fn heat(place: vec2<f32>) -> f32 {
    let pixel = vec2<u32>(clamp(floor(place), vec2<f32>(0.0), vec2<f32>(view.size) - 1.0));
    return second[pixel.y * view.size.x + pixel.x];
}

fn magnitude(value: f32) -> f32 {
    if view.sign == 1u {
        return max(value, 0.0);
    }
    if view.sign == 2u {
        return max(-value, 0.0);
    }
    return abs(value);
}

// Where in the palette a level in [-1, 1] is found.
fn palette(level: f32) -> vec3<f32> {
    var at = level;
    if view.sign == 0u || (view.diverges == 1u && view.sign != 2u) {
        at = 0.5 + 0.5 * level;
    } else if view.diverges == 1u {
        at = 0.5 - 0.5 * level;
    }
    return view.palette[u32(clamp(round(at * 255.0), 0.0, 255.0))].rgb;
}

fn inside(place: vec2<f32>) -> bool {
    return magnitude(heat(place)) >= view.contour;
}

// Whether the line around the highest magnitudes passes within `reach` pixels of the map.
fn on_line(place: vec2<f32>, reach: vec2<f32>) -> bool {
    let here = inside(place);
    return here != inside(place + vec2<f32>(reach.x, 0.0))
        || here != inside(place - vec2<f32>(reach.x, 0.0))
        || here != inside(place + vec2<f32>(0.0, reach.y))
        || here != inside(place - vec2<f32>(0.0, reach.y));
}

fn overlay(place: vec2<f32>, step: vec2<f32>) -> vec3<f32> {
    let value = heat(place);
    let size = min(magnitude(value) / view.scale, 1.0);
    let level = select(size, -size, view.sign == 0u && value < 0.0);
    var below = sample(place, false);
    if view.blend == 0u {
        below = vec3<f32>(dot(below, vec3<f32>(0.299, 0.587, 0.114)));
    }
    var cover = view.opacity * sqrt(size);
    if view.blend == 2u {
        below = palette(0.0);
        cover = 1.0;
    }
    if size < view.threshold {
        cover = 0.0;
    }
    let color = mix(below, palette(level), cover);
    if view.contour > 0.0 {
        if on_line(place, step) {
            return vec3<f32>(1.0);
        }
        if on_line(place, 2.0 * step) {
            return vec3<f32>(0.0);
        }
    }
    return color;
}

@fragment
fn fragment(corner: Corner) -> @location(0) vec4<f32> {
    // How far a pixel of the screen reaches, in pixels of the picture.
    let step = fwidth(corner.at) * (view.window.zw - view.window.xy) * vec2<f32>(view.size);
    let share = mix(view.window.xy, view.window.zw, corner.at);
    if any(share < vec2<f32>(0.0)) || any(share >= vec2<f32>(1.0)) {
        discard;
    }
    let place = share * vec2<f32>(view.size);
    var color = sample(place, corner.at.x < view.split);
    if view.mode == 1u {
        color = 0.5 + view.gain * (sample(place, false) - sample(place, true));
    }
    if view.mode == 2u {
        color = overlay(place, step);
    }
    color = clamp(color, vec3<f32>(0.0), vec3<f32>(1.0));
    if view.linear == 1u {
        color = to_linear(color);
    }
    return vec4<f32>(color, 1.0);
}
