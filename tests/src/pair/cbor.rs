//! A CBOR writer that also writes what a decoder must refuse.

/// A CBOR value. Maps keep the order they are given, so that a test can write a wrong one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// An unsigned number.
    Uint(u64),
    /// A negative number, as `-1 - n`.
    Negative(u64),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A text string.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// A map, in the order given.
    Map(Vec<(Value, Value)>),
    /// A tagged value.
    Tag(u64, Box<Value>),
    /// `true` or `false`.
    Bool(bool),
    /// These bytes, whatever they are.
    Raw(Vec<u8>),
}

impl Value {
    /// A text string.
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// A byte string.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }

    /// A map with one-character text keys.
    pub fn text_map(entries: Vec<(&str, Value)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (Self::text(key), value)).collect())
    }

    /// A map with numbers as keys.
    pub fn int_map(entries: Vec<(u64, Value)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (Self::Uint(key), value)).collect())
    }

    /// `#6.24(bstr .cbor value)`.
    pub fn embedded(value: &Self) -> Self {
        Self::Tag(24, Box::new(Self::Bytes(value.encode())))
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Uint(number) => head(out, 0, *number),
            Self::Negative(number) => head(out, 1, *number),
            Self::Bytes(bytes) => {
                head(out, 2, bytes.len() as u64);
                out.extend(bytes);
            }
            Self::Text(text) => {
                head(out, 3, text.len() as u64);
                out.extend(text.as_bytes());
            }
            Self::Array(values) => {
                head(out, 4, values.len() as u64);
                values.iter().for_each(|value| value.write(out));
            }
            Self::Map(entries) => {
                head(out, 5, entries.len() as u64);
                for (key, value) in entries {
                    key.write(out);
                    value.write(out);
                }
            }
            Self::Tag(tag, value) => {
                head(out, 6, *tag);
                value.write(out);
            }
            Self::Bool(value) => out.push(0xF4 + u8::from(*value)),
            Self::Raw(bytes) => out.extend(bytes),
        }
    }
}

/// Writes the head of a data item, in its shortest form.
pub fn head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    match argument {
        0..24 => out.push(major | argument as u8),
        24..0x100 => out.extend([major | 24, argument as u8]),
        0x100..0x1_0000 => {
            out.push(major | 25);
            out.extend((argument as u16).to_be_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            out.push(major | 26);
            out.extend((argument as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend(argument.to_be_bytes());
        }
    }
}
