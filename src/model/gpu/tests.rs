//! Passes on the CPU, from the weights that the shaders read, against burn.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::pass::Pass;
use crate::model::graph::Convolution;
use crate::model::{gradient, tensor_values};

fn random<const D: usize>(rng: &mut ChaCha8Rng, dims: [usize; D]) -> Tensor<D> {
    let count = dims.iter().product::<usize>();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, dims), &Device::flex())
}

/// What shaders/convolution.wgsl and shaders/depthwise.wgsl compute of one picture: sums over taps, added at the outputs.
fn sum(pass: &Pass, packed: &[f32], input: &[f32], output: &mut [f32]) {
    let [down, across] = &pass.axes;
    let pitch = match pass.is_depthwise() {
        true => 1,
        false => pass.outputs.next_multiple_of(4),
    };
    let read = |axis: &super::pass::Axis, position: usize, tap: usize| {
        let at = (position * axis.step + tap * axis.spacing) as isize + axis.first;
        usize::try_from(at).ok().filter(|&at| at < axis.input)
    };
    for group in 0..pass.groups {
        for made in 0..pass.outputs {
            for row in 0..down.positions {
                for column in 0..across.positions {
                    let mut total = 0.0;
                    for taken in 0..pass.inputs {
                        let channel = group * pass.inputs + taken;
                        for (tap_y, tap_x) in (0..down.kernel.len())
                            .flat_map(|y| (0..across.kernel.len()).map(move |x| (y, x)))
                        {
                            let place = read(down, row, tap_y).zip(read(across, column, tap_x));
                            let Some((y, x)) = place else { continue };
                            let tap = tap_y * across.kernel.len() + tap_x;
                            let factor = packed[(channel * pass.taps() + tap) * pitch + made];
                            total += factor * input[(channel * down.input + y) * across.input + x];
                        }
                    }
                    let y = row * down.output_step + down.output_offset;
                    let x = column * across.output_step + across.output_offset;
                    let plane = group * pass.outputs + made;
                    output[(plane * down.output + y) * across.output + x] = total;
                }
            }
        }
    }
}

fn assert_close(ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let scale = theirs
        .iter()
        .fold(1.0_f32, |most, value| most.max(value.abs()));
    for (our, their) in ours.iter().zip(theirs) {
        assert!(
            (our - their).abs() <= 1e-5 * scale,
            "{what}: {our} for {their}"
        );
    }
}

#[test]
fn passes_are_convolutions_and_their_gradients() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    // Output channels, input channels, groups; kernel; stride; padding; dilation; size.
    let cases = [
        ([5, 3, 1], [3, 3], [1, 1], [1; 4], [1, 1], [6, 7]),
        ([8, 4, 2], [3, 3], [2, 2], [1; 4], [1, 1], [7, 8]),
        ([6, 6, 6], [3, 3], [2, 2], [0, 0, 1, 1], [1, 1], [8, 8]),
        ([6, 6, 6], [5, 3], [1, 1], [2, 1, 2, 1], [1, 1], [6, 5]),
        ([4, 3, 1], [1, 1], [2, 2], [0; 4], [1, 1], [5, 6]),
        ([4, 3, 1], [4, 4], [4, 4], [0; 4], [1, 1], [9, 8]),
        ([4, 2, 1], [3, 2], [1, 2], [2, 0, 1, 3], [2, 3], [9, 8]),
        ([3, 2, 1], [3, 3], [2, 2], [2; 4], [2, 2], [8, 9]),
    ];
    for (channels, kernel, stride, padding, dilation, size) in cases {
        let [output, input, groups] = channels;
        let convolution = Convolution {
            weight: random(&mut rng, [output, input / groups, kernel[0], kernel[1]]),
            bias: None,
            stride,
            padding,
            dilation,
            groups,
        };
        let what = format!("{channels:?} {kernel:?} {stride:?} {padding:?} {dilation:?} {size:?}");
        let weight = tensor_values(convolution.weight.clone());
        let dims = convolution.weight.dims();
        let [top, left, bottom, right] = padding;
        let sides = [(top, bottom), (left, right)];
        let options = ConvOptions::new_with_padding(stride, sides, dilation, groups);
        let theirs = |x| conv2d(x, convolution.weight.clone(), None, options.clone());
        let x = random(&mut rng, [1, input, size[0], size[1]]);
        let expected = theirs(x.clone());

        let pass = Pass::forward(&convolution, size);
        let mut made = vec![0.0; pass.output().iter().product()];
        let packed = pass.pack(&weight, dims);
        sum(&pass, &packed, &tensor_values(x.clone()), &mut made);
        assert_close(&made, &tensor_values(expected.clone()), &what);

        let upstream = random(&mut rng, expected.dims());
        let loss = |x| {
            (theirs(x) * upstream.clone())
                .sum_dims(&[1, 2, 3])
                .reshape([1])
        };
        let (_, expected) = gradient(&x, loss);
        let mut made = vec![f32::NAN; input * size[0] * size[1]];
        for pass in Pass::backward(&convolution, size) {
            let packed = pass.pack(&weight, dims);
            sum(&pass, &packed, &tensor_values(upstream.clone()), &mut made);
        }
        assert_close(&made, &tensor_values(expected), &what);
    }
}
