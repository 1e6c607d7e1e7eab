//! What can be computed without a picture: shapes, indices and constants.

use std::path::Path;

use super::arrays::{Constant, constant, integers};
use super::attributes::{Attributes, axis};
use super::elementwise;
use super::rearrangement::{
    MOST, broadcast_index, concat, expand, gather, scatter, slice, strides, tile, transpose,
};
use crate::model::graph::broadcast;

/// A place on an axis, counted from its end if it is negative, and kept on it.
pub(super) fn clamped(place: i64, length: usize) -> usize {
    let length = length as i64;
    let from_front = if place < 0 {
        place.saturating_add(length)
    } else {
        place
    };
    from_front.clamp(0, length) as usize
}

/// A shape, or the part of it that is asked for.
pub(super) fn shape_of(shape: &[usize], attributes: &Attributes) -> Result<Constant, String> {
    let rank = shape.len() as i64;
    let place = |value: i64| clamped(value, shape.len());
    let (start, end) = (
        place(attributes.int("start", 0)),
        place(attributes.int("end", rank)),
    );
    let part = shape.get(start..end).ok_or("it ends before it starts")?;
    let part: Vec<i64> = part.iter().map(|&side| side as i64).collect();
    let count = part.len();
    Ok(Constant::Integers(part, vec![count]))
}

/// The result of an operator on constants.
pub(super) fn compute(
    operator: &str,
    inputs: &[&Constant],
    attributes: &Attributes,
    opset: i64,
) -> Result<Constant, String> {
    let first = *inputs.first().ok_or("an input is missing")?;
    match operator {
        "Identity" | "Dropout" => Ok(first.clone()),
        "Cast" => elementwise::cast(first, attributes.int("to", 1)),
        "Gather" => gather(first, inputs.get(1), attributes),
        "Concat" => concat(inputs, attributes),
        "Unsqueeze" | "Squeeze" | "Reshape" | "Flatten" => {
            reshaped(operator, inputs, attributes, opset)
        }
        "Slice" => slice(inputs, attributes),
        "Transpose" => transpose(first, attributes),
        "Expand" => expand(first, inputs.get(1)),
        "Tile" => tile(first, inputs.get(1)),
        "ScatterND" => scatter(inputs),
        "Where" => choose(inputs),
        "Range" => range(inputs),
        "ConstantOfShape" => filled_with(first, attributes),
        "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" => {
            reduce(operator, inputs, attributes)
        }
        "Shape" => shape_of(first.shape(), attributes),
        "Size" => Ok(Constant::Integers(vec![first.numbers() as i64], vec![])),
        _ => match inputs {
            [one] => elementwise::unary(operator, one),
            [a, b] => elementwise::binary(operator, a, b),
            _ => Err("this operator is not known here for constants".into()),
        },
    }
}

/// Fills in what a shape leaves open: −1 is the rest, 0 (if it copies) the old length.
pub(super) fn filled(wanted: &[i64], shape: &[usize], copies: bool) -> Result<Vec<usize>, String> {
    let wrong = || format!("{shape:?} cannot become {wanted:?}");
    let product = |sides: &[usize]| {
        sides
            .iter()
            .try_fold(1_usize, |all, &side| all.checked_mul(side))
    };
    let mut sides = Vec::with_capacity(wanted.len());
    for (at, &side) in wanted.iter().enumerate() {
        sides.push(match side {
            -1 => 1,
            0 if copies => *shape.get(at).ok_or_else(wrong)?,
            side => usize::try_from(side).map_err(|_| wrong())?,
        });
    }
    let (all, given) = (
        product(shape).ok_or_else(wrong)?,
        product(&sides).ok_or_else(wrong)?,
    );
    if let Some(open) = wanted.iter().position(|&side| side == -1) {
        sides[open] = all.checked_div(given).ok_or_else(wrong)?;
    }
    if product(&sides) == Some(all) {
        Ok(sides)
    } else {
        Err(wrong())
    }
}

