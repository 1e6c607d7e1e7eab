//! Constants whose elements are those of others in another order: slices, transposition, broadcasting.

use super::arrays::{Constant, integers};
use super::attributes::{Attributes, axis};
use crate::model::graph::broadcast;

/// More numbers than any index computation needs.
pub(super) const MOST: usize = 1 << 20;

/// Index along an axis of this length, counted from its end if it is negative.
fn index_within(index: i64, length: usize) -> Result<usize, String> {
    let from_front = if index < 0 {
        index.checked_add(length as i64)
    } else {
        Some(index)
    };
    let index = from_front.and_then(|index| usize::try_from(index).ok());
    index
        .filter(|&index| index < length)
        .ok_or_else(|| "an index is out of bounds".to_owned())
}

pub(super) fn gather(
    from: &Constant,
    indices: Option<&&Constant>,
    attributes: &Attributes,
) -> Result<Constant, String> {
    let shape = from.shape();
    let axis = axis(attributes.int("axis", 0), shape.len())?;
    let wanted = indices.ok_or("an input is missing")?.shape().to_vec();
    let places = integers(indices)?.into_iter();
    let places: Vec<usize> = places
        .map(|index| index_within(index, shape[axis]))
        .collect::<Result<_, _>>()?;
    let sides = [&shape[..axis], &wanted, &shape[axis + 1..]].concat();
    let index_strides = strides(&wanted);
    from.rearranged(sides, |index| {
        let (before, rest) = index.split_at(axis);
        let (inside, after) = rest.split_at(wanted.len());
        let place = inside
            .iter()
            .zip(&index_strides)
            .map(|(i, s)| i * s)
            .sum::<usize>();
        [before, &[places[place]], after].concat()
    })
}

pub(super) fn concat(inputs: &[&Constant], attributes: &Attributes) -> Result<Constant, String> {
    let first = inputs[0].shape();
    let axis = axis(attributes.int("axis", 0), first.len())?;
    let mut sides = first.to_vec();
    for input in &inputs[1..] {
        let shape = input.shape();
        let same = shape.len() == first.len()
            && (0..first.len()).all(|at| at == axis || shape[at] == first[at]);
        if !same {
            return Err(format!("it joins {first:?} and {shape:?}"));
        }
        sides[axis] += shape[axis];
    }
    // One after the other along the axis is one after the other in memory, for each index before it.
    let blocks: usize = first[..axis].iter().product();
    let all_integers = inputs
        .iter()
        .all(|input| matches!(input, Constant::Integers(..)));
    let all_floats = inputs
        .iter()
        .all(|input| matches!(input, Constant::Floats(..)));
    if !(all_integers || all_floats) {
        return Err("it joins integers and floating-point numbers".into());
    }
    let (mut floats, mut whole) = (Vec::new(), Vec::new());
    for block in 0..blocks {
        for input in inputs {
            let length = input.numbers() / blocks;
            let part = block * length..(block + 1) * length;
            match input {
                Constant::Floats(values, _) => floats.extend_from_slice(&values[part]),
                Constant::Integers(values, _) => whole.extend_from_slice(&values[part]),
            }
        }
    }
    Ok(if all_integers {
        Constant::Integers(whole, sides)
    } else {
        Constant::Floats(floats, sides)
    })
}

/// The part of an axis that a slice takes.
struct Part {
    axis: usize,
    /// Index of the first element.
    start: i64,
    step: i64,
    count: usize,
}

impl Part {
    /// The part from `start` to before `end` in steps of `step`, by NumPy's rules.
    fn new(axis: usize, length: usize, [start, end, step]: [i64; 3]) -> Result<Self, String> {
        let length = length as i64;
        // Backwards, the place before the first element is an end too.
        let bounds = if step > 0 {
            [0, length]
        } else {
            [-1, length - 1]
        };
        let place = |value: i64| {
            let value = if value < 0 {
                value.saturating_add(length)
            } else {
                value
            };
            value.clamp(bounds[0], bounds[1])
        };
        let (start, end) = (place(start), place(end));
        let reach = if step > 0 { end - start } else { start - end };
        let size = step
            .checked_abs()
            .filter(|&size| size > 0)
            .ok_or("its step is 0")?;
        let count = usize::try_from((reach.max(0) + size - 1) / size).unwrap_or(0);
        Ok(Self {
            axis,
            start,
            step,
            count,
        })
    }
}

pub(super) fn slice(inputs: &[&Constant], attributes: &Attributes) -> Result<Constant, String> {
    let shape = inputs[0].shape();
    let listed = |index: usize, name: &str| match attributes.ints(name) {
        Some(values) => Ok(values.to_vec()),
        None => integers(inputs.get(index)),
    };
    let (starts, ends) = (listed(1, "starts")?, listed(2, "ends")?);
    let count = starts.len();
    let optional = |index: usize, name: &str, usual: Vec<i64>| match listed(index, name) {
        Ok(values) if !values.is_empty() => values,
        _ => usual,
    };
    let axes = optional(3, "axes", (0..count as i64).collect());
    let steps = optional(4, "steps", vec![1; count]);
    if [&ends, &axes, &steps]
        .iter()
        .any(|other| other.len() != count)
    {
        return Err("its starts, ends, axes and steps are of unequal number".into());
    }
    let mut parts = Vec::with_capacity(count);
    for at in 0..count {
        let axis = axis(axes[at], shape.len())?;
        parts.push(Part::new(
            axis,
            shape[axis],
            [starts[at], ends[at], steps[at]],
        )?);
    }
    let mut sides = shape.to_vec();
    for part in &parts {
        sides[part.axis] = part.count;
    }
    inputs[0].rearranged(sides, |index| {
        let mut from = index.to_vec();
        for part in &parts {
            from[part.axis] = (part.start + index[part.axis] as i64 * part.step) as usize;
        }
        from
    })
}

