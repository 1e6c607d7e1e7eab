//! Runs a plan on pictures, forwards.

use super::instructions::Resources;
use super::kernel::{Add, Epilogue};
use super::layout::{Layout, MapId};
use super::plan::{Memory, Plan};
use super::pool;
use super::program::Step;

use super::view::{Base, Operand, View};

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
    pub(super) resources: Resources,
    pub(super) pictures: usize,
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
        let ceiling = self.plan.program.maps[step.to()].ceiling;
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
                    ceiling,
                    mask: None,
                };
                packed.forward.run(
                    self.resources,
                    self.map(workspace, *from),
                    (layout, out),
                    self.pictures,
                    epilogue,
                );
            }
            Step::Pointwise { function, from, .. } => {
                let (source, values) = self.map(workspace, *from);
                let rows = layout.rows(self.pictures).zip(source.rows(self.pictures));
                for (to, from) in rows {
                    let parts = (&values[from], &mut out[to]);
                    function.run(self.resources.instructions, parts, layout.pitch);
                }
                if let Some(ceiling) = ceiling {
                    rectify(layout, out, self.pictures, ceiling);
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
                if let Some(ceiling) = ceiling {
                    rectify(layout, out, self.pictures, ceiling);
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
            Step::Unpack { from, .. } => {
                let (source, values) = self.map(workspace, *from);
                for_unpacked(source, layout.picture(), self.pictures, |map, tensor| {
                    out[tensor..][..source.c].copy_from_slice(&values[map..][..source.c]);
                });
            }
            Step::Pack { from, .. } => {
                for picture in 0..self.pictures {
                    let values = self.operand(workspace, from, picture).values;
                    let part = &mut out[picture * layout.picture()..][..layout.picture()];
                    for_packed(layout, from, |map, tensor| part[map] = values[tensor]);
                }
            }
            Step::Tensor {
                operation,
                from,
                sides,
                ..
            } => {
                for picture in 0..self.pictures {
                    let operands = self.operands(workspace, from, picture);
                    let out = &mut out[picture * layout.picture()..][..layout.c];
                    operation.forward(&operands, sides, out, self.resources);
                    if let Some(ceiling) = ceiling {
                        rectify_values(out, ceiling);
                    }
                }
            }
        }
    }

    /// What a view is of, for one picture.
    pub(super) fn operand<'w>(
        &self,
        workspace: &'w Workspace,
        view: &'w View,
        picture: usize,
    ) -> Operand<'w> {
        let values = match &view.base {
            Base::Constant(values) => &values[..],
            Base::Map(map) => {
                let layout = &self.plan.layouts[*map];
                let start = picture * layout.picture();
                &workspace.slots[self.slot(*map)][start..start + layout.c]
            }
        };
        Operand { view, values }
    }

    /// The same of several views.
    pub(super) fn operands<'w>(
        &self,
        workspace: &'w Workspace,
        views: &'w [View],
        picture: usize,
    ) -> Vec<Operand<'w>> {
        let operand = |view| self.operand(workspace, view, picture);
        views.iter().map(operand).collect()
    }
}

/// Calls `visit` with the index of each pixel of a map, and of its first channel in the tensors `[h, w, c]` of which each
/// takes `tensor` numbers.
pub(super) fn for_unpacked(
    map: &Layout,
    tensor: usize,
    pictures: usize,
    mut visit: impl FnMut(usize, usize),
) {
    for (number, row) in map.rows(pictures).enumerate() {
        let (picture, y) = (number / map.h, number % map.h);
        for x in 0..map.w {
            let to = picture * tensor + (y * map.w + x) * map.c;
            visit(row.start + x * map.pitch, to);
        }
    }
}

/// Calls `visit` with the index of each value in a map of one picture, and in the tensor `[1, c, h, w]` that it is made of.
pub(super) fn for_packed(map: &Layout, view: &View, mut visit: impl FnMut(usize, usize)) {
    let [_, channels, rows, columns] = view.strides[..] else {
        return;
    };
    for y in 0..map.h {
        for x in 0..map.w {
            let (to, from) = (map.pixel(y, x), view.offset + y * rows + x * columns);
            (0..map.c).for_each(|c| visit(to + c, from + c * channels));
        }
    }
}

/// ReLU; what is not a number stays so.
fn rectify(layout: &Layout, values: &mut [f32], pictures: usize, ceiling: f32) {
    for row in layout.rows(pictures) {
        rectify_values(&mut values[row], ceiling);
    }
}

fn rectify_values(values: &mut [f32], ceiling: f32) {
    for value in values {
        *value = if *value < 0.0 { 0.0 } else { *value };
        *value = if *value > ceiling { ceiling } else { *value };
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
