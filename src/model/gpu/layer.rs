//! One convolution of a frozen network on a GPU: forward, and the gradient of its input.

use std::sync::{Arc, Mutex, OnceLock};

use burn::tensor::{Tensor, TensorData};

use super::ConvolutionAlgorithm;
use super::header::{self, Epilogue};
use super::launch::{
    GpuTensor, Launch, Shader, WrittenSizes, dims, empty, groups_of_values, in_rows, memory,
};
use super::pass::{MOST_COLUMNS, Pass};
use crate::model::graph::Convolution;
use crate::model::tensor_values;
use crate::tasks;

/// Work groups from which on a GPU is full; with fewer, tiles are made smaller.
const FULL: usize = 128;

/// Positions of a tile; shaders/convolution.wgsl has the same number.
const TILE_POSITIONS: usize = 64;

/// Output channels of a tile.
const TILES: [usize; 3] = [64, 32, 16];

/// A convolution with its weights, which are packed when they are first used.
pub(super) struct Layer {
    pub(super) convolution: Convolution,
    pub(super) sizes: Arc<WrittenSizes>,
    weight: OnceLock<Vec<f32>>,
    bias: OnceLock<GpuTensor>,
    /// Of the pass forward, and of those of the gradient; `None` for what was not used yet.
    packed: Mutex<Vec<Option<GpuTensor>>>,
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Layer({:?})", self.convolution.weight.dims())
    }
}

impl Layer {
    pub(super) fn new(convolution: &Convolution, sizes: Arc<WrittenSizes>) -> Self {
        Self {
            convolution: convolution.clone(),
            sizes,
            weight: OnceLock::new(),
            bias: OnceLock::new(),
            packed: Mutex::default(),
        }
    }

    /// Lengths of the output for an input of these.
    pub(super) fn output_dims(&self, [n, _, h, w]: [usize; 4]) -> [usize; 4] {
        let [c, h, w] = Pass::forward(&self.convolution, [h, w]).output();
        [n, c, h, w]
    }

    /// The convolution of `x`, plus another map, and the ReLU after it with this largest value.
    pub(super) fn forward(
        &self,
        algorithm: ConvolutionAlgorithm,
        x: &GpuTensor,
        residual: Option<&GpuTensor>,
        ceiling: Option<f32>,
    ) -> GpuTensor {
        let [_, _, h, w] = dims(x);
        let pass = Pass::forward(&self.convolution, [h, w]);
        if self.takes_products(algorithm, &pass) {
            return self.product(&pass, x, residual, ceiling);
        }
        let result = empty(x, self.output_dims(dims(x)));
        let epilogue = Epilogue {
            has_bias: self.convolution.bias.is_some(),
            has_residual: residual.is_some(),
            ceiling,
        };
        let tensors = [x, residual.unwrap_or(&result), &result];
        self.run(0, &pass, tensors, epilogue);
        result
    }

    /// The gradient with respect to an input of these lengths, from that with respect to the convolution.
    pub(super) fn backward(
        &self,
        algorithm: ConvolutionAlgorithm,
        gradient: &GpuTensor,
        input: [usize; 4],
    ) -> GpuTensor {
        let [_, _, h, w] = input;
        let pass = Pass::forward(&self.convolution, [h, w]);
        if self.takes_products(algorithm, &pass) {
            return self.product_backward(&pass, gradient, input);
        }
        let result = empty(gradient, input);
        let passes = Pass::backward(&self.convolution, [h, w]);
        for (number, pass) in passes.iter().enumerate() {
            // A stride may be wider than the map.
            if pass.positions() > 0 {
                let tensors = [gradient, &result, &result];
                self.run(number + 1, pass, tensors, Epilogue::default());
            }
        }
        result
    }

    /// The gradient with respect to the input of a ReLU, with this largest value, that made `values`.
    pub(super) fn relu_backward(
        &self,
        gradient: &GpuTensor,
        values: &GpuTensor,
        ceiling: f32,
    ) -> GpuTensor {
        let [n, c, h, w] = dims(values);
        let result = empty(values, [n, c, h, w]);
        let epilogue = Epilogue {
            ceiling: Some(ceiling),
            ..Epilogue::default()
        };
        let launch = Launch {
            shader: Shader::ReluGradient,
            constants: String::new(),
            sizes: header::sizes(&Pass::of_values([c, h, w]), n, epilogue),
            groups: groups_of_values(n * c * h * w),
            tensors: &[gradient, values, &result],
        };
        launch.run(&self.sizes);
        result
    }

    /// Whether matrix products compute it: those of depthwise convolutions would be of single rows, and the columns of others
    /// may be larger than a buffer.
    fn takes_products(&self, algorithm: ConvolutionAlgorithm, pass: &Pass) -> bool {
        algorithm == ConvolutionAlgorithm::MatrixProduct
            && !pass.is_depthwise()
            && pass.columns() <= MOST_COLUMNS
    }

    /// Runs a pass from `x` to `result`, with what is added.
    fn run(
        &self,
        number: usize,
        pass: &Pass,
        [x, residual, result]: [&GpuTensor; 3],
        epilogue: Epilogue,
    ) {
        let [n, ..] = dims(x);
        let positions = n * pass.positions();
        let mut constants = header::constants(pass);
        let (shader, groups) = if pass.is_depthwise() {
            let values = positions * pass.groups;
            (Shader::Depthwise, groups_of_values(values))
        } else {
            let tiles = positions.div_ceil(TILE_POSITIONS);
            let across = |outputs: usize| pass.groups * pass.outputs.div_ceil(outputs);
            // The largest tile that is mostly used, and of which there are enough.
            let fits = |outputs: usize| outputs < 2 * pass.outputs;
            let tile = TILES
                .into_iter()
                .find(|&outputs| fits(outputs) && tiles * across(outputs) >= FULL)
                .unwrap_or(TILES[2]);
            header::constant(&mut constants, "TILE_OUTPUTS", tile);
            (Shader::Convolution, [tiles, across(tile)])
        };
        let (weights, bias) = (self.packed(number, pass), self.bias());
        let launch = Launch {
            shader,
            constants,
            sizes: header::sizes(pass, n, epilogue),
            groups,
            tensors: &[x, &weights, bias, residual, result],
        };
        launch.run(&self.sizes);
    }

    fn packed(&self, number: usize, pass: &Pass) -> GpuTensor {
        let mut packed = tasks::lock(&self.packed);
        if packed.len() <= number {
            packed.resize(number + 1, None);
        }
        let weights = packed[number].get_or_insert_with(|| {
            let weight = &self.convolution.weight;
            let values = self.weight.get_or_init(|| tensor_values(weight.clone()));
            let mut values = pass.pack(values, weight.dims());
            // A pass without taps has no weights, but a buffer is never empty.
            values.resize(values.len().max(4), 0.0);
            self.upload(values)
        });
        weights.clone()
    }

    /// A number for each output channel; what is bound is not empty even without any.
    fn bias(&self) -> &GpuTensor {
        self.bias.get_or_init(|| match &self.convolution.bias {
            Some(bias) => in_rows(memory(bias.clone())),
            None => self.upload(vec![0.0; 4]),
        })
    }

    fn upload(&self, values: Vec<f32>) -> GpuTensor {
        let count = values.len();
        let data = TensorData::new(values, [count]);
        memory(Tensor::<1>::from_data(
            data,
            &self.convolution.weight.device(),
        ))
    }
}
