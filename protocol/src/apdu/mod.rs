//! Command and response APDUs, short and extended, and their chaining on NFC (`docs/PROTOCOL.md` section 3).

mod chain;

pub use chain::{Answer, CommandPieces, PhoneChain, Received, ResponseAssembler, ResponsePieces};
use thiserror::Error;

use crate::buf::{Full, Writer};

/// The cap on a command or response, chained or not: 2,048 bytes of data.
pub const MAX_CHAINED: usize = 2048;

/// The CLA of the access protocol's own commands.
pub const CLA: u8 = 0x80;
/// The CLA of the interindustry commands SELECT, ENVELOPE and GET RESPONSE.
pub const CLA_INTERINDUSTRY: u8 = 0x00;
/// Set in CLA of all but the last command of a chain.
pub const CLA_MORE: u8 = 0x10;

/// A command's meaning, by its INS byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Ins {
    /// Selects the expedited or the step-up application.
    Select = 0xA4,
    /// Exchanges ephemeral keys.
    Auth0 = 0x80,
    /// Carries the reader certificate.
    LoadCert = 0xD1,
    /// Exchanges signatures.
    Auth1 = 0x81,
    /// Carries sealed data after authentication.
    Exchange = 0xC9,
    /// Ends a session without a channel.
    ControlFlow = 0x3C,
    /// Asks for documents.
    Envelope = 0xC3,
    /// Fetches the next piece of a long response.
    GetResponse = 0xC0,
}

impl Ins {
    /// The command for an INS byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0xA4 => Self::Select,
            0x80 => Self::Auth0,
            0xD1 => Self::LoadCert,
            0x81 => Self::Auth1,
            0xC9 => Self::Exchange,
            0x3C => Self::ControlFlow,
            0xC3 => Self::Envelope,
            0xC0 => Self::GetResponse,
            _ => return None,
        })
    }

    /// The CLA byte the command is sent with.
    pub const fn cla(self) -> u8 {
        match self {
            Self::Select | Self::Envelope | Self::GetResponse => CLA_INTERINDUSTRY,
            Self::Auth0 | Self::LoadCert | Self::Auth1 | Self::Exchange | Self::ControlFlow => CLA,
        }
    }

    const fn p1(self) -> u8 {
        match self {
            Self::Select => 0x04,
            Self::Auth0
            | Self::LoadCert
            | Self::Auth1
            | Self::Exchange
            | Self::ControlFlow
            | Self::Envelope
            | Self::GetResponse => 0x00,
        }
    }

    const fn has_le(self) -> bool {
        !matches!(self, Self::ControlFlow)
    }
}

/// A status word, the last two bytes of a response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StatusWord(pub u16);

impl StatusWord {
    /// Done.
    pub const OK: Self = Self(0x9000);
    /// No information.
    pub const GENERIC: Self = Self(0x6400);
    /// The data or the command has the wrong length.
    pub const WRONG_LENGTH: Self = Self(0x6700);
    /// The last command of a chain was expected.
    pub const CHAIN_EXPECTED: Self = Self(0x6883);
    /// Security status not satisfied: the lock is not recognised, or a sealed command does not open.
    pub const SECURITY: Self = Self(0x6982);
    /// Conditions of use not satisfied: wrong state, or the user must authenticate first.
    pub const CONDITIONS: Self = Self(0x6985);
    /// Wrong data.
    pub const WRONG_DATA: Self = Self(0x6A80);
    /// Application not found.
    pub const NOT_FOUND: Self = Self(0x6A82);
    /// Wrong P1 or P2.
    pub const WRONG_PARAMETERS: Self = Self(0x6B00);
    /// Unknown INS.
    pub const UNKNOWN_INS: Self = Self(0x6D00);
    /// Unknown CLA.
    pub const UNKNOWN_CLA: Self = Self(0x6E00);

    /// The two bytes.
    pub const fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

/// A parsed command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Command<'a> {
    /// Class.
    pub cla: u8,
    /// Instruction.
    pub ins: u8,
    /// First parameter.
    pub p1: u8,
    /// Second parameter.
    pub p2: u8,
    /// The data, empty when there is none.
    pub data: &'a [u8],
    /// How many response bytes are wanted, where the command says so.
    pub le: Option<u32>,
}

impl<'a> Command<'a> {
    /// Parses a short or extended command.
    pub fn parse(apdu: &'a [u8]) -> Result<Self, ApduError> {
        let layout = Layout::of(apdu)?;
        let data = apdu.get(layout.start..layout.start + layout.len).ok_or(ApduError::Length)?;
        let [cla, ins, p1, p2] = layout.header;
        Ok(Self { cla, ins, p1, p2, data, le: layout.le })
    }

    /// The command's meaning; `None` when INS is unknown.
    pub const fn meaning(&self) -> Option<Ins> {
        Ins::from_byte(self.ins)
    }
}

/// Parses a command whose data is opened in place: header and data.
pub fn parse_mut(apdu: &mut [u8]) -> Result<([u8; 4], &mut [u8]), ApduError> {
    let layout = Layout::of(apdu)?;
    let data = apdu.get_mut(layout.start..layout.start + layout.len).ok_or(ApduError::Length)?;
    Ok((layout.header, data))
}

/// Writes a command; short when the data has at most 255 bytes, else extended. Returns its length.
pub fn command(out: &mut [u8], ins: Ins, data: &[u8]) -> Result<usize, Full> {
    let (room, total) = command_frame(out, ins, data.len())?;
    room.copy_from_slice(data);
    Ok(total)
}

