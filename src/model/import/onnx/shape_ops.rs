//! The operators that compute nothing: they cut, pad and reshape.

use super::attributes::{Attributes, axis};
use super::constant_folding::{clamped, filled};
use super::context::{Import, Traced, made_source};
use super::proto::NodeProto;
use crate::model::graph::{Op, Reshape, Shape};

pub(super) fn pad(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Vec<Traced>, String> {
    let mode = attributes.text("mode").unwrap_or_default();
    if !matches!(mode.as_str(), "" | "constant") {
        return Err(format!("padding by “{mode}” is not known here"));
    }
    let pads = import.listed(node, "pads", 1)?;
    let pads = pads.ok_or("it does not say how much")?;
    let value = import
        .number(node, 2)?
        .unwrap_or(attributes.float("value", 0.0));
    let [0, 0, top, left, 0, 0, bottom, right] = pads[..] else {
        return Err(format!(
            "it pads by {pads:?}; only heights and widths can be padded"
        ));
    };
    let sides = [top, left, bottom, right].map(|side| usize::try_from(side).ok());
    let sides = sides.map(|side| side.filter(|&side| side <= 4096));
    let [Some(top), Some(left), Some(bottom), Some(right)] = sides else {
        return Err(format!("it pads by {pads:?}"));
    };
    let padding = [top, left, bottom, right];
    import.push(node, Op::Pad { padding, value })
}

pub(super) fn reshape(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Vec<Traced>, String> {
    let shape = import.shape(node)?;
    let wanted = import.listed(node, "shape", 1)?;
    let wanted = wanted.ok_or("it does not say to what shape")?;
    let copies = attributes.int("allowzero", 0) == 0;
    let sides = filled(&wanted, &shape, copies)?;
    import.reshape(node, sides)
}

/// Adds or drops axes of length 1.
pub(super) fn squeeze(import: &mut Import, node: &NodeProto) -> Result<Vec<Traced>, String> {
    let source = import.source(node, 0)?;
    let shape = import.draft.source_shape(&source);
    let rank = shape.sides.len();
    let listed = import.listed(node, "axes", 1)?;
    let moved = if node.op_type == "Unsqueeze" {
        let listed = listed.ok_or("it does not say where")?;
        let all = rank + listed.len();
        let added = listed.into_iter().map(|at| axis(at, all));
        let added = added.collect::<Result<Vec<usize>, String>>()?;
        // The old axes have the places that are left.
        let places: Vec<usize> = (0..all).filter(|at| !added.contains(at)).collect();
        if places.len() != rank {
            return Err(format!("it adds the axes {added:?} twice"));
        }
        let mut sides = vec![1; all];
        for (&place, &side) in places.iter().zip(&shape.sides) {
            sides[place] = side;
        }
        shape.moved(sides, |axis| Some(places[axis]))
    } else {
        let axes = match listed {
            Some(listed) => listed
                .into_iter()
                .map(|at| axis(at, rank))
                .collect::<Result<Vec<_>, _>>()?,
            None => {
                let is_batch = |at: usize| shape.batch.is_some_and(|batch| batch.axis == at);
                let ones = (0..rank).filter(|&at| shape.sides[at] == 1 && !is_batch(at));
                ones.collect()
            }
        };
        if axes.iter().any(|&at| shape.sides[at] != 1) {
            return Err(format!("it drops axes {axes:?} of {:?}", shape.sides));
        }
        dropped(&shape, &axes)?
    };
    import.push(node, reshape_to(moved))
}

/// A shape without these axes, which have length 1.
fn dropped(shape: &Shape, axes: &[usize]) -> Result<Shape, String> {
    shape
        .require_apart(axes)
        .map_err(|_| "it drops the batch".to_owned())?;
    let left: Vec<usize> = (0..shape.sides.len())
        .filter(|at| !axes.contains(at))
        .collect();
    let sides = left.iter().map(|&at| shape.sides[at]).collect();
    Ok(shape.moved(sides, |axis| left.iter().position(|&at| at == axis)))
}

/// The reshape to a shape whose batch axis is known.
fn reshape_to(shape: Shape) -> Op {
    Op::Reshape(Reshape {
        sides: shape.sides,
        batch: shape.batch,
    })
}

pub(super) fn slice(import: &mut Import, node: &NodeProto) -> Result<Vec<Traced>, String> {
    let part = |index: usize, name: &str| import.listed(node, name, index);
    let starts = part(1, "starts")?.ok_or("it does not say where it starts")?;
    let ends = part(2, "ends")?.ok_or("it does not say where it ends")?;
    let axes = part(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = part(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [&ends, &axes, &steps]
        .iter()
        .any(|other| other.len() != starts.len())
    {
        return Err("its starts, ends, axes and steps are of unequal number".into());
    }
    let mut source = import.source(node, 0)?;
    let mut shape = import.shape(node)?;
    let mut made = vec![import.input(node, 0)?.clone()];
    for (index, at) in axes.into_iter().enumerate() {
        let at = axis(at, shape.len())?;
        let (start, end) = (
            clamped(starts[index], shape[at]),
            clamped(ends[index], shape[at]),
        );
        let step = usize::try_from(steps[index]).ok().filter(|&step| step > 0);
        let step = step.ok_or("backward slices are not known here")?;
        if start == 0 && end == shape[at] && step == 1 {
            continue;
        }
        made = import.push_on(
            vec![source],
            Op::Slice {
                axis: at,
                start,
                end,
                step,
            },
        )?;
        shape[at] = end.saturating_sub(start).div_ceil(step);
        source = made_source(&made)?;
    }
    Ok(made)
}

pub(super) fn split(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Vec<Traced>, String> {
    let shape = import.shape(node)?;
    let at = axis(attributes.int("axis", 0), shape.len())?;
    let listed = import.listed(node, "split", 1)?;
    let count = node.output.len().max(1);
    let sizes = listed.unwrap_or_else(|| {
        let each = shape[at].div_ceil(count);
        let left = (0..count).map(|part| shape[at].saturating_sub(part * each).min(each) as i64);
        left.collect()
    });
    let mut made = Vec::new();
    let mut start = 0_usize;
    for size in sizes {
        let size = usize::try_from(size).map_err(|_| "it has a negative part")?;
        let end = start.checked_add(size).ok_or("its parts are too long")?;
        made.extend(import.push(
            node,
            Op::Slice {
                axis: at,
                start,
                end,
                step: 1,
            },
        )?);
        start = end;
    }
    Ok(made)
}

/// Some indices of an axis; one that is given without an axis of its own drops it.
pub(super) fn gather(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Vec<Traced>, String> {
    let shape = import.shape(node)?;
    let at = axis(attributes.int("axis", 0), shape.len())?;
    let given = import.constant(node, 1)?.ok_or("it does not say which")?;
    let wanted = given.shape().to_vec();
    let indices = import.integers(node, 1)?.unwrap_or_default().into_iter();
    let indices = indices.map(|index| axis(index, shape[at]));
    let indices = indices.collect::<Result<Vec<usize>, String>>()?;
    if wanted.len() > 1 && indices.iter().copied().eq(0..shape[at]) {
        // All of the axis in order: a reshape, which need not keep the batch apart from it.
        let sides = [&shape[..at], &wanted, &shape[at + 1..]].concat();
        return import.reshape(node, sides);
    }
    let op = match indices[..] {
        [start] => Op::Slice {
            axis: at,
            start,
            end: start + 1,
            step: 1,
        },
        _ => Op::Select { axis: at, indices },
    };
    let some = import.push(node, op)?;
    let source = made_source(&some)?;
    match wanted.len() {
        1 => Ok(some),
        0 => {
            let one = dropped(&import.draft.source_shape(&source), &[at])?;
            import.push_on(vec![source], reshape_to(one))
        }
        _ => {
            let sides = [&shape[..at], &wanted, &shape[at + 1..]].concat();
            let place = import.draft.reshape(source, sides)?;
            Ok(vec![Traced::Value(place)])
        }
    }
}
