//! What can be computed without a picture: shapes, indices and constants.

use std::path::Path;

use super::arrays::{Constant, constant};
use super::attributes::Attributes;

/// More numbers than any index computation needs.
const MOST: usize = 1 << 20;

/// The constant that a node writes down.
pub(super) fn written(attributes: &Attributes, folder: &Path) -> Result<Constant, String> {
    if let Some(tensor) = attributes.tensor("value") {
        return constant(tensor, folder);
    }
    if let Some(values) = attributes.ints("value_ints") {
        return Ok(Constant::Integers(values.to_vec(), vec![values.len()]));
    }
    if let Some(values) = attributes.floats("value_floats") {
        return Ok(Constant::Floats(values.to_vec(), vec![values.len()]));
    }
    let named = |name: &str| {
        attributes
            .0
            .attribute
            .iter()
            .any(|attribute| attribute.name == name)
    };
    if named("value_int") {
        return Ok(Constant::Integers(
            vec![attributes.int("value_int", 0)],
            vec![],
        ));
    }
    if named("value_float") {
        return Ok(Constant::Floats(
            vec![attributes.float("value_float", 0.0)],
            vec![],
        ));
    }
    Err("its value is of a kind that is not known here".into())
}

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
    let first = inputs[0];
    match operator {
        "Identity" | "Dropout" => Ok(first.clone()),
        "Cast" => cast(first, attributes.int("to", 1)),
        "Gather" => gather(first, inputs.get(1), attributes),
        "Concat" => concat(inputs),
        "Unsqueeze" | "Squeeze" | "Reshape" | "Flatten" => {
            reshaped(operator, inputs, attributes, opset)
        }
        "Slice" => slice(inputs, attributes),
        "Transpose" => transpose(first, attributes),
        "ConstantOfShape" => filled_with(first, attributes),
        "Add" | "Sub" | "Mul" | "Div" => arithmetic(operator, first, inputs.get(1)),
        "Floor" | "Ceil" | "Sqrt" | "Neg" => {
            let Constant::Floats(values, shape) = first else {
                return Ok(first.clone());
            };
            let each = |value: &f32| match operator {
                "Floor" => value.floor(),
                "Ceil" => value.ceil(),
                "Sqrt" => value.sqrt(),
                _ => -value,
            };
            Ok(Constant::Floats(
                values.iter().map(each).collect(),
                shape.clone(),
            ))
        }
        _ => Err("this operator is not known here for constants".into()),
    }
}

fn integers(constant: Option<&&Constant>) -> Result<Vec<i64>, String> {
    match constant {
        Some(Constant::Integers(values, _)) => Ok(values.clone()),
        Some(Constant::Floats(..)) => Err("integers are needed".into()),
        None => Err("an input is missing".into()),
    }
}

fn cast(constant: &Constant, to: i64) -> Result<Constant, String> {
    let to_integer = i32::try_from(to).is_ok_and(super::arrays::is_integer);
    Ok(match constant {
        Constant::Floats(values, shape) if to_integer => Constant::Integers(
            values.iter().map(|&value| value as i64).collect(),
            shape.clone(),
        ),
        Constant::Integers(values, shape) if !to_integer => Constant::Floats(
            values.iter().map(|&value| value as f32).collect(),
            shape.clone(),
        ),
        same => same.clone(),
    })
}

fn gather(
    from: &Constant,
    indices: Option<&&Constant>,
    attributes: &Attributes,
) -> Result<Constant, String> {
    let Constant::Integers(values, shape) = from else {
        return Err("it gathers from floating-point numbers".into());
    };
    if shape.len() != 1 || attributes.int("axis", 0) != 0 {
        return Err(format!("it gathers from {shape:?}"));
    }
    let wanted = indices
        .map(|indices| indices.shape().to_vec())
        .unwrap_or_default();
    let length = values.len() as i64;
    let taken = integers(indices)?.into_iter().map(|index| {
        let index = if index < 0 {
            index.checked_add(length)
        } else {
            Some(index)
        };
        let index = index.and_then(|index| usize::try_from(index).ok());
        let value = index.and_then(|index| values.get(index));
        value
            .copied()
            .ok_or_else(|| "an index is out of bounds".to_owned())
    });
    Ok(Constant::Integers(taken.collect::<Result<_, _>>()?, wanted))
}

