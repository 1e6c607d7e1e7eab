// The gradient of a ReLU with respect to its input, from its output. The sizes come before it:
// model/gpu/header.rs. A thread makes one value.

@group(0) @binding(0) var<storage, read_write> gradient: array<f32>;
// Outputs of the ReLU.
@group(0) @binding(1) var<storage, read_write> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;
@group(0) @binding(3) var<storage, read_write> sizes: Sizes;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) work_group: vec3<u32>,
    @builtin(num_workgroups) work_groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = (work_group.x + work_group.z * work_groups.x) * 256u + thread;
    if index >= sizes.pictures * sizes.groups * sizes.output_h * sizes.output_w {
        return;
    }
    let value = values[index];
    let passes = value > 0.0 && !(sizes.is_bounded != 0u && value >= sizes.ceiling);
    result[index] = select(0.0, gradient[index], passes);
}
