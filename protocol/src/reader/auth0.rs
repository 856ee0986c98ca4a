//! The answer to AUTH0, the search among known phones, and the way on.

use super::{
    Auth1Sent, Deciding, Failure, ReaderError, Setup,
    failure::ensure_ok,
    session::{Peer, Phase, Secured},
};
use crate::{
    a5::{A5, PressInfo},
    apdu::{self, Ins, StatusWord},
    buf::{Buf, Writer, opaque_debug},
    channel::{BleChannel, CRYPTOGRAM_LEN, Channel, Cryptogram, Role},
    crypto::{Crypto, Signer},
    ids::{Interface, Kpersistent, PublicKey, ReaderId, TransactionId},
    keys::{self, AuthenticationData, EXTENSIONS_CAP, Transcript},
    profile::{CertificateCarrier, Profile},
    tlv::{self, Field},
};

/// What AUTH0 said, kept for the key schedule.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) profile: Profile,
    pub(super) anchor_x: [u8; 32],
    pub(super) reader: ReaderId,
    pub(super) interface: Interface,
    pub(super) lock_ephemeral: PublicKey,
    pub(super) transaction: TransactionId,
    pub(super) parameters: u8,
    pub(super) policy: u8,
    pub(super) a5: A5,
}

/// AUTH0 is on its way.
pub struct Auth0Sent<C: Crypto> {
    ephemeral: C::Ephemeral,
    pending: Pending,
}

impl<C: Crypto> Auth0Sent<C> {
    pub(super) const fn new(ephemeral: C::Ephemeral, pending: Pending) -> Self {
        Self { ephemeral, pending }
    }

    /// Takes the phone's answer.
    pub fn response(self, crypto: &C, response: &[u8]) -> Result<Auth0Done<C>, Failure> {
        let interface = self.pending.interface;
        self.read(crypto, response).map_err(|error| Failure::in_clear(interface, error))
    }

    fn read(self, crypto: &C, response: &[u8]) -> Result<Auth0Done<C>, ReaderError> {
        let (data, status) = apdu::response(response)?;
        ensure_ok(status)?;
        let known = [
            Field::required(0x86, PublicKey::LEN),
            Field::optional(0x9D, CRYPTOGRAM_LEN),
            Field::optional_between(0xB2, 0, 127),
        ];
        let [key, cryptogram, extension] = tlv::fields(data, &known)?;
        let device_ephemeral = tlv::array(key).map(PublicKey).ok_or(ReaderError::Malformed)?;
        let cryptogram = tlv::array(cryptogram);
        let Pending { profile, anchor_x, reader, interface, lock_ephemeral, transaction, parameters, policy, a5 } =
            self.pending;
        if cryptogram.is_some() != (parameters & 1 == 1) {
            return Err(ReaderError::Cryptogram);
        }
        crypto.check_point(&device_ephemeral)?;
        let mut extensions = Buf::<EXTENSIONS_CAP>::new();
        extensions.push(extension.map_or(&[], |tlv| tlv.raw))?;
        let transcript = Transcript {
            anchor_x,
            reader,
            interface,
            version: crate::a5::VERSION,
            lock_ephemeral,
            device_ephemeral,
            transaction,
            parameters,
            policy,
            a5: a5.bytes().clone(),
            extensions,
        };
        Ok(Auth0Done { profile, ephemeral: self.ephemeral, transcript, cryptogram, press: a5.press() })
    }
}

/// The ephemeral keys are exchanged.
pub struct Auth0Done<C: Crypto> {
    profile: Profile,
    ephemeral: C::Ephemeral,
    transcript: Transcript,
    cryptogram: Option<[u8; CRYPTOGRAM_LEN]>,
    press: Option<PressInfo>,
}

impl<C: Crypto> Auth0Done<C> {
    /// What the user wants, where the phone speaks our profile. Proven only once the session reaches a verdict.
    pub const fn press(&self) -> Option<PressInfo> {
        self.press
    }

