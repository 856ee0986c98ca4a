//! After AUTH0: certificate, AUTH1, or straight to EXCHANGE in the fast phase.

use core::fmt;

use super::{
    Env, Exchanged, InitiatorError, LockTrust, Phone, Secured, SecuredNext, ToSign, TrustStore,
    error::read,
    trust::{Checked, check_certificate},
};
use crate::{
    apdu::{Ins, StatusWord},
    buf::opaque_debug,
    certificate::CertificateError,
    crypto::Crypto,
    exchange::Request,
    ids::{PublicKey, Signature},
    keys::{self, AuthenticationData, FastKeys, Kdh, Transcript},
    profile::SaltAnchor,
    tlv::{self, Field},
};

/// What AUTH0 settled.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) phone: Phone,
    pub(super) transcript: Transcript,
    pub(super) trust: Option<LockTrust>,
    pub(super) must_authenticate: bool,
}

/// The ephemeral keys are exchanged; the lock has proven nothing yet.
pub struct Auth0Done<C: Crypto> {
    start: Start,
    ephemeral: C::Ephemeral,
    fast: Option<FastKeys>,
    loaded: Option<Checked>,
}

/// What a command after AUTH0 leads to.
#[allow(clippy::large_enum_variant)] // moved once per step, and boxes need a heap
pub enum Auth0Next<'m, C: Crypto> {
    /// LOAD CERT: send the first `response` bytes of the buffer and go on.
    CertificateLoaded {
        /// The next state.
        state: Auth0Done<C>,
        /// The length of the response.
        response: usize,
    },
    /// AUTH1 of a lock that has proven itself: have [`ToSign::data`] signed by the device key.
    Sign(ToSign),
    /// The lock recognised the phone: its first EXCHANGE.
    Exchange {
        /// The next state.
        state: Exchanged,
        /// What the lock wants.
        request: Request<'m>,
    },
}

impl<C: Crypto> fmt::Debug for Auth0Next<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CertificateLoaded { .. } => "CertificateLoaded",
            Self::Sign(_) => "Sign",
            Self::Exchange { .. } => "Exchange",
        })
    }
}

impl<C: Crypto> Auth0Done<C> {
    pub(super) const fn new(start: Start, ephemeral: C::Ephemeral, fast: Option<FastKeys>) -> Self {
        Self { start, ephemeral, fast, loaded: None }
    }

    /// Tells whether the answer to AUTH0 carried a true cryptogram: the lock may decide on it alone.
    pub const fn offers_fast(&self) -> bool {
        self.fast.is_some()
    }

    /// Takes the lock's next command; sealed ones are opened in place.
    pub fn handle<'m, T: TrustStore + ?Sized>(
        self,
        env: &mut Env<'_, C, T>,
        command: &'m mut [u8],
        out: &mut [u8],
    ) -> Result<Auth0Next<'m, C>, InitiatorError> {
        let (ins, data) = read(command)?;
        match ins {
            Ins::LoadCert if self.loaded.is_none() => self.load_certificate(env, data, out),
            Ins::Auth1 => {
                let reader_key = env.trust.reader_key(&self.start.transcript.reader);
                self.auth1(env, data, reader_key).map(Auth0Next::Sign)
            }
            Ins::Exchange => self.exchange(env.crypto, command),
            Ins::LoadCert | Ins::Select | Ins::Auth0 | Ins::ControlFlow | Ins::Envelope | Ins::GetResponse => {
                Err(InitiatorError::WrongState)
            }
        }
    }

    fn load_certificate<'m, T: ?Sized>(
        mut self,
        env: &Env<'_, C, T>,
        compressed: &[u8],
        out: &mut [u8],
    ) -> Result<Auth0Next<'m, C>, InitiatorError> {
        let checked = self.check(env, compressed).map_err(|_| InitiatorError::Malformed)?;
        self.loaded = Some(checked);
        let response = StatusWord::OK.to_bytes();
        out.get_mut(..response.len()).ok_or(InitiatorError::Room)?.copy_from_slice(&response);
        Ok(Auth0Next::CertificateLoaded { state: self, response: response.len() })
    }

    fn auth1<T: ?Sized>(
        mut self,
        env: &mut Env<'_, C, T>,
        data: &[u8],
        reader_key: Option<PublicKey>,
    ) -> Result<ToSign, InitiatorError> {
        let known =
            [Field::required(0x41, 1), Field::required(0x9E, Signature::LEN), Field::optional_between(0x90, 1, 0xFFFF)];
        let [_, signature, certificate] = tlv::fields(data, &known)?;
        let signature = tlv::array(signature).map(Signature).ok_or(InitiatorError::Malformed)?;
        let trust = self.start.trust.as_ref().ok_or(InitiatorError::UnknownGroup)?;
        let loaded = self.loaded.is_some();
        let shown = match (self.loaded, certificate) {
            (Some(_), Some(_)) => return Err(InitiatorError::Malformed),
            (Some(checked), None) => Some(checked),
            (None, Some(tlv)) => Some(self.check(env, tlv.value)?),
            (None, None) => None,
        };
        let subject = shown.transpose()?;
        let anchor = reader_key.filter(|_| subject.is_none()).unwrap_or(trust.anchor);
        let lock_key = subject.unwrap_or(anchor);
        let Transcript { reader, device_ephemeral, lock_ephemeral, transaction, .. } = &self.start.transcript;
        let signed = AuthenticationData::for_lock(reader, device_ephemeral, lock_ephemeral, transaction);
        env.crypto.verify(&lock_key, signed.as_bytes(), &signature).map_err(|_| InitiatorError::LockSignature)?;
        if self.start.must_authenticate {
            return Err(InitiatorError::UserAuthRequired);
        }
        let by_subject = loaded && self.start.phone.profile.salt_anchor == SaltAnchor::Subject;
        self.start.transcript.anchor_x = if by_subject { lock_key.x() } else { anchor.x() };
        let z = env.crypto.agree(self.ephemeral, &self.start.transcript.lock_ephemeral)?;
        let kdh = Kdh::derive(env.crypto, &z, &self.start.transcript.transaction);
        let keys = keys::standard(env.crypto, &self.start.transcript, &kdh)?;
        let persistent = keys::persistent(env.crypto, &self.start.transcript, &kdh, &self.start.phone.device_key)?;
        Ok(ToSign::new(&self.start, keys, persistent))
    }

    fn exchange<'m>(self, crypto: &C, command: &'m mut [u8]) -> Result<Auth0Next<'m, C>, InitiatorError> {
        let keys = self.fast.ok_or(InitiatorError::WrongState)?;
        match Secured::fast(&self.start, keys).handle(crypto, command, &mut [])? {
            SecuredNext::Exchange { state, request } => Ok(Auth0Next::Exchange { state, request }),
            SecuredNext::StepUpSelected { .. } | SecuredNext::Documents { .. } => Err(InitiatorError::WrongState),
        }
    }

    fn check<T: ?Sized>(&self, env: &Env<'_, C, T>, compressed: &[u8]) -> Result<Checked, CertificateError> {
        let start = &self.start;
        check_certificate(env, &start.phone.profile, &start.transcript.reader, start.trust.as_ref(), compressed)
    }
}

opaque_debug!(Auth0Done);
