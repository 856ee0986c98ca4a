//! The answer to AUTH1: who the phone is, sealed, once its device key has signed.

use super::{InitiatorError, Secured, auth0::Start};
use crate::{
    apdu::StatusWord,
    buf::Writer,
    channel::TAG_LEN,
    crypto::Crypto,
    ids::{Kpersistent, PublicKey, ReaderId, Signature, UnixTime},
    keys::{AuthenticationData, StandardKeys, Transcript},
    signalling::Signalling,
    tdate, tlv,
};

/// The lock has proven itself; the device key must sign. The signature may take as long as a prompt does.
#[derive(Debug)]
pub struct ToSign {
    secured: Secured,
    data: AuthenticationData,
    device_key: PublicKey,
    reader: ReaderId,
    access_signed: Option<UnixTime>,
    revocation_signed: Option<UnixTime>,
}

impl ToSign {
    pub(super) fn new(start: &Start, keys: StandardKeys, persistent: Kpersistent) -> Self {
        let Transcript { reader, device_ephemeral, lock_ephemeral, transaction, .. } = &start.transcript;
        let trust = start.trust.as_ref();
        Self {
            secured: Secured::standard(start, keys, persistent),
            data: AuthenticationData::for_phone(reader, device_ephemeral, lock_ephemeral, transaction),
            device_key: start.phone.device_key,
            reader: *reader,
            access_signed: trust.and_then(|trust| trust.access_signed),
            revocation_signed: trust.and_then(|trust| trust.revocation_signed),
        }
    }

    /// What the device key must sign.
    pub const fn data(&self) -> &AuthenticationData {
        &self.data
    }

    /// The lock that has proven itself.
    pub const fn reader(&self) -> &ReaderId {
        &self.reader
    }

    /// Seals identity and signature, and writes the answer to AUTH1.
    pub fn signed(
        mut self,
        crypto: &impl Crypto,
        signature: &Signature,
        out: &mut [u8],
    ) -> Result<(Secured, usize), InitiatorError> {
        let mut writer = Writer::new(out);
        tlv::put(&mut writer, 0x5A, self.device_key.as_bytes())?;
        tlv::put(&mut writer, 0x9E, signature.as_bytes())?;
        let signalling = Signalling::of_phone(
            self.secured.interface(),
            self.access_signed.is_some(),
            self.revocation_signed.is_some(),
            self.secured.answers_notices(),
        );
        tlv::put(&mut writer, 0x5E, &signalling.0.to_be_bytes())?;
        if let Some(signed) = self.access_signed {
            tlv::put(&mut writer, 0x91, &tdate::format(signed))?;
        }
        if let Some(signed) = self.revocation_signed {
            tlv::put(&mut writer, 0x92, &tdate::format(signed))?;
        }
        let len = writer.len();
        let sealed = self.secured.seal_response(crypto, out, len)?;
        debug_assert_eq!(sealed, len + TAG_LEN + StatusWord::OK.to_bytes().len());
        Ok((self.secured, sealed))
    }

    /// Gives up because the device key did not sign: the prompt was cancelled, or its store failed.
    pub fn not_signed(self) -> InitiatorError {
        InitiatorError::UserAuthRequired
    }
}
