//! A transaction as it happens, explained value by value, with everything secret cut down to its length.
//!
//! Redaction is by permission: a value shows only where it is one of a few known words (a status, a version, an
//! intent, a reason). Keys, identifiers, signatures, cryptograms and everything sealed are told by name and length.

pub mod capture;
mod explain;
mod fields;
mod print;
mod tap;

use keybutton_protocol::{
    apdu::Ins,
    frame::{FrameError, Reassembler},
};
use serde::Serialize;

pub use print::text;
pub use tap::{Seen, TappedRadio};

/// Which way a value goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Written by the phone.
    ToLock,
    /// Notified by the lock.
    ToPhone,
}

/// What one ATT value is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Value {
    /// Which way it went.
    pub way: Way,
    /// Its length, the fragment's header included.
    pub bytes: usize,
    /// The fragment's header; absent when the value is empty.
    pub fragment: Option<Fragment>,
    /// The message that is complete with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// The rule of the link that it breaks; whoever receives it has to close the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// A fragment's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Fragment {
    /// It begins a message.
    pub first: bool,
    /// It ends one.
    pub last: bool,
    /// Its number, modulo 64.
    pub sequence: u8,
}

/// A whole message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Message {
    /// Its name in docs/PROTOCOL.md, such as `AUTH0`.
    pub name: &'static str,
    /// Its length, the header included.
    pub bytes: usize,
    /// How many ATT values it took.
    pub values: u32,
    /// The content can be read by phone and lock only.
    pub sealed: bool,
    /// What is in it.
    pub fields: Vec<Field>,
    /// What it says or proves, and to whom.
    pub means: &'static str,
}

/// A part of a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Field {
    /// Its tag in hexadecimal; empty where it has none.
    pub tag: &'static str,
    /// What it is.
    pub name: &'static str,
    /// The length of its value.
    pub bytes: usize,
    /// What it says, where that is one of a few known words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
}

/// One link, from its first value on.
#[derive(Debug, Default)]
pub struct Conversation {
    to_lock: Direction,
    to_phone: Direction,
    context: Context,
}

#[derive(Debug, Default)]
struct Direction {
    reassembler: Reassembler,
    values: u32,
}

/// What was said before, as far as it tells what comes next.
#[derive(Clone, Copy, Debug, Default)]
struct Context {
    /// The lock's last command: what a response answers.
    command: Option<Ins>,
    /// The lock asked for the fast phase.
    fast: bool,
    /// The lock sent AUTH1.
    auth1: bool,
    /// How many sealed EXCHANGEs the lock sent. The first one is the verdict, all after it are for the lock's own sake.
    exchanges: u32,
}

impl Conversation {
    /// Begins with the link.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next ATT value, and explains it.
    pub fn value(&mut self, way: Way, value: &[u8]) -> Value {
        let direction = match way {
            Way::ToLock => &mut self.to_lock,
            Way::ToPhone => &mut self.to_phone,
        };
        let fragment = value.first().map(|header| Fragment {
            first: header & 0x80 != 0,
            last: header & 0x40 != 0,
            sequence: header & 0x3F,
        });
        direction.values += 1;
        let (message, fault) = match direction.reassembler.push(value) {
            Ok(Some(message)) => {
                let values = std::mem::take(&mut direction.values);
                (Some(explain::message(way, message, values, &mut self.context)), None)
            }
            Ok(None) => (None, None),
            Err(error) => (None, Some(fault(error))),
        };
        Value { way, bytes: value.len(), fragment, message, fault }
    }
}

fn fault(error: FrameError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests;
