//! Inference and input gradients of frozen networks on the CPU: the nodes of a [`Graph`] up to a feature layer as steps on
//! feature maps in memory of their own.
//!
//! burn's CPU back end lays weights and activations out anew in every operation, and uses a single thread for a single
//! picture, which is the case of interactive attacks. Here weights are packed once for the processor's vectors, activations
//! stay channels-last, convolutions read them in place, and sums of many pictures run side by side. Results do not depend on
//! how many pictures are asked for together, nor on the number of threads.

mod backward;
mod convolution;
mod depthwise;
mod kernel;
mod layout;
mod lower;
mod pass;
mod plan;
mod pointwise;
mod pool;
mod program;
mod run;
#[cfg(test)]
mod tests;
mod winograd;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use rayon::prelude::*;

use super::Normalizer;
use super::graph::Graph;
use super::network::FeatureLayer;
use crate::tasks;
use kernel::Instructions;
use lower::Packed;
use plan::Plan;
use program::Program;
use run::{Run, Workspace};

/// A frozen network, ready to run on the CPU.
pub(in crate::model) struct Executor {
    graph: Graph,
    scale: [f32; 3],
    shift: [f32; 3],
    instructions: Instructions,
    state: Mutex<State>,
}

/// What is made when it is first asked for.
#[derive(Default)]
struct State {
    packed: Packed,
    /// For height and width of pictures and the value of a feature layer; `None` where it cannot run here.
    plans: HashMap<([usize; 2], usize), Option<Arc<Plan>>>,
    /// Workspaces that are free.
    workspaces: Vec<Workspace>,
}

/// Most workspaces that are kept for later.
const FREE_WORKSPACES: usize = 64;

/// Pictures `[n, 3, h, w]` in host memory.
pub(in crate::model) struct Pixels {
    pub(in crate::model) values: Vec<f32>,
    pub(in crate::model) size: [usize; 2],
}

/// Feature maps `[n, c, h, w]`, with what their backward pass needs if it was kept.
pub(in crate::model) struct Features {
    pub(in crate::model) values: Vec<f32>,
    pub(in crate::model) shape: [usize; 4],
    plan: Arc<Plan>,
    fake_relu: bool,
    /// The workspace of each chunk of pictures.
    workspaces: Vec<Workspace>,
    split: Split,
    size: [usize; 2],
}

/// How pictures are divided among threads.
#[derive(Clone, Copy)]
struct Split {
    /// Pictures that one thread, or all of them together, takes at once.
    pictures: usize,
    /// Threads for each step of a chunk.
    threads: usize,
}

/// Most pictures of a chunk: enough that weights are read from memory less often than once for each picture.
const CHUNK: usize = 4;

impl Split {
    fn new(count: usize) -> Self {
        let threads = rayon::current_num_threads();
        if count < threads || threads == 1 {
            return Self {
                pictures: count.clamp(1, CHUNK),
                threads,
            };
        }
        Self {
            pictures: count.div_ceil(threads).min(CHUNK),
            threads: 1,
        }
    }
}

impl Executor {
    /// An executor of a network whose pixels are normalised first.
    pub(in crate::model) fn new(graph: Graph, normalizer: &Normalizer) -> Self {
        Self::with_instructions(graph, normalizer, Instructions::detect())
    }

    fn with_instructions(
        graph: Graph,
        normalizer: &Normalizer,
        instructions: Instructions,
    ) -> Self {
        Self {
            graph,
            scale: normalizer.std.map(|std| 1.0 / std),
            shift: std::array::from_fn(|c| -normalizer.mean[c] / normalizer.std[c]),
            instructions,
            state: Mutex::default(),
        }
    }

    /// The plan for pictures of this size up to a feature layer.
    fn plan(&self, size: [usize; 2], cut: FeatureLayer) -> Option<Arc<Plan>> {
        let nodes = self.graph.nodes_to(cut)?;
        let mut state = self.state();
        let State { packed, plans, .. } = &mut *state;
        let plan = plans.entry((size, nodes.len())).or_insert_with(|| {
            let program = Program::lower(nodes, size, self.instructions, packed)?;
            Some(Arc::new(Plan::new(program, self.instructions.lanes())))
        });
        plan.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        tasks::lock(&self.state)
    }

    /// The feature maps at `cut`; with `keep`, also what [`Executor::backward`] needs. `None` where a node up to there is
    /// none of feature maps.
    pub(in crate::model) fn forward(
        &self,
        pixels: &Pixels,
        cut: FeatureLayer,
        keep: bool,
    ) -> Option<Features> {
        let plan = self.plan(pixels.size, cut)?;
        let length = 3 * pixels.size[0] * pixels.size[1];
        let count = pixels.values.len() / length;
        let split = Split::new(count);
        let [c, h, w] = plan.program.maps[plan.program.output].sides;
        let mut values = vec![0.0; count * c * h * w];
        let mut workspaces = self.workspaces(count.div_ceil(split.pictures));
        let pictures = pixels.values.par_chunks(split.pictures * length);
        let maps = values.par_chunks_mut(split.pictures * c * h * w);
        let parts = pictures.zip(maps).zip(&mut workspaces);
        parts.for_each(|((pictures, maps), workspace)| {
            let run = self.run(&plan, pictures.len() / length, split, keep);
            let normalize =
                |channel: usize, value: f32| value * self.scale[channel] + self.shift[channel];
            run.forward(workspace, pictures, normalize, maps);
        });
        if !keep {
            self.give_back(std::mem::take(&mut workspaces));
        }
        Some(Features {
            values,
            shape: [count, c, h, w],
            plan,
            fake_relu: cut.fake_relu,
            workspaces,
            split,
            size: pixels.size,
        })
    }

    /// Backward pass: the gradient with respect to the pixels, `[n, 3, h, w]`, from the gradient with respect to the feature
    /// maps.
    pub(in crate::model) fn backward(&self, features: Features, gradient: &[f32]) -> Vec<f32> {
        let Features {
            shape: [count, c, h, w],
            plan,
            fake_relu,
            mut workspaces,
            split,
            size,
            ..
        } = features;
        let plane = size[0] * size[1];
        let mut pixels = vec![0.0; count * 3 * plane];
        let gradients = gradient.par_chunks(split.pictures * c * h * w);
        let pictures = pixels.par_chunks_mut(split.pictures * 3 * plane);
        let parts = gradients.zip(pictures).zip(&mut workspaces);
        parts.for_each(|((gradient, pictures), workspace)| {
            let run = self.run(&plan, pictures.len() / (3 * plane), split, true);
            run.backward(workspace, gradient, fake_relu, pictures);
        });
        for (number, values) in pixels.chunks_exact_mut(plane.max(1)).enumerate() {
            let scale = self.scale[number % 3];
            values.iter_mut().for_each(|value| *value *= scale);
        }
        self.give_back(workspaces);
        pixels
    }

    fn run<'a>(&self, plan: &'a Plan, pictures: usize, split: Split, keep: bool) -> Run<'a> {
        Run {
            plan,
            instructions: self.instructions,
            pictures,
            threads: split.threads,
            keep,
        }
    }

    fn workspaces(&self, count: usize) -> Vec<Workspace> {
        let free = &mut self.state().workspaces;
        let kept = free.len().saturating_sub(count);
        let mut workspaces = free.split_off(kept);
        workspaces.resize_with(count, Workspace::default);
        workspaces
    }

    fn give_back(&self, workspaces: Vec<Workspace>) {
        let free = &mut self.state().workspaces;
        free.extend(workspaces);
        free.truncate(FREE_WORKSPACES);
    }
}
