//! Python pickles of plain values and numpy arrays of bytes, read without running anything that they ask for.
//!
//! Functions are called by none but `_codecs.encode`, whose result is known; numpy's arrays are recognised by what
//! their state looks like.

use std::collections::HashMap;

/// A value of a pickle.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Anything that no data set needs.
    Other,
    Integer(i64),
    Bytes(Vec<u8>),
    Text(String),
    /// A list or a tuple.
    List(Vec<Value>),
    /// Pairs of key and value.
    Map(Vec<(Value, Value)>),
    /// Something by its name, with a dot before the last part.
    Name(String),
}

impl Value {
    /// The value of a dictionary under a key, which Python 2 wrote as bytes.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        let is_key = |found: &Self| match found {
            Self::Text(text) => text == key,
            Self::Bytes(bytes) => bytes == key.as_bytes(),
            _ => false,
        };
        let mut pairs = pairs.iter();
        pairs
            .find(|(found, _)| is_key(found))
            .map(|(_, value)| value)
    }
}

/// More values at once are no data set's.
const MOST_VALUES: usize = 1 << 22;

/// Values nested deeper are no data set's; they would also take more of a stack than there is, to be dropped.
const MAX_DEPTH: usize = 64;

/// The value that a pickle of protocol 0 to 5 holds.
///
/// # Errors
/// A message, when it is cut short or uses what no data set needs.
pub(super) fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut machine = Machine {
        rest: bytes,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        kept: 0,
        most: 4 * bytes.len() + (1 << 16),
    };
    while let Some(opcode) = machine.next() {
        if opcode == b'.' {
            return machine.pop();
        }
        machine.run(opcode)?;
        if machine.stack.len() > MOST_VALUES {
            return Err("it holds too many values".into());
        }
    }
    Err("it is cut short".into())
}

struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<usize, Value>,
    /// Bytes that were copied out of the memo, which must not grow far beyond the pickle.
    kept: usize,
    most: usize,
}

impl Machine<'_> {
    fn next(&mut self) -> Option<u8> {
        self.take(1).ok().map(|bytes| bytes[0])
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("it is cut short")?;
        self.rest = rest;
        Ok(taken)
    }

    /// An unsigned little-endian number of up to eight bytes.
    fn number(&mut self, width: usize) -> Result<usize, String> {
        let bytes = self.take(width)?;
        let value = bytes
            .iter()
            .rev()
            .fold(0_u64, |all, &byte| all << 8 | u64::from(byte));
        usize::try_from(value).map_err(|_| "a length is too large".into())
    }

    fn line(&mut self) -> Result<String, String> {
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let end = end.ok_or("it is cut short")?;
        let line = self.take(end + 1)?;
        Ok(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| "its stack is empty".into())
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        require_shallow(std::slice::from_ref(&value), MAX_DEPTH)?;
        self.stack.push(value);
        Ok(())
    }

    /// The values above the last mark.
    fn marked(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().ok_or("it has no mark")?;
        if mark > self.stack.len() {
            return Err("its marks are out of order".into());
        }
        Ok(self.stack.split_off(mark))
    }

    fn bytes(&mut self, width: usize) -> Result<Value, String> {
        let count = self.number(width)?;
        Ok(Value::Bytes(self.take(count)?.to_vec()))
    }

    fn text(&mut self, width: usize) -> Result<Value, String> {
        let count = self.number(width)?;
        let text = String::from_utf8(self.take(count)?.to_vec());
        text.map(Value::Text)
            .map_err(|_| "a text is no UTF-8".into())
    }

    fn recall(&mut self, place: usize) -> Result<Value, String> {
        let value = self.memo.get(&place).cloned().ok_or("its memo is empty")?;
        self.kept += size(&value);
        if self.kept > self.most {
            return Err("it repeats itself too often".into());
        }
        Ok(value)
    }

    fn run(&mut self, opcode: u8) -> Result<(), String> {
        let value = match opcode {
            0x80 => return self.take(1).map(drop), // PROTO
            0x95 => return self.take(8).map(drop), // FRAME
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(());
            }
            b'0' => return self.pop().map(drop),
            b'q' | b'r' | 0x94 | b'p' => return self.remember(opcode),
            b'h' => {
                let place = self.number(1)?;
                self.recall(place)?
            }
            b'j' => {
                let place = self.number(4)?;
                self.recall(place)?
            }
            b'g' => {
                let place = self.line()?.parse();
                self.recall(place.map_err(|_| "its memo is empty")?)?
            }
            b'K' => Value::Integer(self.number(1)? as i64),
            b'M' => Value::Integer(self.number(2)? as i64),
            b'J' => Value::Integer(i64::from(self.number(4)? as u32 as i32)),
            b'I' | b'L' => {
                let line = self.line()?;
                line.trim_end_matches('L')
                    .parse()
                    .map_or(Value::Other, Value::Integer)
            }
            0x8a => {
                let width = self.number(1)?;
                self.take(width)?;
                Value::Other
            }
            b'G' => self.take(8).map(|_| Value::Other)?,
            b'N' | 0x88 | 0x89 => Value::Other,
            b'U' | b'C' => self.bytes(1)?,
            b'T' | b'B' => self.bytes(4)?,
            0x8e | 0x96 => self.bytes(8)?,
            0x8c => self.text(1)?,
            b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            b']' | b')' => Value::List(Vec::new()),
            b'}' => Value::Map(Vec::new()),
            b'l' | b't' => Value::List(self.marked()?),
            b'd' => Value::Map(pairs(self.marked()?)),
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let from = self
                    .stack
                    .len()
                    .checked_sub(count)
                    .ok_or("its stack is empty")?;
                Value::List(self.stack.split_off(from))
            }
            b'a' | b'e' | b's' | b'u' => return self.extend(opcode),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                Value::Name(format!("{module}.{name}"))
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => Value::Name(format!("{module}.{name}")),
                _ => return Err("a name is no text".into()),
            },
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                call(function, arguments)
            }
            b'b' => {
                let (state, object) = (self.pop()?, self.pop()?);
                build(object, state)
            }
            _ => return Err(format!("its opcode {opcode:#x} is not known here")),
        };
        self.push(value)
    }

    fn remember(&mut self, opcode: u8) -> Result<(), String> {
        let place = match opcode {
            b'q' => self.number(1)?,
            b'r' => self.number(4)?,
            b'p' => self
                .line()?
                .parse()
                .map_err(|_| "a place in its memo is no number")?,
            _ => self.memo.len(),
        };
        let value = self.stack.last().cloned().ok_or("its stack is empty")?;
        self.kept += size(&value);
        if self.kept > self.most {
            return Err("it repeats itself too often".into());
        }
        self.memo.insert(place, value);
        Ok(())
    }

    /// Appends to the list or dictionary below.
    fn extend(&mut self, opcode: u8) -> Result<(), String> {
        let values = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.marked()?,
        };
        require_shallow(&values, MAX_DEPTH - 1)?;
        match self.stack.last_mut() {
            Some(Value::List(list)) => list.extend(values),
            Some(Value::Map(map)) => map.extend(pairs(values)),
            _ => return Err("it appends to no list".into()),
        }
        Ok(())
    }
}

