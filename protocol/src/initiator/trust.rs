//! Whom the phone trusts, and the check of what a lock shows.

use super::InitiatorError;
use crate::{
    certificate::{Certificate, CertificateError},
    crypto::Crypto,
    ids::{Kpersistent, PublicKey, ReaderId, UnixTime},
    profile::Profile,
};

/// What a phone holds for one lock.
#[derive(Clone, Debug)]
pub struct LockTrust {
    /// The trust anchor of the group: the site CA key, or the reader key itself where locks show no certificate.
    pub anchor: PublicKey,
    /// A certificate must name the very lock, not only its site.
    pub bind_subject: bool,
    /// The secret for the fast phase, where the two have met.
    pub persistent: Option<Kpersistent>,
    /// The `signed` time of the access document the phone would show.
    pub access_signed: Option<UnixTime>,
    /// The `signed` time of the revocation document the phone carries.
    pub revocation_signed: Option<UnixTime>,
    /// The access document opens only to an authenticated user.
    pub user_auth_required: bool,
}

/// Finds what the phone holds for a lock. Implemented for closures.
pub trait TrustStore {
    /// What the phone holds for `reader`; `None` for a group it does not know.
    fn find(&self, reader: &ReaderId) -> Option<LockTrust>;

    /// The reader key by which a lock of the group proves itself without a certificate, where that is another key than
    /// [`LockTrust::anchor`]. `None`, as product sites have it, leaves the anchor to prove every lock.
    fn reader_key(&self, reader: &ReaderId) -> Option<PublicKey> {
        let _ = reader;
        None
    }

    /// The key whose x coordinate stands in the salt of the fast phase: the anchor under which [`LockTrust::persistent`]
    /// was agreed, where that is another key than [`LockTrust::anchor`].
    fn fast_anchor(&self, reader: &ReaderId) -> Option<PublicKey> {
        let _ = reader;
        None
    }
}

impl<F: Fn(&ReaderId) -> Option<LockTrust>> TrustStore for F {
    fn find(&self, reader: &ReaderId) -> Option<LockTrust> {
        self(reader)
    }
}

/// What a step needs from around it.
#[derive(Debug)]
pub struct Env<'a, C, T: ?Sized> {
    /// The crypto back end.
    pub crypto: &'a mut C,
    /// Whom the phone trusts.
    pub trust: &'a T,
    /// The phone's time, for certificate dates.
    pub now: UnixTime,
    /// The user has just authenticated on the phone.
    pub user_authenticated: bool,
}

/// What a certificate that parsed turned out to be.
pub(super) type Checked = Result<PublicKey, CertificateError>;

/// Checks a certificate against the trust in a lock. Fails only when it does not parse.
pub(super) fn check_certificate<C: Crypto, T: ?Sized>(
    env: &Env<'_, C, T>,
    profile: &Profile,
    reader: &ReaderId,
    trust: Option<&LockTrust>,
    compressed: &[u8],
) -> Result<Checked, CertificateError> {
    let certificate = Certificate::parse(compressed)?;
    // Without trust the session ends at AUTH1 whatever the certificate says.
    let Some(trust) = trust else { return Ok(Err(CertificateError::Signature)) };
    let check = || {
        certificate.verify(env.crypto, &trust.anchor)?;
        if profile.check_certificate_dates {
            certificate.check_dates(env.now)?;
        }
        if trust.bind_subject {
            certificate.check_subject(&reader.sub())?;
        }
        Ok(certificate.key)
    };
    Ok(check())
}

impl From<CertificateError> for InitiatorError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(error)
    }
}
