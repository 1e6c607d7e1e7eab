//! What a program needs to run: the layouts of its maps and gradients, its backward pass, and which of them share memory.

use super::layout::{Layout, MapId};
use super::pointwise::Pointwise;
use super::program::{Map, Program, Step};

/// One contribution to the gradient of a map.
pub(super) struct Contribution {
    /// The step whose gradient is passed on.
    pub(super) step: usize,
    /// Which of the maps that the step reads gets it.
    pub(super) input: usize,
    /// The gradient is the one of the step's output itself, in the same memory.
    pub(super) is_same: bool,
    /// It is added to what other steps contributed.
    pub(super) accumulates: bool,
    /// It is the last one, and the map went through ReLU: the gradient is zeroed where the map is not positive.
    pub(super) masked: bool,
}

/// A program with layouts, backward pass and memory.
pub(super) struct Plan {
    pub(super) program: Program,
    /// Of each map.
    pub(super) layouts: Vec<Layout>,
    /// For each map, the index of its gradient.
    pub(super) gradients: Vec<usize>,
    /// Of each gradient.
    pub(super) gradient_layouts: Vec<Layout>,
    pub(super) backward: Vec<Contribution>,
    /// Without a backward pass.
    pub(super) forward_memory: Memory,
    /// With one.
    pub(super) memory: Memory,
}

/// Which memory every map and gradient is in.
#[derive(Default)]
pub(super) struct Memory {
    /// For each map, and then for each gradient, the index of its memory.
    pub(super) slots: Vec<usize>,
    /// Numbers in each memory for one picture.
    pub(super) sizes: Vec<usize>,
}

impl Plan {
    /// Plans a program for vectors of `lanes` numbers.
    pub(super) fn new(program: Program, lanes: usize) -> Self {
        let of = |map: &Map| Layout::new(map.sides, lanes);
        let mut layouts: Vec<Layout> = program.maps.iter().map(of).collect();
        let (backward, gradients) = contributions(&program);
        let mut gradient_layouts = layouts.clone();
        for step in &program.steps {
            if let Step::Convolution {
                packed, from, to, ..
            } = step
            {
                let border = packed.forward.border(&layouts[*from], &layouts[*to]);
                layouts[*from].widen(border);
                for pass in &packed.backward {
                    let border = pass.border(&layouts[*to], &layouts[*from]);
                    gradient_layouts[gradients[*to]].widen(border);
                }
            }
        }
        let mut plan = Self {
            program,
            layouts,
            gradients,
            gradient_layouts,
            backward,
            forward_memory: Memory::default(),
            memory: Memory::default(),
        };
        plan.forward_memory = Memory::new(&plan, false);
        plan.memory = Memory::new(&plan, true);
        plan
    }
}

/// The contributions of a backward pass in order, and for each map the index of its gradient's memory, which maps share
/// where a gradient is passed on as it is.
fn contributions(program: &Program) -> (Vec<Contribution>, Vec<usize>) {
    let maps = program.maps.len();
    let mut needed = vec![false; maps];
    needed[program.output] = true;
    let mut left = vec![0; maps];
    for step in program.steps.iter().rev() {
        if needed[step.to()] {
            for map in step.reads() {
                needed[map] = true;
                left[map] += 1;
            }
        }
    }
    let mut gradients: Vec<usize> = (0..maps).collect();
    let mut written = vec![false; maps];
    let mut all = Vec::new();
    for (number, step) in program.steps.iter().enumerate().rev() {
        if !needed[step.to()] {
            continue;
        }
        let reads = step.reads();
        for (input, &map) in reads.iter().enumerate() {
            // What follows in the same memory must come last.
            let is_last = input + 1 == reads.len();
            let is_same = passes_on(step, input) && is_last && !written[map];
            if is_same {
                gradients[map] = gradients[step.to()];
            }
            left[map] -= 1;
            all.push(Contribution {
                step: number,
                input,
                is_same,
                accumulates: written[map],
                masked: left[map] == 0 && program.maps[map].ceiling.is_some(),
            });
            written[map] = true;
        }
    }
    (all, gradients)
}