/// Refuses values of which one is nested deeper than `most`. What is on the stack already is not.
fn require_shallow(values: &[Value], most: usize) -> Result<(), String> {
    fn depth(value: &Value) -> usize {
        let inside = match value {
            Value::List(list) => list.iter().map(depth).max(),
            Value::Map(pairs) => pairs
                .iter()
                .map(|(key, value)| depth(key).max(depth(value)))
                .max(),
            _ => return 0,
        };
        1 + inside.unwrap_or(0)
    }
    if values.iter().any(|value| depth(value) > most) {
        return Err("its values are nested too deeply".into());
    }
    Ok(())
}

/// Bytes that a copy of a value takes, about.
fn size(value: &Value) -> usize {
    16 + match value {
        Value::Bytes(bytes) => bytes.len(),
        Value::Text(text) | Value::Name(text) => text.len(),
        Value::List(list) => list.iter().map(size).sum(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| size(key) + size(value))
            .sum(),
        Value::Integer(_) | Value::Other => 0,
    }
}

fn pairs(values: Vec<Value>) -> Vec<(Value, Value)> {
    let mut values = values.into_iter();
    let mut pairs = Vec::new();
    while let (Some(key), Some(value)) = (values.next(), values.next()) {
        pairs.push((key, value));
    }
    pairs
}

/// What a function makes of its arguments: only `_codecs.encode`, by which Python 3 writes bytes in protocol 2, is
/// followed, and numpy's reconstruction of an array, which is empty until its state is set.
fn call(function: Value, arguments: Value) -> Value {
    match (function, arguments) {
        (Value::Name(name), Value::List(arguments)) if name == "_codecs.encode" => {
            let Some(Value::Text(text)) = arguments.first() else {
                return Value::Other;
            };
            let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
            bytes.map_or(Value::Other, Value::Bytes)
        }
        (name @ Value::Name(_), _) => name,
        _ => Value::Other,
    }
}

/// An object with its state: of a numpy array (version, shape, type, order, bytes) the bytes.
fn build(object: Value, state: Value) -> Value {
    let is_array =
        matches!(&object, Value::Name(name) if name.ends_with("multiarray._reconstruct"));
    match state {
        Value::List(mut state) if is_array && state.len() == 5 => state.remove(4),
        _ => object,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_short_or_calls_functions_is_no_value() {
        assert!(read(b"").is_err());
        assert!(read(b"\x80\x02}q\x00").is_err());
        // os.system("…") is a name and nothing more.
        let hostile = b"cos\nsystem\n(S'true'\ntR.";
        assert!(read(hostile).is_err());
        let called = read(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.");
        assert_eq!(called, Ok(Value::Name("os.system".into())));
    }

    #[test]
    fn values_nested_without_end_are_refused() {
        let tuples = [b"N".to_vec(), vec![0x85; 1 << 20], b".".to_vec()].concat();
        assert!(read(&tuples).is_err());
        let lists = [
            b"]".repeat(1 << 20),
            b"a".repeat((1 << 20) - 1),
            b".".to_vec(),
        ]
        .concat();
        assert!(read(&lists).is_err());
    }

    #[test]
    fn a_pickle_that_doubles_itself_is_refused() {
        // A list with itself twice, forty times over.
        let mut bomb = b"]q\x00K\x01a".to_vec();
        for _ in 0..40 {
            bomb.extend(b"]q\x01h\x00ah\x00aq\x00");
        }
        bomb.push(b'.');
        assert!(read(&bomb).is_err());
    }
}
