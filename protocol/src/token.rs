//! Tokens an issuer signs for locks and any phone carries: the time, and what audit has arrived.
//!
//! A token is a COSE_Sign1 whose external data names its kind, so that neither a token nor a document ever passes for
//! another (`docs/PROTOCOL.md` sections 18 and 19).

use thiserror::Error;

use crate::{
    cbor::{CborError, Reader},
    cose::{CoseError, Sign1},
    crypto::Crypto,
    ids::{GroupId, Kid, PublicKey, ReaderId, UnixTime},
};

/// The external data of time tokens.
pub const TIME_AAD: &[u8] = b"keybutton/time/1";
/// The external data of ACK tokens.
pub const ACK_AAD: &[u8] = b"keybutton/ack/1";

/// Why a token is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum TokenError {
    /// It does not decode.
    #[error("token does not decode: {0}")]
    Malformed(#[from] CborError),
    /// No key is known under its key identifier, or it has none.
    #[error("token's issuer is unknown")]
    UnknownIssuer,
    /// Its signature does not verify; also that of another kind of token, and of a document.
    #[error("token's signature does not verify")]
    Signature,
}

/// The time, as an issuer knows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimeToken {
    /// The site it is for.
    pub group: GroupId,
    /// The time it was made.
    pub time: UnixTime,
    /// After this time it is ignored.
    pub expires: UnixTime,
    /// Tells tokens of the same second apart.
    pub serial: [u8; 8],
}

impl TimeToken {
    /// Verifies and decodes a time token; also names the issuer.
    pub fn open<C: Crypto>(
        crypto: &C,
        bytes: &[u8],
        issuer: impl FnOnce(&Kid) -> Option<PublicKey>,
    ) -> Result<(Kid, Self), TokenError> {
        let (kid, payload) = open(crypto, bytes, TIME_AAD, issuer)?;
        let mut reader = Reader::new(payload)?;
        let (mut version, mut group, mut time, mut expires, mut serial) = (None, None, None, None, None);
        for _ in 0..reader.map()? {
            match reader.u64()? {
                0 => version = Some(reader.u64()?),
                1 => group = Some(GroupId(reader.byte_array()?)),
                2 => time = Some(UnixTime(reader.u32()?)),
                3 => expires = Some(UnixTime(reader.u32()?)),
                4 => serial = Some(reader.byte_array()?),
                _ => reader.skip()?,
            }
        }
        match (version, group, time, expires, serial) {
            (Some(1), Some(group), Some(time), Some(expires), Some(serial)) => {
                Ok((kid, Self { group, time, expires, serial }))
            }
            _ => Err(CborError::Unexpected.into()),
        }
    }
}

/// What of a lock's audit has arrived at the service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AckToken {
    /// The lock.
    pub reader: ReaderId,
    /// The newest record that arrived.
    pub number: u32,
    /// That record's hash; the lock forgets records only if it is its own.
    pub hash: [u8; 32],
    /// When the service answered.
    pub time: UnixTime,
}

impl AckToken {
    /// Verifies and decodes an ACK token; also names the issuer.
    pub fn open<C: Crypto>(
        crypto: &C,
        bytes: &[u8],
        issuer: impl FnOnce(&Kid) -> Option<PublicKey>,
    ) -> Result<(Kid, Self), TokenError> {
        let (kid, payload) = open(crypto, bytes, ACK_AAD, issuer)?;
        let mut reader = Reader::new(payload)?;
        let (mut version, mut lock, mut number, mut hash, mut time) = (None, None, None, None, None);
        for _ in 0..reader.map()? {
            match reader.u64()? {
                0 => version = Some(reader.u64()?),
                1 => lock = Some(ReaderId(reader.byte_array()?)),
                2 => number = Some(reader.u32()?),
                3 => hash = Some(reader.byte_array()?),
                4 => time = Some(UnixTime(reader.u32()?)),
                _ => reader.skip()?,
            }
        }
        match (version, lock, number, hash, time) {
            (Some(1), Some(reader), Some(number), Some(hash), Some(time)) => {
                Ok((kid, Self { reader, number, hash, time }))
            }
            _ => Err(CborError::Unexpected.into()),
        }
    }
}

fn open<'a, C: Crypto>(
    crypto: &C,
    bytes: &'a [u8],
    external_aad: &[u8],
    issuer: impl FnOnce(&Kid) -> Option<PublicKey>,
) -> Result<(Kid, &'a [u8]), TokenError> {
    let signed = Sign1::parse(bytes)?;
    let kid = signed.kid().map_err(|_| TokenError::UnknownIssuer)?;
    let key = issuer(&kid).ok_or(TokenError::UnknownIssuer)?;
    let payload = signed.verify(crypto, &key, external_aad).map_err(|error| match error {
        CoseError::Malformed(error) => TokenError::Malformed(error),
        CoseError::NoKid | CoseError::Certificate => TokenError::UnknownIssuer,
        CoseError::Algorithm | CoseError::Size | CoseError::Signature => TokenError::Signature,
    })?;
    Ok((kid, payload))
}
