//! The reader certificate: an X.509 certificate of fixed shape, sent in compressed form (`profile0000`).
//!
//! Only the parts that vary travel; whoever checks it rebuilds the signed DER around them. No X.509 parser is needed
//! and nothing is allocated (`docs/PROTOCOL.md` section 6).

mod chain;
mod der;
mod tbs;
#[cfg(feature = "issue")]
mod x509;

use thiserror::Error;

use crate::{
    crypto::{Crypto, Signer},
    ids::{PublicKey, Signature, SubId, UnixTime},
    tdate::{self, DAY},
};
pub use chain::IssuerCertificate;
use der::DerWriter;
#[cfg(feature = "issue")]
pub use x509::write_x509;

/// The longest compressed certificate: every field present and at its longest.
pub const COMPRESSED_MAX: usize = 304;
/// The longest signed DER.
pub const TBS_MAX: usize = 400;
/// The slack of a phone's clock when it checks a certificate's dates.
pub const CLOCK_SLACK_S: u32 = DAY;

const DEFAULT_SERIAL: &[u8] = &[1];
const DEFAULT_ISSUER: &str = "issuer";
const DEFAULT_SUBJECT: &str = "subject";
const DEFAULT_NOT_BEFORE: &[u8] = b"200101000000Z";
const DEFAULT_NOT_AFTER: &[u8] = b"490101000000Z";
const PROFILE: [u8; 4] = [0x04, 0x02, 0x00, 0x00];
const SERIAL_MAX: usize = 20;
/// A signature that is short enough in DER to stop at: one in 512 is.
const SIGNATURE_SHORT: usize = 69;
/// How many signatures are made at most: 3 certificates in 10,000 get a longer one than they might.
const SIGNING_TRIES: usize = 4_096;
const NAME_MAX: usize = 32;

/// Why a reader certificate is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum CertificateError {
    /// It is not of the fixed shape.
    #[error("reader certificate does not decode")]
    Malformed,
    /// It was not signed by the site's CA.
    #[error("reader certificate is not signed by the site's CA")]
    Signature,
    /// It does not count yet.
    #[error("reader certificate is not yet valid")]
    NotYetValid,
    /// It counts no longer.
    #[error("reader certificate has expired")]
    Expired,
    /// It names another lock of the site.
    #[error("reader certificate names another lock")]
    OtherLock,
}

/// A decoded reader certificate: nothing in it is trusted before [`Certificate::verify`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Certificate<'a> {
    /// The serial number, positive, without leading zeros.
    pub serial: &'a [u8],
    /// The issuer's common name; ours leave it at its default.
    pub issuer: &'a str,
    /// The subject's common name; ours: 8 hex digits of the sub identifier.
    pub subject: &'a str,
    /// From when it counts.
    pub not_before: UnixTime,
    /// Until when it counts.
    pub not_after: UnixTime,
    /// The key it is about.
    pub key: PublicKey,
    not_before_text: &'a [u8],
    not_after_text: &'a [u8],
    signature: Signature,
}

