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
mod elementwise;
mod instructions;
mod kernel;
mod layout;
mod linear;
mod lower;
mod pass;
mod plan;
mod pointwise;
mod pool;
mod program;
mod rearrangement;
mod representation;
mod run;
mod strided;
mod sums;
mod tensor;
#[cfg(test)]
mod tests;
mod view;
mod winograd;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use rayon::prelude::*;

use super::Normalizer;
use super::graph::{FeatureLayout, Graph};
use super::network::FeatureLayer;
use crate::tasks;
use instructions::{Instructions, Resources};
use lower::{Packed, Part, PartResult};
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
    /// For the sides of the maps and the values that a part begins and ends with; `None` where it cannot run here.
    plans: HashMap<([usize; 3], usize, usize), Option<Arc<Plan>>>,
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
    /// Sides of the maps that it was made of, and what each of their channels was multiplied by first.
    input: [usize; 3],
    scale: Option<[f32; 3]>,
}

/// What a plan computes.
#[derive(Clone, Copy)]
enum Goal {
    /// A feature layer of pictures.
    Layer(FeatureLayer),
    /// The representation of the last feature layer.
    Representation,
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

    /// The plan for maps of these sides up to a feature layer, or from the last one to the representation.
    fn plan(&self, sides: [usize; 3], goal: Goal) -> Option<Arc<Plan>> {
        let part = match goal {
            Goal::Layer(cut) => {
                let (nodes, layout) = self.graph.nodes_to(cut);
                Part {
                    nodes,
                    from: 0,
                    layout: FeatureLayout::ChannelsFirst,
                    result: PartResult::Map(layout),
                }
            }
            Goal::Representation => {
                let (nodes, from, layout) = self.graph.nodes_to_embedding();
                Part {
                    nodes,
                    from,
                    layout,
                    result: PartResult::Row,
                }
            }
        };
        let mut state = self.state();
        let State { packed, plans, .. } = &mut *state;
        let key = (sides, part.from, part.nodes.len());
        let plan = plans.entry(key).or_insert_with(|| {
            let program = Program::lower(&part, sides, self.instructions, packed)?;
            Some(Arc::new(Plan::new(program, self.instructions.lanes())))
        });
        plan.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        tasks::lock(&self.state)
    }

    /// The feature maps at `cut`; with `keep`, also what [`Executor::backward`] needs. `None` where a node up to there is not
    /// known.
    pub(in crate::model) fn forward(
        &self,
        pixels: &Pixels,
        cut: FeatureLayer,
        keep: bool,
    ) -> Option<Features> {
        let sides = [3, pixels.size[0], pixels.size[1]];
        let plan = self.plan(sides, Goal::Layer(cut))?;
        let normalize =
            |channel: usize, value: f32| value * self.scale[channel] + self.shift[channel];
        let mut features = self.forward_part(plan, (&pixels.values, sides), normalize, keep);
        features.fake_relu = cut.fake_relu;
        features.scale = Some(self.scale);
        Some(features)
    }

    /// Runs a plan on maps `[n, c, h, w]`, each value of which is changed first.
    fn forward_part(
        &self,
        plan: Arc<Plan>,
        (values, input): (&[f32], [usize; 3]),
        change: impl Fn(usize, f32) -> f32 + Sync,
        keep: bool,
    ) -> Features {
        let length: usize = input.iter().product();
        let count = values.len() / length;
        let split = Split::new(count);
        let [c, h, w] = plan.program.maps[plan.program.output].sides;
        let mut results = vec![0.0; count * c * h * w];
        let mut workspaces = self.workspaces(count.div_ceil(split.pictures));
        let inputs = values.par_chunks(split.pictures * length);
        let maps = results.par_chunks_mut(split.pictures * c * h * w);
        let parts = inputs.zip(maps).zip(&mut workspaces);
        parts.for_each(|((inputs, maps), workspace)| {
            let run = self.run(&plan, inputs.len() / length, split, keep);
            run.forward(workspace, inputs, &change, maps);
        });
        if !keep {
            self.give_back(std::mem::take(&mut workspaces));
        }
        Features {
            values: results,
            shape: [count, c, h, w],
            plan,
            fake_relu: false,
            workspaces,
            split,
            input,
            scale: None,
        }
    }

    /// Backward pass: the gradient with respect to the pixels, or other maps that a plan ran on, from the gradient with
    /// respect to the feature maps.
    pub(in crate::model) fn backward(&self, features: Features, gradient: &[f32]) -> Vec<f32> {
        let Features {
            shape: [count, c, h, w],
            plan,
            fake_relu,
            mut workspaces,
            split,
            input,
            scale,
            ..
        } = features;
        let length: usize = input.iter().product();
        let mut result = vec![0.0; count * length];
        let gradients = gradient.par_chunks(split.pictures * c * h * w);
        let results = result.par_chunks_mut(split.pictures * length);
        let parts = gradients.zip(results).zip(&mut workspaces);
        parts.for_each(|((gradient, results), workspace)| {
            let run = self.run(&plan, results.len() / length, split, true);
            run.backward(workspace, gradient, fake_relu, results);
        });
        if let Some(scale) = scale {
            let plane = input[1] * input[2];
            for (number, values) in result.chunks_exact_mut(plane.max(1)).enumerate() {
                let scale = scale[number % 3];
                values.iter_mut().for_each(|value| *value *= scale);
            }
        }
        self.give_back(workspaces);
        result
    }

    fn run<'a>(&self, plan: &'a Plan, pictures: usize, split: Split, keep: bool) -> Run<'a> {
        Run {
            plan,
            resources: Resources {
                instructions: self.instructions,
                threads: split.threads,
            },
            pictures,
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
