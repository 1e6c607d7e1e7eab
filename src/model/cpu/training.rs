//! CPU convolution for training: im2col matrix products with gradients for input and weights.
//!
//! burn's CPU back end is several times slower for the same gradients; all other operations of a training
//! step are burn's.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::flex::{tensor, values};
use super::product::{MatrixView, MatrixViewMut, add_product};

/// Sizes of a convolution with a square kernel, padded so that a stride of 1 keeps the resolution.
#[derive(Clone, Debug)]
struct ConvolutionShape {
    pictures: usize,
    kernel: usize,
    stride: usize,
    /// Channels, height, width of the input.
    input: [usize; 3],
    output: [usize; 3],
}

/// Convolves `[n, c, h, w]` with `[out, c, k, k]`, zero-padded by k/2. `None` unless gradients are required
/// on the CPU, where this is faster than burn.
pub(in crate::model) fn convolve(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    stride: usize,
) -> Option<Tensor<4>> {
    if !(x.is_autodiff() || weight.is_autodiff()) {
        return None;
    }
    let shape = ConvolutionShape::new(x.dims(), weight.dims(), stride);
    let tracked = |tensor: &Tensor<4>| {
        let tensor = tensor.clone();
        let tensor = if tensor.is_autodiff() {
            tensor
        } else {
            tensor.autodiff()
        };
        tensor.try_into_primitive::<Autodiff<Flex>>().ok()
    };
    let (x, weight) = (tracked(x)?, tracked(weight)?);
    let preparation = ConvolutionBackward
        .prepare::<NoCheckpointing>([x.node(), weight.node()])
        .compute_bound()
        .stateful();
    let (x, weight) = (x.into_primitive(), weight.into_primitive());
    let output = shape.forward(&values(&x), &values(&weight));
    let [c, h, w] = shape.output;
    let output = tensor(output, &[shape.pictures, c, h, w]);
    let output = match preparation {
        OpsKind::Tracked(preparation) => preparation.finish((x, weight, shape), output),
        OpsKind::UnTracked(preparation) => preparation.finish(output),
    };
    Some(Tensor::from_primitive::<Autodiff<Flex>>(output))
}

#[derive(Debug)]
struct ConvolutionBackward;

impl Backward<Flex, 2> for ConvolutionBackward {
    type State = (FlexTensor, FlexTensor, ConvolutionShape);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, shape) = ops.state;
        let gradient = gradients.consume::<Flex>(&ops.node);
        let [for_x, for_weight] = ops.parents;
        let (to_x, to_weight) = shape.backward(
            &values(&x),
            &values(&weight),
            &values(&gradient),
            for_x.is_some(),
        );
        if let Some(node) = for_x {
            let [c, h, w] = shape.input;
            gradients.register::<Flex>(node.id, tensor(to_x, &[shape.pictures, c, h, w]));
        }
        if let Some(node) = for_weight {
            let [k, channels] = [shape.kernel, shape.input[0]];
            let dims = [shape.output[0], channels, k, k];
            gradients.register::<Flex>(node.id, tensor(to_weight, &dims));
        }
    }
}

impl ConvolutionShape {
    fn new(
        [pictures, c, h, w]: [usize; 4],
        [out, _, kernel, _]: [usize; 4],
        stride: usize,
    ) -> Self {
        let side = |side: usize| (side + 2 * (kernel / 2) - kernel) / stride + 1;
        Self {
            pictures,
            kernel,
            stride,
            input: [c, h, w],
            output: [out, side(h), side(w)],
        }
    }

    /// Number of input values of one output value.
    fn depth(&self) -> usize {
        self.input[0] * self.kernel * self.kernel
    }

    /// Number of values of one output channel.
    fn places(&self) -> usize {
        self.output[1] * self.output[2]
    }

