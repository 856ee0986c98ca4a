//! The signed part of a reader certificate: a fixed template around the parts that vary.

use sha1::{Digest, Sha1};

use super::{Certificate, der::DerWriter};
use crate::ids::PublicKey;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTF8_STRING: u8 = 0x0C;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BIT_STRING: u8 = 0x03;

/// `SEQUENCE { OID ecdsa-with-SHA256 }`.
pub(super) const ECDSA_WITH_SHA256: &[u8] = &[0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
/// `[0] { INTEGER 2 }`: X.509 version 3.
pub(super) const VERSION_3: &[u8] = &[0xA0, 0x03, 0x02, 0x01, 0x02];
/// `OID commonName`.
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
/// `SEQUENCE { OID ecPublicKey, OID prime256v1 }`.
pub(super) const P256_KEY: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03,
    0x01, 0x07,
];
/// Basic constraints (critical): not a CA. Key usage (critical): digital signature.
const CONSTRAINTS: &[u8] = &[
    0x30, 0x0C, 0x06, 0x03, 0x55, 0x1D, 0x13, 0x01, 0x01, 0xFF, 0x04, 0x02, 0x30, 0x00, // basic constraints
    0x30, 0x0E, 0x06, 0x03, 0x55, 0x1D, 0x0F, 0x01, 0x01, 0xFF, 0x04, 0x04, 0x03, 0x02, 0x07, 0x80, // key usage
];
/// Authority key identifier up to the 20 bytes of SHA-1.
const AUTHORITY_KEY: &[u8] = &[0x30, 0x1F, 0x06, 0x03, 0x55, 0x1D, 0x23, 0x04, 0x18, 0x30, 0x16, 0x80, 0x14];

/// Writes the to-be-signed certificate in front of what `writer` holds.
pub(super) fn write(writer: &mut DerWriter<'_>, certificate: &Certificate<'_>, ca: &PublicKey) -> Option<()> {
    let all = writer.mark();
    writer.put(CONSTRAINTS)?;
    writer.put(&Sha1::digest(ca.as_bytes()))?;
    writer.put(AUTHORITY_KEY)?;
    writer.wrap(SEQUENCE, all)?;
    writer.wrap(0xA3, all)?;

    let key = writer.mark();
    writer.put(certificate.key.as_bytes())?;
    writer.put(&[0])?;
    writer.wrap(BIT_STRING, key)?;
    writer.put(P256_KEY)?;
    writer.wrap(SEQUENCE, key)?;

    name(writer, certificate.subject)?;
    let dates = writer.mark();
    date(writer, certificate.not_after_text)?;
    date(writer, certificate.not_before_text)?;
    writer.wrap(SEQUENCE, dates)?;
    name(writer, certificate.issuer)?;
    writer.put(ECDSA_WITH_SHA256)?;
    writer.integer(certificate.serial)?;
    writer.put(VERSION_3)?;
    writer.wrap(SEQUENCE, all)
}

fn name(writer: &mut DerWriter<'_>, name: &str) -> Option<()> {
    let mark = writer.mark();
    writer.tlv(UTF8_STRING, name.as_bytes())?;
    writer.put(COMMON_NAME)?;
    writer.wrap(SEQUENCE, mark)?;
    writer.wrap(SET, mark)?;
    writer.wrap(SEQUENCE, mark)
}

fn date(writer: &mut DerWriter<'_>, text: &[u8]) -> Option<()> {
    writer.tlv(if text.len() == 13 { UTC_TIME } else { GENERALIZED_TIME }, text)
}
