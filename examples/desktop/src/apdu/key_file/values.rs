//! The single values of a key file: hex of the right length, points, keys, documents that verify.

use std::fmt;

use keybutton_protocol::{
    crypto::{
        Crypto as _, Signer as _,
        ring::{Ring, RingSigner},
    },
    document::{Document, Expected, Validity, verify, verify_with_certificate},
    ids::{PublicKey, UnixTime},
    token::TimeToken,
};
use zeroize::Zeroizing;

use super::{KeyFile, Shown, Text, unusable};
use crate::failure::Failure;

impl KeyFile {
    /// A document that is verified as far as a phone can.
    pub(super) fn document(
        &self,
        name: &str,
        shown: &Option<Shown>,
        expected: Expected<'_>,
    ) -> Result<Option<(Vec<u8>, Validity)>, Failure> {
        let Some(bytes) = self.document_bytes(name, shown)? else { return Ok(None) };
        let (kid, key) = self.issuer()?;
        let document = Document::parse(&bytes).map_err(|_| self.bad(name, "does not decode"))?;
        let verified = match document.issuer_auth().x5chain() {
            Some(_) => verify_with_certificate(&Ring::new(), &document, &key, expected),
            None => verify(&Ring::new(), &document, |named| (*named == kid).then_some(key), expected),
        };
        let validity = verified.map_err(|error| self.bad(name, format_args!("does not verify: {error}")))?.validity();
        Ok(Some((bytes, validity)))
    }

    pub(super) fn document_bytes(&self, name: &str, shown: &Option<Shown>) -> Result<Option<Vec<u8>>, Failure> {
        let Some(shown) = shown else { return Ok(None) };
        match (&shown.document, &shown.device_response) {
            (Some(text), _) => self.bytes(&format!("{name}.document"), text).map(Some),
            (None, Some(text)) => {
                let name = format!("{name}.device_response");
                let response = self.bytes(&name, text)?;
                first_document(&response).map(Some).ok_or_else(|| self.bad(&name, "holds no document"))
            }
            (None, None) => Err(self.bad(name, "has neither `document` nor `device_response`")),
        }
    }

    pub(super) fn time_token(&self) -> Result<Option<(Vec<u8>, UnixTime)>, Failure> {
        let Some(text) = self.rest.time_token.as_ref().and_then(|token| token.cose_sign1.as_ref()) else {
            return Ok(None);
        };
        let bytes = self.bytes("time_token.cose_sign1", text)?;
        let (kid, key) = self.issuer()?;
        let opened = TimeToken::open(&Ring::new(), &bytes, |named| (*named == kid).then_some(key));
        let (_, token) = opened.map_err(|_| self.bad("time_token.cose_sign1", "does not verify"))?;
        Ok(Some((bytes, token.expires)))
    }

    pub(super) fn signer(
        &self,
        name: &str,
        secret: &[u8; 32],
        public_name: &str,
        public: &Option<Text>,
    ) -> Result<RingSigner, Failure> {
        let signer = RingSigner::from_bytes(secret).map_err(|_| self.bad(name, "is no P-256 private key"))?;
        match self.point(public_name, public)? {
            Some(public) if public != signer.public_key() => {
                Err(self.bad(public_name, format_args!("is not the public half of `{name}`")))
            }
            Some(_) | None => Ok(signer),
        }
    }

    pub(super) fn needed_point(&self, name: &str, text: &Option<Text>) -> Result<PublicKey, Failure> {
        self.point(name, text)?.ok_or_else(|| self.bad(name, "is missing"))
    }

    pub(super) fn point(&self, name: &str, text: &Option<Text>) -> Result<Option<PublicKey>, Failure> {
        let Some(key) = self.optional(name, text)?.map(PublicKey) else { return Ok(None) };
        let checked = Ring::new().check_point(&key).map(|()| Some(key));
        checked.map_err(|_| self.bad(name, "is no point of P-256"))
    }

    pub(super) fn needed<const N: usize>(&self, name: &str, text: &Option<Text>) -> Result<[u8; N], Failure> {
        self.optional(name, text)?.ok_or_else(|| self.bad(name, "is missing"))
    }

    pub(super) fn optional<const N: usize>(&self, name: &str, text: &Option<Text>) -> Result<Option<[u8; N]>, Failure> {
        let Some(text) = text else { return Ok(None) };
        let bytes = Zeroizing::new(self.bytes(name, text)?);
        let exact = <[u8; N]>::try_from(&bytes[..]);
        exact.map(Some).map_err(|_| self.bad(name, format_args!("has {} bytes instead of {N}", bytes.len())))
    }

    pub(super) fn bytes(&self, name: &str, Text(text): &Text) -> Result<Vec<u8>, Failure> {
        unhex(text).ok_or_else(|| self.bad(name, "is not hex in pairs of digits"))
    }

    pub(super) fn bad(&self, name: &str, why: impl fmt::Display) -> Failure {
        unusable(&self.name, format_args!("`{name}` {why}"))
    }
}

/// The bytes of the first document in a DeviceResponse.
fn first_document(response: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = minicbor::Decoder::new(response);
    for _ in 0..decoder.map().ok()?? {
        if decoder.str().ok()? == "2" {
            decoder.array().ok()?.filter(|count| *count > 0)?;
            let start = decoder.position();
            decoder.skip().ok()?;
            return response.get(start..decoder.position()).map(<[u8]>::to_vec);
        }
        decoder.skip().ok()?;
    }
    None
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    odd.is_empty().then(|| pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect())?
}