    /// Looks for the phone among those met before: each entry's secret and device key, against the cryptogram.
    ///
    /// Stops at the first match; a miss, or a phone that knows nothing, costs one try per entry. The caller decides
    /// whether the entry is still good: [`Auth0Done::into_fast`] if so, [`Auth0Done::auth1`] if in doubt.
    pub fn find<'e>(
        &self,
        crypto: &C,
        entries: impl IntoIterator<Item = (&'e Kpersistent, &'e PublicKey)>,
    ) -> Result<Option<FastMatch>, Failure> {
        let Some(sealed) = &self.cryptogram else { return Ok(None) };
        for (index, (persistent, device_key)) in entries.into_iter().enumerate() {
            let key = keys::cryptogram_key(crypto, &self.transcript, persistent, device_key)
                .map_err(|error| self.failure(error))?;
            if let Ok(cryptogram) = Cryptogram::open(crypto, &key, sealed) {
                let persistent = persistent.clone();
                return Ok(Some(FastMatch { index, cryptogram, persistent, device_key: *device_key }));
            }
        }
        Ok(None)
    }

    /// Goes on with a phone found by [`Auth0Done::find`], without AUTH1.
    pub fn into_fast(self, crypto: &C, found: FastMatch) -> Result<Deciding, Failure> {
        let keys = keys::fast(crypto, &self.transcript, &found.persistent, &found.device_key)
            .map_err(|error| self.failure(error))?;
        Ok(Deciding(Secured {
            profile: self.profile,
            interface: self.transcript.interface,
            expedited: Channel::new(Role::Lock, keys.expedited),
            step_up: None,
            stepped_up: false,
            ble: Some(BleChannel::new(Role::Lock, keys.ble)),
            persistent: None,
            met: self.authentication_data(),
            peer: Peer {
                phase: Phase::Fast,
                device_key: found.device_key,
                signalling: found.cryptogram.signalling,
                access_signed: found.cryptogram.access_signed,
                revocation_signed: found.cryptogram.revocation_signed,
                press: self.press,
            },
        }))
    }

    /// Writes LOAD CERT. Only where [`CertificateCarrier::LoadCert`] is set; else AUTH1 carries the certificate.
    pub fn load_certificate(self, setup: &Setup<'_>, out: &mut [u8]) -> Result<(CertificateSent<C>, usize), Failure> {
        let certificate = setup.certificate.unwrap_or_default();
        match apdu::command(out, Ins::LoadCert, certificate) {
            Ok(len) => Ok((CertificateSent(self), len)),
            Err(full) => Err(self.failure(full)),
        }
    }

    /// Signs and writes AUTH1, with the certificate where AUTH1 carries it.
    pub fn auth1(
        self,
        setup: &Setup<'_>,
        signer: &mut impl Signer,
        out: &mut [u8],
    ) -> Result<(Auth1Sent<C>, usize), Failure> {
        let data = self.authentication_data();
        let signature = signer.sign(data.as_bytes()).map_err(|_| self.failure(ReaderError::Engine))?;
        let certificate = setup.certificate.filter(|_| self.profile.certificate == CertificateCarrier::Auth1);
        let certificate_len = certificate.map_or(0, |certificate| tlv::encoded_len(0x90, certificate.len()));
        let written = apdu::command_frame(out, Ins::Auth1, 3 + 66 + certificate_len).and_then(|(room, len)| {
            let mut writer = Writer::new(room);
            tlv::put(&mut writer, 0x41, &[1])?;
            tlv::put(&mut writer, 0x9E, signature.as_bytes())?;
            if let Some(certificate) = certificate {
                tlv::put(&mut writer, 0x90, certificate)?;
            }
            Ok(len)
        });
        match written {
            Ok(len) => Ok((Auth1Sent::new(self.profile, self.ephemeral, self.transcript, self.press, data), len)),
            Err(full) => Err(self.failure(full)),
        }
    }

    fn authentication_data(&self) -> AuthenticationData {
        let Transcript { reader, device_ephemeral, lock_ephemeral, transaction, .. } = &self.transcript;
        AuthenticationData::for_lock(reader, device_ephemeral, lock_ephemeral, transaction)
    }

    fn failure(&self, error: impl Into<ReaderError>) -> Failure {
        Failure::in_clear(self.transcript.interface, error)
    }
}

/// LOAD CERT is on its way.
pub struct CertificateSent<C: Crypto>(Auth0Done<C>);

impl<C: Crypto> CertificateSent<C> {
    /// Takes the phone's answer.
    pub fn response(self, response: &[u8]) -> Result<Auth0Done<C>, Failure> {
        match apdu::response(response) {
            Ok((_, StatusWord::OK)) => Ok(self.0),
            Ok((_, status)) => Err(self.0.failure(ReaderError::Refused(status))),
            Err(error) => Err(self.0.failure(error)),
        }
    }
}

/// A phone recognised by its cryptogram.
#[derive(Debug)]
pub struct FastMatch {
    /// Which of the entries fits.
    pub index: usize,
    /// What the phone says of itself; compare its document's `signed` time with the stored one.
    pub cryptogram: Cryptogram,
    persistent: Kpersistent,
    device_key: PublicKey,
}

opaque_debug!(Auth0Sent, Auth0Done, CertificateSent);
