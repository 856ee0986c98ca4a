//! Named numbers in order, as JSON and as text.

use std::fmt::Write;

use serde_json::{Map, Value};

/// Named values in order.
#[derive(Clone, Default)]
pub(crate) struct Numbers(Vec<(String, Number)>);

#[derive(Clone)]
enum Number {
    Bytes(Vec<u8>),
    Value(Value),
    List(Vec<(String, Vec<u8>)>),
    Group(Numbers),
}

impl Numbers {
    /// Adds bytes.
    pub(crate) fn bytes(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.0.push((name.to_owned(), Number::Bytes(bytes.as_ref().to_vec())));
        self
    }

    /// Adds a number or a text.
    pub(crate) fn value(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.push((name.to_owned(), Number::Value(value.into())));
        self
    }

    /// Adds messages in order.
    pub(crate) fn list(mut self, name: &str, list: Vec<(String, Vec<u8>)>) -> Self {
        self.0.push((name.to_owned(), Number::List(list)));
        self
    }

    /// Joins two.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Puts a word in front of every name.
    pub(crate) fn prefixed(self, word: &str) -> Self {
        Self(self.0.into_iter().map(|(name, number)| (format!("{word}: {name}"), number)).collect())
    }

    /// As JSON: bytes in hex.
    pub(crate) fn to_json(&self) -> Value {
        Value::Object(
            self.0
                .iter()
                .map(|(name, number)| (name.replace([' ', ':'], "_").replace("__", "_"), number.to_json()))
                .collect(),
        )
    }

    /// As lines of a page: the name, the length, the hex in lines of 96 digits.
    pub(crate) fn to_text(&self) -> String {
        let mut out = String::new();
        for (name, number) in &self.0 {
            match number {
                Number::Bytes(bytes) => write_bytes(&mut out, name, bytes),
                Number::Value(value) => writeln!(out, "{name}  {value}").unwrap(),
                Number::List(list) => list.iter().for_each(|(item, bytes)| write_bytes(&mut out, item, bytes)),
                Number::Group(group) => out += &group.to_text(),
            }
        }
        out
    }
}

impl Number {
    fn to_json(&self) -> Value {
        match self {
            Self::Bytes(bytes) => hex(bytes).into(),
            Self::Value(value) => value.clone(),
            Self::List(list) => list
                .iter()
                .map(|(name, bytes)| {
                    Value::Object(Map::from_iter([
                        ("name".into(), name[..].into()),
                        ("bytes".into(), hex(bytes).into()),
                    ]))
                })
                .collect(),
            Self::Group(group) => group.to_json(),
        }
    }
}

impl<N: Into<String>> FromIterator<(N, Numbers)> for Numbers {
    fn from_iter<I: IntoIterator<Item = (N, Numbers)>>(groups: I) -> Self {
        Self(groups.into_iter().map(|(name, group)| (name.into(), Number::Group(group))).collect())
    }
}

impl<const N: usize> From<[(&str, Numbers); N]> for Numbers {
    fn from(groups: [(&str, Numbers); N]) -> Self {
        groups.into_iter().collect()
    }
}

fn write_bytes(out: &mut String, name: &str, bytes: &[u8]) {
    writeln!(out, "{name} ({})", bytes.len()).unwrap();
    bytes.chunks(48).for_each(|line| writeln!(out, "  {}", hex(line)).unwrap());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}
