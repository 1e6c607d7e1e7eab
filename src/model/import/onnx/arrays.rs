//! Constant arrays of an ONNX file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use half::{bf16, f16};

use super::attributes::Attributes;
use super::proto::TensorProto;

/// A constant: floating-point numbers or integers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    Floats(Vec<f32>, Vec<usize>),
    Integers(Vec<i64>, Vec<usize>),
}

impl Constant {
    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Self::Floats(_, shape) | Self::Integers(_, shape) => shape,
        }
    }

    /// How many numbers it is.
    pub(super) fn numbers(&self) -> usize {
        match self {
            Self::Floats(values, _) => values.len(),
            Self::Integers(values, _) => values.len(),
        }
    }
}

/// The numbers of an input of integers.
pub(super) fn integers(constant: Option<&&Constant>) -> Result<Vec<i64>, String> {
    match constant {
        Some(Constant::Integers(values, _)) => Ok(values.clone()),
        Some(Constant::Floats(..)) => Err("integers are needed".into()),
        None => Err("an input is missing".into()),
    }
}

/// Element types, as onnx.proto numbers them.
const FLOAT: i32 = 1;
const UINT8: i32 = 2;
const INT8: i32 = 3;
const INT32: i32 = 6;
const INT64: i32 = 7;
const BOOL: i32 = 9;
const FLOAT16: i32 = 10;
const DOUBLE: i32 = 11;
const BFLOAT16: i32 = 16;

/// Longest array of integers: they are shapes, axes and places.
const MOST_INTEGERS: usize = 1 << 20;

/// Whether an element type is of integers.
pub(super) fn is_integer(kind: i32) -> bool {
    matches!(kind, UINT8 | INT8 | INT32 | INT64 | BOOL)
}

/// Reads a constant; numbers outside the file are looked for in `folder`.
pub(super) fn constant(tensor: TensorProto, folder: &Path) -> Result<Constant, String> {
    let shape = tensor.dims.iter().map(|&side| usize::try_from(side));
    let shape: Vec<usize> = shape
        .collect::<Result<_, _>>()
        .map_err(|_| format!("its shape is {:?}", tensor.dims))?;
    let count = shape
        .iter()
        .try_fold(1_usize, |all, &side| all.checked_mul(side));
    let count = count.ok_or("its shape is impossible")?;
    let width = match tensor.data_type {
        DOUBLE | INT64 => 8,
        FLOAT | INT32 => 4,
        FLOAT16 | BFLOAT16 => 2,
        UINT8 | INT8 | BOOL => 1,
        other => return Err(format!("numbers of type {other} are not known here")),
    };
    if is_integer(tensor.data_type) && count > MOST_INTEGERS {
        return Err(format!("{count} integers are more than a classifier needs"));
    }
    let raw = match tensor.elsewhere() {
        Some(place) => {
            let bytes = count.checked_mul(width).ok_or("its shape is impossible")?;
            external(&place, bytes, folder)?
        }
        None => tensor.raw_data,
    };
    let numbers = raw.chunks_exact(width);
    let eight = |b: &[u8]| -> [u8; 8] { b.try_into().expect("eight bytes") };
    let four = |b: &[u8]| -> [u8; 4] { b.try_into().expect("four bytes") };
    let is_raw = !raw.is_empty();
    let constant = match tensor.data_type {
        FLOAT if is_raw => Constant::Floats(
            numbers.map(|b| f32::from_le_bytes(four(b))).collect(),
            shape,
        ),
        FLOAT => Constant::Floats(tensor.float_data, shape),
        DOUBLE if is_raw => {
            let values = numbers.map(|b| f64::from_le_bytes(eight(b)) as f32);
            Constant::Floats(values.collect(), shape)
        }
        DOUBLE => {
            let values = tensor.double_data.iter().map(|&value| value as f32);
            Constant::Floats(values.collect(), shape)
        }
        FLOAT16 | BFLOAT16 => {
            let bits: Vec<u16> = if is_raw {
                numbers.map(|b| u16::from_le_bytes([b[0], b[1]])).collect()
            } else {
                tensor.int32_data.iter().map(|&bits| bits as u16).collect()
            };
            let value = |&bits: &u16| match tensor.data_type {
                FLOAT16 => f16::from_bits(bits).to_f32(),
                _ => bf16::from_bits(bits).to_f32(),
            };
            Constant::Floats(bits.iter().map(value).collect(), shape)
        }
        INT64 if is_raw => Constant::Integers(
            numbers.map(|b| i64::from_le_bytes(eight(b))).collect(),
            shape,
        ),
        INT64 => Constant::Integers(tensor.int64_data, shape),
        INT32 if is_raw => {
            let values = numbers.map(|b| i64::from(i32::from_le_bytes(four(b))));
            Constant::Integers(values.collect(), shape)
        }
        _ if is_raw => Constant::Integers(raw.iter().map(|&byte| i64::from(byte)).collect(), shape),
        _ => {
            let values = tensor.int32_data.iter().map(|&value| i64::from(value));
            Constant::Integers(values.collect(), shape)
        }
    };
    let there = constant.numbers();
    if there == count {
        Ok(constant)
    } else {
        Err(format!("it should hold {count} numbers and holds {there}"))
    }
}

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

/// Bytes that are kept in another file of the same folder, or one below it.
fn external(
    place: &std::collections::HashMap<&str, &str>,
    bytes: usize,
    folder: &Path,
) -> Result<Vec<u8>, String> {
    let location = Path::new(
        place
            .get("location")
            .ok_or("it does not say in which file it is")?,
    );
    let plain = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
    if !location.components().all(plain) {
        return Err(format!(
            "it is in {}, outside of the model's folder",
            location.display()
        ));
    }
    let offset = place
        .get("offset")
        .map_or(Ok(0), |text| text.parse::<u64>());
    let offset = offset.map_err(|error| format!("its offset: {error}"))?;
    let path = folder.join(location);
    let explain = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(&path).map_err(explain)?;
    let length = file.metadata().map_err(explain)?.len();
    if offset
        .checked_add(bytes as u64)
        .is_none_or(|end| end > length)
    {
        return Err(format!("{} is too short", path.display()));
    }
    file.seek(SeekFrom::Start(offset)).map_err(explain)?;
    let mut read = vec![0; bytes];
    file.read_exact(&mut read).map_err(explain)?;
    Ok(read)
}