fn reshaped(
    operator: &str,
    inputs: &[&Constant],
    attributes: &Attributes,
    opset: i64,
) -> Result<Constant, String> {
    let shape = inputs[0].shape();
    let count: usize = shape.iter().product();
    let listed = match attributes.ints(if operator == "Reshape" {
        "shape"
    } else {
        "axes"
    }) {
        Some(listed) => Some(listed.to_vec()),
        None => inputs
            .get(1)
            .map(|given| integers(Some(given)))
            .transpose()?,
    };
    let wanted = match (operator, listed) {
        ("Reshape", Some(wanted)) => filled(&wanted, shape, attributes.int("allowzero", 0) == 0)?,
        ("Unsqueeze", Some(axes)) => {
            let mut wanted = shape.to_vec();
            let rank = (shape.len() + axes.len()) as i64;
            let axes = axes
                .iter()
                .map(|&at| if at < 0 { at.saturating_add(rank) } else { at });
            let mut axes: Vec<i64> = axes.collect();
            axes.sort_unstable();
            for at in axes {
                let at = usize::try_from(at).ok().filter(|&at| at <= wanted.len());
                wanted.insert(at.ok_or("an axis is out of bounds")?, 1);
            }
            wanted
        }
        // Whatever is dropped has one number.
        ("Squeeze", _) => shape.iter().copied().filter(|&side| side != 1).collect(),
        ("Flatten", _) if shape.len() == 2 => shape.to_vec(),
        _ => {
            return Err(format!(
                "constants of shape {shape:?} cannot be reshaped so in opset {opset}"
            ));
        }
    };
    if wanted.iter().product::<usize>() != count {
        return Err(format!("{shape:?} cannot become {wanted:?}"));
    }
    Ok(match inputs[0] {
        Constant::Floats(values, _) => Constant::Floats(values.clone(), wanted),
        Constant::Integers(values, _) => Constant::Integers(values.clone(), wanted),
    })
}

/// The first of two constants where a third is not 0, else the second.
fn choose(inputs: &[&Constant]) -> Result<Constant, String> {
    let [condition, yes, no] = inputs else {
        return Err("it needs three inputs".into());
    };
    let sides = broadcast(condition.shape(), &broadcast(yes.shape(), no.shape())?)?;
    let spread = |constant: &Constant| {
        constant.rearranged(sides.clone(), |index| {
            broadcast_index(index, constant.shape())
        })
    };
    let Constant::Integers(condition, _) = spread(condition)? else {
        return Err("its condition is of floating-point numbers".into());
    };
    fn pick<T>(condition: &[i64], yes: Vec<T>, no: Vec<T>) -> Vec<T> {
        let pairs = yes.into_iter().zip(no);
        condition
            .iter()
            .zip(pairs)
            .map(|(&c, (yes, no))| if c == 0 { no } else { yes })
            .collect()
    }
    match (spread(yes)?, spread(no)?) {
        (Constant::Integers(yes, _), Constant::Integers(no, _)) => {
            Ok(Constant::Integers(pick(&condition, yes, no), sides))
        }
        (Constant::Floats(yes, _), Constant::Floats(no, _)) => {
            Ok(Constant::Floats(pick(&condition, yes, no), sides))
        }
        _ => Err("it chooses between integers and floating-point numbers".into()),
    }
}

/// The integers from a start to before a limit, in steps.
fn range(inputs: &[&Constant]) -> Result<Constant, String> {
    let number = |index: usize| match integers(inputs.get(index))?[..] {
        [number] => Ok(number),
        _ => Err("its bounds are not single numbers".to_owned()),
    };
    let (start, limit, step) = (number(0)?, number(1)?, number(2)?);
    let distance = limit.checked_sub(start).ok_or("a number is too large")?;
    if step == 0
        || distance
            .checked_div(step)
            .is_none_or(|count| count >= MOST as i64)
    {
        return Err("it is too large".into());
    }
    let mut values = Vec::new();
    let mut value = start;
    while (step > 0 && value < limit) || (step < 0 && value > limit) {
        values.push(value);
        value = value.checked_add(step).ok_or("a number is too large")?;
    }
    let count = values.len();
    Ok(Constant::Integers(values, vec![count]))
}

