//! What a convolution and its input gradient have in common: sums over regular grids of taps.

use crate::model::graph::Convolution;

/// Most numbers of columns that are made at once: 256 MiB.
pub(super) const MOST_COLUMNS: usize = 1 << 26;

/// Largest stride: the gradient takes a pass for each position within it, and a file may ask for anything.
pub(super) const MOST_STRIDE: usize = 16;

/// A weighted sum over taps for each of a grid of positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    /// Down, and across.
    pub(super) axes: [Axis; 2],
    pub(super) groups: usize,
    /// Channels that are read and made, of one group.
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Whether it is a part of the input gradient, so that the weights' channels change places.
    is_backward: bool,
}

/// A pass along one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    /// Pixels that are read and made.
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) positions: usize,
    /// Where the first tap reads, from `step` times the position.
    pub(super) first: isize,
    /// The kernel position of each tap.
    pub(super) kernel: Vec<usize>,
    /// Input pixels from one tap to the next.
    pub(super) spacing: usize,
    /// Input pixels from one position to the next.
    pub(super) step: usize,
    /// Output pixels from one position to the next, and of the first.
    pub(super) output_step: usize,
    pub(super) output_offset: usize,
}

/// A convolution along one axis.
#[derive(Clone, Copy)]
struct AxisDefinition {
    size: usize,
    kernel: usize,
    stride: usize,
    before: usize,
    after: usize,
    dilation: usize,
}

impl AxisDefinition {
    fn new(convolution: &Convolution, size: [usize; 2], axis: usize) -> Self {
        Self {
            size: size[axis],
            kernel: convolution.weight.dims()[2 + axis],
            stride: convolution.stride[axis],
            before: convolution.padding[axis],
            after: convolution.padding[2 + axis],
            dilation: convolution.dilation[axis],
        }
    }

    fn outputs(&self) -> usize {
        let reach = (self.kernel - 1) * self.dilation + 1;
        (self.size + self.before + self.after).saturating_sub(reach) / self.stride + 1
    }

    fn forward(&self) -> Axis {
        Axis {
            input: self.size,
            output: self.outputs(),
            positions: self.outputs(),
            first: -(self.before as isize),
            kernel: (0..self.kernel).collect(),
            spacing: self.dilation,
            step: self.stride,
            output_step: 1,
            output_offset: 0,
        }
    }

    /// The input pixels at `phase` within each stride.
    fn backward(&self, phase: usize) -> Axis {
        let stride = self.stride as isize;
        // Later kernel positions read earlier pixels of the gradient.
        let taps: Vec<(usize, isize)> = (0..self.kernel)
            .rev()
            .filter_map(|at| {
                let from = (phase + self.before) as isize - (at * self.dilation) as isize;
                (from.rem_euclid(stride) == 0).then(|| (at, from.div_euclid(stride)))
            })
            .collect();
        let spacing = match taps[..] {
            [(_, first), (_, second), ..] => (second - first) as usize,
            _ => 1,
        };
        Axis {
            input: self.outputs(),
            output: self.size,
            positions: self.size.saturating_sub(phase).div_ceil(self.stride),
            first: taps.first().map_or(0, |(_, read)| *read),
            kernel: taps.into_iter().map(|(at, _)| at).collect(),
            spacing,
            step: 1,
            output_step: self.stride,
            output_offset: phase,
        }
    }
}

impl Pass {
    /// The convolution of maps of this height and width.
    pub(super) fn forward(convolution: &Convolution, size: [usize; 2]) -> Self {
        let [output, input, ..] = convolution.weight.dims();
        let axis = |axis| AxisDefinition::new(convolution, size, axis).forward();
        Self {
            axes: [axis(0), axis(1)],
            groups: convolution.groups,
            inputs: input,
            outputs: output / convolution.groups,
            is_backward: false,
        }
    }

    /// The gradient with respect to maps of this height and width: a pass for each position within a stride.
    pub(super) fn backward(convolution: &Convolution, size: [usize; 2]) -> Vec<Self> {
        let [output, input, ..] = convolution.weight.dims();
        let [down, across] = [0, 1].map(|axis| AxisDefinition::new(convolution, size, axis));
        let [rows, columns] = convolution.stride;
        let phases = (0..rows).flat_map(|y| (0..columns).map(move |x| [y, x]));
        phases
            .map(|[y, x]| Self {
                axes: [down.backward(y), across.backward(x)],
                groups: convolution.groups,
                inputs: output / convolution.groups,
                outputs: input,
                is_backward: true,
            })
            .collect()
    }

    /// One of a map's values, each of which is itself.
    pub(super) fn of_values([channels, height, width]: [usize; 3]) -> Self {
        let axis = |size| AxisDefinition {
            size,
            kernel: 1,
            stride: 1,
            before: 0,
            after: 0,
            dilation: 1,
        };
        Self {
            axes: [axis(height).forward(), axis(width).forward()],
            groups: channels,
            inputs: 1,
            outputs: 1,
            is_backward: false,
        }
    }

    /// Positions in one picture.
    pub(super) fn positions(&self) -> usize {
        self.axes.iter().map(|axis| axis.positions).product()
    }

    pub(super) fn taps(&self) -> usize {
        self.axes.iter().map(|axis| axis.kernel.len()).product()
    }

    /// Numbers that the positions of one picture read, one by one.
    pub(super) fn columns(&self) -> usize {
        [self.inputs, self.taps(), self.positions()]
            .into_iter()
            .fold(self.groups, usize::saturating_mul)
    }

    /// Whether every channel is weighed by one kernel of its own.
    pub(super) fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.inputs == 1 && self.outputs == 1
    }

    /// Channels, height and width of what it makes.
    pub(super) fn output(&self) -> [usize; 3] {
        let [down, across] = &self.axes;
        [self.groups * self.outputs, down.output, across.output]
    }

    /// Packs the weights `[output, input / groups, h, w]` of the convolution: for each group `[inputs, taps, outputs]` with
    /// outputs filled up to whole vectors of four, or `[groups, taps]` of a depthwise one.
    pub(super) fn pack(&self, weight: &[f32], dims: [usize; 4]) -> Vec<f32> {
        let [_, second, h, w] = dims;
        let pitch = match self.is_depthwise() {
            true => 1,
            false => self.outputs.next_multiple_of(4),
        };
        let taps = self.taps();
        let mut packed = vec![0.0; self.groups * self.inputs * taps * pitch];
        let [down, across] = &self.axes;
        for (group, input) in
            (0..self.groups).flat_map(|group| (0..self.inputs).map(move |input| (group, input)))
        {
            let at = down.kernel.iter();
            let at = at.flat_map(|y| across.kernel.iter().map(move |x| (y, x)));
            for (tap, (y, x)) in at.enumerate() {
                for output in 0..self.outputs {
                    let [first, inside] = match self.is_backward {
                        true => [group * self.inputs + input, output],
                        false => [group * self.outputs + output, input],
                    };
                    let to = ((group * self.inputs + input) * taps + tap) * pitch + output;
                    packed[to] = weight[((first * second + inside) * h + y) * w + x];
                }
            }
        }
        packed
    }
}
