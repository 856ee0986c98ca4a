//! What EXCHANGE carries: the verdict, requests for tokens, audit hand-over (`docs/PROTOCOL.md` sections 11 and 19).

use thiserror::Error;

use crate::{
    buf::{Full, Writer},
    tlv::{self, Field, TlvError},
    verdict::{TAG_REPORT, TAG_STATUS, Verdict, VerdictError},
};

const TAG_HAND_OVER: u16 = 0xE2;
const TAG_ASK: u16 = 0xE4;

/// What a lock asks a phone for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum SyncKind {
    /// A time token.
    TimeToken = 1,
    /// The acknowledgement of its audit records.
    AckToken = 2,
    /// The newest revocation document.
    RevocationDocument = 3,
}

impl SyncKind {
    /// The kind for its byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::TimeToken,
            2 => Self::AckToken,
            3 => Self::RevocationDocument,
            _ => return None,
        })
    }
}

/// A lock's EXCHANGE, opened and parsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant)] // short-lived, and boxes need a heap
pub enum Request<'a> {
    /// The verdict.
    Verdict(Verdict),
    /// Asks for an object; answer with it, or with [`Reply::NONE`].
    Ask(SyncKind),
    /// Hands over a sealed audit envelope for the access service; answer [`Reply::DONE`] once it is stored.
    HandOver(&'a [u8]),
    /// Nothing of ours: answer [`Reply::DONE`].
    Other,
}

impl<'a> Request<'a> {
    /// Reads the plaintext of an EXCHANGE.
    pub fn parse(plaintext: &'a [u8]) -> Result<Self, ExchangeError> {
        let known = [
            Field::optional(TAG_STATUS, 2),
            Field::optional_between(TAG_REPORT, 0, 0xFFFF),
            Field::optional_between(TAG_HAND_OVER, 1, 0xFFFF),
            Field::optional_between(TAG_ASK, 0, 0xFFFF),
        ];
        let [status, _, hand_over, ask] = tlv::fields(plaintext, &known)?;
        match (status, hand_over, ask) {
            (Some(_), None, None) => Ok(Self::Verdict(Verdict::parse(plaintext)?)),
            (None, Some(envelope), None) => Ok(Self::HandOver(envelope.value)),
            (None, None, Some(ask)) => {
                let [kind] = tlv::fields(ask.value, &[Field::required(0xC1, 1)])?;
                let kind = tlv::array(kind).and_then(|[kind]| SyncKind::from_byte(kind));
                // A kind of a later version is an object we do not have.
                Ok(kind.map_or(Self::Other, Self::Ask))
            }
            (None, None, None) => Ok(Self::Other),
            _ => Err(ExchangeError::Template(TlvError::Sequence)),
        }
    }
}

/// The number of plaintext bytes of an ask.
pub(crate) const ASK_LEN: usize = 5;

/// The plaintext that asks for an object.
pub(crate) const fn ask(kind: SyncKind) -> [u8; ASK_LEN] {
    [TAG_ASK as u8, 3, 0xC1, 1, kind as u8]
}

/// The number of plaintext bytes that hand over an envelope of `len` bytes.
pub(crate) const fn hand_over_len(len: usize) -> usize {
    tlv::encoded_len(TAG_HAND_OVER, len)
}

/// Writes the plaintext that hands over an audit envelope.
pub(crate) fn hand_over(out: &mut [u8], envelope: &[u8]) -> Result<usize, Full> {
    let mut writer = Writer::new(out);
    tlv::put(&mut writer, TAG_HAND_OVER, envelope)?;
    Ok(writer.len())
}

/// A phone's answer to an EXCHANGE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply<'a> {
    /// The object asked for; an empty one says that the phone has none.
    pub object: Option<&'a [u8]>,
    /// Whether the request was understood and done.
    pub done: bool,
}

impl<'a> Reply<'a> {
    /// Done, nothing to hand back.
    pub const DONE: Self = Self { object: None, done: true };
    /// There is no such object.
    pub const NONE: Self = Self { object: Some(&[]), done: true };
    /// It did not work.
    pub const FAILED: Self = Self { object: None, done: false };

