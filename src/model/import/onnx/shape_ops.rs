//! The operators that compute nothing: they cut, pad and reshape.

use super::attributes::{Attributes, axis};
use super::constant_folding::{clamped, filled};
use super::context::{Import, Traced};
use super::proto::NodeProto;
use crate::model::graph::{Op, Source};

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
    match filled(&wanted, &shape, copies)?[..] {
        [1, ref rest @ ..] => import.push(node, Op::Reshape(rest.to_vec())),
        _ => Err(format!(
            "it makes {wanted:?} of {shape:?}, which mixes the pictures of a batch"
        )),
    }
}

pub(super) fn squeeze(import: &mut Import, node: &NodeProto) -> Result<Vec<Traced>, String> {
    let mut shape = import.shape(node)?;
    let listed = import.listed(node, "axes", 1)?;
    if node.op_type == "Unsqueeze" {
        let listed = listed.ok_or("it does not say where")?;
        let rank = shape.len() + listed.len();
        let mut axes = listed
            .into_iter()
            .map(|at| axis(at, rank))
            .collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        for at in axes {
            shape.insert(at.min(shape.len()), 1);
        }
    } else {
        let rank = shape.len();
        let axes = match listed {
            Some(listed) => listed
                .into_iter()
                .map(|at| axis(at, rank))
                .collect::<Result<Vec<_>, _>>()?,
            None => (1..rank).filter(|&at| shape[at] == 1).collect(),
        };
        if axes.iter().any(|&at| shape[at] != 1) {
            return Err(format!("it drops axes {axes:?} of {shape:?}"));
        }
        let mut index = 0..rank;
        shape.retain(|_| index.next().is_some_and(|at| !axes.contains(&at)));
    }
    match shape[..] {
        [1, ref rest @ ..] => import.push(node, Op::Reshape(rest.to_vec())),
        _ => Err("it drops the batch".into()),
    }
}

pub(super) fn slice(import: &mut Import, node: &NodeProto) -> Result<Vec<Traced>, String> {
    let part = |index: usize, name: &str| import.listed(node, name, index);
    let starts = part(1, "starts")?.ok_or("it does not say where it starts")?;
    let ends = part(2, "ends")?.ok_or("it does not say where it ends")?;
    let axes = part(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = part(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if steps.iter().any(|&step| step != 1)
        || ends.len() != starts.len()
        || axes.len() != starts.len()
    {
        return Err("slices of every second or backwards are not known here".into());
    }
    let mut source = import.source(node, 0)?;
    let mut shape = import.shape(node)?;
    let mut made = vec![import.input(node, 0)?.clone()];
    for ((start, end), at) in starts.into_iter().zip(ends).zip(axes) {
        let at = axis(at, shape.len())?;
        let (start, end) = (clamped(start, shape[at]), clamped(end, shape[at]));
        if start == 0 && end == shape[at] {
            continue;
        }
        made = import.push_on(
            vec![source],
            Op::Slice {
                axis: at,
                start,
                end,
            },
        )?;
        shape[at] = end.saturating_sub(start);
        let [Traced::Value(place)] = made[..] else {
            unreachable!("a slice is a value")
        };
        source = Source::Value(place);
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
            },
        )?);
        start = end;
    }
    Ok(made)
}

/// One channel, row or column.
pub(super) fn gather(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Vec<Traced>, String> {
    let shape = import.shape(node)?;
    let at = axis(attributes.int("axis", 0), shape.len())?;
    let indices = import.constant(node, 1)?.ok_or("it does not say which")?;
    let keeps = match indices.shape().len() {
        0 => false,
        1 => true,
        _ => return Err(format!("it takes indices of shape {:?}", indices.shape())),
    };
    let [index] = import.integers(node, 1)?.unwrap_or_default()[..] else {
        return Err("several indices are not known here".into());
    };
    let start = axis(index, shape[at])?;
    let op = Op::Slice {
        axis: at,
        start,
        end: start + 1,
    };
    let one = import.push(node, op)?;
    if keeps {
        return Ok(one);
    }
    let mut rest = shape;
    rest.remove(at);
    let [Traced::Value(place)] = one[..] else {
        unreachable!("a slice is a value")
    };
    import.push_on(vec![Source::Value(place)], Op::Reshape(rest[1..].to_vec()))
}
