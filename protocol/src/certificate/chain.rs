//! A whole X.509 certificate of an issuer, for the interop setting that accepts one in place of a kid.

use super::{CertificateError, date, der, tbs};
use crate::{
    crypto::Crypto,
    ids::{PublicKey, Signature, UnixTime},
};

/// What an issuer's certificate says, once its signature was verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IssuerCertificate {
    /// The issuer's key.
    pub key: PublicKey,
    /// From when it counts.
    pub not_before: UnixTime,
    /// Until when it counts.
    pub not_after: UnixTime,
}

impl IssuerCertificate {
    /// Verifies that `trusted` signed the certificate and takes out what it says. Extensions are not looked at.
    pub fn open<C: Crypto>(crypto: &C, bytes: &[u8], trusted: &PublicKey) -> Result<Self, CertificateError> {
        let (read, signed, signature) = Self::read(bytes).ok_or(CertificateError::Malformed)?;
        crypto.verify(trusted, signed, &signature).map_err(|_| CertificateError::Signature)?;
        Ok(read)
    }

    fn read(bytes: &[u8]) -> Option<(Self, &[u8], Signature)> {
        let (0x30, whole, []) = der::split(bytes)? else { return None };
        let (0x30, body, rest) = der::split(whole)? else { return None };
        let signed = whole.get(..whole.len() - rest.len())?;
        let rest = rest.strip_prefix(tbs::ECDSA_WITH_SHA256)?;
        let (0x03, signature, []) = der::split(rest)? else { return None };
        let signature = Signature(der::read_signature(signature.strip_prefix(&[0])?)?);

        let body = body.strip_prefix(tbs::VERSION_3)?;
        let (0x02, _serial, body) = der::split(body)? else { return None };
        let body = body.strip_prefix(tbs::ECDSA_WITH_SHA256)?;
        let (0x30, _issuer, body) = der::split(body)? else { return None };
        let (0x30, validity, body) = der::split(body)? else { return None };
        let (0x30, _subject, body) = der::split(body)? else { return None };
        let (0x30, key, _extensions) = der::split(body)? else { return None };
        let (0x03, key, []) = der::split(key.strip_prefix(tbs::P256_KEY)?)? else { return None };
        let (not_before, validity) = time(validity)?;
        let (not_after, []) = time(validity)? else { return None };
        let key = PublicKey::from_slice(key.strip_prefix(&[0])?)?;
        Some((Self { key, not_before, not_after }, signed, signature))
    }
}

fn time(bytes: &[u8]) -> Option<(UnixTime, &[u8])> {
    match der::split(bytes)? {
        (0x17, text, rest) if text.len() == 13 => Some((date(text)?, rest)),
        (0x18, text, rest) if text.len() == 15 => Some((date(text)?, rest)),
        _ => None,
    }
}
