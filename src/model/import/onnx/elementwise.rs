//! Elementwise operators on constants, with broadcasting.

use super::arrays::{Constant, is_integer};
use super::rearrangement::broadcast_index;
use crate::model::graph::broadcast;

/// The same numbers as another type.
pub(super) fn cast(constant: &Constant, to: i64) -> Result<Constant, String> {
    let to_integer = i32::try_from(to).is_ok_and(is_integer);
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

/// The result of an operator of one input.
pub(super) fn unary(operator: &str, input: &Constant) -> Result<Constant, String> {
    let unknown = || "this operator is not known here for constants".to_owned();
    match input {
        Constant::Floats(values, shape) => {
            let each: fn(f32) -> f32 = match operator {
                "Floor" => f32::floor,
                "Ceil" => f32::ceil,
                "Round" => f32::round_ties_even,
                "Sqrt" => f32::sqrt,
                "Exp" => f32::exp,
                "Log" => f32::ln,
                "Abs" => f32::abs,
                "Reciprocal" => f32::recip,
                "Neg" => |value| -value,
                _ => return Err(unknown()),
            };
            let values = values.iter().map(|&value| each(value)).collect();
            Ok(Constant::Floats(values, shape.clone()))
        }
        Constant::Integers(values, shape) => {
            let each: fn(i64) -> i64 = match operator {
                "Floor" | "Ceil" | "Round" => |value| value,
                "Abs" => i64::saturating_abs,
                "Neg" => i64::saturating_neg,
                "Sign" => i64::signum,
                "Not" => |value| i64::from(value == 0),
                _ => return Err(unknown()),
            };
            let values = values.iter().map(|&value| each(value)).collect();
            Ok(Constant::Integers(values, shape.clone()))
        }
    }
}

/// The result of an operator of two inputs.
pub(super) fn binary(operator: &str, a: &Constant, b: &Constant) -> Result<Constant, String> {
    let sides = broadcast(a.shape(), b.shape())?;
    let spread = |constant: &Constant| {
        let shape = constant.shape();
        if shape == sides {
            return Ok(constant.clone());
        }
        constant.rearranged(sides.clone(), |index| broadcast_index(index, shape))
    };
    match (spread(a)?, spread(b)?) {
        (Constant::Floats(x, _), Constant::Floats(y, _)) => {
            let pairs = x.into_iter().zip(y);
            if let Some(compare) = comparison(operator) {
                let values = pairs.map(|(x, y)| i64::from(compare(x.partial_cmp(&y))));
                return Ok(Constant::Integers(values.collect(), sides));
            }
            let each = |(x, y): (f32, f32)| floats(operator, x, y);
            let values = pairs.map(each).collect::<Result<_, _>>()?;
            Ok(Constant::Floats(values, sides))
        }
        (Constant::Integers(x, _), Constant::Integers(y, _)) => {
            let pairs = x.into_iter().zip(y);
            if let Some(compare) = comparison(operator) {
                let values = pairs.map(|(x, y)| i64::from(compare(Some(x.cmp(&y)))));
                return Ok(Constant::Integers(values.collect(), sides));
            }
            let each = |(x, y): (i64, i64)| integers(operator, x, y);
            let values = pairs.map(each).collect::<Result<_, _>>()?;
            Ok(Constant::Integers(values, sides))
        }
        _ => Err("it mixes integers and floating-point numbers".into()),
    }
}

/// Whether an ordering fulfils a comparison.
fn comparison(operator: &str) -> Option<fn(Option<std::cmp::Ordering>) -> bool> {
    Some(match operator {
        "Equal" => |order| order.is_some_and(std::cmp::Ordering::is_eq),
        "Greater" => |order| order.is_some_and(std::cmp::Ordering::is_gt),
        "GreaterOrEqual" => |order| order.is_some_and(std::cmp::Ordering::is_ge),
        "Less" => |order| order.is_some_and(std::cmp::Ordering::is_lt),
        "LessOrEqual" => |order| order.is_some_and(std::cmp::Ordering::is_le),
        _ => return None,
    })
}

fn floats(operator: &str, x: f32, y: f32) -> Result<f32, String> {
    Ok(match operator {
        "Add" => x + y,
        "Sub" => x - y,
        "Mul" => x * y,
        "Div" => x / y,
        "Pow" => x.powf(y),
        "Min" => x.min(y),
        "Max" => x.max(y),
        "Mod" => x % y,
        _ => return Err("this operator is not known here for constants".into()),
    })
}

fn integers(operator: &str, x: i64, y: i64) -> Result<i64, String> {
    let value = match operator {
        "Add" => x.checked_add(y),
        "Sub" => x.checked_sub(y),
        "Mul" => x.checked_mul(y),
        "Div" => x.checked_div(y),
        // The sign of the divisor, as in Python.
        "Mod" => x.checked_rem(y).map(|rest| {
            if rest != 0 && (rest < 0) != (y < 0) {
                rest + y
            } else {
                rest
            }
        }),
        "Pow" => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)),
        "Min" => Some(x.min(y)),
        "Max" => Some(x.max(y)),
        "And" => Some(i64::from(x != 0 && y != 0)),
        "Or" => Some(i64::from(x != 0 || y != 0)),
        _ => return Err("this operator is not known here for constants".into()),
    };
    value.ok_or_else(|| "a number is too large or divided by 0".to_owned())
}
