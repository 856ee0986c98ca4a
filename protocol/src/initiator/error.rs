//! Why a phone ended a session, and what it answers the lock.

use thiserror::Error;

use crate::{
    apdu::{ApduError, Command, Ins, StatusWord},
    buf::Full,
    certificate::CertificateError,
    channel::ChannelError,
    crypto::CryptoError,
    exchange::ExchangeError,
    tlv::TlvError,
};

/// Why a phone gave up on a lock. The session is over; answer [`InitiatorError::response`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InitiatorError {
    /// The command does not belong here.
    #[error("command in the wrong state")]
    WrongState,
    /// The command is unknown.
    #[error("unknown command {0:02X}")]
    UnknownCommand(u8),
    /// The command's class is not the one it belongs to.
    #[error("unknown command class {0:02X}")]
    UnknownClass(u8),
    /// The command's parameters P1 and P2 are wrong.
    #[error("wrong command parameters")]
    Parameters,
    /// The command's length does not fit.
    #[error("wrong command length")]
    Length,
    /// The command's data is malformed.
    #[error("malformed command data")]
    Malformed,
    /// The lock chose a version other than 1.0.
    #[error("version not supported")]
    Version,
    /// The lock's ephemeral key is not on the curve.
    #[error("lock's ephemeral key is not on the curve")]
    InvalidPoint,
    /// Another application was selected.
    #[error("another application was selected")]
    UnknownApplication,
    /// The phone has no key for the lock's group.
    #[error("lock of an unknown group")]
    UnknownGroup,
    /// The reader certificate does not hold.
    #[error("reader certificate refused")]
    Certificate(#[source] CertificateError),
    /// The lock does not hold the key it should.
    #[error("lock signature is wrong")]
    LockSignature,
    /// The user must authenticate first; then connect again with the same unlock id.
    #[error("user must authenticate first")]
    UserAuthRequired,
    /// A sealed command does not open.
    #[error("sealed command does not open")]
    Unauthentic,
    /// The lock ended the session by CONTROL FLOW, with this S2: 00 not said, 27 no common version.
    #[error("lock ended the session ({0:02X})")]
    LockGaveUp(u8),
    /// Too many records in one session.
    #[error("channel exhausted")]
    Exhausted,
    /// The caller's buffer is too small.
    #[error("buffer too small")]
    Room,
    /// The phone's own crypto or random source failed.
    #[error("phone's crypto failed")]
    Engine,
}

impl InitiatorError {
    /// The status word to answer.
    pub const fn status_word(&self) -> StatusWord {
        match self {
            Self::WrongState | Self::Version | Self::UserAuthRequired => StatusWord::CONDITIONS,
            Self::UnknownCommand(_) => StatusWord::UNKNOWN_INS,
            Self::UnknownClass(_) => StatusWord::UNKNOWN_CLA,
            Self::Parameters => StatusWord::WRONG_PARAMETERS,
            Self::Length => StatusWord::WRONG_LENGTH,
            Self::Malformed | Self::InvalidPoint => StatusWord::WRONG_DATA,
            Self::UnknownApplication => StatusWord::NOT_FOUND,
            Self::UnknownGroup | Self::Certificate(_) | Self::LockSignature | Self::Unauthentic => StatusWord::SECURITY,
            Self::LockGaveUp(_) => StatusWord::OK,
            Self::Exhausted | Self::Room | Self::Engine => StatusWord::GENERIC,
        }
    }

    /// The whole response APDU to answer.
    pub const fn response(&self) -> [u8; 2] {
        self.status_word().to_bytes()
    }
}

/// Reads a command that must be `expected`.
pub(super) fn expect(apdu: &[u8], expected: Ins) -> Result<&[u8], InitiatorError> {
    let (ins, data) = read(apdu)?;
    if ins == expected { Ok(data) } else { Err(InitiatorError::WrongState) }
}

/// Reads any command the access protocol knows; CONTROL FLOW ends the session here.
pub(super) fn read(apdu: &[u8]) -> Result<(Ins, &[u8]), InitiatorError> {
    let command = Command::parse(apdu)?;
    let ins = command.meaning().ok_or(InitiatorError::UnknownCommand(command.ins))?;
    if command.cla != ins.cla() {
        return Err(InitiatorError::UnknownClass(command.cla));
    }
    let fits = match ins {
        Ins::Select => command.p1 == 0x04,
        Ins::Auth0
        | Ins::LoadCert
        | Ins::Auth1
        | Ins::Exchange
        | Ins::ControlFlow
        | Ins::Envelope
        | Ins::GetResponse => (command.p1, command.p2) == (0, 0),
    };
    if !fits {
        return Err(InitiatorError::Parameters);
    }
    if ins == Ins::ControlFlow {
        let s2 = crate::tlv::Tlvs::new(command.data).flatten().find(|tlv| tlv.tag == 0x42);
        return Err(InitiatorError::LockGaveUp(s2.and_then(|tlv| tlv.value.first().copied()).unwrap_or(0)));
    }
    Ok((ins, command.data))
}

impl From<ApduError> for InitiatorError {
    fn from(_: ApduError) -> Self {
        Self::Length
    }
}

impl From<TlvError> for InitiatorError {
    fn from(_: TlvError) -> Self {
        Self::Malformed
    }
}

impl From<ExchangeError> for InitiatorError {
    fn from(_: ExchangeError) -> Self {
        Self::Malformed
    }
}

impl From<Full> for InitiatorError {
    fn from(_: Full) -> Self {
        Self::Room
    }
}

impl From<CryptoError> for InitiatorError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::InvalidPoint => Self::InvalidPoint,
            CryptoError::BadSignature => Self::LockSignature,
            CryptoError::Unauthentic => Self::Unauthentic,
            CryptoError::OutOfRange | CryptoError::Random | CryptoError::Engine => Self::Engine,
        }
    }
}

impl From<ChannelError> for InitiatorError {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::Unauthentic | ChannelError::Closed => Self::Unauthentic,
            ChannelError::Exhausted => Self::Exhausted,
            ChannelError::Room => Self::Room,
            ChannelError::Empty | ChannelError::Engine => Self::Engine,
        }
    }
}