/// Whether the gradient of the step's output is, unchanged, that of this input.
fn passes_on(step: &Step, input: usize) -> bool {
    match step {
        Step::Convolution { .. } => input == 1,
        Step::Add { .. } => true,
        Step::Pointwise {
            function: Pointwise::Identity,
            ..
        } => true,
        _ => false,
    }
}

impl Memory {
    /// The memory of a pass forwards, and backwards if so; each is reused after its last reader.
    fn new(plan: &Plan, backwards: bool) -> Self {
        let program = &plan.program;
        let maps = program.maps.len();
        // First and last moment at which each map and gradient is in use.
        let mut spans: Vec<Option<[usize; 2]>> = vec![None; 2 * maps];
        let mut use_at = |of: usize, time: usize| {
            let span = spans[of].get_or_insert([time, time]);
            span[1] = time;
        };
        use_at(0, 0);
        for (time, step) in program.steps.iter().enumerate() {
            step.reads()
                .into_iter()
                .for_each(|map| use_at(map, time + 1));
            use_at(step.to(), time + 1);
        }
        let mut time = program.steps.len() + 1;
        use_at(program.output, time);
        if backwards {
            let gradient = |map: MapId| maps + plan.gradients[map];
            use_at(gradient(program.output), time);
            for contribution in &plan.backward {
                time += 1;
                let step = &program.steps[contribution.step];
                let map = step.reads()[contribution.input];
                use_at(gradient(step.to()), time);
                use_at(gradient(map), time);
                if contribution.masked {
                    use_at(map, time);
                }
                if needs_inputs(step) {
                    step.reads().into_iter().for_each(|map| use_at(map, time));
                }
                if matches!(step, Step::Tensor { operation, .. } if operation.needs_result()) {
                    use_at(step.to(), time);
                }
            }
            use_at(gradient(0), time + 1);
            // The picture itself is asked for nothing.
        }
        let size = |of: usize| match of.checked_sub(maps) {
            None => plan.layouts[of].picture(),
            Some(gradient) => plan.gradient_layouts[gradient].picture(),
        };
        Self::assign(&spans, size)
    }

    /// Gives each a memory that none needs at the same time: the smallest that is large enough, else the largest, grown.
    fn assign(spans: &[Option<[usize; 2]>], size: impl Fn(usize) -> usize) -> Self {
        let mut order: Vec<(usize, [usize; 2])> = spans
            .iter()
            .enumerate()
            .filter_map(|(of, span)| Some((of, (*span)?)))
            .collect();
        order.sort_by_key(|(_, [first, _])| *first);
        let mut slots = vec![usize::MAX; spans.len()];
        let (mut sizes, mut busy_until): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        for (of, [first, last]) in order {
            let needed = size(of);
            let free = (0..sizes.len()).filter(|&slot| busy_until[slot] < first);
            let slot = free.min_by_key(|&slot| {
                let fits = sizes[slot] >= needed;
                (
                    !fits,
                    if fits {
                        sizes[slot]
                    } else {
                        usize::MAX - sizes[slot]
                    },
                )
            });
            let slot = slot.unwrap_or_else(|| {
                sizes.push(0);
                busy_until.push(0);
                sizes.len() - 1
            });
            sizes[slot] = sizes[slot].max(needed);
            busy_until[slot] = last;
            slots[of] = slot;
        }
        Self { slots, sizes }
    }
}

/// Whether the gradient of a step depends on the values it read.
fn needs_inputs(step: &Step) -> bool {
    match step {
        Step::Multiply { .. } => true,
        Step::Pointwise { function, .. } => !function.is_linear(),
        Step::Tensor { operation, .. } => operation.needs_operands(),
        _ => false,
    }
}
