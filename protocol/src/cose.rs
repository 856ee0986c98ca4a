//! COSE_Sign1 with ES256, the signature around documents and tokens (`docs/PROTOCOL.md` section 10.1).

use minicbor::{Encoder, encode::write::Cursor};
use thiserror::Error;

use crate::{
    cbor::{CborError, Reader},
    crypto::{Crypto, Signer},
    ids::{Kid, PublicKey, Signature},
};

/// The only protected header accepted: `{ 1: -7 }`, ES256.
pub const PROTECTED: [u8; 3] = [0xA1, 0x01, 0x26];

/// The largest payload that is signed or verified, bytes: a message of `docs/PROTOCOL.md` section 14.
pub const PAYLOAD_MAX: usize = 2_048;

/// `Sig_structure` of the largest payload with the longest external data of ours.
const SIGNED_MAX: usize = PAYLOAD_MAX + 64;

/// Why a COSE_Sign1 is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum CoseError {
    /// It does not decode.
    #[error("COSE_Sign1 does not decode: {0}")]
    Malformed(#[from] CborError),
    /// The protected header is not exactly `{ alg: ES256 }`.
    #[error("COSE_Sign1 is not protected as ES256")]
    Algorithm,
    /// The unprotected header holds no kid of 8 bytes.
    #[error("COSE_Sign1 has no key identifier")]
    NoKid,
    /// The unprotected header holds a certificate (x5chain).
    #[error("COSE_Sign1 carries a certificate instead of a key identifier")]
    Certificate,
    /// The payload, or the buffer given, is too large or too small.
    #[error("COSE_Sign1 payload does not fit")]
    Size,
    /// The signature does not verify.
    #[error("COSE_Sign1 signature does not verify")]
    Signature,
}

/// A decoded COSE_Sign1: nothing in it is trusted before [`Sign1::verify`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sign1<'a> {
    protected: &'a [u8],
    kid: Option<&'a [u8]>,
    x5chain: Option<&'a [u8]>,
    payload: &'a [u8],
    signature: Signature,
}

impl<'a> Sign1<'a> {
    /// Decodes an untagged COSE_Sign1.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CborError> {
        Self::read(&mut Reader::new(bytes)?)
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, CborError> {
        reader.array_of(4)?;
        let protected = reader.bytes()?;
        let (mut kid, mut x5chain) = (None, None);
        for _ in 0..reader.map()? {
            // Keys may be text in COSE; ours are numbers, whatever else is there is not protected and not used.
            let key = reader.item()?;
            match key {
                [4] => kid = Some(reader.bytes()?),
                [0x18, 33] => x5chain = Some(reader.item()?),
                _ => reader.skip()?,
            }
        }
        let payload = reader.bytes()?;
        let signature = Signature(reader.byte_array()?);
        Ok(Self { protected, kid, x5chain, payload, signature })
    }

    /// The key identifier, which names the key to verify with.
    ///
    /// Fails with [`CoseError::Certificate`] where a certificate stands in its place or beside it.
    pub fn kid(&self) -> Result<Kid, CoseError> {
        if self.x5chain.is_some() {
            return Err(CoseError::Certificate);
        }
        self.kid.and_then(Kid::from_slice).ok_or(CoseError::NoKid)
    }

    /// The certificate header as it stands (a byte string or an array of them), for the interop setting only.
    pub fn x5chain(&self) -> Option<&'a [u8]> {
        self.x5chain
    }

    /// The signed payload, for those who verify first.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Verifies the signature and returns the payload.
    ///
    /// Fails with [`CoseError::Algorithm`] unless the protected header is exactly [`PROTECTED`].
    pub fn verify<C: Crypto>(&self, crypto: &C, key: &PublicKey, external_aad: &[u8]) -> Result<&'a [u8], CoseError> {
        if self.protected != PROTECTED {
            return Err(CoseError::Algorithm);
        }
        self.verify_protected(crypto, key, external_aad)
    }

    /// Verifies a signature whose protected header may say more than ES256, as other issuers write it.
    ///
    /// For the interop setting only. A critical header (`crit`) is refused like another algorithm.
    pub fn verify_es256<C: Crypto>(
        &self,
        crypto: &C,
        key: &PublicKey,
        external_aad: &[u8],
    ) -> Result<&'a [u8], CoseError> {
        if !is_es256(self.protected)? {
            return Err(CoseError::Algorithm);
        }
        self.verify_protected(crypto, key, external_aad)
    }

    fn verify_protected<C: Crypto>(
        &self,
        crypto: &C,
        key: &PublicKey,
        external_aad: &[u8],
    ) -> Result<&'a [u8], CoseError> {
        let mut buffer = [0; SIGNED_MAX];
        let signed = write_signed(self.protected, external_aad, self.payload, &mut buffer)?;
        crypto.verify(key, signed, &self.signature).map_err(|_| CoseError::Signature)?;
        Ok(self.payload)
    }
}

/// Writes the bytes that are signed: `[ "Signature1", protected, external_aad, payload ]`.
pub fn sig_structure<'o>(external_aad: &[u8], payload: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], CoseError> {
    write_signed(&PROTECTED, external_aad, payload, out)
}

