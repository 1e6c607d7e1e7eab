//! The backward pass of a plan.

use super::kernel::{Add, Epilogue};
use super::layout::{Layout, MapId, MapMut};
use super::plan::Contribution;
use super::pointwise::Pointwise;
use super::program::Step;
use super::run::{Run, Workspace};
use super::view::{Operand, View};
use super::{elementwise, pool, rearrangement};

impl Run<'_> {
    /// The gradient with respect to the pictures `[n, 3, h, w]`, from the one with respect to the feature maps; with
    /// `fake_relu`, the gradient of the last ReLU is 1. The picture's normaliser is left to the caller.
    pub(super) fn backward(
        &self,
        workspace: &mut Workspace,
        gradient: &[f32],
        fake_relu: bool,
        pictures: &mut [f32],
    ) {
        let used = |layout: &Layout| layout.picture() * self.pictures;
        let output = self.plan.program.output;
        let layout = self.gradient_layout(output);
        let mut seed = std::mem::take(&mut workspace.slots[self.gradient_slot(output)]);
        layout.fill_from(gradient, &mut seed[..used(layout)], |_, value| value);
        let ceiling = self.plan.program.maps[output].ceiling;
        if ceiling.is_some_and(|ceiling| !is_fake(ceiling, fake_relu)) {
            self.mask(workspace, output, (layout, &mut seed[..used(layout)]));
        }
        workspace.slots[self.gradient_slot(output)] = seed;
        // The feature layer may be what a pooling made of the values of the ReLU that is meant.
        let fake = fake_relu.then(|| self.pooled_from(output)).flatten();
        for contribution in &self.plan.backward {
            let step = &self.plan.program.steps[contribution.step];
            let map = step.reads()[contribution.input];
            let is_fake = fake == Some(map) && is_fake(self.ceiling(map), fake_relu);
            let masked = contribution.masked && !is_fake;
            let layout = self.gradient_layout(map);
            let slot = self.gradient_slot(map);
            if contribution.is_same {
                if masked {
                    let mut out = std::mem::take(&mut workspace.slots[slot]);
                    self.mask(workspace, map, (layout, &mut out[..used(layout)]));
                    workspace.slots[slot] = out;
                }
                continue;
            }
            let mut out = std::mem::take(&mut workspace.slots[slot]);
            self.contribute(
                contribution,
                workspace,
                (layout, &mut out[..used(layout)]),
                masked.then_some(map),
            );
            layout.clear_border(&mut out[..used(layout)]);
            workspace.slots[slot] = out;
        }
        let layout = self.gradient_layout(0);
        layout.copy_to(
            &workspace.slots[self.gradient_slot(0)][..used(layout)],
            pictures,
        );
    }

    /// The map that maximum pooling makes this one of.
    fn pooled_from(&self, map: MapId) -> Option<MapId> {
        self.plan.program.steps.iter().find_map(|step| match step {
            Step::MaxPool { from, to, .. } if *to == map => Some(*from),
            _ => None,
        })
    }

    /// Adds what a step passes on to one of its inputs.
    fn contribute(
        &self,
        contribution: &Contribution,
        workspace: &Workspace,
        (layout, out): MapMut,
        masked: Option<MapId>,
    ) {
        let resources = self.resources;
        let threads = resources.threads;
        let step = &self.plan.program.steps[contribution.step];
        let source = self.gradient_layout(step.to());
        let gradient = &workspace.slots[self.gradient_slot(step.to())];
        let gradient = &gradient[..source.picture() * self.pictures];
        let n = self.pictures;
        if let (Step::Convolution { packed, .. }, 0) = (step, contribution.input) {
            let mut epilogue = Epilogue {
                mask: masked.map(|map| {
                    let (layout, values) = self.map(workspace, map);
                    (*layout, values, self.ceiling(map))
                }),
                ..Epilogue::default()
            };
            if contribution.accumulates {
                epilogue.add = Some((*layout, Add::Output));
            }
            for pass in &packed.backward {
                pass.run(
                    self.resources,
                    (source, gradient),
                    (layout, &mut *out),
                    n,
                    epilogue,
                );
            }
            return;
        }
        if !contribution.accumulates {
            out.fill(0.0);
        }
        let made = (source, gradient);
        match step {
            Step::Convolution { .. } | Step::Add { .. } => {
                let identity = &Pointwise::Identity;
                elementwise::apply_backward(identity, made, made, (layout, &mut *out), resources);
            }
            Step::Pointwise { function, from, .. } => {
                // The inputs of linear functions are gone, and not needed.
                let inputs = if function.is_linear() {
                    made
                } else {
                    self.map(workspace, *from)
                };
                elementwise::apply_backward(function, inputs, made, (layout, &mut *out), resources);
            }
            Step::Multiply { from, .. } => {
                let other = self.map(workspace, from[1 - contribution.input]);
                elementwise::multiply_backward(other, made, (layout, &mut *out), resources);
            }
            Step::MaxPool { pooling, .. } => {
                let taps = &workspace.taps[contribution.step];
                pool::maximum_backward(pooling, taps, made, (layout, &mut *out), threads);
            }
            Step::AveragePool { pooling, .. } => {
                pool::average_backward(pooling, made, (layout, &mut *out), threads);
            }
            Step::Concatenate { from, .. } => {
                let before = &from[..contribution.input];
                let first = before.iter().map(|map| self.plan.layouts[*map].c).sum();
                rearrangement::concatenate_backward(first, made, (layout, &mut *out), threads);
            }
            Step::Select { channels, .. } => {
                rearrangement::select_backward(channels, made, (layout, &mut *out), threads);
            }
            Step::Pad { before, .. } => {
                rearrangement::pad_backward(*before, made, (layout, &mut *out), threads);
            }
            Step::Unpack { .. } => {
                let pictures = out.chunks_exact_mut(layout.picture());
                for (out, gradient) in pictures.zip(gradient.chunks_exact(source.picture())) {
                    rearrangement::unpack_backward(gradient, (layout, out), resources);
                }
            }
            Step::Pack { from, .. } => {
                let pictures = out.chunks_exact_mut(layout.picture());
                for (out, gradient) in pictures.zip(gradient.chunks_exact(source.picture())) {
                    rearrangement::pack_backward((source, gradient), (from, out), resources);
                }
            }
            Step::Tensor {
                operation,
                from,
                sides,
                to,
            } => {
                let operand = operand_of(from, contribution.input);
                for picture in 0..n {
                    // What is not needed is no longer there.
                    let operands = match operation.needs_operands() {
                        true => self.operands(workspace, from, picture),
                        false => from.iter().map(Operand::without_values).collect(),
                    };
                    let result = match operation.needs_result() {
                        true => self.map(workspace, *to).1,
                        false => &[],
                    };
                    let result = result.get(picture * source.picture()..).unwrap_or_default();
                    let part = &gradient[picture * source.picture()..][..source.c];
                    let to = &mut out[picture * layout.picture()..][..layout.c];
                    operation.backward(
                        operand,
                        &operands,
                        (result, part),
                        sides,
                        to,
                        self.resources,
                    );
                }
            }
        }
        if let Some(map) = masked {
            self.mask(workspace, map, (layout, out));
        }
    }

    /// The largest value of a map's ReLU.
    fn ceiling(&self, map: MapId) -> f32 {
        self.plan.program.maps[map].ceiling.unwrap_or(f32::INFINITY)
    }

    /// Zeroes a gradient of a map where its values are not positive, or are the largest of its ReLU.
    fn mask(&self, workspace: &Workspace, map: MapId, gradient: MapMut) {
        let from = self.map(workspace, map);
        elementwise::mask(from, gradient, self.ceiling(map), self.resources);
    }

    fn gradient_slot(&self, map: MapId) -> usize {
        self.memory().slots[self.plan.program.maps.len() + self.plan.gradients[map]]
    }

    fn gradient_layout(&self, map: MapId) -> &Layout {
        &self.plan.gradient_layouts[self.plan.gradients[map]]
    }
}

/// Which of the operands is the one of this number among those that are no constants.
fn operand_of(from: &[View], number: usize) -> usize {
    let mut varying = (0..from.len()).filter(|&at| from[at].map().is_some());
    varying
        .nth(number)
        .expect("a contribution is of an operand")
}

/// Whether the gradient of a ReLU with this largest value is 1 where a fake one is asked for.
fn is_fake(ceiling: f32, fake_relu: bool) -> bool {
    fake_relu && ceiling == f32::INFINITY
}
