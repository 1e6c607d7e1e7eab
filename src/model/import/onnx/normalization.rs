//! Normalisation by statistics of the picture itself: LayerNorm, InstanceNorm, GroupNorm.

use super::attributes::{Attributes, axis};
use super::context::{Import, Traced, made_source};
use super::proto::NodeProto;
use crate::model::graph::Op;

fn epsilon(attributes: &Attributes) -> f64 {
    f64::from(attributes.float("epsilon", 1e-5))
}

/// Over all axes from one on; scale and shift are as long as those.
pub(super) fn layer_norm(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Vec<Traced>, String> {
    let rank = import.shape(node)?.len();
    let first = axis(attributes.int("axis", -1), rank)?;
    let normalized = Op::Normalize {
        axes: (first..rank).collect(),
        epsilon: epsilon(attributes),
    };
    let mut made = import.push(node, normalized)?;
    made = import.then_with(&made, node, 1, Op::Mul)?;
    if node.input.get(2).is_some_and(|name| !name.is_empty()) {
        made = import.then_with(&made, node, 2, Op::Add)?;
    }
    Ok(made)
}

/// Over the positions of each channel.
pub(super) fn instance_norm(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Vec<Traced>, String> {
    let rank = import.shape(node)?.len();
    let normalized = Op::Normalize {
        axes: (2..rank).collect(),
        epsilon: epsilon(attributes),
    };
    let made = import.push(node, normalized)?;
    channel_affine(import, node, &made, 1)
}

/// Over the positions of each group of channels.
pub(super) fn group_norm(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Vec<Traced>, String> {
    let shape = import.shape(node)?;
    let groups = usize::try_from(attributes.int("num_groups", 0)).unwrap_or(0);
    let channels = shape.get(1).copied().unwrap_or(0);
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(format!("it normalises {shape:?} in {groups} groups"));
    }
    let each = shape[1..].iter().product::<usize>() / groups;
    let grouped = import.reshape(node, vec![shape[0], groups, each])?;
    let normalized = import.then(
        &grouped,
        Op::Normalize {
            axes: vec![2],
            epsilon: epsilon(attributes),
        },
    )?;
    let place = import.draft.reshape(made_source(&normalized)?, shape)?;
    // Before opset 21, scale and shift are one for each group.
    let each = if import.opset < 21 {
        channels / groups
    } else {
        1
    };
    channel_affine(import, node, &[Traced::Value(place)], each)
}

/// Scale and shift of what an operation made, one of each for `each` channels.
fn channel_affine(
    import: &mut Import,
    node: &NodeProto,
    made: &[Traced],
    each: usize,
) -> Result<Vec<Traced>, String> {
    let numbers = |index: usize| {
        let numbers = import.weight::<1>(node, index)?;
        let numbers = numbers.ok_or("it has no scale or no shift")?;
        let [count] = numbers.dims();
        let spread = numbers.unsqueeze_dim::<2>(1).repeat(&[1, each]);
        Ok::<_, String>(spread.reshape([count * each]))
    };
    let (scale, shift) = (numbers(1)?, numbers(2)?);
    import.then(made, Op::Affine { scale, shift })
}