    /// Whether it is a 1×1 convolution of stride 1, for which no im2col is needed.
    fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1
    }

    /// Calls `visit(column, pixel, count)` for every run of values that the columns
    /// `[depth, places]` have in common with a picture, where they are `stride` apart.
    fn runs(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let [channels, h, w] = self.input;
        let [_, rows, columns] = self.output;
        let (kernel, stride, padding) = (self.kernel, self.stride, self.kernel / 2);
        // Outputs whose window is inside the input at this kernel position.
        let inside = |at: usize, side: usize, outputs: usize| {
            let first = padding.saturating_sub(at).div_ceil(stride);
            let end = (side + padding).saturating_sub(at).div_ceil(stride);
            first..end.min(outputs)
        };
        for channel in 0..channels {
            for ky in 0..kernel {
                for kx in 0..kernel {
                    let depth = (channel * kernel + ky) * kernel + kx;
                    let across = inside(kx, w, columns);
                    for row in inside(ky, h, rows) {
                        let line = channel * h + row * stride + ky - padding;
                        let column = (depth * rows + row) * columns + across.start;
                        let pixel = line * w + across.start * stride + kx - padding;
                        visit(column, pixel, across.len());
                    }
                }
            }
        }
    }

    /// im2col: the columns `[depth, places]` of a picture; values outside of it stay zero.
    fn unfold(&self, picture: &[f32], columns: &mut [f32]) {
        let stride = self.stride;
        self.runs(|to, from, count| {
            let to = &mut columns[to..to + count];
            if stride == 1 {
                to.copy_from_slice(&picture[from..from + count]);
            } else {
                let from = picture[from..].iter().step_by(stride);
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        });
    }

    /// col2im: adds columns to the pixels from which they were taken.
    fn fold(&self, columns: &[f32], picture: &mut [f32]) {
        let stride = self.stride;
        self.runs(|from, to, count| {
            let from = &columns[from..from + count];
            let to = picture[to..].iter_mut().step_by(stride);
            to.zip(from).for_each(|(to, from)| *to += from);
        });
    }

    fn forward(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let (depth, places, channels) = (self.depth(), self.places(), self.output[0]);
        let mut output = vec![0.0; self.pictures * channels * places];
        let pictures = x.par_chunks_exact(self.input.iter().product());
        let outputs = output.par_chunks_exact_mut(channels * places);
        pictures.zip(outputs).for_each_init(
            || {
                vec![
                    0.0;
                    if self.is_pointwise() {
                        0
                    } else {
                        depth * places
                    }
                ]
            },
            |columns, (picture, output)| {
                let columns = if self.is_pointwise() {
                    picture
                } else {
                    self.unfold(picture, columns);
                    columns
                };
                add_product(
                    [channels, depth, places],
                    MatrixViewMut::row_major(output, places),
                    MatrixView::row_major(weight, depth),
                    MatrixView::row_major(columns, places),
                    false,
                );
            },
        );
        output
    }

    /// Gradients with respect to `x` (empty unless `for_x`) and to the weights.
    fn backward(
        &self,
        x: &[f32],
        weight: &[f32],
        gradient: &[f32],
        for_x: bool,
    ) -> (Vec<f32>, Vec<f32>) {
        let (depth, places, channels) = (self.depth(), self.places(), self.output[0]);
        let (input, output) = (self.input.iter().product::<usize>(), channels * places);
        // One partial sum of weight gradients for each thread.
        let share = self.pictures.div_ceil(rayon::current_num_threads()).max(1);
        let parts = x
            .par_chunks(share * input)
            .zip(gradient.par_chunks(share * output));
        let part = |(x, gradient): (&[f32], &[f32])| {
            let mut to_x = vec![0.0; if for_x { x.len() } else { 0 }];
            let mut to_weight = vec![0.0; channels * depth];
            let mut columns = vec![0.0; depth * places];
            let pictures = x.chunks_exact(input).zip(gradient.chunks_exact(output));
            for (index, (picture, gradient)) in pictures.enumerate() {
                let gradient = MatrixView::row_major(gradient, places);
                columns.fill(0.0);
                self.unfold(picture, &mut columns);
                add_product(
                    [channels, places, depth],
                    MatrixViewMut::row_major(&mut to_weight, depth),
                    gradient,
                    MatrixView::row_major(&columns, places).transposed(),
                    false,
                );
                if for_x {
                    columns.fill(0.0);
                    add_product(
                        [depth, channels, places],
                        MatrixViewMut::row_major(&mut columns, places),
                        MatrixView::row_major(weight, depth).transposed(),
                        gradient,
                        false,
                    );
                    self.fold(&columns, &mut to_x[index * input..][..input]);
                }
            }
            (to_x, to_weight)
        };
        let parts: Vec<(Vec<f32>, Vec<f32>)> = parts.map(part).collect();
        let mut to_weight = vec![0.0; channels * depth];
        for (_, part) in &parts {
            to_weight
                .iter_mut()
                .zip(part)
                .for_each(|(sum, part)| *sum += part);
        }
        let to_x = parts.into_iter().flat_map(|(to_x, _)| to_x).collect();
        (to_x, to_weight)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Distribution};

    use super::*;

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        crate::model::tensor_values(tensor)
    }

    /// Output and both gradients of a loss that weights every output differently.
    fn results(
        x: &Tensor<4>,
        weight: &Tensor<4>,
        convolve: impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4>,
    ) -> [Vec<f32>; 3] {
        let x = x.clone().autodiff().require_grad();
        let weight = weight.clone().autodiff().require_grad();
        let y = convolve(x.clone(), weight.clone());
        let loss = (y.clone() * y.clone().sin()).sum();
        let mut gradients = loss.backward();
        let to_x = x.grad_remove(&mut gradients).expect("a gradient");
        let to_weight = weight.grad_remove(&mut gradients).expect("a gradient");
        [numbers(y.inner()), numbers(to_x), numbers(to_weight)]
    }

    #[test]
    fn output_and_gradients_are_those_of_burn() {
        let device = Device::flex();
        let random = |shape: [usize; 4]| {
            Tensor::<4>::random(shape, Distribution::Uniform(-1.0, 1.0), &device)
        };
        for (kernel, stride, size) in [
            (3, 1, [6, 5]),
            (3, 2, [8, 7]),
            (1, 1, [4, 4]),
            (1, 2, [5, 6]),
            (7, 2, [9, 8]),
            (3, 2, [1, 2]),
        ] {
            let x = random([3, 4, size[0], size[1]]);
            let weight = random([5, 4, kernel, kernel]);
            let ours = results(&x, &weight, |x, weight| {
                convolve(&x, &weight, stride).expect("the CPU with gradients")
            });
            let theirs = results(&x, &weight, |x, weight| {
                let padding = [kernel / 2; 2];
                conv2d(
                    x,
                    weight,
                    None,
                    ConvOptions::new([stride; 2], padding, [1; 2], 1),
                )
            });
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours.len(), theirs.len());
                let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
                let most = apart.fold(0.0, f32::max);
                assert!(most < 1e-3, "kernel {kernel}, stride {stride}: {most}");
            }
        }
        let (x, weight) = (random([1, 1, 3, 3]), random([1, 1, 3, 3]));
        assert!(
            convolve(&x, &weight, 1).is_none(),
            "nobody asks for gradients"
        );
    }
}
