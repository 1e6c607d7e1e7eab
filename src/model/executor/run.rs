//! Runs a plan on pictures, forwards.

use super::instructions::Resources;
use super::kernel::{Add, Epilogue};
use super::layout::{Layout, Map, MapId, MapMut};
use super::plan::{Memory, Plan};
use super::program::Step;
use super::view::{Base, Operand, View};
use super::{elementwise, pool, rearrangement};

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
    pub(super) fn map<'w>(&'w self, workspace: &'w Workspace, map: MapId) -> Map<'w> {
        let layout = &self.plan.layouts[map];
        let values = &workspace.slots[self.slot(map)];
        (layout, &values[..layout.picture() * self.pictures])
    }

    fn step(&self, number: usize, step: &Step, workspace: &mut Workspace, (layout, out): MapMut) {
        let ceiling = self.plan.program.maps[step.to()].ceiling;
        let threads = self.resources.threads;
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
                let from = self.map(workspace, *from);
                elementwise::apply(function, from, (layout, out), self.resources);
                self.rectify((layout, out), ceiling);
            }
            Step::Add { from, .. } => {
                let [a, b] = from.map(|map| self.map(workspace, map));
                elementwise::add(a, b, (layout, out), self.resources);
                self.rectify((layout, out), ceiling);
            }
            Step::Multiply { from, .. } => {
                let [a, b] = from.map(|map| self.map(workspace, map));
                elementwise::multiply(a, b, (layout, out), self.resources);
            }
            Step::MaxPool { pooling, from, .. } => {
                let mut taps = std::mem::take(&mut workspace.taps[number]);
                let from = self.map(workspace, *from);
                pool::maximum(pooling, from, (layout, out), &mut taps, threads);
                workspace.taps[number] = taps;
            }
            Step::AveragePool { pooling, from, .. } => {
                let from = self.map(workspace, *from);
                pool::average(pooling, from, (layout, out), threads);
            }
            Step::Concatenate { from, .. } => {
                let from = from.iter().map(|map| self.map(workspace, *map));
                let from: Vec<_> = from.collect();
                rearrangement::concatenate(&from, (layout, out), threads);
            }
            Step::Select { channels, from, .. } => {
                let from = self.map(workspace, *from);
                rearrangement::select(channels, from, (layout, out), threads);
            }
            Step::Pad { before, from, .. } => {
                let from = self.map(workspace, *from);
                rearrangement::pad(*before, from, (layout, out), threads);
            }
            Step::Unpack { from, .. } => {
                let (source, values) = self.map(workspace, *from);
                let pictures = values.chunks_exact(source.picture());
                for (values, out) in pictures.zip(out.chunks_exact_mut(layout.picture())) {
                    rearrangement::unpack((source, values), out, self.resources);
                }
            }
            Step::Pack { from, .. } => {
                for (picture, out) in out.chunks_exact_mut(layout.picture()).enumerate() {
                    let from = self.operand(workspace, from, picture);
                    rearrangement::pack(from, (layout, out), self.resources);
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
                        elementwise::rectify_values(out, ceiling);
                    }
                }
            }
        }
    }

    /// ReLU where a map goes through one, with its largest value.
    fn rectify(&self, map: MapMut, ceiling: Option<f32>) {
        if let Some(ceiling) = ceiling {
            elementwise::rectify(map, ceiling, self.resources);
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
