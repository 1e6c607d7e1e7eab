//! The representation of feature maps as an operation of burn's, so that losses on burn's tensors can be functions of it.

use std::fmt;
use std::sync::{Arc, Mutex};

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;

use super::{Executor, Features, Goal};
use crate::model::cpu::flex::{tensor, values};
use crate::tasks;

impl Executor {
    /// The representation `[n, d]` of feature maps `[n, c, h, w]` of the last layer. `None` where a node after it is not known,
    /// or the maps are not on the CPU.
    pub(in crate::model) fn represent(this: &Arc<Self>, features: &Tensor<4>) -> Option<Tensor<2>> {
        let [_, c, h, w] = features.dims();
        let plan = this.plan([c, h, w], Goal::Representation)?;
        let forward = |maps: &[f32], keep: bool| {
            this.forward_part(plan.clone(), (maps, [c, h, w]), |_, value| value, keep)
        };
        let row = |features: &Features| [features.shape[0], features.shape[1]];
        if !features.is_autodiff() {
            let maps = features.clone().try_into_primitive::<Flex>().ok()?;
            let mut made = forward(&values(&maps), false);
            let rows = tensor(std::mem::take(&mut made.values), &row(&made));
            return Some(Tensor::from_primitive::<Flex>(rows));
        }
        let maps = features
            .clone()
            .try_into_primitive::<Autodiff<Flex>>()
            .ok()?;
        let preparation = RepresentationBackward
            .prepare::<NoCheckpointing>([maps.node()])
            .compute_bound()
            .stateful();
        let maps = values(&maps.into_primitive());
        let rows = match preparation {
            OpsKind::Tracked(preparation) => {
                let mut made = forward(&maps, true);
                let rows = tensor(std::mem::take(&mut made.values), &row(&made));
                preparation.finish(Tape::new(this, made), rows)
            }
            OpsKind::UnTracked(preparation) => {
                let mut made = forward(&maps, false);
                let rows = tensor(std::mem::take(&mut made.values), &row(&made));
                preparation.finish(rows)
            }
        };
        Some(Tensor::from_primitive::<Autodiff<Flex>>(rows))
    }
}

/// What the backward pass needs.
#[derive(Clone)]
struct Tape {
    executor: Arc<Executor>,
    /// Taken by the backward pass, which is run once.
    features: Arc<Mutex<Option<Features>>>,
}

impl Tape {
    fn new(executor: &Arc<Executor>, features: Features) -> Self {
        Self {
            executor: executor.clone(),
            features: Arc::new(Mutex::new(Some(features))),
        }
    }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tape")
    }
}

#[derive(Debug)]
struct RepresentationBackward;

impl Backward<Flex, 1> for RepresentationBackward {
    type State = Tape;

    fn backward(self, ops: Ops<Tape, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let [parent] = ops.parents;
        let Some(node) = parent else {
            return;
        };
        let features = tasks::lock(&ops.state.features).take();
        let features = features.expect("a backward pass is run once");
        let [c, h, w] = features.input;
        let dims = [features.shape[0], c, h, w];
        let maps = ops.state.executor.backward(features, &values(&gradient));
        gradients.register::<Flex>(node.id, tensor(maps, &dims));
    }
}
