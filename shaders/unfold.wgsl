// What each position of a convolution reads, as columns `[n, channels · taps, positions]` of a matrix. The kernel's
// constants and the sizes come before it: model/gpu/header.rs. A thread copies one value.

@group(0) @binding(0) var<storage, read_write> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> columns: array<f32>;
@group(0) @binding(2) var<storage, read_write> sizes: Sizes;

const TAPS: u32 = TAPS_H * TAPS_W;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) work_group: vec3<u32>,
    @builtin(num_workgroups) work_groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    // Read once: no shader may assume that what it writes leaves them as they are.
    let size = sizes;
    let positions = size.positions_h * size.positions_w;
    let index = (work_group.x + work_group.z * work_groups.x) * 256u + thread;
    let row = index / positions;
    if row >= size.pictures * size.groups * size.inputs * TAPS {
        return;
    }
    let place = index % positions;
    let tap = row % TAPS;
    let y = i32((place / size.positions_w) * STEP_Y + (tap / TAPS_W) * SPACING_Y) + size.first_y;
    let x = i32((place % size.positions_w) * STEP_X + (tap % TAPS_W) * SPACING_X) + size.first_x;
    var value = 0.0;
    if y >= 0 && y < i32(size.input_h) && x >= 0 && x < i32(size.input_w) {
        value = input[(row / TAPS * size.input_h + u32(y)) * size.input_w + u32(x)];
    }
    columns[index] = value;
}