fn concat(inputs: &[&Constant]) -> Result<Constant, String> {
    let mut all = Vec::new();
    for input in inputs {
        if input.shape().len() != 1 {
            return Err(format!("it joins constants of shape {:?}", input.shape()));
        }
        all.extend(integers(Some(input))?);
    }
    let count = all.len();
    Ok(Constant::Integers(all, vec![count]))
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

fn slice(inputs: &[&Constant], attributes: &Attributes) -> Result<Constant, String> {
    let values = integers(inputs.first())?;
    let part = |index: usize, name: &str| match attributes.ints(name) {
        Some(values) => Ok(values.to_vec()),
        None => integers(inputs.get(index)),
    };
    let ([start], [end]) = (&part(1, "starts")?[..], &part(2, "ends")?[..]) else {
        return Err("it takes parts of several axes".into());
    };
    if inputs
        .get(4)
        .is_some_and(|steps| integers(Some(steps)) != Ok(vec![1]))
    {
        return Err("slices of every second or backwards are not known here".into());
    }
    let place = |value: i64| clamped(value, values.len());
    let part = values
        .get(place(*start)..place(*end))
        .unwrap_or_default()
        .to_vec();
    let count = part.len();
    Ok(Constant::Integers(part, vec![count]))
}

fn transpose(constant: &Constant, attributes: &Attributes) -> Result<Constant, String> {
    let (Constant::Floats(values, shape), None | Some([1, 0])) =
        (constant, attributes.ints("perm"))
    else {
        return Err("only weights of two axes can be transposed".into());
    };
    let [rows, columns] = shape[..] else {
        return Err(format!("it transposes {shape:?}"));
    };
    let turned = (0..columns).flat_map(|column| (0..rows).map(move |row| (row, column)));
    let turned = turned.map(|(row, column)| values[row * columns + column]);
    Ok(Constant::Floats(turned.collect(), vec![columns, rows]))
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

/// Two constants of one shape, or one of them a single number.
fn arithmetic(operator: &str, a: &Constant, b: Option<&&Constant>) -> Result<Constant, String> {
    let b = b.ok_or("an input is missing")?;
    let shape = if a.shape().len() >= b.shape().len() {
        a.shape()
    } else {
        b.shape()
    }
    .to_vec();
    let count: usize = shape.iter().product();
    let fits = |length: usize| length == 1 || length == count;
    let wrong = || format!("{:?} and {:?} do not fit together", a.shape(), b.shape());
    match (a, *b) {
        (Constant::Floats(x, _), Constant::Floats(y, _)) if fits(x.len()) && fits(y.len()) => {
            let each = |at: usize| {
                let (x, y) = (x[at % x.len()], y[at % y.len()]);
                match operator {
                    "Add" => x + y,
                    "Sub" => x - y,
                    "Mul" => x * y,
                    _ => x / y,
                }
            };
            Ok(Constant::Floats((0..count).map(each).collect(), shape))
        }
        (Constant::Integers(x, _), Constant::Integers(y, _)) if fits(x.len()) && fits(y.len()) => {
            let each = |at: usize| {
                let (x, y) = (x[at % x.len()], y[at % y.len()]);
                let value = match operator {
                    "Add" => x.checked_add(y),
                    "Sub" => x.checked_sub(y),
                    "Mul" => x.checked_mul(y),
                    _ => x.checked_div(y),
                };
                value.ok_or_else(|| "a number is too large".to_owned())
            };
            let values = (0..count).map(each).collect::<Result<_, _>>()?;
            Ok(Constant::Integers(values, shape))
        }
        _ => Err(wrong()),
    }
}
