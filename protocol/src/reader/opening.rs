//! The phone's first word, and AUTH0.

use super::{Auth0Sent, Failure, ReaderError, Setup, auth0::Pending, failure::ensure_ok};
use crate::{
    a5::{A5, PressInfo, VERSION},
    apdu::{self, Ins},
    buf::{Full, Writer, opaque_debug},
    crypto::{Crypto, CryptoError},
    ids::{Interface, PublicKey, TransactionId},
    message,
    profile::{Profile, UserPolicy},
    tlv::{self, Field},
};

/// Writes the SELECT that opens an NFC session. Returns its length.
pub fn select(profile: &Profile, out: &mut [u8]) -> Result<usize, Full> {
    apdu::command(out, Ins::Select, profile.aid)
}

/// A session in which the phone has spoken first; what it wants can be read.
#[derive(Debug)]
pub struct Opened {
    interface: Interface,
    a5: A5,
}

impl Opened {
    /// Reads a phone's answer to [`select`].
    pub fn from_select(profile: &Profile, response: &[u8]) -> Result<Self, Failure> {
        parse_fci(profile.aid, response)
            .and_then(|a5| Self::new(Interface::Nfc, a5))
            .map_err(|error| Failure::in_clear(Interface::Nfc, error))
    }

    /// Reads the payload of a phone's Initiate message.
    pub fn from_initiate(payload: &[u8]) -> Result<Self, Failure> {
        message::attribute(payload, 0)
            .map_err(|_| ReaderError::Malformed)
            .and_then(|a5| A5::parse(a5).map_err(|_| ReaderError::Malformed))
            .and_then(|a5| Self::new(Interface::Ble, a5))
            .map_err(|error| Failure::in_clear(Interface::Ble, error))
    }

    /// The phone's A5 template.
    pub const fn a5(&self) -> &A5 {
        &self.a5
    }

    /// What the user wants, where the phone speaks our profile. Proven only once the session reaches a verdict.
    pub const fn press(&self) -> Option<PressInfo> {
        self.a5.press()
    }

    /// Writes AUTH0. `fast` asks for the fast phase.
    pub fn auth0<C: Crypto>(
        self,
        setup: &Setup<'_>,
        prepared: Prepared<C>,
        fast: bool,
        policy: UserPolicy,
        out: &mut [u8],
    ) -> Result<(Auth0Sent<C>, usize), Failure> {
        let parameters = u8::from(fast);
        let mut data = [0; 3 + 3 + 4 + 67 + 18 + 34];
        let mut writer = Writer::new(&mut data);
        let written = tlv::put(&mut writer, 0x41, &[parameters])
            .and_then(|()| tlv::put(&mut writer, 0x42, &[policy as u8]))
            .and_then(|()| tlv::put(&mut writer, 0x5C, &VERSION))
            .and_then(|()| tlv::put(&mut writer, 0x87, prepared.public.as_bytes()))
            .and_then(|()| tlv::put(&mut writer, 0x4C, prepared.transaction.as_bytes()))
            .and_then(|()| tlv::put(&mut writer, 0x4D, setup.reader.as_bytes()))
            .and_then(|()| apdu::command(out, Ins::Auth0, &data))
            .map_err(|full| Failure::in_clear(self.interface, full))?;
        let pending = Pending {
            profile: *setup.profile,
            anchor_x: setup.anchor.x(),
            reader: setup.reader,
            interface: self.interface,
            lock_ephemeral: prepared.public,
            transaction: prepared.transaction,
            parameters,
            policy: policy as u8,
            a5: self.a5,
        };
        Ok((Auth0Sent::new(prepared.ephemeral, pending), written))
    }

    fn new(interface: Interface, a5: A5) -> Result<Self, ReaderError> {
        if a5.has_common_version() { Ok(Self { interface, a5 }) } else { Err(ReaderError::NoCommonVersion) }
    }
}

/// What the next AUTH0 needs and can be made while idle: an ephemeral key pair and a transaction identifier.
pub struct Prepared<C: Crypto> {
    ephemeral: C::Ephemeral,
    public: PublicKey,
    transaction: TransactionId,
}

impl<C: Crypto> Prepared<C> {
    /// Makes a fresh one. Good for one transaction.
    pub fn new(crypto: &mut C) -> Result<Self, CryptoError> {
        let (ephemeral, public) = crypto.generate_ephemeral()?;
        let mut transaction = [0; 16];
        crypto.random(&mut transaction)?;
        Ok(Self { ephemeral, public, transaction: TransactionId(transaction) })
    }
}

/// Reads `6F { 84 AID, A5 }`.
pub(super) fn parse_fci(aid: &[u8], response: &[u8]) -> Result<A5, ReaderError> {
    let (data, status) = apdu::response(response)?;
    ensure_ok(status)?;
    let [fci] = tlv::fields(data, &[Field::required_between(0x6F, 0, 0xFFFF)])?;
    let known = [Field::required_between(0x84, 5, 16), Field::required_between(0xA5, 0, 0xFFFF)];
    let [name, a5] = tlv::fields(fci.map_or(&[], |tlv| tlv.value), &known)?;
    match (name, a5) {
        (Some(name), Some(a5)) if name.value == aid => A5::parse(a5.raw).map_err(|_| ReaderError::Malformed),
        _ => Err(ReaderError::Malformed),
    }
}

opaque_debug!(Prepared);