impl<'a> Certificate<'a> {
    /// Decodes the compressed form, strictly: order fixed, nothing unknown, no default spelled out.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CertificateError> {
        Self::read(bytes).ok_or(CertificateError::Malformed)
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (0x30, body, []) = der::split(bytes)? else { return None };
        let body = body.strip_prefix(&PROFILE)?;
        let (0x30, mut fields, []) = der::split(body)? else { return None };
        let mut optional = |tag: u8| match der::split(fields) {
            Some((found, value, rest)) if found == tag => {
                fields = rest;
                Some(value)
            }
            _ => None,
        };
        let serial = optional(0x80);
        let (issuer, not_before) = (optional(0x81), optional(0x82));
        let (not_after, subject) = (optional(0x83), optional(0x84));
        let (key, signature) = (optional(0x85)?, optional(0x86)?);
        let serial = or_default(serial, DEFAULT_SERIAL)?;
        let (issuer, subject) = (name(issuer, DEFAULT_ISSUER)?, name(subject, DEFAULT_SUBJECT)?);
        let not_before_text = or_default(not_before, DEFAULT_NOT_BEFORE)?;
        let not_after_text = or_default(not_after, DEFAULT_NOT_AFTER)?;
        let signature = Signature(der::read_signature(signature.strip_prefix(&[0])?)?);
        let valid = fields.is_empty() && serial.len() <= SERIAL_MAX && serial.first().is_some_and(|&first| first != 0);
        valid.then_some(Self {
            serial,
            issuer,
            subject,
            not_before: date(not_before_text)?,
            not_after: date(not_after_text)?,
            key: PublicKey::from_slice(key.strip_prefix(&[0])?).filter(|key| key.0.first() == Some(&4))?,
            not_before_text,
            not_after_text,
            signature,
        })
    }

    /// Writes the DER that is signed, as `ca` signs it; returns its length.
    pub fn write_tbs(&self, ca: &PublicKey, out: &mut [u8; TBS_MAX]) -> Option<usize> {
        let mut writer = DerWriter::new(out);
        tbs::write(&mut writer, self, ca)?;
        Some(writer.finish())
    }

    /// Verifies that `ca` signed the certificate.
    pub fn verify<C: Crypto>(&self, crypto: &C, ca: &PublicKey) -> Result<(), CertificateError> {
        let mut tbs = [0; TBS_MAX];
        let len = self.write_tbs(ca, &mut tbs).ok_or(CertificateError::Malformed)?;
        let tbs = tbs.get(..len).ok_or(CertificateError::Malformed)?;
        crypto.verify(ca, tbs, &self.signature).map_err(|_| CertificateError::Signature)
    }

    /// Checks the dates against a phone's clock, with a day of slack.
    pub fn check_dates(&self, now: UnixTime) -> Result<(), CertificateError> {
        if now.0.saturating_add(CLOCK_SLACK_S) < self.not_before.0 {
            Err(CertificateError::NotYetValid)
        } else if now.0.saturating_sub(CLOCK_SLACK_S) > self.not_after.0 {
            Err(CertificateError::Expired)
        } else {
            Ok(())
        }
    }

    /// Checks that the certificate names this lock: the subject is the first 8 hex digits of its sub identifier.
    pub fn check_subject(&self, sub: &SubId) -> Result<(), CertificateError> {
        if self.subject.as_bytes() == display_name(&sub.0) { Ok(()) } else { Err(CertificateError::OtherLock) }
    }

    /// Writes the compressed form; returns its length.
    fn write_compressed(&self, out: &mut [u8; COMPRESSED_MAX]) -> Option<usize> {
        let mut signature = [0; 73];
        let len = der::write_signature(self.signature.as_bytes(), signature.get_mut(1..)?)? + 1;
        let mut writer = DerWriter::new(out);
        let mark = writer.mark();
        writer.tlv(0x86, signature.get(..len)?)?;
        let key = writer.mark();
        writer.put(self.key.as_bytes())?;
        writer.put(&[0])?;
        writer.wrap(0x85, key)?;
        for (tag, value, default) in [
            (0x84, self.subject.as_bytes(), DEFAULT_SUBJECT.as_bytes()),
            (0x83, self.not_after_text, DEFAULT_NOT_AFTER),
            (0x82, self.not_before_text, DEFAULT_NOT_BEFORE),
            (0x81, self.issuer.as_bytes(), DEFAULT_ISSUER.as_bytes()),
            (0x80, self.serial, DEFAULT_SERIAL),
        ] {
            if value != default {
                writer.tlv(tag, value)?;
            }
        }
        writer.wrap(0x30, mark)?;
        writer.put(&PROFILE)?;
        writer.wrap(0x30, mark)?;
        Some(writer.finish())
    }
}

/// What a certificate is to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CertificateRequest<'a> {
    /// The serial number, 1 to 20 bytes, without leading zeros.
    pub serial: &'a [u8],
    /// The issuer's common name, at most 32 bytes.
    pub issuer: &'a str,
    /// The subject's common name, at most 32 bytes.
    pub subject: &'a str,
    /// From when it counts.
    pub not_before: UnixTime,
    /// Until when it counts.
    pub not_after: UnixTime,
    /// The key it is about.
    pub key: &'a PublicKey,
}

impl<'a> CertificateRequest<'a> {
    /// A request whose every field has the value that the compressed form leaves out: 2020-01-01 to 2049-01-01,
    /// `issuer`, `subject`, serial 1.
    pub const fn shortest(key: &'a PublicKey) -> Self {
        Self {
            serial: DEFAULT_SERIAL,
            issuer: DEFAULT_ISSUER,
            subject: DEFAULT_SUBJECT,
            not_before: UnixTime(1_577_836_800),
            not_after: UnixTime(2_493_072_000),
            key,
        }
    }
}

