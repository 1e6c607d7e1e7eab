// One pass of a convolution as an implicit matrix product: a weighted sum over a regular grid of taps for each position, of
// all pictures. The kernel's constants and the sizes (model/gpu/header.rs) and epilogue.wgsl come before it.
//
// A work group makes TILE_POSITIONS positions of TILE_OUTPUTS channels; a thread makes four of each.

@group(0) @binding(0) var<storage, read_write> input: array<f32>;
// For each group `[depth, outputs]`, outputs filled up to whole vectors.
@group(0) @binding(1) var<storage, read_write> weights: array<vec4<f32>>;

const TILE_POSITIONS: u32 = 64u;
const TILE_DEPTH: u32 = 16u;
const TILE_VECTORS: u32 = TILE_OUTPUTS / 4u;
const THREADS: u32 = 16u * TILE_VECTORS;
const ROWS_AT_ONCE: u32 = THREADS / TILE_POSITIONS;
// A part of a gradient may have no taps; divisors are not 0 even then.
const TAPS: u32 = max(TAPS_H * TAPS_W, 1u);
const TAPS_OF_ROW: u32 = max(TAPS_W, 1u);

var<workgroup> shared_depth: u32;
var<workgroup> values: array<f32, TILE_DEPTH * TILE_POSITIONS>;
var<workgroup> factors: array<vec4<f32>, TILE_DEPTH * TILE_VECTORS>;

fn store(position: u32, first: u32, group: u32, sums: vec4<f32>) {
    let positions = sizes.positions_h * sizes.positions_w;
    if position >= sizes.pictures * positions {
        return;
    }
    let picture = position / positions;
    let place = position % positions;
    let y = (place / sizes.positions_w) * OUTPUT_STEP_Y + sizes.output_offset_y;
    let x = (place % sizes.positions_w) * OUTPUT_STEP_X + sizes.output_offset_x;
    for (var lane = 0u; lane < 4u; lane += 1u) {
        if first + lane < sizes.outputs {
            let channel = group * sizes.outputs + first + lane;
            let index = ((picture * sizes.groups * sizes.outputs + channel) * sizes.output_h + y) * sizes.output_w + x;
            finish(index, channel, sums[lane]);
        }
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) work_group: vec3<u32>,
    @builtin(num_workgroups) work_groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    // Read once: no shader may assume that what it writes leaves them as they are.
    let size = sizes;
    let positions = size.positions_h * size.positions_w;
    if thread == 0u {
        shared_depth = size.inputs * TAPS_H * TAPS_W;
    }
    // The same for all threads, as barriers in a loop ask for.
    let all_depth = workgroupUniformLoad(&shared_depth);
    let vectors = (size.outputs + 3u) / 4u;
    let tiles_of_outputs = (size.outputs + TILE_OUTPUTS - 1u) / TILE_OUTPUTS;
    let first_position = (work_group.x + work_group.z * work_groups.x) * TILE_POSITIONS;
    let group = work_group.y / tiles_of_outputs;
    let first_output = (work_group.y % tiles_of_outputs) * TILE_OUTPUTS;

    // The position whose inputs this thread reads.
    let column = thread % TILE_POSITIONS;
    let position = first_position + column;
    let is_inside = position < size.pictures * positions;
    let place = position % positions;
    let top = i32((place / size.positions_w) * STEP_Y) + size.first_y;
    let left = i32((place % size.positions_w) * STEP_X) + size.first_x;
    let base = (position / positions * size.groups + group) * size.inputs * size.input_h * size.input_w;

    // Positions and outputs that this thread makes.
    let own_position = thread % 16u;
    let own_vector = thread / 16u;
    var sums0 = vec4<f32>();
    var sums1 = vec4<f32>();
    var sums2 = vec4<f32>();
    var sums3 = vec4<f32>();

    for (var start = 0u; start < all_depth; start += TILE_DEPTH) {
        for (var row = thread / TILE_POSITIONS; row < TILE_DEPTH; row += ROWS_AT_ONCE) {
            let depth = start + row;
            let channel = depth / TAPS;
            let tap = depth % TAPS;
            let y = top + i32((tap / TAPS_OF_ROW) * SPACING_Y);
            let x = left + i32((tap % TAPS_OF_ROW) * SPACING_X);
            var value = 0.0;
            if is_inside && depth < all_depth && y >= 0 && y < i32(size.input_h) && x >= 0 && x < i32(size.input_w) {
                value = input[base + (channel * size.input_h + u32(y)) * size.input_w + u32(x)];
            }
            values[row * TILE_POSITIONS + column] = value;
        }
        for (var index = thread; index < TILE_DEPTH * TILE_VECTORS; index += THREADS) {
            let depth = start + index / TILE_VECTORS;
            let vector = first_output / 4u + index % TILE_VECTORS;
            var factor = vec4<f32>();
            if depth < all_depth && vector < vectors {
                factor = weights[(group * all_depth + depth) * vectors + vector];
            }
            factors[index] = factor;
        }
        workgroupBarrier();
        for (var row = 0u; row < TILE_DEPTH; row += 1u) {
            let factor = factors[row * TILE_VECTORS + own_vector];
            let from_row = row * TILE_POSITIONS + own_position;
            sums0 += values[from_row] * factor;
            sums1 += values[from_row + 16u] * factor;
            sums2 += values[from_row + 32u] * factor;
            sums3 += values[from_row + 48u] * factor;
        }
        workgroupBarrier();
    }

    let own_output = first_output + 4u * own_vector;
    let own_first = first_position + own_position;
    store(own_first, own_output, group, sums0);
    store(own_first + 16u, own_output, group, sums1);
    store(own_first + 32u, own_output, group, sums2);
    store(own_first + 48u, own_output, group, sums3);
}