    /// The object asked for.
    pub const fn object(object: &'a [u8]) -> Self {
        Self { object: Some(object), done: true }
    }

    /// The length of the plaintext.
    pub const fn encoded_len(&self) -> usize {
        match self.object {
            Some(object) => 2 + object.len() + 4,
            None => 4,
        }
    }

    /// Writes the plaintext of the response. Returns its length.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, Full> {
        let mut writer = Writer::new(out);
        if let Some(object) = self.object {
            writer.put(&u16::try_from(object.len()).map_err(|_| Full)?.to_be_bytes())?;
            writer.put(object)?;
        }
        writer.put(&[0, 2])?;
        writer.put(if self.done { &[0, 0] } else { &[0xFF, 0xFF] })?;
        Ok(writer.len())
    }

    /// Reads the plaintext of a response. Of several objects the first counts.
    pub fn parse(plaintext: &'a [u8]) -> Result<Self, ExchangeError> {
        let (entries, status) = plaintext.split_last_chunk::<4>().ok_or(ExchangeError::Reply)?;
        let done = match status {
            [0, 2, 0, 0] => true,
            [0, 2, 0xFF, 0xFF] => false,
            _ => return Err(ExchangeError::Reply),
        };
        let mut object = None;
        let mut rest = entries;
        while !rest.is_empty() {
            let (len, tail) = rest.split_first_chunk::<2>().ok_or(ExchangeError::Reply)?;
            let (entry, tail) =
                tail.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or(ExchangeError::Reply)?;
            object = object.or(Some(entry));
            rest = tail;
        }
        Ok(Self { object, done })
    }
}

/// Why an EXCHANGE was not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ExchangeError {
    /// The TLVs are malformed, or do not go together.
    #[error("malformed exchange")]
    Template(#[from] TlvError),
    /// The verdict is malformed.
    #[error("malformed verdict")]
    Verdict(#[from] VerdictError),
    /// The response entries are malformed.
    #[error("malformed exchange response")]
    Reply,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn asks_and_hand_overs_read_back() {
        assert_eq!(Request::parse(&ask(SyncKind::AckToken)), Ok(Request::Ask(SyncKind::AckToken)));
        let mut out = [0; 400];
        let len = hand_over(&mut out, &[5; 300]).unwrap();
        assert_eq!(len, hand_over_len(300));
        assert_eq!(Request::parse(&out[..len]), Ok(Request::HandOver(&[5; 300])));
        assert_eq!(Request::parse(&[0xE4, 3, 0xC1, 1, 9]), Ok(Request::Other));
        assert_eq!(Request::parse(&[0x98, 0]), Ok(Request::Other));
        assert!(Request::parse(&[0x97, 2, 1, 1, 0xE2, 1, 0]).is_err());
    }

    #[test]
    fn replies_without_or_with_nothing_differ() {
        assert_eq!(Reply::parse(&[0, 2, 0, 0]), Ok(Reply::DONE));
        assert_eq!(Reply::parse(&[0, 0, 0, 2, 0, 0]), Ok(Reply::NONE));
        assert_eq!(Reply::parse(&[0, 2, 0xFF, 0xFF]), Ok(Reply::FAILED));
        assert_eq!(Reply::parse(&[0, 9, 0, 2, 0, 0]), Err(ExchangeError::Reply));
        assert_eq!(Reply::parse(&[0, 2]), Err(ExchangeError::Reply));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = (Request::parse(&bytes), Reply::parse(&bytes));
        }

        #[test]
        fn replies_read_back(object in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)), done: bool) {
            let reply = Reply { object: object.as_deref(), done };
            let mut out = [0; 310];
            let len = reply.encode(&mut out).unwrap();
            prop_assert_eq!(len, reply.encoded_len());
            prop_assert_eq!(Reply::parse(&out[..len]), Ok(reply));
        }
    }
}
