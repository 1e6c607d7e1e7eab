// The adjoint of unfold.wgsl: every input is the sum of the columns' values that were copied from it. The kernel's
// constants and the sizes come before it: model/gpu/header.rs. A thread makes one value.

@group(0) @binding(0) var<storage, read_write> columns: array<f32>;
@group(0) @binding(1) var<storage, read_write> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> sizes: Sizes;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) work_group: vec3<u32>,
    @builtin(num_workgroups) work_groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    // Read once: no shader may assume that what it writes leaves them as they are.
    let size = sizes;
    let index = (work_group.x + work_group.z * work_groups.x) * 256u + thread;
    let plane = index / (size.input_h * size.input_w);
    if plane >= size.pictures * size.groups * size.inputs {
        return;
    }
    let place = index % (size.input_h * size.input_w);
    let row = i32(place / size.input_w) - size.first_y;
    let column = i32(place % size.input_w) - size.first_x;
    var sum = 0.0;
    for (var tap_y = 0u; tap_y < TAPS_H; tap_y += 1u) {
        let above = row - i32(tap_y * SPACING_Y);
        let y = above / i32(STEP_Y);
        if above >= 0 && above % i32(STEP_Y) == 0 && y < i32(size.positions_h) {
            for (var tap_x = 0u; tap_x < TAPS_W; tap_x += 1u) {
                let before = column - i32(tap_x * SPACING_X);
                let x = before / i32(STEP_X);
                if before >= 0 && before % i32(STEP_X) == 0 && x < i32(size.positions_w) {
                    let from_row = (plane * TAPS_H + tap_y) * TAPS_W + tap_x;
                    sum += columns[(from_row * size.positions_h + u32(y)) * size.positions_w + u32(x)];
                }
            }
        }
    }
    input[index] = sum;
}
