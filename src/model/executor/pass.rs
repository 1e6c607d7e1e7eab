//! Runs a pass of a convolution over feature maps, on one thread or several.

use rayon::prelude::*;

use super::convolution::{Method, Pass};
use super::depthwise::Depthwise;
use super::instructions::{Instructions, Resources};
use super::kernel::{Epilogue, Grid, Output, Position};
use super::layout::Layout;
use super::sums::{Sums, blocks};
use super::winograd::{Tile, Winograd};

/// Numbers of the input that stay in a core's second cache while all blocks of outputs are made of them.
const CACHED_INPUTS: usize = 1 << 17;

/// Multiplications that are worth a thread of their own.
const TASK: usize = 1 << 18;

/// Positions of a task below which channels are divided among threads instead.
const FEWEST: usize = 12;

impl Pass {
    /// Where it writes in maps of this layout.
    fn grid(&self, to: &Layout) -> Grid {
        let count = |size: usize, axis: usize| {
            size.saturating_sub(self.output_offset[axis])
                .div_ceil(self.output_step[axis])
        };
        Grid {
            rows: count(to.h, 0),
            columns: count(to.w, 1),
            step: self.output_step,
            offset: self.output_offset,
        }
    }

    /// Whether fewer numbers are read where threads divide the channels and each reads all inputs of so many positions than
    /// where they divide the positions and each reads all weights.
    fn reads_more_weights(&self, positions: usize) -> bool {
        match &self.method {
            Method::Dense(parts) => parts.iter().any(|part| {
                let inputs = positions * self.step[0] * self.step[1] * part.input.len();
                part.weights.len() > inputs
            }),
            // Its inputs would be transformed by each.
            Method::Winograd(_) | Method::Depthwise(_) => false,
        }
    }

    /// The border that its inputs need.
    pub(super) fn border(&self, from: &Layout, to: &Layout) -> [usize; 4] {
        let grid = self.grid(to);
        if self.taps.is_empty() || grid.len() == 0 {
            return [0; 4];
        }
        let reach = |axis: usize, positions: usize, size: usize| {
            let last = self.taps.iter().map(|tap| tap[axis]).max().unwrap_or(0);
            let positions = match self.method {
                Method::Winograd(_) => positions.next_multiple_of(2),
                Method::Dense(_) | Method::Depthwise(_) => positions,
            };
            let end = ((positions - 1) * self.step[axis] + last) as isize + self.first[axis];
            let before = -self.first[axis];
            [
                before.max(0) as usize,
                (end + 1 - size as isize).max(0) as usize,
            ]
        };
        let [above, below] = reach(0, grid.rows, from.h);
        let [left, right] = reach(1, grid.columns, from.w);
        [above, left, below, right]
    }

    /// Computes maps `to` from maps `from` of `pictures` pictures.
    pub(super) fn run(
        &self,
        resources: Resources,
        (from, x): (&Layout, &[f32]),
        (to, values): (&Layout, &mut [f32]),
        pictures: usize,
        epilogue: Epilogue,
    ) {
        let grid = self.grid(to);
        let count = grid.len() * pictures;
        let work = count * self.taps.len().max(1) * from.c * to.c;
        let tasks = (work / TASK).clamp(1, resources.threads);
        let call = Call {
            pass: self,
            instructions: resources.instructions,
            from,
            x,
            to,
            output: Output::new(values),
            grid,
            epilogue,
        };
        let all = call.blocks();
        let positions = match self.method {
            Method::Winograd(_) => grid.rows.div_ceil(2) * grid.columns.div_ceil(2) * pictures,
            Method::Dense(_) | Method::Depthwise(_) => count,
        };
        if tasks == 1 {
            call.run(0..positions, 0..all);
        } else if positions >= tasks * FEWEST
            && !(self.reads_more_weights(count) && all >= 2 * tasks)
        {
            let share = positions.div_ceil(tasks).next_multiple_of(12);
            (0..positions.div_ceil(share))
                .into_par_iter()
                .for_each(|task| {
                    call.run(task * share..((task + 1) * share).min(positions), 0..all);
                });
        } else {
            let share = all.div_ceil(tasks).max(1);
            (0..all.div_ceil(share)).into_par_iter().for_each(|task| {
                call.run(0..positions, task * share..((task + 1) * share).min(all));
            });
        }
    }
}

/// A pass over given maps.
struct Call<'a> {
    pass: &'a Pass,
    instructions: Instructions,
    from: &'a Layout,
    x: &'a [f32],
    to: &'a Layout,
    output: Output<'a>,
    grid: Grid,
    epilogue: Epilogue<'a>,
}

