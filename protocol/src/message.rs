//! BLE messages: `type || id || length u16 || payload`, and the notifications among them (`docs/PROTOCOL.md` section 11).

use thiserror::Error;

use crate::buf::Full;

/// The length of a message header.
pub const HEADER_LEN: usize = 4;
/// The cap on a message, header included.
pub const MAX_MESSAGE: usize = 2048;

/// What a message is, by its type and id bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A command APDU from the lock (0/0).
    Command,
    /// A response APDU from the phone (0/1).
    Response,
    /// An event: busy or an error (2/0).
    Event,
    /// The lock's state changed (2/2).
    StatusChanged,
    /// The access protocol is complete, with the lock's state (2/3).
    Completed,
    /// The phone starts the access protocol (2/5).
    Initiate,
    /// Any other message of a known type: UWB, ranging, time sync, third party.
    Other {
        /// The type, 0 to 63.
        kind: u8,
        /// The id within the type.
        id: u8,
    },
}

impl Kind {
    /// The kind for type and id; `None` when the top bits of the type are set.
    pub const fn from_bytes(kind: u8, id: u8) -> Option<Self> {
        Some(match (kind, id) {
            (0, 0) => Self::Command,
            (0, 1) => Self::Response,
            (2, 0) => Self::Event,
            (2, 2) => Self::StatusChanged,
            (2, 3) => Self::Completed,
            (2, 5) => Self::Initiate,
            (0..=0x3F, _) => Self::Other { kind, id },
            _ => return None,
        })
    }

    /// Type and id.
    pub const fn to_bytes(self) -> [u8; 2] {
        match self {
            Self::Command => [0, 0],
            Self::Response => [0, 1],
            Self::Event => [2, 0],
            Self::StatusChanged => [2, 2],
            Self::Completed => [2, 3],
            Self::Initiate => [2, 5],
            Self::Other { kind, id } => [kind, id],
        }
    }
}

/// Splits a complete message into kind and payload.
pub fn parse(message: &[u8]) -> Result<(Kind, &[u8]), MessageError> {
    let (kind, len) = parse_header(message)?;
    let payload = message.get(HEADER_LEN..).filter(|payload| payload.len() == len).ok_or(MessageError::Length)?;
    Ok((kind, payload))
}

/// Splits a complete message whose payload is opened in place.
pub fn parse_mut(message: &mut [u8]) -> Result<(Kind, &mut [u8]), MessageError> {
    let (kind, len) = parse_header(message)?;
    let payload = message.get_mut(HEADER_LEN..).filter(|payload| payload.len() == len).ok_or(MessageError::Length)?;
    Ok((kind, payload))
}

/// Puts a header in front of the `len` payload bytes that stand at `out[4..]`. Returns the message's length.
pub fn finish(out: &mut [u8], kind: Kind, len: usize) -> Result<usize, Full> {
    let total = HEADER_LEN + len;
    if total > MAX_MESSAGE || out.len() < total {
        return Err(Full);
    }
    let room = out.first_chunk_mut::<HEADER_LEN>().ok_or(Full)?;
    *room = header(kind, len).ok_or(Full)?;
    Ok(total)
}

/// Writes a whole message. Returns its length.
pub fn encode(out: &mut [u8], kind: Kind, payload: &[u8]) -> Result<usize, Full> {
    out.get_mut(HEADER_LEN..HEADER_LEN + payload.len()).ok_or(Full)?.copy_from_slice(payload);
    finish(out, kind, payload.len())
}

/// The header of a message with `len` payload bytes; `None` over the cap.
pub fn header(kind: Kind, len: usize) -> Option<[u8; HEADER_LEN]> {
    if len == 0 || len > MAX_MESSAGE - HEADER_LEN {
        return None;
    }
    let [kind, id] = kind.to_bytes();
    let [hi, lo] = u16::try_from(len).ok()?.to_be_bytes();
    Some([kind, id, hi, lo])
}

/// The attribute `id` of a notification: under 00 an Initiate has its A5 template.
pub fn attribute(payload: &[u8], id: u8) -> Result<&[u8], MessageError> {
    let mut rest = payload;
    while let [attribute, len, tail @ ..] = rest {
        let value = tail.get(..usize::from(*len)).ok_or(MessageError::Attribute)?;
        if *attribute == id {
            return Ok(value);
        }
        rest = tail.get(usize::from(*len)..).unwrap_or_default();
    }
    Err(MessageError::Attribute)
}

/// Writes an Initiate (2/5) around the phone's A5 template. Returns its length.
pub fn initiate(out: &mut [u8], a5: &[u8]) -> Result<usize, Full> {
    let len = u8::try_from(a5.len()).map_err(|_| Full)?;
    let room = out.get_mut(HEADER_LEN..HEADER_LEN + 2 + a5.len()).ok_or(Full)?;
    let (head, tail) = room.split_at_mut_checked(2).ok_or(Full)?;
    head.copy_from_slice(&[0, len]);
    tail.copy_from_slice(a5);
    finish(out, Kind::Initiate, 2 + a5.len())
}

/// What an event message says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// The sender is busy; the waiter's timer starts anew.
    Busy,
    /// Something failed; the session is over.
    Error(EventError),
}

/// The error an event carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EventError {
    /// Not said.
    Unknown,
    /// Out of resources.
    Resource,
    /// Wrong parameters.
    Parameters,
    /// Another code.
    Other(u8),
}

