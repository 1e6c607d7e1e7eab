//! Convolutions with packed weights: a pass forwards, and passes for the gradient of the input.

use super::instructions::Instructions;
use super::winograd::Winograd;

/// A convolution as networks define it.
pub(super) struct Definition<'a> {
    /// `[output, input / groups, height, width]`.
    pub(super) weight: &'a [f32],
    pub(super) dims: [usize; 4],
    /// A number for each output channel.
    pub(super) bias: Option<&'a [f32]>,
    pub(super) stride: [usize; 2],
    /// Pixels of padding above and to the left; the size of the output says what follows.
    pub(super) padding: [usize; 2],
    pub(super) dilation: [usize; 2],
    pub(super) groups: usize,
}

/// A convolution with packed weights.
pub(super) struct Convolution {
    pub(super) forward: Pass,
    /// Together the gradient of the input: one pass for each position within a stride.
    pub(super) backward: Vec<Pass>,
}

/// Sums over taps: every output position weighs inputs at the same distances.
pub(super) struct Pass {
    pub(super) method: Method,
    /// Row and column of the first tap, from the input position.
    pub(super) first: [isize; 2],
    /// Rows and columns of all taps, from the first.
    pub(super) taps: Vec<[usize; 2]>,
    /// Input pixels from one position to the next.
    pub(super) step: [usize; 2],
    /// Output pixels from one position to the next, and of the first.
    pub(super) output_step: [usize; 2],
    pub(super) output_offset: [usize; 2],
    pub(super) bias: Vec<f32>,
}

/// How the sums are made.
pub(super) enum Method {
    Dense(Vec<Part>),
    Winograd(Winograd),
    Depthwise(Vec<f32>),
}

/// Channels that depend on each other: all of them, or some groups.
pub(super) struct Part {
    pub(super) input: std::ops::Range<usize>,
    /// First output channel.
    pub(super) first_output: usize,
    /// Output channels in whole vectors.
    pub(super) output: usize,
    /// For each block of two vectors of outputs `[taps, input, block]`.
    pub(super) weights: Vec<f32>,
}

/// Channels from which on Winograd's transforms cost less than the products they save (measured).
const WINOGRAD_CHANNELS: usize = 16;

/// Index in packed weights of blocks `[taps, input, block]`, a block being two vectors or what is left.
pub(super) fn packed_index(
    [out, tap, channel]: [usize; 3],
    [output, taps, input]: [usize; 3],
    lanes: usize,
) -> usize {
    let wide = 2 * lanes;
    let first = out / wide * wide;
    let width = wide.min(output - first);
    first * taps * input + (tap * input + channel) * width + out - first
}

impl Convolution {
    /// Packs the weights.
    pub(super) fn new(definition: &Definition, instructions: Instructions) -> Self {
        let [stride_y, stride_x] = definition.stride;
        let phases = (0..stride_y).flat_map(|y| (0..stride_x).map(move |x| [y, x]));
        Self {
            forward: Pass::forward(definition, instructions),
            backward: phases
                .map(|phase| Pass::backward(definition, phase, instructions))
                .collect(),
        }
    }
}

impl Definition<'_> {
    fn weight(&self, [output, input, y, x]: [usize; 4]) -> f32 {
        let [_, inputs, h, w] = self.dims;
        self.weight[((output * inputs + input) * h + y) * w + x]
    }

    /// Whether every channel is convolved with one kernel of its own.
    fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.dims[0] && self.dims[1] == 1
    }

    /// Whether Winograd's algorithm computes it, and is faster.
    fn is_for_winograd(&self) -> bool {
        let [output, input, ..] = self.dims;
        self.groups == 1
            && self.dims[2..] == [3, 3]
            && self.stride == [1, 1]
            && self.dilation == [1, 1]
            && output.min(input) >= WINOGRAD_CHANNELS
    }
}

/// A kernel position, `[row, column]`, with the row and column of the input that it reads.
type Tap = ([usize; 2], [isize; 2]);

impl Pass {
    fn forward(definition: &Definition, instructions: Instructions) -> Self {
        let [output, _, h, w] = definition.dims;
        let kernel = (0..h).flat_map(|y| (0..w).map(move |x| [y, x]));
        let taps: Vec<Tap> = kernel
            .map(|at| {
                let read = |axis: usize| {
                    (at[axis] * definition.dilation[axis]) as isize
                        - definition.padding[axis] as isize
                };
                (at, [read(0), read(1)])
            })
            .collect();
        let mut bias = definition.bias.map_or_else(Vec::new, <[f32]>::to_vec);
        if !bias.is_empty() {
            bias.resize(output.next_multiple_of(instructions.lanes()), 0.0);
        }
        let read = |output, input, at: [usize; 2]| [output, input, at[0], at[1]];
        Self {
            step: definition.stride,
            bias,
            ..Self::new(definition, &taps, false, read, instructions)
        }
    }

