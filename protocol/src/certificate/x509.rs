//! The whole X.509 certificate, for those who want to look at one with other tools.

use alloc::vec::Vec;

use super::{Certificate, TBS_MAX, der, der::DerWriter, tbs};
use crate::ids::PublicKey;

/// Writes a reader certificate as X.509 DER, as `ca` signed it.
pub fn write_x509(certificate: &Certificate<'_>, ca: &PublicKey) -> Option<Vec<u8>> {
    let mut signature = [0; 73];
    let len = der::write_signature(certificate.signature.as_bytes(), signature.get_mut(1..)?)? + 1;
    let mut out = [0; TBS_MAX + 128];
    let mut writer = DerWriter::new(&mut out);
    let all = writer.mark();
    writer.tlv(0x03, signature.get(..len)?)?;
    writer.put(tbs::ECDSA_WITH_SHA256)?;
    tbs::write(&mut writer, certificate, ca)?;
    writer.wrap(0x30, all)?;
    let len = writer.finish();
    Some(out.get(..len)?.to_vec())
}