pub(super) fn transpose(constant: &Constant, attributes: &Attributes) -> Result<Constant, String> {
    let rank = constant.shape().len();
    let order: Vec<usize> = match attributes.ints("perm") {
        Some(order) => order
            .iter()
            .map(|&at| axis(at, rank))
            .collect::<Result<_, _>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(format!("it reorders {rank} axes as {order:?}"));
    }
    let sides = order.iter().map(|&at| constant.shape()[at]).collect();
    constant.rearranged(sides, |index| {
        let mut from = vec![0; rank];
        for (&at, &place) in order.iter().zip(index) {
            from[at] = place;
        }
        from
    })
}

pub(super) fn expand(constant: &Constant, shape: Option<&&Constant>) -> Result<Constant, String> {
    let wanted = integers(shape)?.into_iter().map(usize::try_from);
    let wanted: Vec<usize> = wanted
        .collect::<Result<_, _>>()
        .map_err(|_| "a side is negative")?;
    let sides = broadcast(constant.shape(), &wanted)?;
    constant.rearranged(sides, |index| broadcast_index(index, constant.shape()))
}

pub(super) fn tile(constant: &Constant, repeats: Option<&&Constant>) -> Result<Constant, String> {
    let shape = constant.shape();
    let repeats = integers(repeats)?.into_iter().map(usize::try_from);
    let repeats: Vec<usize> = repeats
        .collect::<Result<_, _>>()
        .map_err(|_| "it repeats less than 0 times")?;
    if repeats.len() != shape.len() {
        return Err(format!("it repeats {shape:?} along {} axes", repeats.len()));
    }
    let sides = shape
        .iter()
        .zip(&repeats)
        .map(|(side, times)| side.saturating_mul(*times));
    constant.rearranged(sides.collect(), |index| {
        index
            .iter()
            .zip(shape)
            .map(|(place, side)| place % side)
            .collect()
    })
}

/// A constant with parts replaced: the last axis of the second input has the index of each part of the third.
pub(super) fn scatter(inputs: &[&Constant]) -> Result<Constant, String> {
    let [data, indices, updates] = inputs else {
        return Err("it needs three inputs".into());
    };
    let shape = data.shape();
    let depth = *indices.shape().last().ok_or("its indices have no axis")?;
    let own = strides(shape);
    let part: usize = shape
        .get(depth..)
        .ok_or("its indices are longer than its axes are many")?
        .iter()
        .product();
    let indices = integers(Some(indices))?;
    let mut starts = Vec::new();
    for index in indices.chunks_exact(depth.max(1)) {
        let mut start = 0;
        for (at, &place) in index.iter().enumerate() {
            start += index_within(place, shape[at])? * own[at];
        }
        starts.push(start);
    }
    if updates.numbers() != starts.len() * part {
        return Err("its updates are not as many as its indices".into());
    }
    fn replaced<T: Copy>(values: &[T], updates: &[T], starts: &[usize], part: usize) -> Vec<T> {
        let mut values = values.to_vec();
        for (&start, update) in starts.iter().zip(updates.chunks_exact(part.max(1))) {
            values[start..start + part].copy_from_slice(update);
        }
        values
    }
    match (data, updates) {
        (Constant::Floats(values, sides), Constant::Floats(updates, _)) => Ok(Constant::Floats(
            replaced(values, updates, &starts, part),
            sides.clone(),
        )),
        (Constant::Integers(values, sides), Constant::Integers(updates, _)) => Ok(
            Constant::Integers(replaced(values, updates, &starts, part), sides.clone()),
        ),
        _ => Err("it mixes integers and floating-point numbers".into()),
    }
}

impl Constant {
    /// A constant of shape `sides`, each element of which is the element at the index that `from` gives for
    /// its own.
    ///
    /// # Errors
    /// A message, if it is larger than the original and than any index computation needs.
    pub(super) fn rearranged(
        &self,
        sides: Vec<usize>,
        from: impl Fn(&[usize]) -> Vec<usize>,
    ) -> Result<Self, String> {
        let count = sides
            .iter()
            .try_fold(1_usize, |all, &side| all.checked_mul(side));
        let count = count
            .filter(|&count| count <= MOST.max(self.numbers()))
            .ok_or("it is too large")?;
        let (own, others) = (strides(self.shape()), strides(&sides));
        let mut index = vec![0; sides.len()];
        let mut places = Vec::with_capacity(count);
        for flat in 0..count {
            for (at, place) in index.iter_mut().enumerate() {
                *place = flat / others[at] % sides[at];
            }
            let from = from(&index);
            places.push(
                from.iter()
                    .zip(&own)
                    .map(|(place, stride)| place * stride)
                    .sum::<usize>(),
            );
        }
        Ok(match self {
            Self::Floats(values, _) => {
                Self::Floats(places.iter().map(|&place| values[place]).collect(), sides)
            }
            Self::Integers(values, _) => {
                Self::Integers(places.iter().map(|&place| values[place]).collect(), sides)
            }
        })
    }
}

/// Distance in memory of neighbours along each axis; at least 1.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at] * shape[at].max(1);
    }
    strides
}

/// Index in a constant of this shape for an index in what it was broadcast to.
pub(super) fn broadcast_index(index: &[usize], shape: &[usize]) -> Vec<usize> {
    let own = &index[index.len() - shape.len()..];
    own.iter()
        .zip(shape)
        .map(|(&place, &side)| if side == 1 { 0 } else { place })
        .collect()
}