    /// Of the input pixels at `phase` within each stride.
    fn backward(definition: &Definition, phase: [usize; 2], instructions: Instructions) -> Self {
        let [_, _, h, w] = definition.dims;
        let kernel = (0..h).flat_map(|y| (0..w).map(move |x| [y, x]));
        let mut taps: Vec<Tap> = kernel
            .filter_map(|at| {
                let read = |axis: usize| {
                    let from = (phase[axis] + definition.padding[axis]) as isize
                        - (at[axis] * definition.dilation[axis]) as isize;
                    let stride = definition.stride[axis] as isize;
                    (from.rem_euclid(stride) == 0).then(|| from.div_euclid(stride))
                };
                Some((at, [read(0)?, read(1)?]))
            })
            .collect();
        taps.sort_by_key(|(_, read)| *read);
        let read = |output, input, at: [usize; 2]| [input, output, at[0], at[1]];
        Self {
            output_step: definition.stride,
            output_offset: phase,
            ..Self::new(definition, &taps, true, read, instructions)
        }
    }

    /// The sums of these taps; `place(output, input, kernel position)` is the index of a weight, input and output
    /// counted within a group.
    fn new(
        definition: &Definition,
        taps: &[Tap],
        turned: bool,
        place: impl Fn(usize, usize, [usize; 2]) -> [usize; 4],
        instructions: Instructions,
    ) -> Self {
        let least = |axis: usize| taps.iter().map(|(_, read)| read[axis]).min().unwrap_or(0);
        let first = [least(0), least(1)];
        let lanes = instructions.lanes();
        let groups = definition.groups;
        let channels = [definition.dims[0] / groups, definition.dims[1]];
        let [output, input] = if turned {
            [channels[1], channels[0]]
        } else {
            channels
        };
        let method = if definition.is_depthwise() {
            let pitch = groups.next_multiple_of(lanes);
            let mut weights = vec![0.0; taps.len() * pitch];
            for (tap, (at, _)) in taps.iter().enumerate() {
                for channel in 0..groups {
                    weights[tap * pitch + channel] = definition.weight([channel, 0, at[0], at[1]]);
                }
            }
            Method::Depthwise(weights)
        } else if definition.is_for_winograd() {
            let weight = |out: usize, channel: usize, row: usize, column: usize| {
                let (at, _) = taps[3 * row + column];
                if out < output {
                    definition.weight(place(out, channel, at))
                } else {
                    0.0
                }
            };
            let dims = [input, output.next_multiple_of(lanes)];
            Method::Winograd(Winograd::new(dims, instructions, weight))
        } else {
            // Groups that fill whole vectors of outputs together are made together.
            let together = (1..groups)
                .find(|count| {
                    groups.is_multiple_of(*count) && (count * output).is_multiple_of(lanes)
                })
                .unwrap_or(groups);
            let part = |number: usize| {
                let first_group = number * together;
                let inputs = first_group * input..(first_group + together) * input;
                let outputs = (together * output).next_multiple_of(lanes);
                let dims = [outputs, taps.len(), inputs.len()];
                let mut weights = vec![0.0; dims.iter().product()];
                for group in 0..together {
                    // Of the tensor's first axis, all groups follow one another; the second is of one group.
                    let shift = (first_group + group) * channels[0];
                    for (tap, (at, _)) in taps.iter().enumerate() {
                        for (out, channel) in (0..output)
                            .flat_map(|out| (0..input).map(move |channel| (out, channel)))
                        {
                            let [a, b, y, x] = place(out, channel, *at);
                            let packed = [group * output + out, tap, group * input + channel];
                            weights[packed_index(packed, dims, lanes)] =
                                definition.weight([a + shift, b, y, x]);
                        }
                    }
                }
                Part {
                    input: inputs,
                    first_output: first_group * output,
                    output: outputs,
                    weights,
                }
            };
            Method::Dense((0..groups / together).map(part).collect())
        };
        Self {
            method,
            first,
            taps: taps
                .iter()
                .map(|(_, read)| std::array::from_fn(|axis| (read[axis] - first[axis]) as usize))
                .collect(),
            step: [1, 1],
            output_step: [1, 1],
            output_offset: [0, 0],
            bias: Vec::new(),
        }
    }
}
