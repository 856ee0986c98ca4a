//! Sealed records: AES-256-GCM with a counter per direction (`docs/PROTOCOL.md` section 8).

use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    crypto::Crypto,
    ids::{AeadKey, UnixTime},
    keys::ChannelKeys,
    message::{self, HEADER_LEN, Kind},
    signalling::Signalling,
    tdate,
    tlv::{self, Field},
};

/// The length a seal adds.
pub const TAG_LEN: usize = 16;
/// The last counter that may be used.
pub const MAX_COUNTER: u32 = 65_535;

/// Which half of the handshake owns a channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// The lock: seals with the reader key.
    Lock,
    /// The phone: seals with the device key.
    Phone,
}

/// One channel's keys and counters, seen from one side. Erased when dropped, and on the first failure.
#[derive(Debug)]
pub struct Channel {
    role: Role,
    keys: Option<ChannelKeys>,
    sent: u32,
    received: u32,
}

impl Channel {
    /// Starts both counters at 1.
    pub const fn new(role: Role, keys: ChannelKeys) -> Self {
        Self { role, keys: Some(keys), sent: 0, received: 0 }
    }

    /// Seals the first `len` bytes of `buffer` in place; the tag follows them. Returns the sealed length.
    pub fn seal<C: Crypto>(
        &mut self,
        crypto: &C,
        aad: &[u8],
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, ChannelError> {
        let keys = self.keys.as_ref().ok_or(ChannelError::Closed)?;
        if len == 0 {
            return Err(ChannelError::Empty);
        }
        if self.sent >= MAX_COUNTER {
            return Err(ChannelError::Exhausted);
        }
        let (text, tag_room) = buffer.split_at_mut_checked(len).ok_or(ChannelError::Room)?;
        let tag_room = tag_room.first_chunk_mut::<TAG_LEN>().ok_or(ChannelError::Room)?;
        self.sent += 1;
        let (key, direction) = match self.role {
            Role::Lock => (&keys.reader, 0),
            Role::Phone => (&keys.device, 1),
        };
        *tag_room = crypto.seal(key, &iv(direction, self.sent), aad, text).map_err(|_| ChannelError::Engine)?;
        Ok(len + TAG_LEN)
    }

    /// Opens `sealed` in place and returns the plaintext. A failure erases the keys: the session is over.
    pub fn open<'m, C: Crypto>(
        &mut self,
        crypto: &C,
        aad: &[u8],
        sealed: &'m mut [u8],
    ) -> Result<&'m mut [u8], ChannelError> {
        let opened = self.try_open(crypto, aad, sealed);
        if opened.is_err() {
            self.keys = None;
        }
        opened
    }

    fn try_open<'m, C: Crypto>(
        &mut self,
        crypto: &C,
        aad: &[u8],
        sealed: &'m mut [u8],
    ) -> Result<&'m mut [u8], ChannelError> {
        let keys = self.keys.as_ref().ok_or(ChannelError::Closed)?;
        if self.received >= MAX_COUNTER {
            return Err(ChannelError::Exhausted);
        }
        let (text, tag) = sealed.split_last_chunk_mut::<TAG_LEN>().ok_or(ChannelError::Unauthentic)?;
        if text.is_empty() {
            return Err(ChannelError::Unauthentic);
        }
        self.received += 1;
        let (key, direction) = match self.role {
            Role::Lock => (&keys.device, 1),
            Role::Phone => (&keys.reader, 0),
        };
        crypto.open(key, &iv(direction, self.received), aad, text, tag).map_err(|_| ChannelError::Unauthentic)?;
        Ok(text)
    }
}

/// The channel of BLE messages of types 1 to 4, from the end of the access protocol on.
///
/// Additional data is the message header with the plaintext's length; the header on the wire says 16 more.
#[derive(Debug)]
pub struct BleChannel(Channel);

impl BleChannel {
    /// Starts both counters at 1.
    pub const fn new(role: Role, keys: ChannelKeys) -> Self {
        Self(Channel::new(role, keys))
    }

    /// Writes a whole sealed message. Returns its length.
    pub fn seal<C: Crypto>(
        &mut self,
        crypto: &C,
        kind: Kind,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<usize, ChannelError> {
        let aad = message::header(kind, payload.len()).ok_or(ChannelError::Empty)?;
        let room = out.get_mut(HEADER_LEN..).ok_or(ChannelError::Room)?;
        room.get_mut(..payload.len()).ok_or(ChannelError::Room)?.copy_from_slice(payload);
        let sealed = self.0.seal(crypto, &aad, room, payload.len())?;
        message::finish(out, kind, sealed).map_err(|_| ChannelError::Room)
    }

    /// Opens a whole sealed message in place: its kind and plaintext payload.
    pub fn open<'m, C: Crypto>(
        &mut self,
        crypto: &C,
        sealed: &'m mut [u8],
    ) -> Result<(Kind, &'m mut [u8]), ChannelError> {
        let (kind, payload) = message::parse_mut(sealed).map_err(|_| ChannelError::Unauthentic)?;
        let len = payload.len().checked_sub(TAG_LEN).ok_or(ChannelError::Unauthentic)?;
        let aad = message::header(kind, len).ok_or(ChannelError::Unauthentic)?;
        Ok((kind, self.0.open(crypto, &aad, payload)?))
    }
}

