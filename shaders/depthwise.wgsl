// One pass of a depthwise convolution: every channel is weighed by one kernel of its own. The kernel's constants
// and the sizes (model/gpu/header.rs) and epilogue.wgsl come before it. A thread makes one value.

@group(0) @binding(0) var<storage, read_write> input: array<f32>;
// `[channels, taps]`.
@group(0) @binding(1) var<storage, read_write> weights: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) work_group: vec3<u32>,
    @builtin(num_workgroups) work_groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    // Read once: no shader may assume that what it writes leaves them as they are.
    let size = sizes;
    let positions = size.positions_h * size.positions_w;
    let number = (work_group.x + work_group.z * work_groups.x) * 256u + thread;
    if number >= size.pictures * size.groups * positions {
        return;
    }
    let plane = number / positions;
    let channel = plane % size.groups;
    let place = number % positions;
    let row = place / size.positions_w;
    let column = place % size.positions_w;
    var value = 0.0;
    for (var tap_y = 0u; tap_y < TAPS_H; tap_y += 1u) {
        let y = i32(row * STEP_Y + tap_y * SPACING_Y) + size.first_y;
        if y >= 0 && y < i32(size.input_h) {
            for (var tap_x = 0u; tap_x < TAPS_W; tap_x += 1u) {
                let x = i32(column * STEP_X + tap_x * SPACING_X) + size.first_x;
                if x >= 0 && x < i32(size.input_w) {
                    let factor = weights[(channel * TAPS_H + tap_y) * TAPS_W + tap_x];
                    value += factor * input[(plane * size.input_h + u32(y)) * size.input_w + u32(x)];
                }
            }
        }
    }
    let index = (plane * size.output_h + row * OUTPUT_STEP_Y + size.output_offset_y) * size.output_w
        + column * OUTPUT_STEP_X + size.output_offset_x;
    finish(index, channel, value);
}