impl Call<'_> {
    /// Number of blocks of outputs that can be made one by one.
    fn blocks(&self) -> usize {
        match &self.pass.method {
            Method::Dense(parts) => match &parts[..] {
                [part] => blocks(part.output, self.instructions.lanes()),
                parts => parts.len(),
            },
            Method::Winograd(winograd) => blocks(winograd.output, self.instructions.lanes()),
            Method::Depthwise(_) => 1,
        }
    }

    /// Index in the input of the first tap for an output position.
    fn from(&self, picture: usize, y: usize, x: usize) -> usize {
        let [above, left, ..] = self.from.border;
        let at = |border: usize, position: usize, axis: usize| {
            let place = (border + position * self.pass.step[axis]) as isize + self.pass.first[axis];
            usize::try_from(place).expect("the border is wide enough")
        };
        picture * self.from.picture()
            + at(above, y, 0) * self.from.row()
            + at(left, x, 1) * self.from.pitch
    }

    fn position(&self, picture: usize, y: usize, x: usize) -> Position {
        let [row, column] = self.grid.pixel(y, x);
        let index = |layout: &Layout| picture * layout.picture() + layout.pixel(row, column);
        let Epilogue { add, mask, .. } = &self.epilogue;
        Position {
            from: if self.pass.taps.is_empty() {
                0
            } else {
                self.from(picture, y, x)
            },
            to: index(self.to),
            add: add.as_ref().map_or(0, |(layout, _)| index(layout)),
            mask: mask.as_ref().map_or(0, |(layout, ..)| index(layout)),
        }
    }

    fn run(&self, positions: std::ops::Range<usize>, range: std::ops::Range<usize>) {
        match &self.pass.method {
            Method::Winograd(winograd) => self.run_winograd(winograd, positions, range),
            Method::Dense(_) | Method::Depthwise(_) => {
                let pixels =
                    CACHED_INPUTS / (self.from.pitch * self.pass.step.iter().product::<usize>());
                let at_once = pixels.clamp(48, 1 << 12) / 12 * 12;
                let mut start = positions.start;
                while start < positions.end {
                    let end = (start + at_once).min(positions.end);
                    let positions: Vec<Position> = (start..end)
                        .map(|number| {
                            let [picture, y, x] = self.grid.place(number);
                            self.position(picture, y, x)
                        })
                        .collect();
                    self.run_positions(&positions, range.clone());
                    start = end;
                }
            }
        }
    }

    fn run_positions(&self, positions: &[Position], range: std::ops::Range<usize>) {
        let taps: Vec<usize> = self
            .pass
            .taps
            .iter()
            .map(|[y, x]| y * self.from.row() + x * self.from.pitch)
            .collect();
        match &self.pass.method {
            Method::Depthwise(weights) => self.instructions.run(Depthwise {
                x: self.x,
                taps: &taps,
                weights,
                bias: &self.pass.bias,
                positions,
                pitch: self.to.pitch,
                to: self.output,
                epilogue: self.epilogue,
            }),
            Method::Dense(parts) => {
                let chosen = if parts.len() > 1 {
                    &parts[range.clone()]
                } else {
                    &parts[..]
                };
                for part in chosen {
                    let all = blocks(part.output, self.instructions.lanes());
                    self.instructions.run(Sums {
                        x: &self.x[part.input.start..],
                        taps: &taps,
                        input: part.input.len(),
                        weights: &part.weights,
                        bias: self.pass.bias.get(part.first_output..).unwrap_or_default(),
                        positions,
                        first_output: part.first_output,
                        output: part.output,
                        blocks: if parts.len() > 1 {
                            0..all
                        } else {
                            range.clone()
                        },
                        to: self.output,
                        epilogue: self.epilogue,
                    });
                }
            }
            Method::Winograd(_) => unreachable!("made of tiles"),
        }
    }

    fn run_winograd(
        &self,
        winograd: &Winograd,
        numbers: std::ops::Range<usize>,
        range: std::ops::Range<usize>,
    ) {
        let grid = Grid {
            rows: self.grid.rows.div_ceil(2),
            columns: self.grid.columns.div_ceil(2),
            ..self.grid
        };
        let tiles: Vec<Tile> = numbers
            .map(|number| {
                let [picture, y, x] = grid.place(number);
                let output = |dy: usize, dx: usize| {
                    let (y, x) = (2 * y + dy, 2 * x + dx);
                    let inside = y < self.grid.rows && x < self.grid.columns;
                    inside.then(|| self.position(picture, y, x))
                };
                Tile {
                    from: self.from(picture, 2 * y, 2 * x),
                    outputs: [output(0, 0), output(0, 1), output(1, 0), output(1, 1)],
                }
            })
            .collect();
        winograd.run(
            self.instructions,
            self.x,
            [self.from.row(), self.from.pitch],
            &tiles,
            range,
            &self.pass.bias,
            self.output,
            self.epilogue,
        );
    }
}