/// Writes a command around `len` data bytes that the caller fills in: the room for them, and the whole length.
pub fn command_frame(out: &mut [u8], ins: Ins, len: usize) -> Result<(&mut [u8], usize), Full> {
    let [len_hi, len_lo] = u16::try_from(len).map_err(|_| Full)?.to_be_bytes();
    let extended = len > 0xFF;
    let start = if extended { 7 } else { 5 };
    let le: &[u8] = match (ins.has_le(), extended) {
        (false, _) => &[],
        (true, false) => &[0],
        (true, true) => &[0, 0],
    };
    let total = start + len + le.len();
    let mut writer = Writer::new(out.get_mut(..total).ok_or(Full)?);
    writer.put(&[ins.cla(), ins as u8, ins.p1(), 0])?;
    if extended {
        writer.put(&[0, len_hi, len_lo])?;
    } else {
        writer.put(&[len_lo])?;
    }
    writer.reserve(len)?;
    writer.put(le)?;
    Ok((out.get_mut(start..start + len).ok_or(Full)?, total))
}

/// Splits a response into data and status word.
pub fn response(apdu: &[u8]) -> Result<(&[u8], StatusWord), ApduError> {
    let (data, status) = apdu.split_last_chunk::<2>().ok_or(ApduError::Length)?;
    Ok((data, StatusWord(u16::from_be_bytes(*status))))
}

/// Splits a response whose data is opened in place.
pub fn response_mut(apdu: &mut [u8]) -> Result<(&mut [u8], StatusWord), ApduError> {
    let (data, status) = apdu.split_last_chunk_mut::<2>().ok_or(ApduError::Length)?;
    Ok((data, StatusWord(u16::from_be_bytes(*status))))
}

/// Why bytes are no APDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ApduError {
    /// The length fields do not fit the bytes.
    #[error("wrong APDU length")]
    Length,
}

struct Layout {
    header: [u8; 4],
    start: usize,
    len: usize,
    le: Option<u32>,
}

impl Layout {
    fn of(apdu: &[u8]) -> Result<Self, ApduError> {
        let (header, rest) = apdu.split_first_chunk::<4>().ok_or(ApduError::Length)?;
        let (start, len, le) = match rest {
            [] => (4, 0, None),
            [le] => (5, 0, Some(short_le(*le))),
            [0, hi, lo] => (7, 0, Some(extended_le(*hi, *lo))),
            [0, hi, lo, rest @ ..] => {
                let len = usize::from(u16::from_be_bytes([*hi, *lo]));
                let le = match rest.get(len..).filter(|_| len > 0) {
                    Some([]) => None,
                    Some([hi, lo]) => Some(extended_le(*hi, *lo)),
                    _ => return Err(ApduError::Length),
                };
                (7, len, le)
            }
            [0, ..] => return Err(ApduError::Length),
            [lc, rest @ ..] => {
                let len = usize::from(*lc);
                let le = match rest.get(len..) {
                    Some([]) => None,
                    Some([le]) => Some(short_le(*le)),
                    _ => return Err(ApduError::Length),
                };
                (5, len, le)
            }
        };
        Ok(Self { header: *header, start, len, le })
    }
}

const fn short_le(le: u8) -> u32 {
    if le == 0 { 256 } else { le as u32 }
}

const fn extended_le(hi: u8, lo: u8) -> u32 {
    match u16::from_be_bytes([hi, lo]) {
        0 => 65_536,
        le => le as u32,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_with_and_without_le_parse() {
        let short = Command::parse(&[0x80, 0x81, 0, 0, 1, 0xAA]).unwrap();
        assert_eq!((short.data, short.le), (&[0xAA][..], None));
        let short = Command::parse(&[0x80, 0x81, 0, 0, 1, 0xAA, 0]).unwrap();
        assert_eq!((short.data, short.le), (&[0xAA][..], Some(256)));
        let extended = Command::parse(&[0x80, 0x81, 0, 0, 0, 0, 1, 0xAA, 0, 0]).unwrap();
        assert_eq!((extended.data, extended.le), (&[0xAA][..], Some(65_536)));
        assert_eq!(Command::parse(&[0, 0xC0, 0, 0, 0x10]).unwrap().le, Some(16));
        assert_eq!(Command::parse(&[0, 0xC0, 0, 0]).unwrap().le, None);
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        for apdu in [
            &[0x80, 0x81, 0][..],
            &[0x80, 0x81, 0, 0, 2, 0xAA],
            &[0x80, 0x81, 0, 0, 1, 0xAA, 0, 0],
            &[0x80, 0x81, 0, 0, 0, 0, 2, 0xAA],
            &[0x80, 0x81, 0, 0, 0, 0, 1, 0xAA, 0],
            &[0x80, 0x81, 0, 0, 0, 0, 0, 0xAA],
            &[0x80, 0x81, 0, 0, 0, 0xAA],
        ] {
            assert_eq!(Command::parse(apdu), Err(ApduError::Length), "{apdu:02x?}");
        }
    }

    #[test]
    fn control_flow_has_no_le() {
        let mut out = [0; 32];
        let len = command(&mut out, Ins::ControlFlow, &[0x41, 1, 0]).unwrap();
        assert_eq!(out[..len], [0x80, 0x3C, 0, 0, 3, 0x41, 1, 0]);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let parsed = Command::parse(&bytes).map(|command| command.data.to_vec());
            let data = parse_mut(&mut bytes).map(|(_, data)| data.to_vec());
            prop_assert_eq!(parsed, data);
            let _ = response(&bytes);
        }

        #[test]
        fn written_commands_read_back(data in proptest::collection::vec(any::<u8>(), 1..2048)) {
            let mut out = [0; 2100];
            let len = command(&mut out, Ins::Envelope, &data).unwrap();
            let read = Command::parse(&out[..len]).unwrap();
            prop_assert_eq!((read.meaning(), read.data), (Some(Ins::Envelope), &data[..]));
        }
    }
}