impl Event {
    /// Reads the payload of an event message.
    pub fn parse(payload: &[u8]) -> Result<Self, MessageError> {
        match payload {
            [0, 0] => Ok(Self::Busy),
            [1, 1, code] => Ok(Self::Error(match code {
                0 => EventError::Unknown,
                1 => EventError::Resource,
                2 => EventError::Parameters,
                other => EventError::Other(*other),
            })),
            _ => Err(MessageError::Attribute),
        }
    }

    /// Writes the whole event message. Returns its length.
    pub fn encode(self, out: &mut [u8]) -> Result<usize, Full> {
        let code = match self {
            Self::Busy => return encode(out, Kind::Event, &[0, 0]),
            Self::Error(EventError::Unknown) => 0,
            Self::Error(EventError::Resource) => 1,
            Self::Error(EventError::Parameters) => 2,
            Self::Error(EventError::Other(code)) => code,
        };
        encode(out, Kind::Event, &[1, 1, code])
    }
}

/// The lock's mechanical state in [`Kind::Completed`] and [`Kind::StatusChanged`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum LockState {
    /// Locked.
    Secured = 0,
    /// Open.
    Unsecured = 1,
    /// Neither way.
    Jammed = 2,
}

impl LockState {
    /// The state for its byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Secured,
            1 => Self::Unsecured,
            2 => Self::Jammed,
            _ => return None,
        })
    }
}

/// The payload of a completed (2/3) or status-changed (2/2) message: attribute 00 with two bytes.
pub fn state_payload(first: u8, state: LockState) -> [u8; 4] {
    [0, 2, first, state as u8]
}

/// Reads the payload of a completed or status-changed message: capabilities or source, and the state.
pub fn parse_state(payload: &[u8]) -> Result<(u8, LockState), MessageError> {
    match attribute(payload, 0)? {
        [first, state] => Ok((*first, LockState::from_byte(*state).ok_or(MessageError::Attribute)?)),
        _ => Err(MessageError::Attribute),
    }
}

/// Why a message was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MessageError {
    /// The header is cut short, or its length does not fit.
    #[error("wrong message length")]
    Length,
    /// The payload is empty.
    #[error("message without payload")]
    Empty,
    /// The type is out of range.
    #[error("unknown message type")]
    Kind,
    /// An attribute is missing or malformed.
    #[error("malformed notification attribute")]
    Attribute,
}

fn parse_header(message: &[u8]) -> Result<(Kind, usize), MessageError> {
    let [kind, id, hi, lo] = message.first_chunk::<HEADER_LEN>().ok_or(MessageError::Length)?;
    let kind = Kind::from_bytes(*kind, *id).ok_or(MessageError::Kind)?;
    match usize::from(u16::from_be_bytes([*hi, *lo])) {
        0 => Err(MessageError::Empty),
        len if len > MAX_MESSAGE - HEADER_LEN => Err(MessageError::Length),
        len => Ok((kind, len)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_event_of_a_refusal_takes_seven_bytes() {
        let mut out = [0; 16];
        let len = Event::Error(EventError::Unknown).encode(&mut out).unwrap();
        assert_eq!(out[..len], [2, 0, 0, 3, 1, 1, 0]);
        let (kind, payload) = parse(&out[..len]).unwrap();
        assert_eq!((kind, Event::parse(payload)), (Kind::Event, Ok(Event::Error(EventError::Unknown))));
        let len = Event::Busy.encode(&mut out).unwrap();
        assert_eq!(Event::parse(parse(&out[..len]).unwrap().1), Ok(Event::Busy));
    }

    #[test]
    fn bad_headers_are_refused() {
        assert_eq!(parse(&[0, 0, 0]), Err(MessageError::Length));
        assert_eq!(parse(&[0, 0, 0, 0]), Err(MessageError::Empty));
        assert_eq!(parse(&[0x40, 0, 0, 1, 1]), Err(MessageError::Kind));
        assert_eq!(parse(&[0, 0, 0, 2, 1]), Err(MessageError::Length));
        assert_eq!(parse(&[0, 0, 0, 1, 1, 1]), Err(MessageError::Length));
    }

    #[test]
    fn states_survive_the_way() {
        for state in [LockState::Secured, LockState::Unsecured, LockState::Jammed] {
            assert_eq!(parse_state(&state_payload(0x20, state)), Ok((0x20, state)));
        }
        assert_eq!(parse_state(&[0, 2, 0, 9]), Err(MessageError::Attribute));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok((_, payload)) = parse(&bytes) {
                let _ = (Event::parse(payload), parse_state(payload), attribute(payload, 0));
            }
            let _ = parse_mut(&mut bytes);
        }

        #[test]
        fn messages_read_back(kind in 0u8..0x40, id: u8, payload in proptest::collection::vec(any::<u8>(), 1..2045)) {
            let kind = Kind::from_bytes(kind, id).unwrap();
            let mut out = [0; MAX_MESSAGE];
            let len = encode(&mut out, kind, &payload);
            prop_assert_eq!(len.is_ok(), payload.len() <= 2044);
            if let Ok(len) = len {
                prop_assert_eq!(parse(&out[..len]), Ok((kind, &payload[..])));
            }
        }
    }
}
