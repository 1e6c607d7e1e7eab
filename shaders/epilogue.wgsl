// What follows a convolution's sums at once. It comes before the texts of convolution.wgsl and depthwise.wgsl.

@group(0) @binding(2) var<storage, read_write> bias: array<f32>;
// Added to the result where the sizes say so.
@group(0) @binding(3) var<storage, read_write> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
@group(0) @binding(5) var<storage, read_write> sizes: Sizes;

// Writes the sum of an output channel, with bias, residual and ReLU, to its place.
fn finish(index: u32, channel: u32, sum: f32) {
    var value = sum;
    if sizes.has_bias != 0u {
        value += bias[channel];
    }
    if sizes.has_residual != 0u {
        value += residual[index];
    }
    if sizes.is_rectified != 0u {
        value = max(value, 0.0);
    }
    if sizes.is_bounded != 0u {
        value = min(value, sizes.ceiling);
    }
    output[index] = value;
}