/// Has a site CA sign a reader certificate; writes the compressed form and returns its length.
///
/// A signature mostly takes 70 to 72 bytes in DER. The certificate is made once and travels in every opening, so a
/// signer with random nonces is asked again until one is short.
///
/// Fails with [`CertificateError::Malformed`] when a field is out of range, [`CertificateError::Signature`] when the
/// signer fails.
pub fn issue<S: Signer>(
    ca: &mut S,
    request: &CertificateRequest<'_>,
    out: &mut [u8; COMPRESSED_MAX],
) -> Result<usize, CertificateError> {
    let (not_before, not_after) = (date_text(request.not_before), date_text(request.not_after));
    let valid = (1..=SERIAL_MAX).contains(&request.serial.len())
        && request.serial.first() != Some(&0)
        && (1..=NAME_MAX).contains(&request.issuer.len())
        && (1..=NAME_MAX).contains(&request.subject.len());
    let mut certificate = Certificate {
        serial: request.serial,
        issuer: request.issuer,
        subject: request.subject,
        not_before: request.not_before,
        not_after: request.not_after,
        key: *request.key,
        not_before_text: trimmed(&not_before),
        not_after_text: trimmed(&not_after),
        signature: Signature([0; 64]),
    };
    let mut tbs = [0; TBS_MAX];
    let len = certificate.write_tbs(&ca.public_key(), &mut tbs).filter(|_| valid).ok_or(CertificateError::Malformed)?;
    let tbs = tbs.get(..len).ok_or(CertificateError::Malformed)?;
    let mut shortest = usize::MAX;
    let mut last = None;
    for _ in 0..SIGNING_TRIES {
        let signature = ca.sign(tbs).map_err(|_| CertificateError::Signature)?;
        let len = der::write_signature(&signature.0, &mut [0; 72]).ok_or(CertificateError::Malformed)?;
        if len < shortest {
            (shortest, certificate.signature) = (len, signature);
        }
        // A signer without random nonces makes the same one again.
        if len <= SIGNATURE_SHORT || last.replace(signature) == Some(signature) {
            break;
        }
    }
    certificate.write_compressed(out).ok_or(CertificateError::Malformed)
}

/// The common name that stands for a site or a lock: the first 8 hex digits of its identifier.
pub fn display_name(id: &[u8; 16]) -> [u8; 8] {
    let [a, b, c, d, ..] = *id;
    let hex = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    let [a, b, c, d] = [a, b, c, d].map(|byte| [hex(byte >> 4), hex(byte & 15)]);
    let ([a0, a1], [b0, b1], [c0, c1], [d0, d1]) = (a, b, c, d);
    [a0, a1, b0, b1, c0, c1, d0, d1]
}

fn or_default<'a>(value: Option<&'a [u8]>, default: &'static [u8]) -> Option<&'a [u8]> {
    match value {
        None => Some(default),
        Some(value) => (value != default).then_some(value),
    }
}

fn name<'a>(value: Option<&'a [u8]>, default: &'static str) -> Option<&'a str> {
    let bytes = or_default(value, default.as_bytes())?;
    if (1..=NAME_MAX).contains(&bytes.len()) { core::str::from_utf8(bytes).ok() } else { None }
}

/// Reads `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn date(text: &[u8]) -> Option<UnixTime> {
    let (year, rest) = match text {
        [y0, y1, rest @ ..] if text.len() == 13 => {
            let year = tdate::two(*y0, *y1)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        [y0, y1, y2, y3, rest @ ..] if text.len() == 15 => (tdate::two(*y0, *y1)? * 100 + tdate::two(*y2, *y3)?, rest),
        _ => return None,
    };
    let &[m0, m1, d0, d1, h0, h1, n0, n1, s0, s1, b'Z'] = rest else { return None };
    let two = tdate::two;
    tdate::seconds(year, two(m0, m1)?, two(d0, d1)?, two(h0, h1)?, two(n0, n1)?, two(s0, s1)?)
}

/// Writes a date as X.509 wants it: two digits of the year until 2049, four from 2050; zero-padded at the end.
fn date_text(time: UnixTime) -> [u8; 15] {
    let [y0, y1, y2, y3, _, m0, m1, _, d0, d1, _, h0, h1, _, n0, n1, _, s0, s1, z] = tdate::format(time);
    if (y0, y1, y2) < (b'2', b'0', b'5') {
        [y2, y3, m0, m1, d0, d1, h0, h1, n0, n1, s0, s1, z, 0, 0]
    } else {
        [y0, y1, y2, y3, m0, m1, d0, d1, h0, h1, n0, n1, s0, s1, z]
    }
}

fn trimmed(text: &[u8; 15]) -> &[u8] {
    text.strip_suffix(&[0, 0]).unwrap_or(text)
}

#[cfg(test)]
#[cfg(feature = "rustcrypto")]
mod tests;
