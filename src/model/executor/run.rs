//! Runs a plan on pictures, forwards.

use super::kernel::{Add, Epilogue, Instructions};
use super::layout::Layout;
use super::plan::{Memory, Plan};
use super::pool;
use super::program::{MapId, Step};

/// The memory of one run.
#[derive(Default)]
pub(super) struct Workspace {
    pub(super) slots: Vec<Vec<f32>>,
    /// For each step of maximum pooling, which tap of its window every output is.
    pub(super) taps: Vec<Vec<u8>>,
}

/// A plan on some pictures.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) instructions: Instructions,
    pub(super) pictures: usize,
    /// Threads for each step.
    pub(super) threads: usize,
    /// Whether a backward pass follows.
    pub(super) keep: bool,
}

impl Run<'_> {
    pub(super) fn memory(&self) -> &Memory {
        if self.keep {
            &self.plan.memory
        } else {
            &self.plan.forward_memory
        }
    }

    fn slot(&self, map: MapId) -> usize {
        self.memory().slots[map]
    }

    /// Makes a workspace large enough.
    fn prepare(&self, workspace: &mut Workspace) {
        let memory = self.memory();
        workspace.slots.resize_with(memory.sizes.len(), Vec::new);
        for (slot, size) in workspace.slots.iter_mut().zip(&memory.sizes) {
            slot.resize(size * self.pictures, 0.0);
        }
        workspace
            .taps
            .resize_with(self.plan.program.steps.len(), Vec::new);
    }

    /// The feature maps `[n, c, h, w]` of pictures `[n, 3, h, w]`, each value of which `normalize(channel, value)` changes.
    pub(super) fn forward(
        &self,
        workspace: &mut Workspace,
        pictures: &[f32],
        normalize: impl Fn(usize, f32) -> f32,
        features: &mut [f32],
    ) {
        self.prepare(workspace);
        let used = |layout: &Layout| layout.picture() * self.pictures;
        let layout = &self.plan.layouts[0];
        let input = &mut workspace.slots[self.slot(0)][..used(layout)];
        layout.fill_from(pictures, input, normalize);
        for (number, step) in self.plan.program.steps.iter().enumerate() {
            let to = step.to();
            let layout = &self.plan.layouts[to];
            let slot = self.slot(to);
            // Steps never write where they read.
            let mut out = std::mem::take(&mut workspace.slots[slot]);
            self.step(number, step, workspace, (layout, &mut out[..used(layout)]));
            layout.clear_border(&mut out[..used(layout)]);
            workspace.slots[slot] = out;
        }
        let output = self.plan.program.output;
        let layout = &self.plan.layouts[output];
        layout.copy_to(
            &workspace.slots[self.slot(output)][..used(layout)],
            features,
        );
    }

    /// A map with its layout.
    pub(super) fn map<'w>(
        &'w self,
        workspace: &'w Workspace,
        map: MapId,
    ) -> (&'w Layout, &'w [f32]) {
        let layout = &self.plan.layouts[map];
        let values = &workspace.slots[self.slot(map)];
        (layout, &values[..layout.picture() * self.pictures])
    }

    fn step(
        &self,
        number: usize,
        step: &Step,
        workspace: &mut Workspace,
        (layout, out): (&Layout, &mut [f32]),
    ) {
        let relu = self.plan.program.maps[step.to()].rectified;
        match step {
            Step::Convolution {
                packed,
                from,
                residual,
                ..
            } => {
                let add = residual.map(|map| {
                    let (layout, values) = self.map(workspace, map);
                    (*layout, Add::Values(values))
                });
                let epilogue = Epilogue {
                    add,
                    relu,
                    mask: None,
                };
                packed.forward.run(
                    self.instructions,
                    self.map(workspace, *from),
                    (layout, out),
                    self.pictures,
                    epilogue,
                    self.threads,
                );
            }
            Step::Pointwise { function, from, .. } => {
                let (source, values) = self.map(workspace, *from);
                let rows = layout.rows(self.pictures).zip(source.rows(self.pictures));
                for (to, from) in rows {
                    function.forward(&values[from], &mut out[to], layout.pitch);
                }
                if relu {
                    rectify(layout, out, self.pictures);
                }
            }
            Step::Add { from: [a, b], .. } => {
                let ((one, a), (two, b)) = (self.map(workspace, *a), self.map(workspace, *b));
                let rows = one.rows(self.pictures).zip(two.rows(self.pictures));
                for (to, (one, two)) in layout.rows(self.pictures).zip(rows) {
                    let values = a[one].iter().zip(&b[two]);
                    for (to, (a, b)) in out[to].iter_mut().zip(values) {
                        *to = a + b;
                    }
                }
                if relu {
                    rectify(layout, out, self.pictures);
                }
            }
            Step::Multiply { from: [a, b], .. } => {
                let (a, b) = (self.map(workspace, *a), self.map(workspace, *b));
                pool::multiply(a, b, (layout, out), self.pictures);
            }
            Step::MaxPool { pooling, from, .. } => {
                let mut taps = std::mem::take(&mut workspace.taps[number]);
                let from = self.map(workspace, *from);
                pool::maximum(pooling, from, (layout, out), &mut taps, self.pictures);
                workspace.taps[number] = taps;
            }
            Step::AveragePool { pooling, from, .. } => {
                let from = self.map(workspace, *from);
                pool::average(pooling, from, (layout, out), self.pictures);
            }
            Step::Concatenate { from, .. } => {
                let mut first = 0;
                for map in from {
                    let (source, values) = self.map(workspace, *map);
                    for_pixels(source, layout, self.pictures, |from, to| {
                        out[to + first..][..source.c].copy_from_slice(&values[from..][..source.c]);
                    });
                    first += source.c;
                }
            }
            Step::Select { channels, from, .. } => {
                let (source, values) = self.map(workspace, *from);
                for_pixels(source, layout, self.pictures, |from, to| {
                    for (to, channel) in out[to..].iter_mut().zip(channels) {
                        *to = values[from + channel];
                    }
                });
            }
            Step::Pad { before, from, .. } => {
                out.fill(0.0);
                let (source, values) = self.map(workspace, *from);
                for_padded(
                    *before,
                    source,
                    layout,
                    self.pictures,
                    |from, to, length| {
                        out[to..to + length].copy_from_slice(&values[from..from + length]);
                    },
                );
            }
        }
    }
}

/// ReLU; what is not a number stays so.
fn rectify(layout: &Layout, values: &mut [f32], pictures: usize) {
    for row in layout.rows(pictures) {
        for value in &mut values[row] {
            *value = if *value < 0.0 { 0.0 } else { *value };
        }
    }
}

/// Calls `visit` with the indices of the same pixel in two layouts of the same size.
pub(super) fn for_pixels(
    from: &Layout,
    to: &Layout,
    pictures: usize,
    mut visit: impl FnMut(usize, usize),
) {
    for (from_row, to_row) in from.rows(pictures).zip(to.rows(pictures)) {
        for x in 0..from.w {
            visit(from_row.start + x * from.pitch, to_row.start + x * to.pitch);
        }
    }
}

/// Calls `visit` with the index of each row of `from`, of where it lies in `to` behind a border, and its length.
pub(super) fn for_padded(
    [above, left]: [usize; 2],
    from: &Layout,
    to: &Layout,
    pictures: usize,
    mut visit: impl FnMut(usize, usize, usize),
) {
    for picture in 0..pictures {
        for y in 0..from.h {
            let read = picture * from.picture() + from.pixel(y, 0);
            let written = picture * to.picture() + to.pixel(y + above, left);
            visit(read, written, from.w * from.pitch);
        }
    }
}