fn write_signed<'o>(
    protected: &[u8],
    external_aad: &[u8],
    payload: &[u8],
    out: &'o mut [u8],
) -> Result<&'o [u8], CoseError> {
    let mut encoder = Encoder::new(Cursor::new(&mut *out));
    encoder
        .array(4)
        .and_then(|e| e.str("Signature1"))
        .and_then(|e| e.bytes(protected))
        .and_then(|e| e.bytes(external_aad))
        .and_then(|e| e.bytes(payload))
        .map_err(|_| CoseError::Size)?;
    let len = encoder.writer().position();
    out.get(..len).ok_or(CoseError::Size)
}

/// Whether a protected header says ES256 and nothing critical.
fn is_es256(protected: &[u8]) -> Result<bool, CborError> {
    let mut reader = Reader::new(protected)?;
    let (mut es256, mut critical) = (false, false);
    for _ in 0..reader.map()? {
        match reader.item()? {
            [1] => es256 = reader.item()? == [0x26],
            [2] => {
                critical = true;
                reader.skip()?;
            }
            _ => reader.skip()?,
        }
    }
    Ok(es256 && !critical)
}

/// Signs `payload` and writes the COSE_Sign1; returns its length.
pub fn sign1<S: Signer>(
    signer: &mut S,
    kid: &Kid,
    external_aad: &[u8],
    payload: &[u8],
    out: &mut [u8],
) -> Result<usize, CoseError> {
    let mut buffer = [0; SIGNED_MAX];
    let signed = sig_structure(external_aad, payload, &mut buffer)?;
    let signature = signer.sign(signed).map_err(|_| CoseError::Signature)?;
    let mut encoder = Encoder::new(Cursor::new(out));
    encoder
        .array(4)
        .and_then(|e| e.bytes(&PROTECTED))
        .and_then(|e| e.map(1))
        .and_then(|e| e.u8(4))
        .and_then(|e| e.bytes(kid.as_bytes()))
        .and_then(|e| e.bytes(payload))
        .and_then(|e| e.bytes(signature.as_bytes()))
        .map_err(|_| CoseError::Size)?;
    Ok(encoder.writer().position())
}

#[cfg(test)]
#[cfg(feature = "rustcrypto")]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{crypto, signer};

    const KID: Kid = Kid([7; 8]);

    fn message(aad: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut out = [0; PAYLOAD_MAX];
        let len = sign1(&mut signer("cose"), &KID, aad, payload, &mut out).unwrap();
        out[..len].to_vec()
    }

    #[test]
    fn what_is_signed_verifies_with_its_key_and_external_data_only() {
        let (crypto, key) = (crypto(1), signer("cose").public_key());
        let bytes = message(b"aad", b"payload");
        let parsed = Sign1::parse(&bytes).unwrap();
        assert_eq!(parsed.kid(), Ok(KID));
        assert_eq!(parsed.verify(&crypto, &key, b"aad"), Ok(&b"payload"[..]));
        assert_eq!(parsed.verify_es256(&crypto, &key, b"aad"), Ok(&b"payload"[..]));
        assert_eq!(parsed.verify(&crypto, &key, b"other"), Err(CoseError::Signature));
        let other = signer("other").public_key();
        assert_eq!(parsed.verify(&crypto, &other, b"aad"), Err(CoseError::Signature));
    }

    #[test]
    fn a_critical_header_is_refused_even_where_others_are_allowed() {
        // { 1: -7, 2: [3], 3: 0 }
        assert_eq!(is_es256(&[0xA3, 0x01, 0x26, 0x02, 0x81, 0x03, 0x03, 0x00]), Ok(false));
        assert_eq!(is_es256(&[0xA2, 0x01, 0x26, 0x03, 0x00]), Ok(true));
        assert_eq!(is_es256(&[0xA1, 0x01, 0x38, 0x22]), Ok(false));
        assert_eq!(is_es256(&[0xA0]), Ok(false));
        assert!(is_es256(&[]).is_err());
    }

    #[test]
    fn a_tag_around_the_message_is_refused() {
        let bytes = [&[0xD2][..], &message(&[], b"payload")].concat();
        assert_eq!(Sign1::parse(&bytes), Err(CborError::Unexpected));
    }

    #[test]
    fn payloads_that_do_not_fit_are_refused() {
        let mut out = [0; 64];
        assert_eq!(sign1(&mut signer("cose"), &KID, &[], &[0; 64], &mut out), Err(CoseError::Size));
        assert_eq!(sign1(&mut signer("cose"), &KID, &[], &[0; 4_096], &mut [0; 8_192]), Err(CoseError::Size));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(message) = Sign1::parse(&bytes) {
                let _ = (message.kid(), message.verify_es256(&crypto(1), &signer("cose").public_key(), &[]));
            }
        }

        #[test]
        fn every_payload_round_trips(payload in prop::collection::vec(any::<u8>(), 0..600), aad in prop::collection::vec(any::<u8>(), 0..32)) {
            let bytes = message(&aad, &payload);
            let verified = Sign1::parse(&bytes).unwrap().verify(&crypto(1), &signer("cose").public_key(), &aad);
            prop_assert_eq!(verified, Ok(&payload[..]));
        }
    }
}
