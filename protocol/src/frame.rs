//! BLE fragments: a message cut into ATT values, and put together again (`docs/PROTOCOL.md` section 14).
//!
//! One ATT value is a header byte and a piece. Header: bit 7 first, bit 6 last, bits 5..0 the sequence number.

use thiserror::Error;

use crate::{
    buf::{Buf, Full},
    message::{HEADER_LEN, MAX_MESSAGE},
};

/// The smallest ATT MTU.
pub const MIN_MTU: u16 = 23;
/// The largest ATT MTU that changes anything.
pub const MAX_MTU: u16 = 517;
/// The longest ATT value, 512 bytes.
pub const MAX_VALUE: usize = 512;

const FIRST: u8 = 0x80;
const LAST: u8 = 0x40;
const SEQUENCE: u8 = 0x3F;

/// Cuts one direction's messages into ATT values. One per connection and direction.
#[derive(Debug)]
pub struct Fragmenter {
    piece: usize,
    sequence: u8,
}

impl Fragmenter {
    /// Starts a connection; an MTU outside 23..=517 is taken for the nearest one inside.
    pub fn new(mtu: u16) -> Self {
        let mut fragmenter = Self { piece: 0, sequence: 0 };
        fragmenter.set_mtu(mtu);
        fragmenter
    }

    /// Takes over an MTU negotiated later, between messages.
    pub fn set_mtu(&mut self, mtu: u16) {
        self.piece = usize::from(mtu.clamp(MIN_MTU, MAX_MTU) - 3).min(MAX_VALUE) - 1;
    }

    /// Cuts `message` into ATT values, in order. Values not drawn from the iterator are lost to the connection.
    pub fn split<'f, 'm>(&'f mut self, message: &'m [u8]) -> Fragments<'f, 'm> {
        Fragments { fragmenter: self, rest: message, first: true }
    }

    /// The number of ATT values a message of `len` bytes takes.
    pub const fn count(&self, len: usize) -> usize {
        len.div_ceil(self.piece)
    }
}

/// The ATT values of one message.
#[derive(Debug)]
pub struct Fragments<'f, 'm> {
    fragmenter: &'f mut Fragmenter,
    rest: &'m [u8],
    first: bool,
}

impl Iterator for Fragments<'_, '_> {
    type Item = Buf<MAX_VALUE>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (piece, rest) = self.rest.split_at_checked(self.fragmenter.piece).unwrap_or((self.rest, &[]));
        let first = if self.first { FIRST } else { 0 };
        let last = if rest.is_empty() { LAST } else { 0 };
        let mut value = Buf::new();
        let written = value.push(&[first | last | self.fragmenter.sequence]).and_then(|()| value.push(piece));
        self.fragmenter.sequence = (self.fragmenter.sequence + 1) & SEQUENCE;
        self.first = false;
        self.rest = rest;
        written.ok().map(|()| value)
    }
}

/// Puts one direction's ATT values together. One per connection and direction; holds one message.
#[derive(Debug)]
pub struct Reassembler {
    message: Buf<MAX_MESSAGE>,
    expected: usize,
    sequence: u8,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Between,
    Inside,
    Broken,
}

impl Reassembler {
    /// Starts a connection.
    pub const fn new() -> Self {
        Self { message: Buf::new(), expected: 0, sequence: 0, state: State::Between }
    }

    /// Takes the next ATT value and returns the message it completes.
    ///
    /// After any error the link must be closed; every further value is refused.
    pub fn push(&mut self, value: &[u8]) -> Result<Option<&mut [u8]>, FrameError> {
        match self.take(value) {
            Ok(true) => {
                self.state = State::Between;
                Ok(Some(self.message.as_mut_slice()))
            }
            Ok(false) => {
                self.state = State::Inside;
                Ok(None)
            }
            Err(error) => {
                self.state = State::Broken;
                self.message.clear();
                Err(error)
            }
        }
    }

    fn take(&mut self, value: &[u8]) -> Result<bool, FrameError> {
        let (header, piece) = match value {
            [] | [_] => return Err(FrameError::EmptyPiece),
            [header, piece @ ..] => (*header, piece),
        };
        match (self.state, header & FIRST != 0) {
            (State::Broken, _) => return Err(FrameError::Broken),
            (State::Between, false) => return Err(FrameError::NoFirst),
            (State::Inside, true) => return Err(FrameError::FirstTwice),
            (State::Between, true) | (State::Inside, false) => {}
        }
        if header & SEQUENCE != self.sequence {
            return Err(FrameError::Sequence);
        }
        self.sequence = (self.sequence + 1) & SEQUENCE;
        if self.state == State::Between {
            self.begin(piece)?;
        }
        if self.message.len() + piece.len() > self.expected {
            return Err(FrameError::TooLong);
        }
        self.message.push(piece).map_err(|Full| FrameError::TooLong)?;
        match (self.message.len() == self.expected, header & LAST != 0) {
            (true, true) => Ok(true),
            (false, false) => Ok(false),
            (false, true) => Err(FrameError::TooShort),
            (true, false) => Err(FrameError::TooLong),
        }
    }

    fn begin(&mut self, piece: &[u8]) -> Result<(), FrameError> {
        let [_, _, hi, lo] = piece.first_chunk::<HEADER_LEN>().ok_or(FrameError::TooShort)?;
        let expected = HEADER_LEN + usize::from(u16::from_be_bytes([*hi, *lo]));
        if expected > MAX_MESSAGE {
            return Err(FrameError::OverCap);
        }
        self.message.clear();
        self.expected = expected;
        Ok(())
    }
}

impl Default for Reassembler {
    fn default() -> Self {
        Self::new()
    }
}

/// A fragment that breaks the rules. There is no way back: close the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FrameError {
    /// The ATT value carries no message bytes.
    #[error("fragment without content")]
    EmptyPiece,
    /// A message does not begin with a first fragment.
    #[error("message without a first fragment")]
    NoFirst,
    /// A first fragment came inside a message.
    #[error("first fragment inside a message")]
    FirstTwice,
    /// A sequence number is not the next one.
    #[error("fragment out of sequence")]
    Sequence,
    /// A message claims more than 2,048 bytes.
    #[error("message over the cap")]
    OverCap,
    /// The pieces are more than the message claims.
    #[error("message longer than it claims")]
    TooLong,
    /// The pieces are fewer than the message claims.
    #[error("message shorter than it claims")]
    TooShort,
    /// An earlier fragment already broke the rules.
    #[error("link already broken")]
    Broken,
}

#[cfg(test)]
mod tests;
