//! Pictures and changes at other resolutions, differentiable.

use burn::tensor::Tensor;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;

use crate::model::repeated;

/// Means of rectangles of `rows` × `columns` pixels, which divide height and width of `x`, `[n, c, h, w]`.
pub(crate) fn reduced(x: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    if [rows, columns] == [1, 1] {
        return x;
    }
    let [n, c, h, w] = x.dims();
    let rectangles = x.reshape([n, c, h / rows, rows, w / columns, columns]);
    rectangles
        .mean_dim(5)
        .mean_dim(3)
        .reshape([n, c, h / rows, w / columns])
}

/// Every pixel repeated as a square of `factor` × `factor`, the squares' edges smoothed by a mean over as many
/// pixels or one more.
pub(super) fn enlarged(x: Tensor<4>, factor: usize) -> Tensor<4> {
    if factor == 1 {
        return x;
    }
    smoothed(repeated(x, factor), factor | 1)
}

/// Means over windows of `side` × `side` pixels, `side` odd; at the borders over what is inside.
pub(crate) fn smoothed(x: Tensor<4>, side: usize) -> Tensor<4> {
    avg_pool2d(
        x,
        AvgPoolOptions::new([side; 2])
            .with_stride([1; 2])
            .with_padding([side / 2; 2])
            .with_count_include_pad(false),
    )
}
