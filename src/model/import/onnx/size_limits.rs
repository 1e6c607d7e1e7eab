//! What an ONNX file would take to read, found out before it is read: two bytes of it can ask for a
//! message of hundreds.

use std::io::{Read, Seek, SeekFrom};

use prost::bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint};

/// Fields of a whole file, at the most; usual ones have about ten.
const MOST_FIELDS: usize = 10_000;
/// Bytes that messages may take beyond as many as the file has.
const SPARE: u64 = 40 << 20;
/// Bytes that a message takes besides what is in it, at the most.
const MESSAGE: u64 = 256;
/// Bytes that a text takes besides its letters.
const TEXT: u64 = 24;

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    Shape,
    /// A message without messages in it.
    Leaf,
    /// Numbers, a byte of which becomes eight.
    Numbers,
    /// Bytes or letters.
    Bytes,
}

impl Kind {
    /// What its field of that number holds; see onnx.proto.
    fn field(self, tag: u32) -> Self {
        match (self, tag) {
            (Self::Model, 7) => Self::Graph,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 11 | 12) => Self::Value,
            (Self::Node, 5) => Self::Attribute,
            (Self::Value, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Model, 8 | 14) | (Self::Tensor, 13) | (Self::Shape, 1) => Self::Leaf,
            (Self::Attribute, 8) | (Self::Tensor, 1 | 5 | 7) => Self::Numbers,
            _ => Self::Bytes,
        }
    }
}

/// Refuses a file whose messages would take far more room than its bytes.
pub(super) fn require_room(bytes: &[u8]) -> Result<(), String> {
    let most = bytes.len() as u64 + SPARE;
    if room(Kind::Model, bytes, most)? > most {
        return Err("its messages take far more room than the file".into());
    }
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    decode_varint(bytes).map_err(|error| error.to_string())
}

/// Bytes that a message takes, at least; counting ends beyond `most`.
fn room(kind: Kind, mut bytes: &[u8], most: u64) -> Result<u64, String> {
    let mut sum = 0_u64;
    while bytes.has_remaining() && sum <= most {
        let (tag, wire) = decode_key(&mut bytes).map_err(|error| error.to_string())?;
        let fixed = match wire {
            WireType::Varint => {
                varint(&mut bytes)?;
                0
            }
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => {
                let length =
                    usize::try_from(varint(&mut bytes)?).map_err(|error| error.to_string())?;
                let part = bytes.get(..length).ok_or("it is cut off")?;
                bytes = &bytes[length..];
                sum += match kind.field(tag) {
                    Kind::Bytes => TEXT + length as u64,
                    Kind::Numbers => 8 * length as u64,
                    message => MESSAGE + room(message, part, most)?,
                };
                continue;
            }
            _ => return Err("it holds a field that no ONNX file has".into()),
        };
        bytes = bytes.get(fixed..).ok_or("it is cut off")?;
        sum += 8;
    }
    Ok(sum)
}

/// Refuses a file that is no sequence of fields with a graph among them, without reading what they hold.
pub(super) fn require_outline(file: &mut (impl Read + Seek), length: u64) -> Result<(), String> {
    let wrong = || "it is not built like an ONNX file".to_owned();
    let (mut at, mut has_graph) = (0_u64, false);
    for _ in 0..MOST_FIELDS {
        if at == length {
            return if has_graph {
                Ok(())
            } else {
                Err("it holds no graph".into())
            };
        }
        file.seek(SeekFrom::Start(at))
            .map_err(|error| error.to_string())?;
        // A key and a length take ten bytes each, at the most.
        let mut head = Vec::new();
        let read = file.take(20).read_to_end(&mut head);
        read.map_err(|error| error.to_string())?;
        let mut rest = head.as_slice();
        let (tag, wire) = decode_key(&mut rest).map_err(|_| wrong())?;
        let number = match wire {
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::Varint | WireType::LengthDelimited => {
                decode_varint(&mut rest).map_err(|_| wrong())?
            }
            _ => return Err(wrong()),
        };
        let held = if wire == WireType::Varint { 0 } else { number };
        has_graph |= tag == 7 && wire == WireType::LengthDelimited;
        let next = (at + (head.len() - rest.len()) as u64).checked_add(held);
        at = next.filter(|&next| next <= length).ok_or_else(wrong)?;
    }
    Err(wrong())
}
