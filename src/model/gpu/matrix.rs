//! Convolutions as matrix products on a GPU: what positions read is copied to columns, which burn multiplies.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::header::{self, Epilogue};
use super::launch::{
    GpuTensor, Launch, Shader, as_tensor, dims, empty, groups_of_values, in_rows, memory,
};
use super::layer::Layer;
use super::pass::{MOST_COLUMNS, Pass};

impl Layer {
    /// The convolution of `x`, plus its bias and another map, and the ReLU after it with this largest value.
    pub(super) fn product(
        &self,
        pass: &Pass,
        x: &GpuTensor,
        residual: Option<&GpuTensor>,
        ceiling: Option<f32>,
    ) -> GpuTensor {
        let [n, ..] = dims(x);
        let matrix = self.matrix(pass);
        let products = parts(pass, n).map(|[first, count]| {
            let part = as_tensor::<4>(x.clone()).narrow(0, first, count);
            let columns = self.unfolded(pass, part);
            let [c, h, w] = pass.output();
            matrix.clone().matmul(columns).reshape([count, c, h, w])
        });
        let bias = self.convolution.bias.clone();
        let bias = bias.map(|bias| bias.reshape([1, -1, 1, 1]));
        let residual = residual.map(|residual| as_tensor(residual.clone()));
        let added = [bias, residual].into_iter().flatten();
        let sum = added.fold(joined(products.collect()), |sum, added| sum + added);
        in_rows(memory(match ceiling {
            Some(most) if most.is_finite() => sum.clamp(0.0, most),
            Some(_) => relu(sum),
            None => sum,
        }))
    }

    /// The gradient with respect to an input of these lengths.
    pub(super) fn product_backward(
        &self,
        pass: &Pass,
        gradient: &GpuTensor,
        [n, c, h, w]: [usize; 4],
    ) -> GpuTensor {
        let matrix = self.matrix(pass).swap_dims(2, 3);
        let inputs = parts(pass, n).map(|[first, count]| {
            let part = as_tensor::<4>(gradient.clone()).narrow(0, first, count);
            let rows = part.reshape([count, pass.groups, pass.outputs, pass.positions()]);
            let columns = matrix.clone().matmul(rows);
            if self.is_pointwise() {
                return columns.reshape([count, c, h, w]);
            }
            let columns = in_rows(memory(columns));
            let input = empty(&columns, [count, c, h, w]);
            let launch = Launch {
                shader: Shader::Fold,
                constants: header::constants(pass),
                sizes: header::sizes(pass, count, Epilogue::default()),
                groups: groups_of_values(count * c * h * w),
                tensors: &[&columns, &input],
            };
            launch.run(&self.sizes);
            as_tensor(input)
        });
        in_rows(memory(joined(inputs.collect())))
    }

    /// The weights `[1, groups, outputs, inputs · taps]`.
    fn matrix(&self, pass: &Pass) -> Tensor<4> {
        let weight = self.convolution.weight.clone();
        weight.reshape([1, pass.groups, pass.outputs, pass.inputs * pass.taps()])
    }

    /// What each position reads of `x`: `[n, groups, inputs · taps, positions]`.
    fn unfolded(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let [n, ..] = x.dims();
        let sides = [n, pass.groups, pass.inputs * pass.taps(), pass.positions()];
        if self.is_pointwise() {
            return x.reshape(sides);
        }
        let x = in_rows(memory(x));
        let columns = empty(&x, sides);
        let launch = Launch {
            shader: Shader::Unfold,
            constants: header::constants(pass),
            sizes: header::sizes(pass, n, Epilogue::default()),
            groups: groups_of_values(sides.iter().product()),
            tensors: &[&x, &columns],
        };
        launch.run(&self.sizes);
        as_tensor(columns)
    }

    /// Whether every position reads one pixel, its own.
    fn is_pointwise(&self) -> bool {
        let convolution = &self.convolution;
        convolution.weight.dims()[2..] == [1, 1]
            && convolution.stride == [1, 1]
            && convolution.padding == [0; 4]
    }
}

/// First and number of the pictures whose columns are made together.
fn parts(pass: &Pass, pictures: usize) -> impl Iterator<Item = [usize; 2]> {
    let each = (MOST_COLUMNS / pass.columns().max(1)).clamp(1, pictures.max(1));
    let firsts = (0..pictures).step_by(each);
    firsts.map(move |first| [first, each.min(pictures - first)])
}

/// Parts, one after the other.
fn joined(mut parts: Vec<Tensor<4>>) -> Tensor<4> {
    match parts.len() {
        1 => parts.remove(0),
        _ => Tensor::cat(parts, 0),
    }
}