/// The length of a cryptogram.
pub const CRYPTOGRAM_LEN: usize = 64;

const CRYPTOGRAM_TEXT: usize = CRYPTOGRAM_LEN - TAG_LEN;

/// What a phone says of itself in the fast phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cryptogram {
    /// What the phone has and can do.
    pub signalling: Signalling,
    /// The `signed` time of its access document, where it has one.
    pub access_signed: Option<UnixTime>,
    /// The `signed` time of its revocation document, where it has one.
    pub revocation_signed: Option<UnixTime>,
}

impl Cryptogram {
    /// Seals the cryptogram under the key of the fast block. The IV is zero: the key serves one transaction only.
    pub fn seal(&self, crypto: &impl Crypto, key: &AeadKey) -> Result<[u8; CRYPTOGRAM_LEN], ChannelError> {
        let mut sealed = [0; CRYPTOGRAM_LEN];
        let text = Zeroizing::new(self.text());
        let (room, tag_room) = sealed.split_at_mut(CRYPTOGRAM_TEXT);
        room.copy_from_slice(&text[..]);
        let tag = crypto.seal(key, &[0; 12], &[], room).map_err(|_| ChannelError::Engine)?;
        tag_room.copy_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens a cryptogram; fails unless it was sealed under `key`.
    pub fn open(crypto: &impl Crypto, key: &AeadKey, sealed: &[u8; CRYPTOGRAM_LEN]) -> Result<Self, ChannelError> {
        let mut text = Zeroizing::new([0; CRYPTOGRAM_TEXT]);
        let (sealed_text, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(ChannelError::Unauthentic)?;
        text.copy_from_slice(sealed_text);
        crypto.open(key, &[0; 12], &[], &mut text[..], tag).map_err(|_| ChannelError::Unauthentic)?;
        Self::parse(&text).ok_or(ChannelError::Unauthentic)
    }

    fn text(&self) -> [u8; CRYPTOGRAM_TEXT] {
        let [hi, lo] = self.signalling.0.to_be_bytes();
        let access = self.access_signed.map_or([0; 20], tdate::format);
        let revocation = self.revocation_signed.map_or([0; 20], tdate::format);
        let mut text = [0; CRYPTOGRAM_TEXT];
        let parts: [&[u8]; 5] = [&[0x5E, 2, hi, lo], &[0x91, 20], &access, &[0x92, 20], &revocation];
        let mut bytes = parts.iter().flat_map(|part| part.iter());
        text.iter_mut().for_each(|byte| *byte = bytes.next().copied().unwrap_or(0));
        text
    }

    fn parse(text: &[u8; CRYPTOGRAM_TEXT]) -> Option<Self> {
        let known = [Field::required(0x5E, 2), Field::required(0x91, 20), Field::required(0x92, 20)];
        let [bitmap, access, revocation] = tlv::fields(text, &known).ok()?;
        Some(Self {
            signalling: Signalling(u16::from_be_bytes(tlv::array(bitmap)?)),
            access_signed: time(access?.value)?,
            revocation_signed: time(revocation?.value)?,
        })
    }
}

/// Why a record was not sealed or opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ChannelError {
    /// A record without content does not exist.
    #[error("sealed records have content")]
    Empty,
    /// The counter reached its limit.
    #[error("channel exhausted")]
    Exhausted,
    /// The buffer has no room for the record.
    #[error("buffer too small")]
    Room,
    /// The record is forged, replayed, out of order or for another channel.
    #[error("record does not open")]
    Unauthentic,
    /// The channel failed before; its keys are erased.
    #[error("channel closed")]
    Closed,
    /// The crypto engine failed.
    #[error("crypto engine failed")]
    Engine,
}

fn iv(direction: u8, counter: u32) -> [u8; 12] {
    let [a, b, c, d] = counter.to_be_bytes();
    [0, 0, 0, 0, 0, 0, 0, direction, a, b, c, d]
}

/// Twenty zero bytes stand for "no document".
fn time(text: &[u8]) -> Option<Option<UnixTime>> {
    if text.iter().all(|byte| *byte == 0) { Some(None) } else { tdate::parse(text).map(Some) }
}

#[cfg(test)]
#[cfg(feature = "rustcrypto")]
mod tests;
