//! A session that ended badly, and the last word to the phone.

use thiserror::Error;

use crate::{
    apdu::{self, ApduError, Ins, StatusWord},
    buf::{Buf, Full},
    channel::ChannelError,
    crypto::CryptoError,
    exchange::ExchangeError,
    ids::Interface,
    message::{self, Event, EventError, HEADER_LEN, Kind},
    tlv::TlvError,
};

/// The session is over. Send [`Failure::farewell`], then close.
#[derive(Clone, Debug, Error)]
#[error("handshake failed: {error}")]
pub struct Failure {
    /// Why.
    #[source]
    pub error: ReaderError,
    interface: Interface,
    last_word: LastWord,
}

#[derive(Clone, Debug)]
enum LastWord {
    Nothing,
    NoChannel { s2: u8 },
    Sealed(Buf<32>),
}

impl Failure {
    /// Writes what the phone is told: a whole BLE message, or a command APDU on NFC. `None`: nothing is sent.
    pub fn farewell(&self, out: &mut [u8]) -> Option<usize> {
        match (&self.last_word, self.interface) {
            (LastWord::Nothing, _) => None,
            (LastWord::NoChannel { s2 }, Interface::Nfc) => {
                apdu::command(out, Ins::ControlFlow, &[0x41, 1, 0, 0x42, 1, *s2]).ok()
            }
            (LastWord::NoChannel { .. }, Interface::Ble) => Event::Error(EventError::Unknown).encode(out).ok(),
            (LastWord::Sealed(apdu), Interface::Nfc) => {
                out.get_mut(..apdu.len())?.copy_from_slice(apdu);
                Some(apdu.len())
            }
            (LastWord::Sealed(apdu), Interface::Ble) => {
                out.get_mut(HEADER_LEN..HEADER_LEN + apdu.len())?.copy_from_slice(apdu);
                message::finish(out, Kind::Command, apdu.len()).ok()
            }
        }
    }

    /// The interface of the session.
    pub const fn interface(&self) -> Interface {
        self.interface
    }

    /// Before there is a channel: CONTROL FLOW 00 00 on NFC, event 01/00 on BLE.
    pub(super) fn in_clear(interface: Interface, error: impl Into<ReaderError>) -> Self {
        let error = error.into();
        let s2 = if error == ReaderError::NoCommonVersion { 0x27 } else { 0 };
        Self { error, interface, last_word: LastWord::NoChannel { s2 } }
    }

    /// Once there is a channel: silence.
    pub(super) fn silent(interface: Interface, error: impl Into<ReaderError>) -> Self {
        Self { error: error.into(), interface, last_word: LastWord::Nothing }
    }

    /// A sealed EXCHANGE with the status alone.
    pub(super) fn sealed(interface: Interface, error: ReaderError, exchange: Buf<32>) -> Self {
        Self { error, interface, last_word: LastWord::Sealed(exchange) }
    }
}

/// Why a lock gave up on a phone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ReaderError {
    /// The phone refused with a status word.
    #[error("phone answered {:04X}", .0.0)]
    Refused(StatusWord),
    /// The phone's bytes are malformed.
    #[error("phone sent a malformed answer")]
    Malformed,
    /// The phone does not list version 1.0.
    #[error("no common version")]
    NoCommonVersion,
    /// The phone's ephemeral key is not on the curve.
    #[error("phone's ephemeral key is not on the curve")]
    InvalidPoint,
    /// A cryptogram came unasked, or is missing though asked for.
    #[error("cryptogram unasked or missing")]
    Cryptogram,
    /// A sealed answer does not open.
    #[error("sealed answer does not open")]
    Unauthentic,
    /// The phone does not hold the device key it names.
    #[error("device signature is wrong")]
    DeviceSignature,
    /// The session has no step-up channel: fast phase, or documents were not asked for in time.
    #[error("no step-up channel")]
    NoStepUp,
    /// Too many records in one session.
    #[error("channel exhausted")]
    Exhausted,
    /// The caller's buffer is too small.
    #[error("buffer too small")]
    Room,
    /// The lock's own crypto or random source failed.
    #[error("lock's crypto failed")]
    Engine,
}

impl From<ApduError> for ReaderError {
    fn from(_: ApduError) -> Self {
        Self::Malformed
    }
}

impl From<TlvError> for ReaderError {
    fn from(_: TlvError) -> Self {
        Self::Malformed
    }
}

impl From<ExchangeError> for ReaderError {
    fn from(_: ExchangeError) -> Self {
        Self::Malformed
    }
}

impl From<Full> for ReaderError {
    fn from(_: Full) -> Self {
        Self::Room
    }
}

impl From<CryptoError> for ReaderError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::InvalidPoint => Self::InvalidPoint,
            CryptoError::BadSignature => Self::DeviceSignature,
            CryptoError::Unauthentic => Self::Unauthentic,
            CryptoError::OutOfRange | CryptoError::Random | CryptoError::Engine => Self::Engine,
        }
    }
}

impl From<ChannelError> for ReaderError {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::Unauthentic | ChannelError::Closed => Self::Unauthentic,
            ChannelError::Exhausted => Self::Exhausted,
            ChannelError::Room => Self::Room,
            ChannelError::Empty | ChannelError::Engine => Self::Engine,
        }
    }
}

/// Fails unless a response says `9000`.
pub(super) fn ensure_ok(status: StatusWord) -> Result<(), ReaderError> {
    if status == StatusWord::OK { Ok(()) } else { Err(ReaderError::Refused(status)) }
}