/// Product, sum, largest or smallest of integers over axes, or over all.
fn reduce(
    operator: &str,
    inputs: &[&Constant],
    attributes: &Attributes,
) -> Result<Constant, String> {
    let Constant::Integers(values, shape) = inputs[0] else {
        return Err("only integers are reduced".into());
    };
    let listed = match attributes.ints("axes") {
        Some(axes) => Some(axes.to_vec()),
        None => inputs.get(1).map(|axes| integers(Some(axes))).transpose()?,
    };
    let axes: Vec<usize> = match listed {
        Some(axes) if !axes.is_empty() => axes
            .iter()
            .map(|&at| axis(at, shape.len()))
            .collect::<Result<_, _>>()?,
        _ => (0..shape.len()).collect(),
    };
    let kept: Vec<usize> = (0..shape.len())
        .map(|at| if axes.contains(&at) { 1 } else { shape[at] })
        .collect();
    let (from, to) = (strides(shape), strides(&kept));
    let mut results: Vec<Option<i64>> = vec![None; kept.iter().product()];
    for (flat, &value) in values.iter().enumerate() {
        let place =
            (0..shape.len()).map(|at| (flat / from[at] % shape[at]).min(kept[at] - 1) * to[at]);
        let result = &mut results[place.sum::<usize>()];
        let combined = result.map_or(Some(value), |so_far| match operator {
            "ReduceProd" => so_far.checked_mul(value),
            "ReduceSum" => so_far.checked_add(value),
            "ReduceMax" => Some(so_far.max(value)),
            _ => Some(so_far.min(value)),
        });
        *result = Some(combined.ok_or("a number is too large")?);
    }
    let empty = if operator == "ReduceProd" { 1 } else { 0 };
    let results = results
        .into_iter()
        .map(|result| result.unwrap_or(empty))
        .collect();
    let keep = attributes.int("keepdims", 1) != 0;
    let sides = (0..shape.len())
        .filter(|at| keep || !axes.contains(at))
        .map(|at| kept[at]);
    Ok(Constant::Integers(results, sides.collect()))
}

fn filled_with(shape: &Constant, attributes: &Attributes) -> Result<Constant, String> {
    let sides = integers(Some(&shape))?.into_iter().map(usize::try_from);
    let sides: Vec<usize> = sides
        .collect::<Result<_, _>>()
        .map_err(|_| "a side is negative")?;
    let count = sides
        .iter()
        .try_fold(1_usize, |all, &side| all.checked_mul(side));
    let count = count
        .filter(|&count| count <= MOST)
        .ok_or("it is too large")?;
    Ok(
        match attributes
            .tensor("value")
            .map(|tensor| constant(tensor, Path::new(".")))
            .transpose()?
        {
            Some(Constant::Integers(values, _)) => {
                Constant::Integers(vec![values.first().copied().unwrap_or(0); count], sides)
            }
            Some(Constant::Floats(values, _)) => {
                Constant::Floats(vec![values.first().copied().unwrap_or(0.0); count], sides)
            }
            None => Constant::Floats(vec![0.0; count], sides),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::import::onnx::proto::NodeProto;

    fn integers(values: &[i64], shape: &[usize]) -> Constant {
        Constant::Integers(values.to_vec(), shape.to_vec())
    }

    fn run(operator: &str, inputs: &[Constant]) -> Result<Constant, String> {
        let node = NodeProto::default();
        let inputs: Vec<&Constant> = inputs.iter().collect();
        compute(operator, &inputs, &Attributes(&node), 13)
    }

    #[test]
    fn slices_take_any_axis_and_step_as_numpy_does() {
        let list = |values: &[i64]| integers(values, &[values.len()]);
        let matrix = integers(&[1, 2, 3, 4, 5, 6], &[3, 2]);
        let cases: [([i64; 4], Constant); 5] = [
            (
                [-1, i64::MIN, 0, -1],
                integers(&[5, 6, 3, 4, 1, 2], &[3, 2]),
            ),
            ([0, i64::MAX, 0, 2], integers(&[1, 2, 5, 6], &[2, 2])),
            ([1, 2, 1, 1], integers(&[2, 4, 6], &[3, 1])),
            ([-1, -3, 1, -1], integers(&[2, 1, 4, 3, 6, 5], &[3, 2])),
            ([2, 1, 0, 1], integers(&[], &[0, 2])),
        ];
        for ([start, end, axis, step], expected) in cases {
            let inputs = [
                matrix.clone(),
                list(&[start]),
                list(&[end]),
                list(&[axis]),
                list(&[step]),
            ];
            assert_eq!(
                run("Slice", &inputs),
                Ok(expected),
                "{start}:{end}:{step} of {axis}"
            );
        }
        let zero = [matrix, list(&[0]), list(&[2]), list(&[0]), list(&[0])];
        assert!(run("Slice", &zero).is_err());
    }

    #[test]
    fn constants_broadcast_as_numpy_does() {
        let column = integers(&[1, 2], &[2, 1]);
        let row = integers(&[10, 20, 30], &[3]);
        let sum = run("Add", &[column.clone(), row.clone()]);
        assert_eq!(sum, Ok(integers(&[11, 21, 31, 12, 22, 32], &[2, 3])));
        let larger = run("Greater", &[row.clone(), integers(&[15], &[])]);
        assert_eq!(larger, Ok(integers(&[0, 1, 1], &[3])));
        let chosen = run(
            "Where",
            &[integers(&[0, 1, 1], &[3]), row.clone(), column.clone()],
        );
        assert_eq!(chosen, Ok(integers(&[1, 20, 30, 2, 20, 30], &[2, 3])));
        assert!(run("Add", &[row, integers(&[1, 2], &[2])]).is_err());
    }

    #[test]
    fn index_computations_of_exporters_are_folded() {
        let matrix = integers(&[1, 2, 3, 4, 5, 6], &[2, 3]);
        let turned = run("Transpose", std::slice::from_ref(&matrix));
        assert_eq!(turned, Ok(integers(&[1, 4, 2, 5, 3, 6], &[3, 2])));
        let gathered = run("Gather", &[matrix.clone(), integers(&[-1], &[])]);
        assert_eq!(gathered, Ok(integers(&[4, 5, 6], &[3])));
        let counted = run(
            "Range",
            &[
                integers(&[5], &[]),
                integers(&[0], &[]),
                integers(&[-2], &[]),
            ],
        );
        assert_eq!(counted, Ok(integers(&[5, 3, 1], &[3])));
        let product = run("ReduceProd", &[matrix.clone(), integers(&[1], &[1])]);
        assert_eq!(product, Ok(integers(&[6, 120], &[2, 1])));
        let tiled = run("Tile", &[integers(&[1, 2], &[2]), integers(&[2], &[1])]);
        assert_eq!(tiled, Ok(integers(&[1, 2, 1, 2], &[4])));
        let joined = run("Concat", &[matrix.clone(), matrix]);
        assert_eq!(joined.map(|joined| joined.shape().to_vec()), Ok(vec![4, 3]));
    }

    #[test]
    fn what_would_take_too_much_room_is_refused() {
        let one = integers(&[1], &[1]);
        let huge = integers(&[1 << 40, 1 << 40], &[2]);
        assert!(run("Expand", &[one.clone(), huge]).is_err());
        assert!(run("Tile", &[one, integers(&[1 << 40], &[1])]).is_err());
        let bounds = [0, i64::MAX, 1].map(|bound| integers(&[bound], &[]));
        assert!(run("Range", &bounds).is_err());
    }
}
